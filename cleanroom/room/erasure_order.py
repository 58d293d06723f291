"""Make a member's order to erase people, on its machine: identifiers to tokens, remembered, sealed and signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.client.erasing import Held, erasure_list, keys_held, remember
from cleanroom.errors import Bilingual, UsageError
from cleanroom.room import registry
from cleanroom.room.erasure import ErasureOrder, sign_erasure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cleanroom.catalog import PrivacyUnit
    from cleanroom.identifiers import ErasureGround, PartyId, TokenKind
    from cleanroom.room.room import Room


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
    units = [declared[table].catalog.unit for table in declared if table.owner == party]
    chosen = _of_kind(party, units, kind)
    needed = {
        Held(each.manifest.epoch, each.manifest.linkage_check)
        for each in registry.uploads(room.connection)
        if each.table.owner == party
    }
    keys = keys_held(room.home.path, room.room_id, room.facts.epoch, needed)
    listed = erasure_list(identifiers, chosen, keys)
    remember(room.home.path, party, listed, keys)
    return sign_erasure(room, party, ground, listed)


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
