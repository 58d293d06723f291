"""Trust policies: which logs are believed, and which witnesses must have cosigned (c2sp.org/tlog-policy)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.cosignature import Cosigned, verify_cosignatures
from audit_log.errors import MalformedNote, MalformedPolicy, NotVerified, QuorumMissing
from audit_log.note import Algorithm, Verifier, parse_note

MAX_POLICY_BYTES: Final = 1 << 20
MAX_DEFINITIONS: Final = 1024  # of each kind; the specification asks for at least 32
NO_QUORUM: Final = "none"
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
# Tab, newline and everything but the other control characters.
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANKS: Final = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log that the policy believes."""

    verifier: Verifier
    url: str = ""


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness, under the name that it has within the policy."""

    name: str
    verifier: Verifier
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Members of whom `threshold` must have witnessed; a member is a witness or another group."""

    name: str
    threshold: int
    members: tuple[str, ...]


_Definition: TypeAlias = KnownWitness | Group


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that satisfies a policy, with the cosignatures of its witnesses."""

    checkpoint: Checkpoint
    cosigned: tuple[Cosigned, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """What a verifier demands of a checkpoint.

    Attributes:
        logs: the logs believed; may be empty where the log is known otherwise.
        witnesses: the witnesses known.
        groups: in the order of their lines; each names only what stands before it.
        quorum: the witness or group that must have witnessed; "none" for no one.
    """

    logs: tuple[KnownLog, ...]
    witnesses: tuple[KnownWitness, ...]
    groups: tuple[Group, ...]
    quorum: str

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a policy file.

        Raises:
            MalformedPolicy: anything that c2sp.org/tlog-policy does not allow, with the line; or above our limits.
        """
        return cls(*_Reader(content).read())

    def open(self, note: bytes, log: Verifier | None = None) -> Witnessed:
        """Return the checkpoint of a note that this policy accepts.

        Args:
            note: the signed checkpoint.
            log: the log's key where it is known otherwise; must be listed if the policy lists logs.

        Raises:
            NotVerified: no log of the policy signed it, or the cosignature of a known witness does not hold.
            QuorumMissing: it holds, but too few witnesses cosigned it.
        """
        checkpoint = open_checkpoint(note, self._log_of(note, log))
        cosigned = verify_cosignatures(note, (each.verifier for each in self.witnesses))
        if not self.satisfied_by(cosigned):
            raise QuorumMissing(self.quorum, tuple(each.witness.name for each in cosigned))
        return Witnessed(checkpoint, cosigned)

    def satisfied_by(self, cosigned: tuple[Cosigned, ...]) -> bool:
        """Say whether these witnesses are a quorum."""
        if self.quorum == NO_QUORUM:
            return True
        keys = {each.witness.public_key for each in cosigned}
        holds = {each.name: each.verifier.public_key in keys for each in self.witnesses}
        for group in self.groups:
            holds[group.name] = sum(holds[member] for member in group.members) >= group.threshold
        return holds[self.quorum]

    def _log_of(self, note: bytes, log: Verifier | None) -> Verifier:
        if log is not None:
            if self.logs and log not in {each.verifier for each in self.logs}:
                raise NotVerified("policy", "the log is not one that the policy lists")
            return log
        signed = {(each.name, each.key_id) for each in parse_note(note).signatures}
        for each in self.logs:
            if (each.verifier.name, each.verifier.key_id) in signed:
                return each.verifier
        raise NotVerified("policy", "no log that the policy lists signed this checkpoint")


class _Reader:
    """Reads a policy file line by line."""

    def __init__(self, content: bytes) -> None:
        if len(content) > MAX_POLICY_BYTES:
            raise MalformedPolicy(0, f"above {MAX_POLICY_BYTES} bytes")
        self._content = content
        self._line = 0
        self._logs: list[KnownLog] = []
        self._defined: dict[str, _Definition] = {}
        self._members: set[str] = set()
        self._keys: set[tuple[str, bytes]] = set()
        self._quorum: str | None = None

    def read(self) -> tuple[tuple[KnownLog, ...], tuple[KnownWitness, ...], tuple[Group, ...], str]:
        bad = _FORBIDDEN.search(self._content)
        if bad is not None:
            raise MalformedPolicy(self._content.count(b"\n", 0, bad.start()) + 1, "a control character")
        if not self._content.endswith(b"\n"):
            raise MalformedPolicy(self._content.count(b"\n") + 1, "the last line does not end with a newline")
        # Octets above 0x7F are opaque: whatever is not UTF-8 keeps its bytes, and different bytes stay different.
        for number, line in enumerate(self._content.decode("utf-8", "surrogateescape").split("\n"), 1):
            self._line = number
            words = [word for word in _BLANKS.split(line) if word]
            if words and not words[0].startswith("#"):
                self._define(words)
        if self._quorum is None:
            raise self._wrong("no quorum line")
        witnesses = tuple(each for each in self._defined.values() if isinstance(each, KnownWitness))
        groups = tuple(each for each in self._defined.values() if isinstance(each, Group))
        return tuple(self._logs), witnesses, groups, self._quorum

    def _define(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                if len(self._logs) == MAX_DEFINITIONS:
                    raise self._wrong(f"more than {MAX_DEFINITIONS} logs")
                self._logs.append(KnownLog(self._key("log", vkey, Algorithm.ED25519), *words[2:]))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._name(name, KnownWitness(name, self._key("witness", vkey, Algorithm.COSIGNATURE), *words[3:]))
            case ["group", name, threshold, *members] if members:
                self._name(name, self._group(name, threshold, members))
            case ["quorum", name]:
                if self._quorum is not None:
                    raise self._wrong("a second quorum line")
                if name != NO_QUORUM and name not in self._defined:
                    raise self._wrong("the quorum is not defined on a line before")
                self._quorum = name
            case _:
                raise self._wrong("not a log, witness, group or quorum line")

    def _key(self, kind: str, vkey: str, algorithm: Algorithm) -> Verifier:
        try:
            verifier = Verifier.from_vkey(vkey)
        except MalformedNote as error:
            raise self._wrong(error.reason) from error
        if verifier.algorithm is not algorithm:
            raise self._wrong(f"a {kind}'s key has the signature type {algorithm.value:#04x}")
        if (kind, verifier.public_key) in self._keys:
            raise self._wrong(f"two {kind} lines have one public key")
        self._keys.add((kind, verifier.public_key))
        return verifier

    def _name(self, name: str, definition: _Definition) -> None:
        if name == NO_QUORUM or name in self._defined:
            raise self._wrong("the name is taken")
        if len(self._defined) == 2 * MAX_DEFINITIONS:
            raise self._wrong(f"more than {2 * MAX_DEFINITIONS} witnesses and groups")
        self._defined[name] = definition

    def _group(self, name: str, written: str, members: list[str]) -> Group:
        for member in members:
            if member not in self._defined:
                raise self._wrong("a member is not defined on a line before")
            # So that each witness counts towards the quorum in one way only.
            if member in self._members:
                raise self._wrong("a name is a member twice")
            self._members.add(member)
        named: Mapping[str, int] = {"any": 1, "all": len(members)}
        if written not in named and not _THRESHOLD.fullmatch(written):
            raise self._wrong("a threshold is any, all or a number")
        threshold = named[written] if written in named else int(written)
        if threshold > len(members):
            raise self._wrong("the threshold is above the number of members")
        return Group(name, threshold, tuple(members))

    def _wrong(self, reason: str) -> MalformedPolicy:
        return MalformedPolicy(self._line, reason)
