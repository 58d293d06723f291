"""Read and change what the room knows of parties, declarations and uploads. Pure rows of the database, no keys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cleanroom.errors import Bilingual, NotVerified, UsageError
from cleanroom.identifiers import Epoch, PartyId, Purpose, Role, RoomId, TableName, UploadId
from cleanroom.partition.intent import Erase, Replace
from cleanroom.partition.manifest import Manifest
from cleanroom.policies import Declaration, RoomSettings, read_declaration, read_settings
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    import sqlite3

    from cleanroom.query.gate import Rulebook

MOST_PARTIES: Final = 512
"""What the log's map of parties holds (docs/spec/log.md)."""


@dataclass(frozen=True, slots=True)
class Party:
    """A party of the room.

    Args:
        ordinal: its place in the log's map of parties.
        reading_key: what the details of the log that are its own are sealed to when they leave (`reading_key`); None
            if it has none, and then they are sealed for it nowhere.
    """

    party: PartyId
    role: Role
    ordinal: int
    public_key: Ed25519PublicKey
    reading_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that the room has taken in.

    Args:
        number: 1 for the table's first; the version of the table's data that first had this file.
        log_index: of the log entry that it was taken in with.
    """

    table: TableName
    number: int
    manifest: Manifest
    log_index: int

    @property
    def upload(self) -> UploadId:
        """The upload's id."""
        return self.manifest.upload

    @property
    def package(self) -> UploadId:
        """The id of the package that its rows came with: its own, unless an erasure wrote the file anew."""
        return self.manifest.intent.upload if isinstance(self.manifest.intent, Erase) else self.upload


class Stage(StrEnum):
    """How far the end of an upload has come."""

    RETIRED = "retired"
    """No version has it any more."""
    DESTROYED = "destroyed"
    """Its data key is destroyed, and the log says so."""
    GONE = "gone"
    """Its file is removed, and the key's old bytes have left the database's files."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The end of an upload.

    Args:
        number: the version of the table that no longer has it.
        log_index: of the log entry of the act that retired it.
    """

    number: int
    log_index: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class RoomFile:
    """What `init` fixed."""

    room: RoomId
    settings: RoomSettings
    transport_key: bytes
    epoch: Epoch


@lru_cache(maxsize=1024)
def _declaration(content: bytes, request: bytes, owner_key: bytes, room: RoomId) -> Declaration:
    """Read a declaration if its owner signed exactly these bytes for this room, else raise `NotVerified`."""
    signed = SignedRequest.decode(request)
    signed.verify(Ed25519PublicKey.from_public_bytes(owner_key), room, "declare")
    declaration = read_declaration(content)
    if signed.content != {"declaration": str(declaration.digest)} or signed.party != declaration.catalog.table.owner:
        raise NotVerified(
            Bilingual(
                f"la déclaration de {declaration.catalog.table} n'est pas celle que son propriétaire a signée",
                f"the declaration of {declaration.catalog.table} is not the one its owner signed",
            ),
            code="declaration_not_signed",
        )
    return declaration


# What bytes say does not change: each is read once in a process, whatever their number of questions.
_settings = lru_cache(maxsize=64)(read_settings)
_manifest = lru_cache(maxsize=8192)(Manifest.parse)


def room_file(connection: sqlite3.Connection) -> RoomFile:
    """Return what `init` fixed."""
    room, settings, transport_key, epoch = connection.execute(
        "SELECT room, settings, transport_key, epoch FROM room"
    ).fetchone()
    return RoomFile(RoomId(room), _settings(bytes(settings)), transport_key, Epoch(epoch))


def advance_clock(connection: sqlite3.Connection, now: int) -> int:
    """Return the room's time, which never goes back (S3); inside the caller's transaction."""
    last = clock(connection)
    if now > last:
        connection.execute("UPDATE room SET clock = ?", (now,))
    return max(now, last)


def clock(connection: sqlite3.Connection) -> int:
    """Return the room's time as it was last advanced."""
    (last,) = connection.execute("SELECT clock FROM room").fetchone()
    return int(last)


def parties(connection: sqlite3.Connection) -> dict[PartyId, Party]:
    """Return every party."""
    rows = connection.execute(
        "SELECT party, role, ordinal, public_key, reading_key FROM party ORDER BY ordinal"
    ).fetchall()
    return {PartyId(row[0]): _party(*row) for row in rows}


@lru_cache(maxsize=1024)
def _party(party: str, role: str, ordinal: int, key: bytes, reading_key: bytes | None) -> Party:
    """Return a party as its row writes it."""
    return Party(PartyId(party), Role(role), ordinal, Ed25519PublicKey.from_public_bytes(key), reading_key)


def party_named(connection: sqlite3.Connection, party: PartyId) -> Party:
    """Return a party, else raise `UsageError`."""
    found = parties(connection).get(party)
    if found is None:
        raise UsageError(
            Bilingual(f"« {party} » n'est pas une partie de cette salle", f"{party!r} is no party of this room"),
            code="unknown_party",
        )
    return found


def declarations(connection: sqlite3.Connection) -> dict[TableName, Declaration]:
    """Return the declaration in force of every table, each verified against its owner's signature."""
    rows = connection.execute(
        "SELECT content, request, public_key, (SELECT room FROM room)"
        " FROM declaration AS d JOIN party AS p ON p.party = d.owner WHERE version ="
        " (SELECT max(version) FROM declaration WHERE table_name = d.table_name) AND version >"
        " (SELECT coalesce(max(declaration), 0) FROM withdrawal WHERE table_name = d.table_name) ORDER BY table_name"
    ).fetchall()
    found = [_declaration(content, request, key, RoomId(room)) for content, request, key, room in rows]
    return {declaration.catalog.table: declaration for declaration in found}


