"""What a key is called, what it is for, and whether it still exists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, assert_never

from key_management.errors import InvalidKeyId

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}", re.ASCII)


class KeyKind(StrEnum):
    """Say what a key protects."""

    ROOT = "root"
    MEMBER = "member"
    DATA = "data"
    TRANSPORT = "transport"
    LOG_SIGNING = "log_signing"
    LOG_DETAILS = "log_details"
    ANSWER = "answer"


class KeyState(StrEnum):
    """Say whether a key can still be opened. Stored values have one length, so that destroying moves no bytes."""

    ACTIVE = "A"
    DESTROYED = "D"


def permitted_parents(kind: KeyKind) -> frozenset[KeyKind]:
    """Return the kinds of key that may wrap a key of this kind."""
    match kind:
        case KeyKind.ROOT:
            return frozenset()
        case KeyKind.MEMBER | KeyKind.TRANSPORT | KeyKind.LOG_SIGNING:
            return frozenset({KeyKind.ROOT})
        case KeyKind.DATA:
            return frozenset({KeyKind.MEMBER})
        case KeyKind.LOG_DETAILS:
            # One key for the room, or one for each member, each over a key for one entry.
            return frozenset({KeyKind.ROOT, KeyKind.MEMBER, KeyKind.LOG_DETAILS})
        case KeyKind.ANSWER:
            # One key for the room, over a key for each stored answer, which may concern several members.
            return frozenset({KeyKind.ROOT, KeyKind.ANSWER})
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True, order=True)
class KeyId:
    """Name one key for ever; the id of a destroyed key is never given again.

    Args:
        kind: what the key protects.
        name: 1 to 200 ASCII characters, letters, digits and ``. _ : / @ + -``, starting with a letter or digit.

    Raises:
        InvalidKeyId: the name has another form.
    """

    kind: KeyKind
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.kind, KeyKind):
            raise TypeError("the kind of a key is a KeyKind")
        if not isinstance(self.name, str) or _NAME.fullmatch(self.name) is None:
            raise InvalidKeyId("a key's name has 1 to 200 letters, digits or . _ : / @ + -, a letter or digit first")

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}"

    @classmethod
    def root(cls) -> Self:
        """Return the id of the root key, the parent of every first-level key."""
        return cls(KeyKind.ROOT, "root")
