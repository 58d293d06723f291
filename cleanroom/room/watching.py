"""Tell a member of each entry that touches its data or rights, numbered without gaps from its first one on.

The number is the member's dense counter: the count of leaves that bear its bit, recomputed from leaves that were all
verified, never taken from anybody. So a feed that drops, repeats or reorders an entry shows it by itself, whoever
carried it; and a log that lost one is not the log that was signed. Kept on the member's machine:

rooms/ROOM_ID/watch/ID.json    the last state read whole, the counter there, and the member's place in the party map
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import Checkpoint, Envelope, EventType, LogUnreachable, Verifier, open_checkpoint, verify_source
from audit_log import NotVerified as LogNotVerified
from cleanroom.errors import Bilingual, NotVerified, UsageError
from cleanroom.room.home import private_directory, receipt_path, replace_durably
from cleanroom.room.log_memory import remember, require_known_key, room_of, seen_checkpoint
from cleanroom.room.logbook import unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from audit_log import Source, Verdict
    from cleanroom.identifiers import PartyId
    from cleanroom.room.home import Home

MOST_ORDINALS: Final = 512
_PARTIES: Final = re.compile(rb'"parties":"([0-9a-f]{128})"')


@dataclass(frozen=True, slots=True)
class Touch:
    """An entry that touches a member.

    Args:
        counter: the member's own number of it, from 1 without gaps.
        index: its place in the log.
    """

    counter: int
    index: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of looking once.

    Args:
        verdict: what verification found; the rest holds only if it is `verified`.
        touches: the entries that touch the member: the new ones, or all that were asked for.
        counter: the member's number of the last one, 0 for none yet.
        new: how many of them this machine had not told of before.
        receipts: how many receipts of this machine the log honours.
    """

    verdict: Verdict
    touches: tuple[Touch, ...]
    counter: int
    new: int
    receipts: int
    _state: bytes


@dataclass(frozen=True, slots=True)
class _Told:
    """What this machine has told a member of."""

    ordinal: int
    counter: int
    checkpoint: Checkpoint | None


