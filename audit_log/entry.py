"""Entries: the small public envelope that becomes a leaf of the tree.

Every leaf is canonical JSON of exactly 1024 bytes, so that its length says nothing (SOUNDNESS S13). It names nobody in
clear and holds no digest that could be guessed; whatever else is known about the event lies encrypted beside it.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Final, Self

from audit_log.errors import MalformedEntry

LEAF_BYTES: Final = 1024
BUNDLED_BYTES: Final = 2 + LEAF_BYTES  # in a bundle each entry stands behind its length (c2sp.org/tlog-tiles)
VERSION: Final = 1
MAX_PARTIES: Final = 512  # bits of the party map
NO_CAUSE: Final = -1
UNSEALED: Final = "0" * 64
_MAX_INTEGER: Final = 2**53 - 1  # what every JSON reader keeps exactly
_HEX_128: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HEX_256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIGEST: Final = re.compile(r"(sha256:[0-9a-f]{64})?", re.ASCII)
_PARTY_MAP: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)
# No blanks: a name is a pseudonym or a code, never words of a person or of a query.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,47}", re.ASCII)
_CODE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9:._/-]{0,31})?", re.ASCII)


class EventType(StrEnum):
    """What can happen in a room. A new kind of event is a new member here, and a new line in docs/spec/log.md."""

    ROOM_CREATED = "room.created"
    ROOM_SAVED = "room.saved"  # a backup was made; the entry is in it
    ROOM_RESTORED = "room.restored"  # a backup was put back; whoever holds a later checkpoint sees that it should not
    PARTY_ADDED = "party.added"
    PARTY_REMOVED = "party.removed"
    TABLE_DECLARED = "table.declared"
    REFERENCE_ADDED = "reference.added"
    POLICY_APPROVED = "policy.approved"
    BUDGET_GRANTED = "budget.granted"
    LINKAGE_REGISTERED = "linkage.registered"
    DATASET_UPLOADED = "dataset.uploaded"
    DATASET_WITHDRAWN = "dataset.withdrawn"
    DATASET_ERASED = "dataset.erased"
    UPLOAD_REFUSED = "upload.refused"
    QUERY_CHARGED = "query.charged"  # the intent: budget is reserved; logged before any key is opened
    QUERY_RELEASED = "query.released"  # the outcome: a noised answer left
    QUERY_REUSED = "query.reused"  # a stored answer left again; nothing was read, nothing was charged
    QUERY_FAILED = "query.failed"  # the outcome: a fault after data was read; the charge stays
    QUERY_REFUSED = "query.refused"
    QUERY_PREVIEWED = "query.previewed"
    CATALOG_READ = "catalog.read"
    BUDGET_READ = "budget.read"
    LOG_READ = "log.read"
    LOG_EXPORTED = "log.exported"
    KEY_REGISTERED = "key.registered"
    KEY_ROTATED = "key.rotated"
    KEY_USED = "key.used"
    KEY_DESTROYED = "key.destroyed"
    MANDATE_GIVEN = "mandate.given"  # a party lets an auditor read, on its own machine, what it may read itself
    MANDATE_WITHDRAWN = "mandate.withdrawn"  # from here on it does not; `caused_by` names the last that is withdrawn
    ACCESS_REFUSED = "access.refused"
    DETAILS_ERASED = "details.erased"  # the details of entry `caused_by` were erased
    # The details of every entry of class `ret` up to `caused_by` whose time was over were erased.
    RETENTION_EXECUTED = "retention.executed"
    WITNESSES_SET = "witnesses.set"
    WITNESS_FAILED = "witness.failed"  # a witness that had cosigned, or was new, did not; once, until it does again
    WITNESS_RETURNED = "witness.returned"


class Outcome(StrEnum):
    """How it ended."""

    OK = "ok"
    REFUSED = "refused"
    ERROR = "error"


class Retention(StrEnum):
    """How long the details are kept; the leaf stays."""

    ACCESS_1Y = "access-1y"
    REGISTER_5Y = "register-5y"
    CONTRACT = "contract"
    ANONYMIZATION = "anonymization"


_DAY: Final = 86_400
RETENTION_SECONDS: Final[Mapping[Retention, int | None]] = {
    Retention.ACCESS_1Y: 365 * _DAY,  # a year at most
    Retention.REGISTER_5Y: 5 * 366 * _DAY,  # five years at least
    Retention.CONTRACT: None,
    Retention.ANONYMIZATION: None,
}
"""After how long the details of a class are due to be erased; None for as long as the room lasts."""


def fresh_id() -> str:
    """Return 128 random bits in hex, for `Event.id`."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened, as far as every reader of the log may see it.

    Attributes:
        room: the room's identifier.
        id: 128 random bits in hex, from `fresh_id`.
        t: Unix time in seconds, the operator's claim.
        type: what happened.
        outcome: how it ended.
        actor: pseudonym of who did it.
        org: pseudonym of the organisation for which they did it.
        parties: ordinals (0 to 511) of the members whose data, keys or rights the event touches. A member's ordinal is
            the single bit in its `party.added` entry.
        policy: "sha256:" and the digest of the policy text in force; "" if none is.
        purpose: code of the purpose; "" if there is none.
        legal: code of the legal ground; "" if there is none.
        caused_by: index of the entry that this one answers, such as the `query.charged` of a `query.released`;
            -1 for none.
        code: "sha256:" and the digest of the engine's build; "" if unknown.
        kid: the epoch of the readers' keys under which the details are sealed.
        ret: how long the details are kept.
    """

    room: str
    id: str
    t: int
    type: EventType
    outcome: Outcome
    actor: str
    org: str
    parties: frozenset[int] = frozenset()
    policy: str = ""
    purpose: str = ""
    legal: str = ""
    caused_by: int = NO_CAUSE
    code: str = ""
    kid: str = "e:1"
    ret: Retention = Retention.ACCESS_1Y

    def __post_init__(self) -> None:
        try:
            names = "\n".join(_names_of(self))
        except TypeError:  # one is not a string
            names = ""
        if not _NAMES.fullmatch(names):  # all at once, for it is the inner loop of appending; here it is said which
            for name, pattern in _PATTERNS.items():
                value = getattr(self, name)
                if not isinstance(value, str) or not pattern.fullmatch(value):
                    raise MalformedEntry(name, "not in the form that the log allows")
        for name, value, kind in (
            ("type", self.type, EventType),
            ("outcome", self.outcome, Outcome),
            ("ret", self.ret, Retention),
        ):
            if not isinstance(value, kind):
                raise MalformedEntry(name, "not one of the closed list")
        for name, number, least in (("t", self.t, 0), ("caused_by", self.caused_by, NO_CAUSE)):
            if type(number) is not int or not least <= number <= _MAX_INTEGER:
                raise MalformedEntry(name, "not an integer within bounds")
        for ordinal in self.parties:
            if type(ordinal) is not int or not 0 <= ordinal < MAX_PARTIES:
                raise MalformedEntry("parties", f"an ordinal is not within 0 to {MAX_PARTIES - 1}")


_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "room": _NAME,
    "id": _HEX_128,
    "actor": _NAME,
    "org": _NAME,
    "policy": _DIGEST,
    "purpose": _CODE,
    "legal": _CODE,
    "code": _DIGEST,
    "kid": _CODE,
}
_names_of: Final = attrgetter(*_PATTERNS)
# No pattern admits a newline: what matches has one name to a line, and each matches its own pattern.
_NAMES: Final = re.compile("\n".join(f"(?:{pattern.pattern})" for pattern in _PATTERNS.values()), re.ASCII)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A leaf: the event, and what binds its encrypted details.

    Attributes:
        event: what happened.
        commit: HMAC-SHA256 over the details under the entry's own key, in hex.
        sealed: SHA-256 of the stored ciphertext, in hex; 64 zeros before the details are sealed.
    """

    event: Event
    commit: str
    sealed: str = UNSEALED

    def __post_init__(self) -> None:
        for name in ("commit", "sealed"):
            if not _HEX_256.fullmatch(getattr(self, name)):
                raise MalformedEntry(name, "not 32 bytes in hex")

    def leaf(self) -> bytes:
        """Return the entry's bytes: canonical JSON (sorted keys, no spaces, ASCII) of `LEAF_BYTES` bytes."""
        before, after = around_seal(self.event, self.commit)
        return f"{before}{self.sealed}{after}".encode("ascii")

    @classmethod
    def parse(cls, leaf: bytes) -> Self:
        """Read a leaf.

        Raises:
            MalformedEntry: any other bytes than those that `leaf` writes.
        """
        if len(leaf) != LEAF_BYTES:
            raise MalformedEntry("", f"{len(leaf)} bytes long, not {LEAF_BYTES}")
        try:
            values = json.loads(leaf.decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise MalformedEntry("", "not JSON") from error
        if not isinstance(values, dict) or values.keys() != _FIELDS:
            raise MalformedEntry("", "not the fields of an envelope")
        if values["v"] != VERSION:
            raise MalformedEntry("v", "an unknown version")
        try:
            event = Event(
                room=values["room"],
                id=values["id"],
                t=values["t"],
                type=EventType(values["type"]),
                outcome=Outcome(values["outcome"]),
                actor=values["actor"],
                org=values["org"],
                parties=_read_parties(values["parties"]),
                policy=values["policy"],
                purpose=values["purpose"],
                legal=values["legal"],
                caused_by=values["caused_by"],
                code=values["code"],
                kid=values["kid"],
                ret=Retention(values["ret"]),
            )
            envelope = cls(event, values["commit"], values["sealed"])
        except (ValueError, TypeError) as error:
            raise MalformedEntry("", "a field holds what it may not") from error
        # One spelling only: whatever else differed (order, blanks, escapes, padding, 1.0 for 1) shows here.
        if envelope.leaf() != leaf:
            raise MalformedEntry("", "not in its canonical form")
        return envelope

    @classmethod
    def parse_at(cls, index: int, leaf: bytes) -> Self:
        """Read the leaf at an index of a log.

        Raises:
            MalformedEntry: not a leaf, or caused by an entry that is not before it.
        """
        envelope = cls.parse(leaf)
        if envelope.event.caused_by >= index:
            raise MalformedEntry("caused_by", "names an entry that is not before this one")
        return envelope


def around_seal(event: Event, commit: str) -> tuple[str, str]:
    """Return what a leaf says before and after the digest of the ciphertext, which depends on all the rest of it.

    Args:
        event: what happened.
        commit: as in the envelope.
    """
    parties = 0
    for ordinal in event.parties:
        parties |= 1 << ordinal
    # Written out, for it is the inner loop of appending: no value needs escaping, see `_PATTERNS`. An enumeration's
    # member is a string of its own, and joined as one, without the detour over `value`.
    head = (
        f'{{"actor":"{event.actor}","caused_by":{event.caused_by},"code":"{event.code}","commit":"{commit}",'
        f'"id":"{event.id}","kid":"{event.kid}","legal":"{event.legal}","org":"{event.org}",'
        f'"outcome":"{event.outcome!s}","pad":"'
    )
    tail = (
        f'","parties":"{parties:0{MAX_PARTIES // 4}x}","policy":"{event.policy}","purpose":"{event.purpose}",'
        f'"ret":"{event.ret!s}","room":"{event.room}","sealed":"'
    )
    after = f'","t":{event.t},"type":"{event.type!s}","v":{VERSION}}}'
    room = LEAF_BYTES - len(head) - len(tail) - len(UNSEALED) - len(after)
    if room < 0:
        raise MalformedEntry("", "above the constant size of an entry")
    return f"{head}{'0' * room}{tail}", after


def _read_parties(text: str) -> frozenset[int]:
    if not _PARTY_MAP.fullmatch(text):
        raise MalformedEntry("parties", f"not {MAX_PARTIES} bits in hex")
    bits = int(text, 16)
    return frozenset(ordinal for ordinal in range(MAX_PARTIES) if bits >> ordinal & 1)


_FIELDS: Final = frozenset(each.name for each in fields(Event)) | {"v", "commit", "sealed", "pad"}


def _leaf_pattern() -> re.Pattern[bytes]:
    """Return the only spelling of a leaf as one pattern; its length, and the bounds of its integers, come on top."""
    integer = "0|[1-9][0-9]{0,15}"
    values = {name: f'"(?:{pattern.pattern})"' for name, pattern in _PATTERNS.items()}
    values |= {
        name: '"(?:{})"'.format("|".join(re.escape(each.value) for each in kind))
        for name, kind in (("type", EventType), ("outcome", Outcome), ("ret", Retention))
    }
    values |= dict.fromkeys(("commit", "sealed"), f'"{_HEX_256.pattern}"')
    values |= {"parties": f'"{_PARTY_MAP.pattern}"', "pad": '"0*"', "v": str(VERSION)}
    values |= {"t": f"(?P<t>{integer})", "caused_by": f"(?P<caused_by>{NO_CAUSE}|{integer})"}
    written = ",".join(f'"{name}":{values[name]}' for name in sorted(_FIELDS))
    return re.compile(rf"\{{{written}\}}".encode("ascii"))


_LEAF: Final = _leaf_pattern()


def is_leaf_at(index: int, leaf: bytes) -> bool:
    """Say whether `Envelope.parse_at` would read these bytes, twenty times as fast: verification asks of each entry.

    Args:
        index: the entry's, at most 2^53.
        leaf: its bytes.
    """
    if len(leaf) != LEAF_BYTES:
        return False
    match = _LEAF.fullmatch(leaf)
    # Of one length and in canonical form otherwise, so the padding has its only length too.
    return match is not None and int(match["t"]) <= _MAX_INTEGER and int(match["caused_by"]) < index
