"""Hold a register of accesses against the log: nothing left out, nothing added, nothing said otherwise.

It needs the log's public part only: every entry is verified, each member's are counted again, and each charge and each
reuse of a stored answer that the register's own words cover must be a row of it. What a question said lies in the
sealed details; those are the reader's. So do the draws that a question is answered from: of a reuse, a reader who may
know its first charges must be told of one at least; that all are named, its details tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from audit_log import (
    Envelope,
    EventType,
    Finding,
    LogUnreachable,
    NotVerified,
    Verdict,
    Verifier,
    open_checkpoint,
    verify_receipt,
    verify_source,
)
from cleanroom.errors import Bilingual
from cleanroom.identifiers import Purpose
from cleanroom.room.journal import Journal
from cleanroom.room.logbook import unreachable
from cleanroom.room.register_document import HEADINGS
from cleanroom.room.register_reading import Erased, ReadRegister, RegisterRow, read_register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from audit_log import Source
    from cleanroom.room.reading_rights import Scope

MOST_DIFFERENCES: Final = 20
_LEAF: Final = re.compile(
    rb'"caused_by":(?P<caused_by>-1|[0-9]{1,16}),.*"parties":"(?P<parties>[0-9a-f]{128})".*"t":(?P<t>[0-9]{1,16}),"type":"(?P<type>[a-z.]+)"',
    re.DOTALL,
)
_ACCESSES: Final = frozenset({EventType.QUERY_CHARGED.value, EventType.QUERY_REUSED.value})
_OUTCOMES: Final = {
    EventType.QUERY_RELEASED: "released",
    EventType.QUERY_FAILED: "failed",
    EventType.QUERY_REUSED: "reused",
}
_ENDS: Final = frozenset({EventType.QUERY_RELEASED.value, EventType.QUERY_FAILED.value})
_FREE: Final = frozenset({"0", ""})  # nothing, or not said because the details were erased


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found.

    Args:
        verdict: of the log itself.
        differences: where register and log differ, the first ones.
        rows: how many rows the register has.
        counted: how many entries were counted for its members.
        mandates: of an auditor's register what it covers, each with its giver's name.
        size: how many entries the log had when the register was drawn.
    """

    verdict: Verdict
    differences: tuple[Bilingual, ...]
    rows: int
    counted: int
    mandates: tuple[tuple[str, Scope], ...] = ()
    size: int = 0

    @property
    def ok(self) -> bool:
        """Whether the log verifies and the register is its own."""
        return self.verdict.ok and not self.differences


def check(
    content: bytes, source: Source, verifier: Verifier, *, progress: Callable[[int, int], None] | None = None
) -> Checked:
    """Verify a log, and a register against it.

    Args:
        content: the register, as JSON.
        verifier: the log's key, from elsewhere than the register.

    Raises:
        UsageError: no register.
        Fault: the source does not answer.
    """
    said = read_register(content)
    leaves = _Leaves(said)
    try:
        checkpoint = open_checkpoint(said.checkpoint, verifier)
        verdict, _ = verify_source(source, verifier.vkey, contains=(checkpoint,), progress=progress, seen=leaves)
    except LogUnreachable as error:
        raise unreachable(error) from None
    except NotVerified:
        return Checked(Verdict(Finding.SIGNATURE_WRONG, "register"), (), 0, 0)
    if not verdict.ok:
        return Checked(verdict, (), 0, 0, size=checkpoint.size)
    different = tuple(islice(_differences(said, leaves, verifier), MOST_DIFFERENCES))
    named = {ordinal: name for name, (ordinal, _, _) in said.parties.items()}
    return Checked(
        verdict,
        different,
        len(said.rows),
        sum(len(each) for _, each in said.completeness.values()),
        tuple((named[each.giver.ordinal], each) for each in said.mandates),
        checkpoint.size,
    )


class _Leaves:
    """What verification saw of the register's members and rows, counted as it was read."""

    def __init__(self, register: ReadRegister) -> None:
        self._register = register
        self._ordinals = {name: register.parties[name][0] for name in register.completeness}
        self._mask = sum(1 << each for each in set(self._ordinals.values()))
        self._named = {entry for row in register.rows for entry in row.entries}
        self._clear()

    def _clear(self) -> None:
        self.counted: dict[str, int] = dict.fromkeys(self._ordinals, 0)
        self.before: dict[str, int] = dict.fromkeys(self._ordinals, 0)
        self.found: dict[str, list[tuple[int, int, str]]] = {name: [] for name in self._ordinals}
        self.kept: dict[int, bytes] = {}
        self.accesses: dict[int, bytes] = {}
        self.keys: dict[int, tuple[int, int]] = {}
        self.ends: dict[int, int] = {}
        self.erasures: list[Erased] = []

    def __call__(self, first: int, leaves: Sequence[bytes]) -> None:
        if first == 0:
            self._clear()
        for index, leaf in enumerate(leaves, first):
            written = _LEAF.search(leaf)
            if written is None or index >= self._register.size:
                continue
            if index in self._named:
                self.kept[index] = bytes(leaf)
            bits = int(written["parties"], 16)
            kind, charge = written["type"].decode(), int(written["caused_by"])
            if kind == EventType.KEY_USED:
                self.keys[charge] = (index, bits)
            elif kind in _ENDS:
                self.ends[charge] = index
            if bits & self._mask:
                self._count(index, bits, int(written["t"]), kind, leaf)

    def _count(self, index: int, bits: int, at: int, kind: str, leaf: bytes) -> None:
        within = self._register.within(index, at)
        for name, ordinal in self._ordinals.items():
            if not bits >> ordinal & 1:
                continue
            self.counted[name] += 1
            if within:
                self.found[name].append((self.counted[name], index, kind))
                if kind == EventType.DATASET_ERASED:
                    legal = Envelope.parse_at(index, leaf).event.legal
                    self.erasures.append((name, self.counted[name], index, at, legal))
            elif not self.found[name]:
                self.before[name] = self.counted[name]
        if within and kind in _ACCESSES:
            self.accesses[index] = bytes(leaf)

    def key_entry(self, charge: int, ordinal: int) -> int | None:
        """Return where the keys of a member's data were opened for a charge; None if they were not."""
        index, bits = self.keys.get(charge, (None, 0))
        return index if bits >> ordinal & 1 else None


