"""Take a table's file as its owner signed it: on this machine, or at home, away from the room.

What is signed at home travels as one file for the operator, who can neither change it nor make one:

    cleanroom/declaration/v1 and a line feed
    the signed request as canonical JSON, and a line feed
    the table's file, byte for byte

A declaration changes what others may ask. So one that was signed before the one in force, or before the table was
withdrawn, is not taken any more: whoever kept it back could undo the owner's later word.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.identifiers import Role
from cleanroom.partition.package import replacing
from cleanroom.policies import read_declaration
from cleanroom.room import registry
from cleanroom.room.answer_store import take_away
from cleanroom.room.creation import budget_of
from cleanroom.room.database import transaction
from cleanroom.room.signed_request import SignedRequest, read_request

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.identifiers import RoomId, TableName
    from cleanroom.policies import Declaration
    from cleanroom.room.home import Home
    from cleanroom.room.registry import Party
    from cleanroom.room.room import Room

ACTION: Final = "declare"
LABEL: Final = b"cleanroom/declaration/v1\n"
LARGEST: Final = 1 << 22
AHEAD_SECONDS: Final = 3600
"""How far a party's clock may be ahead of the room's: one dated in the far future would bar all later ones."""


@dataclass(frozen=True, slots=True)
class SignedDeclaration:
    """A table's file and its owner's signature on it.

    Args:
        content: the file's bytes.
        request: for the room that is to take it.
    """

    content: bytes
    request: SignedRequest

    def encode(self) -> bytes:
        """Return the file that travels."""
        return LABEL + self.request.encode() + b"\n" + self.content


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration that the room has taken.

    Args:
        version: 1 for the table's first declaration.
        log_index: of its entry; None where this very declaration was taken before, and nothing changed now.
    """

    table: TableName
    version: int
    log_index: int | None


def sign_declaration(home: Home, room: RoomId, content: bytes, *, at: int) -> SignedDeclaration:
    """Sign a table's file with its owner's key on this machine; the room need not be here.

    Raises:
        InvalidDeclaration: with the line.
        Fault: the key is not here.
    """
    declaration = read_declaration(content)
    owner = declaration.catalog.table.owner
    said = {"declaration": str(declaration.digest)}
    key = home.signing_key(owner)
    return SignedDeclaration(
        content, SignedRequest.sign(key, room=room, party=owner, action=ACTION, content=said, at=at)
    )


def sign_declaration_here(room: Room, content: bytes) -> SignedDeclaration:
    """Sign a table's file on the room's machine; never dated before what is in force, if the clock went back."""
    declaration = read_declaration(content)
    owner = _require_declarable(room, declaration).party
    if not room.home.signing_key_path(owner).exists():
        raise Fault(
            Bilingual(
                f"la clé de signature de {owner} n'est pas sur cette machine. S'il la garde chez lui, il y signe la "
                "déclaration (declare FILE.yaml --vkey log.vkey --package FILE), et cleanroom intake la prend",
                f"the signing key of {owner} is not on this machine. If it keeps it at home, it signs the declaration "
                "there (declare FILE.yaml --vkey log.vkey --package FILE), and cleanroom intake takes it",
            ),
            code="signing_key_missing",
        )
    at = max(room.now(), _last_word(room, declaration.catalog.table))
    return sign_declaration(room.home, room.room_id, content, at=at)


