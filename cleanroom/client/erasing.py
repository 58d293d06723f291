"""Find the tokens of people to erase, on their member's machine: for every epoch whose linkage key it holds.

Identifiers are normalised by the very rules of uploads; one that is none stops all, and nothing is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cleanroom.client.identifier_list import read_identifiers, written_identifiers
from cleanroom.client.linkage import linkage_path, read_linkage_key
from cleanroom.client.opt_out import ErasedMemory, OptOut
from cleanroom.client.tokens import token_column
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.partition.erasure import ErasureList, Tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cleanroom.catalog import PrivacyUnit
    from cleanroom.client.linkage import LinkageKey
    from cleanroom.identifiers import Epoch, PartyId, RoomId, TokenKind


@dataclass(frozen=True, slots=True)
class Held:
    """What tells the linkage key that some upload of the member was made with: its epoch, and the key's check."""

    epoch: Epoch
    check: bytes


def erasure_list(
    identifiers: Sequence[str] | Path, units: Collection[PrivacyUnit], keys: Sequence[LinkageKey]
) -> ErasureList:
    """Return the tokens of some identifiers, under every key.

    Args:
        identifiers: as written, or a file of them as `read_identifiers` reads it.
        units: of one kind; those of the member's tables of that kind. Phones are read by each table's region.

    Raises:
        UsageError: there are none, or no such file.
        InvalidUpload: one is no identifier; names each.
    """
    digits: dict[tuple[Epoch, TokenKind], set[bytes]] = {}
    for unit in units:
        if isinstance(identifiers, Path):
            normal = read_identifiers(identifiers, unit)
        else:
            normal = written_identifiers(identifiers, unit)
        if normal.is_empty():
            raise UsageError(
                Bilingual("aucun identifiant : personne à effacer", "no identifier: nobody to erase"), code="nobody"
            )
        for key in keys:
            found = digits.setdefault((key.epoch, unit.token_kind), set())
            made = token_column(key.secret, kind=unit.token_kind, epoch=key.epoch, values=normal)
            found.update(map(bytes.fromhex, made))
    return ErasureList.of(Tokens(epoch, kind, tuple(sorted(found))) for (epoch, kind), found in digits.items())


def keys_held(home: Path, room: RoomId, epoch: Epoch, needed: Collection[Held]) -> tuple[LinkageKey, ...]:
    """Return the room's linkage keys on this machine, of all epochs.

    Args:
        home: the member's.
        epoch: the room's; any that is well formed, to find where the keys lie.
        needed: what the member's uploads were made with.

    Raises:
        Fault: a key that an upload was made with is not here, or a key file is damaged: its people could not be found.
        UsageError: the key here is another than an upload's, and its tokens would be nobody's.
    """
    files = sorted(linkage_path(home, room, epoch).parent.glob("*.key"))
    keys = {each.epoch: each for each in map(read_linkage_key, files) if each.room == room}
    for held in needed:
        key = keys.get(held.epoch)
        if key is None:
            raise Fault(
                Bilingual(
                    f"la clé d'appariement de l'époque {held.epoch} n'est pas sur cette machine : sans elle, rien ne "
                    "dit qui effacer ; rien n'est fait",
                    f"the linkage key of epoch {held.epoch} is not on this machine: nothing tells without it whom to "
                    "erase; nothing is done",
                ),
                code="linkage_key_missing",
            )
        if key.check() != held.check:
            raise UsageError(
                Bilingual(
                    f"la clé d'appariement de l'époque {held.epoch} n'est pas celle de vos dépôts ; rien n'est fait",
                    f"the linkage key of epoch {held.epoch} is not that of your uploads; nothing is done",
                ),
                code="wrong_linkage_key",
            )
    if not keys:
        raise Fault(
            Bilingual(
                "cette machine n'a aucune clé d'appariement de la salle : rien ne dit qui effacer ; rien n'est fait",
                "this machine has no linkage key of the room: nothing tells whom to erase; nothing is done",
            ),
            code="linkage_key_missing",
        )
    return tuple(keys.values())


def remember(home: Path, party: PartyId, listed: ErasureList, keys: Sequence[LinkageKey]) -> None:
    """Remember who is to be erased, as tokens, for later uploads to say that they come back; durable when it returns.

    Raises:
        Fault: a list that is there already is damaged.
    """
    for key in keys:
        mine = [each for each in listed.groups if each.epoch == key.epoch]
        lines = [f"{each.kind} {token.hex()}" for each in mine for token in each.tokens]
        ErasedMemory(home, party, key).add(OptOut.of_lines(lines))