def _differences(register: ReadRegister, leaves: _Leaves, verifier: Verifier) -> Iterator[Bilingual]:
    for name, (before, entries) in register.completeness.items():
        if (before, entries) != (leaves.before.get(name), leaves.found.get(name)):
            yield Bilingual(
                f"les entrées qui touchent {name} ne sont pas celles que le journal compte",
                f"the entries that touch {name} are not those that the log counts",
            )
    if sorted(register.erasures) != sorted(leaves.erasures):
        yield Bilingual(
            "les effacements du registre ne sont pas ceux du journal", "the register's erasures are not the log's"
        )
    rows = {(row.entry, row.member) for row in register.rows}
    if len(rows) != len(register.rows):
        yield Bilingual("une ligne est là deux fois", "a row is there twice")
    for index, leaf in sorted(leaves.accesses.items()):
        event = Envelope.parse_at(index, leaf).event
        for name in register.completeness:
            ordinal = register.parties[name][0]
            opened = leaves.key_entry(index, ordinal) is not None
            touched = ordinal in event.parties and (index, name) not in rows
            if touched and register.covers(event, name, opened=opened):
                yield Bilingual(
                    f"l'accès de l'entrée {index} aux données de {name} manque au registre",
                    f"the access of entry {index} to the data of {name} is missing from the register",
                )
    for number, row in enumerate(register.rows, 1):
        yield from _row_differences(number, row, register, leaves, verifier)


def _row_differences(
    number: int, row: RegisterRow, register: ReadRegister, leaves: _Leaves, verifier: Verifier
) -> Iterator[Bilingual]:
    leaf = leaves.accesses.get(row.entry)
    if leaf is None or row.member not in register.parties or row.party not in register.parties:
        yield Bilingual(
            f"la ligne {number} n'est l'accès d'aucune entrée de la période",
            f"row {number} is the access of no entry of the period",
        )
        return
    event = Envelope.parse_at(row.entry, leaf).event
    ordinal = register.parties[row.member][0]
    counted = (row.counter, row.entry, event.type.value)
    reused = event.type is EventType.QUERY_REUSED
    ended = row.entry if reused else leaves.ends.get(row.entry)
    agreed = {
        "at": row.at == event.t,
        "party": register.parties[row.party][2] == event.actor,
        "purpose": Journal.purpose_code(Purpose(row.purpose)) == event.purpose,
        "legal": row.legal == event.legal,
        "policy": row.policy == event.policy,
        "member": ordinal in event.parties,
        "counter": counted in leaves.found.get(row.member, []),
        "cost": not reused or row.cost in _FREE,
        "charged_by": all(_charged(each, row, ordinal, leaves) for each in row.charged_by)
        and bool(row.charged_by or not reused or not register.knows_charges(row.member)),
        "key_entry": row.key_entry == leaves.key_entry(row.entry, ordinal),
        "outcome": row.outcome == _outcome(ended, leaves),
        "outcome_entry": row.outcome_entry == ended,
    }
    for name, agrees in agreed.items():
        if not agrees:
            words = HEADINGS[name]
            yield Bilingual(
                f"ligne {number}, « {words.fr} » : ce n'est pas ce que dit l'entrée {row.entry}",
                f"row {number}, {words.en!r}: not what entry {row.entry} says",
            )
    for entry in row.entries:
        if not _proved(entry, register, leaves, verifier):
            yield Bilingual(
                f"ligne {number} : le reçu de l'entrée {entry} ne la prouve pas",
                f"row {number}: the receipt of entry {entry} does not prove it",
            )


def _charged(entry: int, row: RegisterRow, ordinal: int, leaves: _Leaves) -> bool:
    """Say whether an entry is an earlier charge for which the keys of the row's member were opened."""
    leaf = leaves.kept.get(entry)
    if leaf is None or entry >= row.entry or leaves.key_entry(entry, ordinal) is None:
        return False
    return Envelope.parse_at(entry, leaf).event.type is EventType.QUERY_CHARGED


def _outcome(ended: int | None, leaves: _Leaves) -> str | None:
    """Return what a row must say came of its question; None where it names another entry for that."""
    if ended is None:
        return "open"
    leaf = leaves.kept.get(ended)
    return None if leaf is None else _OUTCOMES.get(Envelope.parse_at(ended, leaf).event.type)


def _proved(entry: int, register: ReadRegister, leaves: _Leaves, verifier: Verifier) -> bool:
    if entry not in register.receipts or entry not in leaves.kept:
        return False
    try:
        index, _ = verify_receipt(register.receipts[entry], leaves.kept[entry], verifier)
    except NotVerified:
        return False
    return index == entry
