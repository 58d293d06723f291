"""What tests of erasure need: a member of several tables and uploads, its people, and what is in its files."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import MEMBER, OTHER, Place, ask, entries, partition_files, stored_names, visits

from audit_log import EventType
from cleanroom.client import read_linkage_key
from cleanroom.client.normalise import normalise_email
from cleanroom.client.tokens import token
from cleanroom.errors import CleanroomError
from cleanroom.identifiers import ErasureGround, IdentifierKind, TableName, party_id, token_kind
from cleanroom.partition.table_layout import TOKEN_COLUMN, rows_under_tokens
from cleanroom.room import Room, member_facts, registry, sending, upload
from cleanroom.room.erasure import Erasure, erase
from cleanroom.room.erasure_certificate import certificate
from cleanroom.room.erasure_order import order_erasure
from key_management import KeyId, KeyKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cleanroom.partition.intent import Intent
    from cleanroom.room.erasure import ErasureOrder
    from cleanroom.room.registry import Upload

ABSENT = "personne.de.nulle.part@courriel.example"
SECOND, EMPTY = "abonnes", "invites"
MINE = visits(MEMBER)
EMAIL = token_kind(IdentifierKind.EMAIL)


def named(name: str) -> TableName:
    return TableName(party_id(MEMBER), name)


def furnish(place: Place) -> None:
    """Give the member a second upload of its table, a second table, and a table without rows."""
    with place.open() as room:
        upload(room, MINE, place.csv(MEMBER))
        for name in (SECOND, EMPTY):
            room.declare(place.yaml(MEMBER).replace(str(MINE).encode(), f"{MEMBER}.{name}".encode()))
        upload(room, named(SECOND), place.csv(MEMBER))


def people(place: Place) -> list[str]:
    """Return the addresses of the member's people as they are written, each once, in order."""
    with place.csv(MEMBER).open(encoding="utf-8") as file:
        written = [row["courriel"] for row in csv.DictReader(file)]
    return list(dict.fromkeys(each for each in written if normalise_email(each) is not None))


def token_of(place: Place, address: str) -> bytes:
    (path,) = place.home.path.glob("rooms/*/linkage/1.key")
    key = read_linkage_key(path)
    return token(key.secret, kind=EMAIL, epoch=key.epoch, value=str(normalise_email(address)))


def erased(room: Room, *who: str, ground: ErasureGround = ErasureGround.QC_28) -> Erasure:
    return erase(room, order_erasure(room, party_id(MEMBER), ground, list(who)))


def rows_of(room: Room, each: Upload) -> list[dict[str, Any]]:
    """Return every row of a file, decrypted, in its order."""
    names = [column.name for column in each.manifest.columns[1:]]
    with room.store.open(room.stored(each), room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.upload))) as it:
        rows: list[dict[str, Any]] = rows_under_tokens(it.read(0, 0, names)).to_pylist()
    return rows


def holding(room: Room, owner: str = MEMBER) -> dict[str, list[list[dict[str, Any]]]]:
    """Return the rows of each file of a party's tables, in their order."""
    return {
        str(table): [rows_of(room, each) for each in registry.uploads(room.connection, table)]
        for table in registry.declarations(room.connection)
        if table.owner == owner
    }


def without(held: dict[str, list[list[dict[str, Any]]]], *tokens: bytes) -> dict[str, list[list[dict[str, Any]]]]:
    return {
        table: [[row for row in rows if row[TOKEN_COLUMN].bytes not in tokens] for rows in files]
        for table, files in held.items()
    }


_RANDOM = {"id", "signature", "list", "leaf", "receipt", "requested_at", "erased_at"}
_RANDOM_IN_LEAF = {"id", "t", "commit", "sealed"}


def settled(value: Any, random: set[str]) -> Any:
    """Return a document without what is random or the time; of that its length stays."""
    if isinstance(value, dict):
        return {
            name: f"<{len(str(each))}>" if name in random and not isinstance(each, dict) else settled(each, random)
            for name, each in value.items()
        }
    return [settled(each, random) for each in value] if isinstance(value, list) else value


