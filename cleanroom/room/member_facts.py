"""What a member must know of the room to make an upload: read from the room's directory, or from a signed file.

With the file, a member's machine needs neither the room's directory nor any key of the room. What in it could harm the
member is authenticated twice over. The transport key, which the data key is sealed to, by the operator's signature,
under a key that the member compared by another way and that this machine then keeps. The declaration, which says which
columns travel, by the member's own signature on it: not even the operator can widen it.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit_log import EventType, Verifier, open_checkpoint
from audit_log import NotVerified as LogNotVerified
from cleanroom.client.upload import RoomFacts
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.identifiers import Epoch, InvalidName, RoomId, TableName
from cleanroom.policies import read_declaration
from cleanroom.room import registry
from cleanroom.room.database import connect, transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    import sqlite3

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import Purpose
    from cleanroom.room.home import Home
    from cleanroom.room.room import Room

LABEL: Final = "cleanroom/facts/v1"
ACTION: Final = "facts"
_DATABASE: Final = "room.db"
_LARGEST: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """A table and its room, as a member needs them.

    Args:
        room: what the client seals and signs for.
        linkage_check: what tells the epoch's linkage key from another; None before the epoch's first upload.
        operator_key: who vouches for it, 64 hexadecimal digits.
        at: Unix time in seconds when it was said.
    """

    catalog: TableCatalog
    room: RoomFacts
    linkage_check: bytes | None
    operator_key: str
    at: int

    @property
    def table(self) -> TableName:
        """The table."""
        return self.catalog.table


def facts_here(path: Path, table: TableName) -> MemberFacts:
    """Return the facts from a room's directory, without any key of the room.

    Raises:
        UsageError: the table is not declared.
        Fault: no room here.
        NotVerified: the declaration is not the one that its owner signed.
    """
    with closing(connect(path / _DATABASE)) as connection:
        return _facts(connection, table)


def tables_here(path: Path) -> tuple[TableName, ...]:
    """Return the tables declared in the room at `path`, without any key of the room.

    Raises:
        Fault: no room here.
    """
    with closing(connect(path / _DATABASE)) as connection:
        return tuple(sorted(registry.declarations(connection)))


def purposes_here(path: Path) -> tuple[Purpose, ...]:
    """Return the purposes of the room at `path`, without any key of the room.

    Raises:
        Fault: no room here.
    """
    with closing(connect(path / _DATABASE)) as connection:
        return registry.room_file(connection).settings.purposes


def facts_in(room: Room, table: TableName) -> MemberFacts:
    """Return the facts of an open room."""
    return _facts(room.connection, table)


def _facts(connection: sqlite3.Connection, table: TableName) -> MemberFacts:
    declaration = registry.declarations(connection).get(table)
    if declaration is None:
        raise UsageError(
            Bilingual(f"{table} n'est pas déclarée dans cette salle", f"{table} is not declared in this room"),
            code="unknown_table",
        )
    held = registry.room_file(connection)
    return MemberFacts(
        declaration.catalog,
        RoomFacts(held.room, held.transport_key, held.epoch, declaration.digest, registry.version(connection, table)),
        registry.linkage_check(connection, held.epoch),
        _hex(registry.party_named(connection, OPERATOR).public_key),
        int(time.time()),
    )


def sign_facts(room: Room, table: TableName) -> bytes:
    """Return the signed file of a table's facts, logged first; the operator's key is on this machine.

    Raises:
        NotVerified: the database names another transport key than the one that the room can open.
    """
    facts = facts_in(room, table)
    if room.transport_key().public_bytes() != facts.room.transport_key:
        raise NotVerified(
            Bilingual(
                "la clé de transport inscrite n'est pas celle de la salle",
                "the transport key on record is not the room's",
            ),
            code="transport_key_changed",
        )
    with transaction(room.connection):
        room.journal.append(
            room.connection,
            EventType.CATALOG_READ,
            at=registry.advance_clock(room.connection, room.now()),
            actor=OPERATOR,
            ordinals=(registry.party_named(room.connection, table.owner).ordinal,),
            details={"read": ACTION, "table": str(table)},
        )
    content, request = registry.declaration_request(room.connection, table)
    signed = SignedRequest.sign(
        room.home.signing_key(OPERATOR),
        room=room.room_id,
        party=OPERATOR,
        action=ACTION,
        content={
            "table": str(table),
            "version": facts.room.version,
            "declaration": content.decode("utf-8"),
            "declared": request.decode("ascii"),
            "transport_key": facts.room.transport_key.hex(),
            "epoch": facts.room.epoch,
            "linkage_check": "" if facts.linkage_check is None else facts.linkage_check.hex(),
            "operator_key": facts.operator_key,
            "log_key": room.journal.log.verifier.vkey,
            "checkpoint": room.journal.log.checkpoint(room.connection).decode("utf-8"),
        },
        at=room.now(),
    )
    return f"{LABEL}\n".encode() + signed.encode() + b"\n"


def read_facts(path: Path, home: Home, *, operator_key: str | None = None) -> MemberFacts:
    """Read a signed file of facts on a member's machine.

    Args:
        operator_key: the operator's public key as the member had it by another way, 64 hexadecimal digits; then kept.
            None to go by the key that this machine keeps.

    Raises:
        NotVerified: somebody else signed it, its declaration is not the member's own, or its log is another.
        UsageError: it is no file of facts, or this machine does not know the operator yet.
    """
    signed, said = _parsed(path)
    room, claimed = signed.room, said["operator_key"]
    trusted = home.operator_key(room)
    if trusted is None and operator_key is None:
        raise UsageError(
            Bilingual(
                f"cette machine ne connaît pas encore l'opérateur de {room} ; selon le fichier, sa clé est {claimed} : "
                "comparez-la à celle qu'il vous a dite autrement, puis ajoutez --operator-key CLÉ",
                f"this machine does not know the operator of {room} yet; the file says that its key is {claimed}: "
                "compare it with the one that you were told by another way, then add --operator-key KEY",
            ),
            code="operator_unknown",
        )
    wanted = operator_key or trusted or ""
    if (trusted is not None and wanted != trusted) or claimed != wanted:
        raise NotVerified(
            Bilingual(
                "ce fichier n'est pas signé par l'opérateur que cette machine connaît",
                "this file is not signed by the operator that this machine knows",
            ),
            code="operator_key_changed",
        )
    try:
        signed.verify(Ed25519PublicKey.from_public_bytes(bytes.fromhex(wanted)), room, ACTION)
    except (ValueError, UnsupportedAlgorithm):
        raise _malformed(path) from None
    facts = _verified_facts(path, home, signed, said)
    _require_log(home, room, said)
    if trusted is None:
        home.trust_operator(room, wanted)
    return facts


def _parsed(path: Path) -> tuple[SignedRequest, dict[str, str]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise _malformed(path)
        label, encoded, rest = path.read_bytes().split(b"\n", 2)
        signed = SignedRequest.decode(encoded)
        said = {str(name): str(value) for name, value in signed.content.items()}
        missing = {"table", "version", "declaration", "declared", "transport_key", "epoch", "linkage_check"} - set(said)
        missing |= {"operator_key", "log_key", "checkpoint"} - set(said)
        if label != LABEL.encode() or rest or missing or signed.party != OPERATOR or signed.encode() != encoded:
            raise _malformed(path)
    except OSError as error:
        raise UsageError(
            Bilingual(f"{path} ne se lit pas ({error.strerror})", f"{path} cannot be read ({error.strerror})"),
            code="unreadable_file",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _malformed(path) from None
    return signed, said


def _verified_facts(path: Path, home: Home, signed: SignedRequest, said: dict[str, str]) -> MemberFacts:
    """Return the facts, their declaration checked against the member's own signature on it."""
    try:
        table = TableName.parse(said["table"])
        declared = SignedRequest.decode(said["declared"].encode())
        version = int(said["version"])
        transport_key = bytes.fromhex(said["transport_key"])
        linkage_check = bytes.fromhex(said["linkage_check"]) or None
    except (ValueError, KeyError, TypeError, InvalidName, RecursionError):
        raise _malformed(path) from None
    declaration = read_declaration(said["declaration"].encode())
    declared.verify(home.signing_key(table.owner).public_key(), signed.room, "declare")
    if declaration.catalog.table != table or declared.content != {"declaration": str(declaration.digest)}:
        raise NotVerified(
            Bilingual(
                f"la déclaration de {table} n'est pas celle que vous avez signée",
                f"the declaration of {table} is not the one that you signed",
            ),
            code="declaration_not_signed",
        )
    return MemberFacts(
        declaration.catalog,
        RoomFacts(RoomId(signed.room), transport_key, Epoch(said["epoch"]), declaration.digest, version),
        linkage_check,
        said["operator_key"],
        signed.at,
    )


