"""Hold a register of accesses against the log: nothing left out, nothing added, nothing said otherwise.

It needs the log's public part only: every entry is verified, each member's are counted again, and each charge and each
reuse of a stored answer that the register's own words cover must be a row of it. What a question said lies in the
sealed details; those are the reader's. So does whether a member that asks again reads its own table too, beside
others': such a row, of a member's reuse of its own data, is held against the log if it is there, but not missed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from audit_log import (
    MAX_PARTIES,
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
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import Purpose, Role
from cleanroom.room.journal import Journal
from cleanroom.room.logbook import unreachable
from cleanroom.room.register_document import HEADINGS, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from audit_log import Source
    from audit_log.entry import Event

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
    """

    verdict: Verdict
    differences: tuple[Bilingual, ...]
    rows: int
    counted: int

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
    said = _parsed(content)
    leaves = _Leaves(said)
    try:
        checkpoint = open_checkpoint(said.checkpoint, verifier)
        verdict, _ = verify_source(source, verifier.vkey, contains=(checkpoint,), progress=progress, seen=leaves)
    except LogUnreachable as error:
        raise unreachable(error) from None
    except NotVerified:
        return Checked(Verdict(Finding.SIGNATURE_WRONG, "register"), (), 0, 0)
    if not verdict.ok:
        return Checked(verdict, (), 0, 0)
    different = tuple(islice(_differences(said, leaves, verifier), MOST_DIFFERENCES))
    return Checked(verdict, different, len(said.rows), sum(len(each) for _, each in said.completeness.values()))


@dataclass(frozen=True, slots=True)
class _Row:
    """What of a row the log's public part can be asked about."""

    entry: int
    counter: int
    at: int
    party: str
    member: str
    purpose: str
    legal: str
    policy: str
    cost: str
    charged_by: tuple[int, ...]
    outcome: str
    key_entry: int | None
    outcome_entry: int | None

    @classmethod
    def read(cls, said: dict[str, Any]) -> _Row:
        key, outcome = said["key_entry"], said["outcome_entry"]
        return cls(
            entry=_whole(said["entry"]),
            counter=_whole(said["counter"]),
            at=_whole(said["at"]),
            party=_word(said["party"]),
            member=_word(said["member"]),
            purpose=_word(said["purpose"]),
            legal=_word(said["legal"]),
            policy=_word(said["policy"]),
            cost=_word(said["cost"]),
            charged_by=tuple(_whole(each) for each in said["charged_by"]),
            outcome=_word(said["outcome"]),
            key_entry=None if key is None else _whole(key),
            outcome_entry=None if outcome is None else _whole(outcome),
        )

    @property
    def entries(self) -> tuple[int, ...]:
        """The entries that it names."""
        named = (self.entry, *self.charged_by, self.key_entry, self.outcome_entry)
        return tuple(each for each in named if each is not None)


@dataclass(frozen=True, slots=True)
class _Register:
    """A register as it was read: nothing in it is believed."""

    checkpoint: bytes
    size: int
    reader: str
    period: Mapping[str, int]
    asked: str | None
    purpose: str | None
    parties: Mapping[str, tuple[int, str, str]]
    rows: tuple[_Row, ...]
    completeness: Mapping[str, tuple[int, list[tuple[int, int, str]]]]
    receipts: Mapping[int, bytes]

    def within(self, index: int, at: int) -> bool:
        """Say whether an entry is of the register's period."""
        period = self.period
        return (
            period.get("first", 0) <= index < self.size
            and index <= period.get("last", index)
            and period.get("since", 0) <= at < period.get("until", at + 1)
        )

    def covers(self, event: Event, member: str, *, opened: bool) -> bool:
        """Say whether a charge or a reuse that touches a member must be a row for it.

        Args:
            opened: whether the keys of its data were opened for it: a party's own question touches it also where it
                reads none of its tables. For a reuse no key is opened; one that touches the asker alone reads its data.
        """
        _, _, pseudonym = self.parties[member]
        _, role, reader = self.parties[self.reader]
        own = event.actor == pseudonym
        opened = opened or (event.type is EventType.QUERY_REUSED and len(event.parties) == 1)
        return (
            (opened or not own)
            and (self.asked is None or event.actor == self.parties[self.asked][2])
            and (self.purpose is None or event.purpose == Journal.purpose_code(Purpose(self.purpose)))
            and (role in {Role.OPERATOR, Role.AUDITOR} or self.reader == member or event.actor == reader)
        )