class Watcher:
    """A member's watch over one log, from its own machine."""

    def __init__(
        self, home: Home, party: PartyId, log: Verifier, *, ordinal: int | None = None, owns: bool = True
    ) -> None:
        """Begin, or go on where this machine left off.

        Args:
            ordinal: the member's place in the party map; None for the one that this machine knows.
            owns: whether it may have made the uploads whose receipts are here; not where the room itself says that it
                made none, as on a machine that several parties share.

        Raises:
            NotVerified: the log's key is not the one known here, or what is kept was altered.
            UsageError: this machine does not know the member's place, or knows another.
        """
        require_known_key(home, log)
        self._home = home
        self._log = log
        self._room = room_of(log)
        self._place: Path = home.room(self._room) / "watch" / f"{party}.json"
        told = self._told()
        if told is not None and ordinal not in {None, told.ordinal}:
            raise UsageError(
                Bilingual(
                    f"cette machine connaît {party} sous le numéro {told.ordinal}",
                    f"this machine knows {party} under number {told.ordinal}",
                ),
                code="another_ordinal",
            )
        if told is None and (ordinal is None or not 0 <= ordinal < MOST_ORDINALS):
            raise UsageError(
                Bilingual(
                    f"le numéro de {party} dans le journal, dit à son inscription, est à donner une fois : --ordinal N",
                    f"the number of {party} in the log, told when it was registered, is to be given once: --ordinal N",
                ),
                code="ordinal_unknown",
            )
        self._known = told or _Told(ordinal or 0, 0, None)
        self._party = party
        self._owns = owns

    def look(
        self, source: Source, *, everything: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Watched:
        """Verify what is new and return what of it touches the member.

        Args:
            source: where the log is.
            everything: read the whole log again and return all that ever touched the member.

        Raises:
            Fault: the source does not answer.
            NotVerified: the counter that was kept is not that of the log's own entries.
        """
        known = self._known
        seen = seen_checkpoint(self._home, self._log)
        kept = self._receipts()
        found = _Collector(known.ordinal, {index for index, _ in kept})
        try:
            verdict, note = verify_source(
                source,
                self._log.vkey,
                remembered=known.checkpoint,
                receipts=[content for _, content in kept],
                contains=() if seen is None else (seen,),
                incremental=not everything,
                progress=progress,
                seen=found,
            )
        except LogUnreachable as error:
            raise unreachable(error) from None
        if not verdict.ok:
            return Watched(verdict, (), known.counter, 0, 0, b"")
        if self._owns:
            _require_own(self._party, known.ordinal, found.named)
        old = 0 if known.checkpoint is None else known.checkpoint.size
        indexes = sorted(found.leaves)
        before = sum(index < old for index in indexes)
        if verdict.since == 0 and before != known.counter:
            raise NotVerified(
                Bilingual(
                    f"{known.counter} entrées vous avaient été dites, le journal en a {before} jusque-là",
                    f"{known.counter} entries were told to you, the log has {before} up to there",
                ),
                code="counter_differs",
            )
        first = 1 if verdict.since == 0 else known.counter + 1
        touches = tuple(
            Touch(counter, index, Envelope.parse_at(index, found.leaves[index]))
            for counter, index in enumerate(indexes, first)
        )
        new = [each for each in touches if each.index >= old]
        counter = known.counter + len(new)
        state = json.dumps({"ordinal": known.ordinal, "counter": counter, "checkpoint": note.decode("utf-8")}).encode()
        return Watched(verdict, touches if everything else tuple(new), counter, len(new), len(kept), state)

    def told(self, watched: Watched) -> None:
        """Keep that the member was told; after a crash before it, it is told again rather than not at all."""
        private_directory(self._place.parent)
        replace_durably(self._place, watched._state)
        told = self._told()
        if told is not None:
            self._known = told
        remember(self._home, self._room, self._log.vkey, json.loads(watched._state)["checkpoint"].encode())

    def _told(self) -> _Told | None:
        if not self._place.exists():
            return None
        try:
            kept = json.loads(self._place.read_bytes())
            note = str(kept["checkpoint"]).encode()
            ordinal, counter = int(kept["ordinal"]), int(kept["counter"])
            return _Told(ordinal, counter, open_checkpoint(note, self._log))
        except (OSError, ValueError, KeyError, TypeError, LogNotVerified):
            raise NotVerified(
                Bilingual(
                    f"ce que cette machine a retenu est altéré : {self._place}",
                    f"what this machine remembers is damaged: {self._place}",
                ),
                code="remembered_checkpoint_damaged",
            ) from None

    def _receipts(self) -> list[tuple[int, bytes]]:
        directory = receipt_path(self._home, self._room, 0).parent
        paths = sorted(directory.glob("*.tlog-proof")) if directory.is_dir() else []
        return [(int(path.stem) if path.stem.isdecimal() else -1, path.read_bytes()) for path in paths]


def _require_own(party: PartyId, ordinal: int, held: dict[int, bytes]) -> None:
    """Check a member's place against the uploads whose receipts this machine holds: each bears its owner's bit alone.

    The operator told the member its place; told another's, the member would watch over somebody else's data.
    """
    events = [Envelope.parse_at(index, leaf).event for index, leaf in held.items()]
    owners = [event.parties for event in events if event.type is EventType.DATASET_UPLOADED]
    if owners and frozenset({ordinal}) not in owners:
        raise NotVerified(
            Bilingual(
                f"les reçus de dépôts que cette machine tient ne sont pas de la partie n° {ordinal}. Si {party} a "
                f"déposé d'ici, ce n'est pas son numéro : redemandez-le, et vérifiez-le par un reçu. Si {party} n'a "
                "rien déposé, regardez d'une machine, ou d'un CLEANROOM_HOME, sans reçus d'une autre partie",
                f"the receipts of uploads that this machine holds are not those of party no. {ordinal}. If {party} "
                f"uploaded from here, that is not its number: ask for it again, and check it by a receipt. If {party} "
                "uploaded nothing, watch from a machine, or a CLEANROOM_HOME, without another party's receipts",
            ),
            code="ordinal_not_yours",
        )


class _Collector:
    """Keeps the leaves that bear a bit, and those that receipts name, as verification reads them."""

    def __init__(self, ordinal: int, receipts: set[int]) -> None:
        self.leaves: dict[int, bytes] = {}
        self.named: dict[int, bytes] = {}
        self._receipts = receipts
        # The 512 bits are written most significant first, four to a digit.
        self._digit = MOST_ORDINALS // 4 - 1 - ordinal // 4
        self._bit = 1 << ordinal % 4

    def __call__(self, first: int, leaves: Sequence[bytes]) -> None:
        if first == 0:
            self.leaves.clear()  # read from the beginning again: nothing of the first reading counts
            self.named.clear()
        for index, leaf in enumerate(leaves, first):
            if index in self._receipts:
                self.named[index] = bytes(leaf)
            written = _PARTIES.search(leaf)
            if written is not None and int(written[1][self._digit : self._digit + 1], 16) & self._bit:
                self.leaves[index] = bytes(leaf)