def certified(room: Room, done: Erasure) -> str:
    """Return the certificate's text without what is random, its leaf read likewise."""
    said = certificate(room, done)
    leaf = settled(json.loads(done.leaf), _RANDOM_IN_LEAF)
    return json.dumps([settled(said, _RANDOM), leaf], sort_keys=True, indent=1)


def log_shape(room: Room, start: int) -> list[tuple[str, ...]]:
    """Return of each entry from `start` its public part, its sizes, and the shape of its details."""
    shapes = []
    for index, kind, details in entries(room)[start:]:
        (ciphertext,) = room.connection.execute(
            "SELECT length(ciphertext) FROM audit_detail WHERE idx = ?", (index,)
        ).fetchone()
        leaf = room.journal.log.leaf(room.connection, index)
        public = settled(json.loads(leaf), _RANDOM_IN_LEAF)
        shapes.append((kind.value, str(len(leaf)), json.dumps(public), str(ciphertext), str(_lengths(details))))
    return shapes


def _lengths(value: Any) -> Any:
    """Return a value's shape: the length of each text, however deep."""
    if isinstance(value, dict):
        return {name: _lengths(each) for name, each in sorted(value.items()) if name != "requested_at"}
    if isinstance(value, list):
        return [_lengths(each) for each in value]
    return len(value) if isinstance(value, str) else value


def seen(place: Place, *who: str) -> list[str]:
    """Ask, erase, and return all that anybody but the owner and the operator can see of it, then and later."""
    told: list[str] = []
    with place.open() as room:
        ask(room)
        ask(room, SECOND_QUESTION)
        start = room.journal.log.size(room.connection)
        done = erased(room, *who)
        told += [certified(room, done), *map(str, log_shape(room, start))]
        told.append(str([(str(each), registry.version(room.connection, each)) for each in tables(room)]))
        told.append(str(files(room)))
        told.append(str(len(stored_names(place))))
        for sql in (None, SECOND_QUESTION):
            asked = {} if sql is None else {"sql": sql}
            preview = room.session(MEMBER).preview(sql or DEFAULT_QUESTION, purpose="audience_overlap", epsilon=0.1)
            told.append(repr(preview))
            answer = ask(room, **asked)
            told.append(str((answer.sources, answer.cost, answer.epsilon, answer.provenance.versions)))
            told.append(str((ask(room, **asked).sources, len(answer.table))))
    return told


def tables(room: Room) -> list[TableName]:
    return sorted(registry.declarations(room.connection))


def files(room: Room) -> list[tuple[str, int, int]]:
    """Return table, number and place of every file that was ever taken in or written anew, in order."""
    return room.connection.execute(
        "SELECT table_name, number, place FROM upload ORDER BY table_name, number, place"
    ).fetchall()


DEFAULT_QUESTION = (
    "SELECT theatre_fleuve.visits.region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits"
    " JOIN nuits_claires.visits USING (person) GROUP BY 1"
)
SECOND_QUESTION = DEFAULT_QUESTION.replace("theatre_fleuve.visits", f"theatre_fleuve.{SECOND}")
assert OTHER in DEFAULT_QUESTION


def packages(home: Path) -> list[Path]:
    return sorted(home.glob("rooms/*/outbox/*.package"))


def last(room: Room, kind: EventType) -> dict[str, Any]:
    return next(details for _, found, details in reversed(entries(room)) if found is kind)


def order(room: Room, *who: str, party: str = MEMBER) -> ErasureOrder:
    return order_erasure(room, party_id(party), ErasureGround.QC_28, list(who))


def unchanged(place: Place, room: Room, act: Callable[[], object], code: str) -> None:
    """Go through an act that is refused; nothing of the tables, files and keys may change."""
    held = holding(room), files(room), partition_files(place), stored_names(place)
    with pytest.raises(CleanroomError) as caught:
        act()
    assert caught.value.code == code
    assert caught.value.message.fr != caught.value.message.en
    assert (holding(room), files(room), partition_files(place), stored_names(place)) == held


def pack(room: Room, place: Place, to: Path, intent: Intent | None = None) -> Path:
    sending.pack(room.home, member_facts.facts_in(room, MINE), place.csv(MEMBER), to, intent)
    return to