def declare(room: Room, signed: SignedDeclaration) -> Declared:
    """Take a table's file.

    A later declaration changes rules, budget and limits; what was spent stays spent (S4). Columns and unit of a
    table with data stay, since its files were made for them.

    Raises:
        InvalidDeclaration: with the line.
        UsageError: the owner is no member of the room, or columns of a table with data would change.
        NotVerified: its owner did not sign exactly this for this room, or it came too late.
    """
    declaration, request = read_declaration(signed.content), signed.request
    catalog = declaration.catalog
    signer = room.verified(request, ACTION)
    owner = _require_declarable(room, declaration)
    if signer.party != owner.party or request.content != {"declaration": str(declaration.digest)}:
        raise NotVerified(
            Bilingual(
                f"la déclaration de {catalog.table} n'est pas celle que son propriétaire a signée",
                f"the declaration of {catalog.table} is not the one its owner signed",
            ),
            code="declaration_not_signed",
        )
    taken = room.connection.execute(
        "SELECT version FROM declaration WHERE table_name = ? AND request = ?", (str(catalog.table), request.encode())
    ).fetchone()
    if taken is not None:
        return Declared(catalog.table, int(taken[0]), None)
    with transaction(room.connection):
        now = room.take(request)
        _require_newest(request, catalog.table, _last_word(room, catalog.table), now)
        before = registry.declarations(room.connection).get(catalog.table)
        made_for = None if before is None else (before.catalog.columns, before.catalog.unit)
        has_data = bool(registry.uploads(room.connection, catalog.table))
        if has_data and made_for != (catalog.columns, catalog.unit):
            raise UsageError(
                Bilingual(
                    f"{catalog.table} a des données : ses colonnes et son unité ne changent plus",
                    f"{catalog.table} has data: its columns and unit no longer change",
                ),
                code="table_has_data",
            )
        (version,) = room.connection.execute(
            "SELECT coalesce(max(version), 0) + 1 FROM declaration WHERE table_name = ?", (str(catalog.table),)
        ).fetchone()
        room.connection.execute(
            "INSERT INTO declaration (table_name, version, owner, content, request) VALUES (?, ?, ?, ?, ?)",
            (str(catalog.table), version, owner.party, signed.content, request.encode()),
        )
        ledger.open_account(room.connection, AccountId(catalog.table), budget_of(declaration.budget))
        answers = take_away(room, catalog.table)
        index = room.journal.append(
            room.connection,
            EventType.TABLE_DECLARED,
            at=now,
            actor=owner.party,
            ordinals=(owner.ordinal,),
            policy=declaration.digest,
            details={
                "table": str(catalog.table),
                "version": version,
                **request.entered(),
                "declaration": signed.content.decode("utf-8"),
                "answers_removed": answers,
            },
        )
    return Declared(catalog.table, version, index)


def write_declaration(path: Path, signed: SignedDeclaration) -> None:
    """Write what the operator is given, whole or not at all."""
    with replacing(path) as file:
        file.write(signed.encode())


def is_declaration(path: Path) -> bool:
    """Tell whether a file begins as `write_declaration` writes them; what cannot be read is none."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(LABEL)) == LABEL
    return False


def read_signed_declaration(encoded: bytes) -> SignedDeclaration:
    """Read what `write_declaration` wrote; whether it holds is `declare`'s to say.

    Raises:
        UsageError: it is something else.
    """
    request, separator, content = encoded.removeprefix(LABEL).partition(b"\n")
    if not encoded.startswith(LABEL) or not separator or len(encoded) > LARGEST:
        raise UsageError(
            Bilingual("ce n'est pas une déclaration signée", "this is no signed declaration"),
            code="no_signed_declaration",
        )
    return SignedDeclaration(content, read_request(request))


def _require_declarable(room: Room, declaration: Declaration) -> Party:
    """Return the owner of a table, if it may have one and the room knows its purposes."""
    owner = registry.party_named(room.connection, declaration.catalog.table.owner)
    if owner.role is not Role.MEMBER:
        raise UsageError(
            Bilingual(f"« {owner.party} » n'est pas membre", f"{owner.party!r} is not a member"), code="not_a_member"
        )
    unknown = {purpose for rule in declaration.rules for purpose in rule.purposes} - set(room.facts.settings.purposes)
    if unknown:
        listed, known = ", ".join(sorted(unknown)), ", ".join(room.facts.settings.purposes)
        raise UsageError(
            Bilingual(
                f"buts inconnus de la salle : {listed} ; elle a : {known}",
                f"purposes unknown to the room: {listed}; it has: {known}",
            ),
            code="unknown_purpose",
        )
    return owner


def _last_word(room: Room, table: TableName) -> int:
    """Return when a table's owner last declared it, as it signed, or took it back; 0 before."""
    said = 0
    for (request,) in room.connection.execute("SELECT request FROM declaration WHERE table_name = ?", (str(table),)):
        said = max(said, SignedRequest.decode(request).at)
    for (index,) in room.connection.execute("SELECT log_index FROM withdrawal WHERE table_name = ?", (str(table),)):
        said = max(said, room.journal.log.entry(room.connection, index).event.t)
    return said


def _require_newest(request: SignedRequest, table: TableName, last: int, now: int) -> None:
    if request.at < last:
        raise NotVerified(
            Bilingual(
                f"cette déclaration fut signée avant ce qui vaut maintenant pour {table} ; signez-la de nouveau",
                f"this declaration was signed before what holds now for {table}; sign it again",
            ),
            code="declaration_superseded",
        )
    if request.at > now + AHEAD_SECONDS:
        raise NotVerified(
            Bilingual(
                "cette déclaration est signée dans l'avenir ; réglez l'horloge de la machine, et signez de nouveau",
                "this declaration is signed in the future; set the machine's clock, and sign it again",
            ),
            code="signed_in_the_future",
        )
