"""Public tables of the room, public.NAME: added by the operator, stored by their content, checked whenever used (S30).

The room's quorum is not built yet: one operator's signature approves a table, and the log says whose. A stored table
that is not what was signed refuses every question that names it, before anything is charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.catalog.reference import damaged, read_content
from cleanroom.errors import Bilingual, NotVerified, UsageError
from cleanroom.identifiers import Digest, InvalidName, identifier
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.terms.types import declared_type
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    import sqlite3

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.client.read_table import Source
    from cleanroom.client.reading import Reading
    from cleanroom.query.plan import QuestionPlan
    from cleanroom.room.room import Room

ACTION: Final = "reference add"
MOST_REFERENCES: Final = 256
LONGEST_SOURCE: Final = 500


@dataclass(frozen=True, slots=True)
class Reference:
    """A public table in force.

    Args:
        version: 1 for the first content under this name.
        source: where its values come from, as the operator states it.
        log_index: of the entry that it was added with.
    """

    name: str
    version: int
    digest: Digest
    source: str
    log_index: int


def add(
    room: Room, name: str, file: Source, *, source: str, texts: tuple[str, ...] = (), reading: Reading | None = None
) -> Reference:
    """Add a public table, or replace the one of this name: a new content has a new digest, and so new plans.

    Args:
        file: a CSV, Excel or Parquet file, or a table in memory.
        source: where its values come from.
        texts: columns that are texts whatever their values look like.

    Raises:
        UsageError: the name or the source is not as it must be, or the table is there already.
        InvalidUpload: the file cannot be read, or could name people.
    """
    from cleanroom.client.reference_file import read_reference

    _require_words(name, source)
    units = [each.catalog.unit for each in registry.declarations(room.connection).values()]
    persons = {word for unit in units for word in (unit.name, unit.source)}
    table = read_reference(file, reading, texts=texts, persons=persons)
    request = SignedRequest.sign(
        room.home.signing_key(OPERATOR),
        room=room.room_id,
        party=OPERATOR,
        action=ACTION,
        content={"name": name, "digest": str(table.digest), "rows": table.rows, "source": source},
        at=room.now(),
    )
    operator = room.verified(request, ACTION)
    with transaction(room.connection):
        now = room.take(request)
        held = in_force(room.connection)
        before = held.get(name)
        if before is not None and (before.digest, before.source) == (table.digest, source):
            raise UsageError(
                Bilingual(f"public.{name} a déjà ce contenu", f"public.{name} has this content already"),
                code="reference_known",
            )
        if before is None and len(held) >= MOST_REFERENCES:
            raise UsageError(
                Bilingual(
                    f"une salle a au plus {MOST_REFERENCES} tables publiques",
                    f"a room has at most {MOST_REFERENCES} public tables",
                ),
                code="too_many_references",
            )
        version = 1 if before is None else before.version + 1
        index = room.journal.append(
            room.connection,
            EventType.REFERENCE_ADDED,
            at=now,
            actor=OPERATOR,
            ordinals=(operator.ordinal,),
            policy=table.digest,
            details={
                "name": name,
                "version": version,
                "digest": str(table.digest),
                "source": source,
                "rows": table.rows,
                "columns": [column.name for column in table.columns],
                **request.entered(),
            },
        )
        room.connection.execute(
            "INSERT INTO reference (name, version, digest, source, content, request, log_index)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, version, str(table.digest), source, table.content, request.encode(), index),
        )
    return in_force(room.connection)[name]


def _require_words(name: str, source: str) -> None:
    try:
        identifier(name)
    except InvalidName:
        raise UsageError(
            Bilingual(
                f"{name!r} n'est pas un nom (minuscules ASCII, chiffres et _, une lettre d'abord) ; sans « public. »",
                f"{name!r} is not a name (lowercase ASCII letters, digits and _, a letter first); without 'public.'",
            ),
            code="invalid_name",
        ) from None
    if not (source.strip() and len(source) <= LONGEST_SOURCE and source.isprintable()):
        raise UsageError(
            Bilingual(
                f"la source se dit en 1 à {LONGEST_SOURCE} caractères : qui l'a publiée, quand, où",
                f"the source is said in 1 to {LONGEST_SOURCE} characters: who published it, when, where",
            ),
            code="source_required",
        )


def in_force(connection: sqlite3.Connection) -> dict[str, Reference]:
    """Return the last version of every public table, by name.

    Raises:
        Fault: one is stored under what is no digest.
    """
    rows = connection.execute(
        "SELECT name, version, digest, source, log_index FROM reference AS r WHERE version ="
        " (SELECT max(version) FROM reference WHERE name = r.name) ORDER BY name"
    ).fetchall()
    return {
        name: Reference(name, version, _digest(name, digest), source, index)
        for name, version, digest, source, index in rows
    }


def _digest(name: str, digest: str) -> Digest:
    try:
        return Digest.parse(digest)
    except ValueError:
        raise damaged(name) from None


def stored(connection: sqlite3.Connection, reference: Reference) -> ReferenceTable:
    """Return a public table's values if they are those that the operator signed, under this name, from this source.

    Raises:
        Fault: they are not, or the signature is not there or not the operator's.
    """
    row = connection.execute(
        "SELECT content, request FROM reference WHERE name = ? AND version = ?", (reference.name, reference.version)
    ).fetchone()
    if row is None or _signed(connection, row[1]) != (reference.name, str(reference.digest), reference.source):
        raise damaged(reference.name)
    return _read(reference.name, row[0], reference.digest)


def _signed(connection: sqlite3.Connection, request: bytes) -> tuple[object, ...] | None:
    """Return name, digest and source that the operator signed; None where this is no request of the operator's."""
    (room,) = connection.execute("SELECT room FROM room").fetchone()
    try:
        signed = SignedRequest.decode(request)
        signed.verify(registry.party_named(connection, OPERATOR).public_key, room, ACTION)
        said = signed.content.get("name"), signed.content.get("digest"), signed.content.get("source")
    except (NotVerified, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # What somebody put in the file's place may be anything.
        return None
    return said if signed.party == OPERATOR else None


@lru_cache(maxsize=4)
def _read(name: str, content: bytes, digest: Digest) -> ReferenceTable:
    return read_content(name, content, digest)


class References(Mapping[str, ReferenceCatalog]):
    """The public tables as the gate sees them; each is read and checked when a question names it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._held = in_force(connection)

    def __getitem__(self, name: str) -> ReferenceCatalog:
        """Return what questions see of a table."""
        held = self._held[name]
        table = stored(self._connection, held)
        columns = tuple((column.name, declared_type(column.type)) for column in table.columns)
        return ReferenceCatalog(name, held.digest, table.rows, columns, table.repeats)

    def __contains__(self, name: object) -> bool:
        """Say whether there is such a table, without reading it."""
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._held)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._held)


def tables_of(connection: sqlite3.Connection, plan: QuestionPlan) -> dict[Digest, ReferenceTable]:
    """Return the public tables that a plan reads, by digest; inside the transaction that admitted it."""
    held = in_force(connection)
    found = {}
    for table in plan.references:
        if table.name not in held or held[table.name].digest != table.digest:
            raise damaged(table.name)
        found[table.digest] = stored(connection, held[table.name])
    return found
