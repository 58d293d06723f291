"""Public tables: who adds them, what the log says, what a question makes of them, what is refused (S19, S30)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from reference_samples import ISQ, ZONES, csv, sees_nothing
from room_samples import MEMBER, Place, entries, kinds, spent

from audit_log import EventType
from cleanroom.catalog.reference import MOST_COLUMNS, MOST_ROWS
from cleanroom.errors import Fault, InvalidUpload, NotVerified, UsageError
from cleanroom.identifiers import Digest, party_id
from cleanroom.room import Room, logbook, references, registry, views
from cleanroom.room.home import OPERATOR, Home
from cleanroom.room.journal import Journal
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    from pathlib import Path


# Added, listed, shown


def test_a_table_is_added_signed_and_entered(place: Place, room: Room, zones: references.Reference) -> None:
    ((index, kind, details),) = [each for each in entries(room) if each[1] is EventType.REFERENCE_ADDED]
    assert (index, kind) == (zones.log_index, EventType.REFERENCE_ADDED)
    assert details["actor"] == OPERATOR
    assert (zones.name, zones.version, zones.source) == ("zones", 1, ISQ)
    said = {"name": "zones", "version": 1, "source": ISQ, "rows": len(ZONES), "columns": ["region", "zone"]}
    assert said.items() <= details.items()

    # An auditor checks the signature from the log alone.
    content = {"name": "zones", "digest": details["digest"], "rows": details["rows"], "source": details["source"]}
    request = SignedRequest(
        room.room_id,
        OPERATOR,
        references.ACTION,
        content,
        details["request"],
        details["requested_at"],
        bytes.fromhex(details["signature"]),
    )
    request.verify(registry.party_named(room.connection, OPERATOR).public_key, room.room_id, references.ACTION)

    # It is known by its content, and by nothing else.
    table = references.stored(room.connection, zones)
    assert Digest.of(table.content) == zones.digest == Digest.parse(str(details["digest"]))
    assert dict(table.shown.to_pandas().itertuples(index=False, name=None)) == ZONES
    assert logbook.verify(place.path, place.home).ok


def test_everybody_reads_it_and_that_is_entered(room: Room, zones: references.Reference) -> None:
    (listed,) = views.reference_tables(room)
    assert (listed.name, listed.source, listed.digest, listed.rows) == (
        "public.zones",
        ISQ,
        str(zones.digest),
        len(ZONES),
    )
    assert [each.name for each in listed.columns] == ["region", "zone"]
    assert views.reference_values(room, "zones").shown.num_rows == len(ZONES)
    reads = [said["read"] for _, kind, said in entries(room) if kind is EventType.CATALOG_READ]
    assert reads == ["references", "public.zones"]
    for name in ("zone", "public.zones", "Zones", ""):
        error = sees_nothing(room, lambda name=name: views.reference_values(room, name), UsageError)  # type: ignore[misc]
        assert error.code == "unknown_reference"


def test_only_who_has_the_operator_s_key_adds_one(place: Place, tmp_path: Path) -> None:
    """A member's machine has no such key, and the member's own signs for nobody else."""
    poor = Home(tmp_path / "poor")
    with place.open() as room:
        poor.write_root_key(room.room_id, place.home.root_key(room.room_id))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "home", poor)
            sees_nothing(room, lambda: references.add(room, "zones", csv(tmp_path / "z.csv"), source=ISQ), Fault)
        with pytest.MonkeyPatch.context() as patch:
            mine = place.home.signing_key(party_id(MEMBER))
            patch.setattr(Home, "signing_key", lambda *_: mine)
            before, log = spent(room), kinds(room)
            with pytest.raises(NotVerified) as caught:
                references.add(room, "zones", csv(tmp_path / "z.csv"), source=ISQ)
        assert caught.value.code == "request_not_signed"
        assert references.in_force(room.connection) == {}
        # That somebody tried is entered.
        assert (spent(room), kinds(room)) == (before, [*log, EventType.ACCESS_REFUSED])


@pytest.mark.parametrize("broken", ["log", "table"])
def test_entry_and_table_come_together_or_not_at_all(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    file = csv(tmp_path / "zones.csv")
    if broken == "log":

        def full(*_: object, **__: object) -> int:
            raise OSError("no space left")

        monkeypatch.setattr(Journal, "append", full)
    else:
        room.connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.reference BEGIN SELECT RAISE(ABORT, 'no space left'); END"
        )
    before = kinds(room)
    with pytest.raises((OSError, Fault)):
        references.add(room, "zones", file, source=ISQ)
    assert kinds(room) == before
    assert references.in_force(room.connection) == {}


def test_the_same_content_again_is_said_and_another_is_another_version(room: Room, tmp_path: Path) -> None:
    file = csv(tmp_path / "zones.csv")
    first = references.add(room, "zones", file, source=ISQ)
    again = csv(tmp_path / "copy.csv")
    again.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    error = sees_nothing(room, lambda: references.add(room, "zones", again, source=ISQ), UsageError)
    assert error.code == "reference_known"

    # The order of rows is part of the content: nobody has to wonder whether it matters.
    turned = csv(tmp_path / "turned.csv", dict(reversed(ZONES.items())))
    other = references.add(room, "zones", turned, source=ISQ)
    assert (first.version, other.version) == (1, 2)
    assert other.digest != first.digest
    assert references.in_force(room.connection) == {"zones": other}
    # Another source for the same values is another version of the same content.
    third = references.add(room, "zones", turned, source="Ville de Montréal, 2026")
    assert (third.version, third.digest) == (3, other.digest)
    versions = [said["version"] for _, kind, said in entries(room) if kind is EventType.REFERENCE_ADDED]
    assert versions == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "source", "code"),
    [
        ("Zones", ISQ, "invalid_name"),
        ("public.zones", ISQ, "invalid_name"),
        ("zönes", ISQ, "invalid_name"),
        ("", ISQ, "invalid_name"),
        ("zones; DROP TABLE reference", ISQ, "invalid_name"),
        ("zones", "", "source_required"),
        ("zones", " ", "source_required"),
        ("zones", "x" * 501, "source_required"),
        ("zones", "ISQ\n2025", "source_required"),
        ("zones", "ISQ\u202e", "source_required"),
    ],
)
def test_name_and_source_are_as_they_must_be(room: Room, tmp_path: Path, name: str, source: str, code: str) -> None:
    file = csv(tmp_path / "zones.csv")
    error = sees_nothing(room, lambda: references.add(room, name, file, source=source), UsageError)
    assert error.code == code
    assert error.message.fr != error.message.en


def test_a_room_has_so_many_public_tables(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_REFERENCES", 1)
    file = csv(tmp_path / "zones.csv")
    references.add(room, "zones", file, source=ISQ)
    error = sees_nothing(room, lambda: references.add(room, "autres", file, source=ISQ), UsageError)
    assert error.code == "too_many_references"
    references.add(room, "zones", file, source="ISQ, corrigé")


# Files

HEX = "0123456789abcdef"
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank": (b"\n\n\n", ""),
    "no rows": (b"region,zone\n", "no row"),
    "no header": (b"12,est\n13,ouest\n", "'12'"),
    "a header twice": (b"zone,zone\na,b\n", "'zone'"),
    "names that fold": ("Région,region\na,b\n".encode(), "'region'"),
    "names in two cases": (b"Zone,ZONE\na,b\n", "'zone'"),
    "uneven rows": (b"region,zone\na\nb,c,d\n", "fields"),
    "a null byte": (b"region,zone\na\x00,b\n", "0x00"),
    "no text": (bytes(range(256)) * 8, ""),
    "an empty column": (b"region,zone\na,\nb,\n", "'zone' is empty"),
    "a long text": (b"region,zone\na," + b"x" * 201 + b"\n", "more than 200"),
    "an invisible character": ("region,zone\na,b\u200bc\n".encode(), "unprintable"),
    "text turned round": ("region,zone\na,b\u202ec\n".encode(), "unprintable"),
    "too many rows": (b"n\n" + b"1\n" * (MOST_ROWS + 1), f"more than {MOST_ROWS} rows"),
    "too many columns": (
        ",".join(f"c{at}" for at in range(MOST_COLUMNS + 1)).encode() + b"\n" + b"1," * MOST_COLUMNS + b"1\n",
        f"more than {MOST_COLUMNS} columns",
    ),
    "an address": (b"region,contact\na,rien\nb,x@exemple.ca\n", "e-mail"),
    "a fullwidth address": ("region,contact\na,x\uff20exemple.ca\n".encode(), "e-mail"),
    "a token": (f"region,h\na,{HEX * 2}\n".encode(), "token"),
    "a digest in capitals": (f"region,h\na,{(HEX * 4).upper()}\n".encode(), "token"),
    "a UUID": (b"region,h\na,6ba7b810-9dad-11d1-80b4-00c04fd430c8\n", "token"),
    "phones": (b"region,ligne\na,514-555-0199\nb,418 555-0123\n", "phone"),
    "named courriel": (b"Courriel,zone\na,b\n", "'courriel'"),
    "named for a client's address": (b"courriel du client,zone\na,b\n", "'courriel_du_client'"),
    "named for a client's number": (b"No client,zone\na,b\n", "'no_client'"),
    "named as the room's person": (b"person,zone\na,b\n", "'person'"),
    "named as the token": (b"u,zone\na,b\n", "'u'"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_public_table_is_refused(room: Room, tmp_path: Path, case: str) -> None:
    content, said = FILES[case]
    file = tmp_path / "zones.csv"
    file.write_bytes(content)
    error = sees_nothing(room, lambda: references.add(room, "zones", file, source=ISQ), InvalidUpload)
    assert said in error.message.en
    assert error.message.fr != error.message.en
    assert not (b"exemple.ca" in content and "exemple.ca" in error.message.en), "the refusal repeats an address"


def test_a_huge_text_is_refused_by_its_size(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "zones.csv"
    file.write_text("zone\n" + "\n".join(f"{at:06d}{'x' * 190}" for at in range(MOST_ROWS)), encoding="utf-8")
    error = sees_nothing(room, lambda: references.add(room, "zones", file, source=ISQ), InvalidUpload)
    assert "MiB" in error.message.en


def test_ordinary_columns_of_people_s_numbers_are_no_identifiers(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "revenus.csv"
    file.write_text("region,revenu_par_personne,personnes_par_menage\na,41000,2.2\nb,39500,\n", encoding="utf-8")
    assert references.add(room, "revenus", file, source=ISQ).version == 1