def _require_log(home: Home, room: RoomId, said: dict[str, str]) -> None:
    """Check that the facts speak of the log that this machine knows; the first that it sees is remembered."""
    from cleanroom.room.log_memory import remember

    directory = home.room(room)
    known = directory / "log.vkey"
    try:
        verifier = Verifier.from_vkey(said["log_key"])
        note = said["checkpoint"].encode()
        open_checkpoint(note, verifier)
        another = verifier.name != f"cleanroom/{room}"
        another |= known.exists() and known.read_text("ascii").strip() != said["log_key"]
    except (LogNotVerified, UnicodeDecodeError):
        another = True
    if another:
        raise NotVerified(
            Bilingual(
                "ce fichier parle d'un autre journal que celui que cette machine connaît",
                "this file speaks of another log than the one that this machine knows",
            ),
            code="log_key_changed",
        )
    # A newer checkpoint without a proof of consistency must not push out the one that notices a rollback.
    if not (directory / "checkpoint").exists():
        try:
            remember(home, room, said["log_key"], note)
        except OSError as error:
            raise Fault(
                Bilingual(f"{directory} : {error.strerror}", f"{directory}: {error.strerror}"), code="storage_failed"
            ) from None


def _hex(key: Ed25519PublicKey) -> str:
    return key.public_bytes_raw().hex()


def _malformed(path: Path) -> UsageError:
    return UsageError(
        Bilingual(
            f"{path} n'est pas un fichier de `cleanroom facts`", f"{path} is no file that `cleanroom facts` wrote"
        ),
        code="invalid_facts",
    )