def declared_ever(connection: sqlite3.Connection) -> tuple[TableName, ...]:
    """Return every table that was ever declared; a withdrawn one keeps its account (S4)."""
    rows = connection.execute("SELECT DISTINCT table_name FROM declaration ORDER BY table_name").fetchall()
    return tuple(TableName.parse(name) for (name,) in rows)


def declaration_request(connection: sqlite3.Connection, table: TableName) -> tuple[bytes, bytes]:
    """Return the exact bytes of a table's last declaration, and the request that its owner signed for it."""
    content, request = connection.execute(
        "SELECT content, request FROM declaration WHERE table_name = ? ORDER BY version DESC LIMIT 1", (str(table),)
    ).fetchone()
    return bytes(content), bytes(request)


def uploads(connection: sqlite3.Connection, table: TableName | None = None) -> tuple[Upload, ...]:
    """Return the uploads of a table's version as it is now, or of all tables, in the order they were taken in."""
    return tuple(upload for upload, retirement in history(connection, table) if retirement is None)


def history(
    connection: sqlite3.Connection, table: TableName | None = None
) -> tuple[tuple[Upload, Retirement | None], ...]:
    """Return every upload that a table ever took, or all tables, and the end of those that are retired."""
    where, values = ("WHERE table_name = ?", (str(table),)) if table is not None else ("", ())
    rows = connection.execute(
        "SELECT table_name, u.number, manifest, u.log_index, r.number, r.log_index, stage FROM upload AS u"  # noqa: S608
        f" LEFT JOIN retirement AS r USING (upload) {where} ORDER BY table_name, u.number, u.place",
        values,
    ).fetchall()
    return tuple(
        (
            Upload(TableName.parse(name), number, _manifest(bytes(manifest)), index),
            None if stage is None else Retirement(end, end_index, Stage(stage)),
        )
        for name, number, manifest, index, end, end_index, stage in rows
    )


def upload_named(connection: sqlite3.Connection, upload: UploadId) -> tuple[Upload, Retirement | None] | None:
    """Return an upload that the room has ever taken in, by its id."""
    row = connection.execute("SELECT table_name FROM upload WHERE upload = ?", (upload,)).fetchone()
    if row is None:
        return None
    return next(each for each in history(connection, TableName.parse(row[0])) if each[0].upload == upload)


def version(connection: sqlite3.Connection, table: TableName) -> int:
    """Return the number of a table's version: each upload, withdrawal and erasure makes the next; 0 before the first.

    An erasure makes one of every table of its member, also of those that have no rows (S5).
    """
    (number,) = connection.execute(
        "SELECT max((SELECT coalesce(max(number), 0) FROM upload WHERE table_name = ?1),"
        " (SELECT coalesce(max(number), 0) FROM withdrawal WHERE table_name = ?1),"
        " (SELECT coalesce(max(number), 0) FROM erasure WHERE table_name = ?1))",
        (str(table),),
    ).fetchone()
    return int(number)


def began_anew(connection: sqlite3.Connection, table: TableName) -> int:
    """Return the last version at which a table began anew: by a replacement, withdrawal or erasure; 0 if it never did.

    A package made before an erasure may hold the person who was erased, so it is not taken after it.
    """
    replaced = [each.number for each, _ in history(connection, table) if isinstance(each.manifest.intent, Replace)]
    (ended,) = connection.execute(
        "SELECT max((SELECT coalesce(max(number), 0) FROM withdrawal WHERE table_name = ?1),"
        " (SELECT coalesce(max(number), 0) FROM erasure WHERE table_name = ?1))",
        (str(table),),
    ).fetchone()
    return max([int(ended), *replaced])


def linkage_check(connection: sqlite3.Connection, epoch: Epoch) -> bytes | None:
    """Return what tells an epoch's linkage key from another, or None before its first upload."""
    row = connection.execute("SELECT linkage_check FROM linkage WHERE epoch = ?", (epoch,)).fetchone()
    return None if row is None else bytes(row[0])


def cohorts(connection: sqlite3.Connection) -> tuple[frozenset[PartyId], ...]:
    """Return the owner sets of the sector questions answered so far."""
    rows = connection.execute("SELECT owners FROM cohort ORDER BY owners").fetchall()
    return tuple(frozenset(PartyId(owner) for owner in owners.split(",")) for (owners,) in rows)


def remember_cohort(connection: sqlite3.Connection, owners: frozenset[PartyId]) -> None:
    """Keep the owner set of a sector question that is being charged."""
    connection.execute("INSERT OR IGNORE INTO cohort (owners) VALUES (?)", (",".join(sorted(owners)),))


def rulebook(connection: sqlite3.Connection) -> Rulebook:
    """Return what the gate reads of the room."""
    from cleanroom.query.gate import Rulebook
    from cleanroom.room.references import References

    epochs = {upload.table: upload.manifest.epoch for upload in uploads(connection)}
    return Rulebook(
        declarations(connection),
        epochs,
        tuple(Purpose(purpose) for purpose in room_file(connection).settings.purposes),
        cohorts(connection),
        References(connection),
    )
