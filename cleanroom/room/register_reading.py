"""Read a register of accesses as it was handed over: nothing in it is believed, and it says which rows it must have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit_log import MAX_PARTIES, Event, EventType
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import Purpose, Role
from cleanroom.room.journal import Journal
from cleanroom.room.reading_rights import OPERATOR_ORDINAL, Known, Scope
from cleanroom.room.register_document import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RegisterRow:
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
    def read(cls, said: dict[str, Any]) -> RegisterRow:
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


Erased = tuple[str, int, int, int, str]
"""An erasure: member, the member's number of it, entry, time, legal ground."""


@dataclass(frozen=True, slots=True)
class ReadRegister:
    """A register as it was read: nothing in it is believed."""

    checkpoint: bytes
    size: int
    reader: str
    period: Mapping[str, int]
    asked: str | None
    purpose: str | None
    parties: Mapping[str, tuple[int, str, str]]
    mandates: tuple[Scope, ...]
    rows: tuple[RegisterRow, ...]
    erasures: tuple[Erased, ...]
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
                reads none of its tables. A reuse opens no key, and touches none but those whose data it tells of.
        """
        _, _, pseudonym = self.parties[member]
        _, role, reader = self.parties[self.reader]
        own = event.actor == pseudonym
        opened = opened or event.type is EventType.QUERY_REUSED
        return (
            (opened or not own)
            and (self.asked is None or event.actor == self.parties[self.asked][2])
            and (self.purpose is None or event.purpose == Journal.purpose_code(Purpose(self.purpose)))
            and (role == Role.OPERATOR or self.reader == member or event.actor == reader or self._mandated(event, role))
        )

    def knows_charges(self, member: str) -> bool:
        """Say whether the register's reader may read every charge that touches a member, whoever asked.

        Then a reused answer from that member's data has a first charge that its row must name.
        """
        _, role, _ = self.parties[self.reader]
        if role == Role.OPERATOR or self.reader == member:
            return True
        givers = {OPERATOR_ORDINAL, self.parties[member][0]}
        return role == Role.AUDITOR and any(each.unlimited and each.giver.ordinal in givers for each in self.mandates)

    def _mandated(self, event: Event, role: str) -> bool:
        """Say whether one of an auditor's mandates, as the register names them, covers an access."""
        return role == Role.AUDITOR and any(each.covers(event) for each in self.mandates)


def read_register(content: bytes) -> ReadRegister:
    """Read a register; whatever is not of its form is no register, and says so rather than fail later."""
    try:
        said = json.loads(content)
        if said["register"] != VERSION:
            raise ValueError(VERSION)
        wanted = dict(said["wanted"])
        register = ReadRegister(
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
            tuple(_scope(each, said["parties"]) for each in said["mandates"]),
            tuple(RegisterRow.read(each) for each in said["rows"]),
            tuple(_erased(each) for each in said["erasures"]),
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


def _erased(said: dict[str, Any]) -> Erased:
    numbers = _whole(said["counter"]), _whole(said["entry"]), _whole(said["at"])
    return (_word(said["member"]), *numbers, _word(said["legal"]))


def _scope(said: dict[str, Any], parties: dict[str, Any]) -> Scope:
    giver = parties[said["giver"]]
    until = said["until"]
    return Scope(
        Known(_word(giver["pseudonym"]), _ordinal(giver["ordinal"])),
        tuple(EventType(_word(each)) for each in said["events"]),
        _whole(said["since"]),
        None if until is None else _whole(until),
    )


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
