"""Make a member's order to erase people, on its machine: identifiers to tokens, remembered, sealed and signed.

What must be known of the room is read from it, or from the signed facts of each of the member's tables, as for an
upload; then the order is a file for the operator, who learns from it what is signed, and no identifier.

    cleanroom/erasure-order/v1 and a line feed
    the signed request as canonical JSON, and a line feed
    the sealed list as hexadecimal digits, and a line feed
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.client.erasing import Held, erasure_list, keys_held, remember
from cleanroom.errors import Bilingual, UsageError
from cleanroom.partition.package import replacing
from cleanroom.room import registry
from cleanroom.room.erasure import ErasureOrder, sign_erasure, versions_of
from cleanroom.room.member_facts import read_facts
from cleanroom.room.signed_request import read_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cleanroom.catalog import PrivacyUnit
    from cleanroom.identifiers import Epoch, ErasureGround, PartyId, RoomId, TableName, TokenKind
    from cleanroom.room.home import Home
    from cleanroom.room.room import Room

LABEL: Final = b"cleanroom/erasure-order/v1"
_HEX: Final = re.compile(rb"([0-9a-f]{2})+")


@dataclass(frozen=True, slots=True)
class _Known:
    """What an order needs to know of its room.

    Args:
        tables: each declared table of the party with its version.
        needed: what tells the linkage keys that its uploads were made with.
    """

    room: RoomId
    transport_key: bytes
    epoch: Epoch
    tables: Mapping[TableName, int]
    units: tuple[PrivacyUnit, ...]
    needed: frozenset[Held]


def order_erasure(
    room: Room,
    party: PartyId,
    ground: ErasureGround,
    identifiers: Sequence[str] | Path,
    *,
    kind: str | None = None,
) -> ErasureOrder:
    """Return a party's signed order to erase the people of some identifiers from all its tables.

    They are remembered on this machine first, as tokens, so that a later upload says who comes back.

    Args:
        identifiers: as written, or a file of them.
        kind: of the identifiers, as tables name it (`email`, `phone`, `opaque`, `opaque:NAME`); None if the party's
            tables have one kind only.

    Raises:
        UsageError: the party has no table, none of that kind, or several and none is named; or nobody is to be erased.
        InvalidUpload: one of the identifiers is none; nothing is done.
        Fault: a linkage key or the signing key is not on this machine.
    """
    registry.party_named(room.connection, party)
    # Whose key this is not, learns nothing of the party's tables.
    room.home.signing_key(party)
    declared = registry.declarations(room.connection)
    tables = versions_of(room, party)
    needed = {
        Held(each.manifest.epoch, each.manifest.linkage_check)
        for each in registry.uploads(room.connection)
        if each.table.owner == party
    }
    known = _Known(
        room.room_id,
        room.facts.transport_key,
        room.facts.epoch,
        tables,
        tuple(declared[table].catalog.unit for table in tables),
        frozenset(needed),
    )
    return _order(room.home, party, ground, identifiers, kind, known, at=room.now())


def order_at_home(
    home: Home,
    facts: Sequence[Path],
    party: PartyId,
    ground: ErasureGround,
    identifiers: Sequence[str] | Path,
    *,
    kind: str | None = None,
    operator_key: str | None = None,
) -> ErasureOrder:
    """Return such an order, made without the room: from the facts of each of the party's tables.

    Args:
        facts: files of `cleanroom facts`, one for each table of the party.
        operator_key: as for `read_facts`.

    Raises:
        As `order_erasure` and `read_facts`; UsageError: facts of another party's table, of two rooms, or one twice.
    """
    read = [read_facts(path, home, operator_key=operator_key) for path in facts]
    tables = {each.table: each.room.version for each in read}
    if len(tables) != len(read) or {each.owner for each in tables} != {party} or len({e.room.room for e in read}) != 1:
        raise UsageError(
            Bilingual(
                f"il faut le fichier de chaque table de {party} dans une salle, chacun une fois",
                f"the file of each table of {party} in one room is needed, each once",
            ),
            code="invalid_facts",
        )
    first = read[0].room
    needed = {Held(each.room.epoch, each.linkage_check) for each in read if each.linkage_check is not None}
    units = tuple(each.catalog.unit for each in read)
    known = _Known(first.room, first.transport_key, first.epoch, tables, units, frozenset(needed))
    return _order(home, party, ground, identifiers, kind, known, at=int(time.time()))


def write_order(path: Path, order: ErasureOrder) -> None:
    """Write an order for the operator, whole or not at all."""
    with replacing(path) as file:
        file.write(b"\n".join([LABEL, order.request.encode(), order.sealed.hex().encode(), b""]))


def read_order(content: bytes) -> ErasureOrder:
    """Read an order; whether it holds is `erase`'s to say.

    Raises:
        UsageError: it is none.
    """
    lines = content.split(b"\n")
    if len(lines) != 4 or lines[0] != LABEL or lines[3] or _HEX.fullmatch(lines[2]) is None:
        raise UsageError(
            Bilingual("ce n'est pas une demande d'effacement signée", "this is no signed order to erase"),
            code="no_erasure_order",
        )
    return ErasureOrder(read_request(lines[1]), bytes.fromhex(lines[2].decode("ascii")))


def _order(
    home: Home,
    party: PartyId,
    ground: ErasureGround,
    identifiers: Sequence[str] | Path,
    kind: str | None,
    known: _Known,
    *,
    at: int,
) -> ErasureOrder:
    chosen = _of_kind(party, known.units, kind)
    keys = keys_held(home.path, known.room, known.epoch, known.needed)
    listed = erasure_list(identifiers, chosen, keys)
    remember(home.path, party, listed, keys)
    return sign_erasure(home, known.room, known.transport_key, party, ground, known.tables, listed, at=at)


def _of_kind(party: PartyId, units: Sequence[PrivacyUnit], kind: str | None) -> tuple[PrivacyUnit, ...]:
    """Return the units of the kind asked for, each way of reading identifiers once."""
    if not units:
        raise UsageError(
            Bilingual(f"{party} n'a aucune table dans cette salle", f"{party} has no table in this room"),
            code="unknown_table",
        )
    kinds: tuple[TokenKind, ...] = tuple(sorted({each.token_kind for each in units}))
    there = ", ".join(kinds)
    if kind is None and len(kinds) > 1:
        raise UsageError(
            Bilingual(
                f"les tables de {party} ont plusieurs sortes d'identifiants ; dites laquelle : --kind, parmi {there}",
                f"the tables of {party} have several kinds of identifiers; say which: --kind, one of {there}",
            ),
            code="several_kinds",
        )
    if kind is not None and kind not in kinds:
        raise UsageError(
            Bilingual(
                f"aucune table de {party} n'a d'identifiants « {kind} » ; il y a : {there}",
                f"no table of {party} has identifiers {kind!r}; there is: {there}",
            ),
            code="unknown_kind",
        )
    wanted = kinds[0] if kind is None else kind
    return tuple(dict.fromkeys(each for each in units if each.token_kind == wanted))
