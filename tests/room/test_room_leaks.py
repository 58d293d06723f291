"""Search the room's directory for what must not be in it, and the machine's keys for who may read them."""

from __future__ import annotations

import base64
import csv
import stat
from typing import TYPE_CHECKING

import pytest
from room_samples import LATE, MEMBER, Place, ask, sector, upload_all, visits

from cleanroom.client import read_linkage_key
from cleanroom.client.normalise import normalise_email
from cleanroom.client.tokens import token
from cleanroom.errors import CleanroomError
from cleanroom.identifiers import Epoch, IdentifierKind
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.room import log_reading, registry
from cleanroom.room.creation import LOG_DETAILS, LOG_SIGNING, TRANSPORT
from key_management import KeyId, KeyKind, read_key_file

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room import Room

ALIAS = "combien_de_personnes_distinctes"
LITERAL = "2024-02-29"


def spellings(secret: bytes) -> set[bytes]:
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"=")}


def found(directory: Path, needles: set[bytes]) -> list[tuple[str, bytes]]:
    assert needles
    hits = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        content = path.read_bytes()
        hits += [(path.name, needle) for needle in needles if needle in content]
    return hits


def secrets_of(room: Room, place: Place) -> dict[str, set[bytes]]:
    """Return everything that may be nowhere in the room, by what it is."""
    (linkage_file,) = place.home.path.glob("rooms/*/linkage/1.key")
    linkage = read_linkage_key(linkage_file)
    with place.csv(MEMBER).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    written = {row["courriel"] for row in rows}
    normal = {normalise_email(address) for address in written} - {None}
    tokens = [
        token(linkage.secret, kind=IdentifierKind.EMAIL, epoch=Epoch("1"), value=str(address))
        for address in sorted(map(str, normal))[:200]
    ]
    keys = [read_key_file(next(place.home.path.glob("rooms/*/root.key"))).reveal_secret_bytes()]
    keys += [
        room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.upload)).reveal_secret_bytes()
        for each in registry.uploads(room.connection)
    ]
    keys += [
        room.keyring.open(room.connection, key).reveal_secret_bytes() for key in (LOG_DETAILS, LOG_SIGNING, TRANSPORT)
    ]
    keys += [
        room.keyring.open(room.connection, KeyId(KeyKind.MEMBER, party)).reveal_secret_bytes()
        for party in (MEMBER, LATE)
    ]
    signing = [bytes.fromhex(path.read_text().split("\n")[1]) for path in place.home.path.glob("parties/*/signing.key")]
    return {
        "addresses": {address.strip().encode() for address in written},
        "normalised addresses": {str(address).encode() for address in normal},
        "tokens": {spelling for each in tokens for spelling in spellings(each)},
        "linkage key": spellings(linkage.secret.reveal_secret_bytes()),
        "keys": {spelling for each in keys for spelling in spellings(each)},
        "signing keys": {spelling for each in signing for spelling in spellings(each)},
        "free text": {b"Fauteuil roulant", b"parterre", b"418 555-0123", b"Groupe scolaire"},
        "questions": {ALIAS.encode(), b"COUNT(DISTINCT", LITERAL.encode(), b"SELECT person"},
    }


def test_the_room_holds_no_identifier_key_question_or_value(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        upload_all(room, place)
        ask(room, f"SELECT COUNT(DISTINCT person) AS {ALIAS} FROM {MEMBER}.visits WHERE purchased >= '{LITERAL}'")  # noqa: S608
        ask(room, sector("SELECT discipline, COUNT(*) AS lignes FROM GROUP BY 1"))
        with pytest.raises(CleanroomError):
            ask(room, f"SELECT person AS {ALIAS} FROM {MEMBER}.visits")  # noqa: S608
        log_reading.export(room, tmp_path / "export")
        assert (place.path / "room.db-wal").exists(), "the write-ahead log is searched too"
        for what, needles in secrets_of(room, place).items():
            assert found(place.path, needles) == [], what
            assert found(tmp_path / "export", needles) == [], what
        # The search finds what is there: the declarations are public in the room, and the room's id in the export.
        assert found(place.path, {b"max_rows_per_person"})
        assert found(tmp_path / "export", {room.room_id.encode()})
        assert not found(tmp_path / "export", {MEMBER.encode(), b"max_rows_per_person"}), "parties are pseudonyms"
    for needles in secrets_of_closed(place):
        assert found(place.path, needles) == []


def secrets_of_closed(place: Place) -> list[set[bytes]]:
    with place.open() as room:
        return list(secrets_of(room, place).values())


def test_a_partition_does_not_compress_or_show_its_values(room: Room, place: Place) -> None:
    """Two uploads of one file share no page: fresh keys, and no plaintext page index, statistics or dictionary."""
    from cleanroom.room import upload

    upload(room, visits(LATE), place.csv(LATE))
    upload(room, visits(LATE), place.csv(LATE))
    one, two = (
        room.store.path(room.stored(each)).read_bytes() for each in registry.uploads(room.connection, visits(LATE))
    )
    chunks = {one[at : at + 32] for at in range(0, len(one) - 32, 32)}
    assert sum(two[at : at + 32] in chunks for at in range(len(two) - 32)) == 0
    assert (
        found(room.store.path(room.stored(registry.uploads(room.connection)[0])).parent, {b"arts_visuels", b"montreal"})
        == []
    )


def test_nobody_else_may_read_the_keys(place: Place) -> None:
    files = [*place.home.path.rglob("*.key"), *place.home.path.rglob("*.share")]
    assert len(files) >= 9
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path.parent
    key = place.home.path / "parties" / MEMBER / "signing.key"
    key.chmod(0o640)
    with place.open() as room, pytest.raises(CleanroomError) as caught:
        room.session(MEMBER)
    assert caught.value.code == "key_refused"


def test_the_home_is_its_owners_alone(template: Place) -> None:
    directories = [template.home.path, *(path for path in template.home.path.rglob("*") if path.is_dir())]
    assert {path.name for path in directories if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()


def test_the_engine_writes_nothing_and_reads_no_file() -> None:
    backend = DuckDBBackend({}, 0)
    settings = ("temp_directory", "enable_external_access", "lock_configuration")
    values = [backend._connection.sql(f"SELECT current_setting('{name}')").fetchall()[0][0] for name in settings]
    assert values[0] in {"", None}
    assert [str(value).lower() for value in values[1:]] == ["false", "true"]