def _parsed(content: bytes) -> _Register:
    """Read a register; whatever is not of its form is no register, and says so rather than fail later."""
    try:
        said = json.loads(content)
        if said["register"] != VERSION:
            raise ValueError(VERSION)
        wanted = dict(said["wanted"])
        register = _Register(
            _word(said["checkpoint"]).encode(),
            _whole(said["size"]),
            _word(said["reader"]),
            {name: _whole(wanted[name]) for name in ("first", "last", "since", "until") if name in wanted},
            _word(wanted["party"]) if "party" in wanted else None,
            _word(wanted["purpose"]) if "purpose" in wanted else None,
            {
                name: (_ordinal(each["ordinal"]), _word(each["role"]), _word(each["pseudonym"]))
                for name, each in said["parties"].items()
            },
            tuple(_Row.read(each) for each in said["rows"]),
            {
                name: (_whole(each["before"]), [(_whole(c), _whole(e), _word(k)) for c, e, k in each["entries"]])
                for name, each in said["completeness"].items()
            },
            {int(entry): _word(proof).encode() for entry, proof in said["receipts"].items()},
        )
        named = {register.reader, register.asked or register.reader, *register.completeness}
        if not named <= register.parties.keys():
            raise ValueError(named)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(
            Bilingual("ce n'est pas un registre des accès en JSON", "this is no register of accesses in JSON"),
            code="no_register",
        ) from None
    return register


def _whole(value: object) -> int:
    if type(value) is not int or not -1 <= value < 1 << 53:
        raise ValueError(value)
    return value


def _ordinal(value: object) -> int:
    if _whole(value) not in range(MAX_PARTIES):
        raise ValueError(value)
    return _whole(value)


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


class _Leaves:
    """What verification saw of the register's members and rows, counted as it was read."""

    def __init__(self, register: _Register) -> None:
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
            elif not self.found[name]:
                self.before[name] = self.counted[name]
        if within and kind in _ACCESSES:
            self.accesses[index] = bytes(leaf)

    def key_entry(self, charge: int, ordinal: int) -> int | None:
        """Return where the keys of a member's data were opened for a charge; None if they were not."""
        index, bits = self.keys.get(charge, (None, 0))
        return index if bits >> ordinal & 1 else None


def _differences(register: _Register, leaves: _Leaves, verifier: Verifier) -> Iterator[Bilingual]:
    for name, (before, entries) in register.completeness.items():
        if (before, entries) != (leaves.before.get(name), leaves.found.get(name)):
            yield Bilingual(
                f"les entrées qui touchent {name} ne sont pas celles que le journal compte",
                f"the entries that touch {name} are not those that the log counts",
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
    number: int, row: _Row, register: _Register, leaves: _Leaves, verifier: Verifier
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
        "charged_by": all(_charged(each, row, ordinal, leaves) for each in row.charged_by),
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


def _charged(entry: int, row: _Row, ordinal: int, leaves: _Leaves) -> bool:
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


def _proved(entry: int, register: _Register, leaves: _Leaves, verifier: Verifier) -> bool:
    if entry not in register.receipts or entry not in leaves.kept:
        return False
    try:
        index, _ = verify_receipt(register.receipts[entry], leaves.kept[entry], verifier)
    except NotVerified:
        return False
    return index == entry
