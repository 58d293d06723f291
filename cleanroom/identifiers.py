"""Name the things of a room: parties, tables, columns, digests."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
"""What a party, a table or a column may be called (DESIGN §9). ASCII only, so that no two names look alike."""

DEFAULT_REGION: Final = "CA"
"""Where a phone number without a country's code is dialled, unless the table's file says otherwise."""

RESERVED_PARTY: Final = "public"
"""The owner's part of a reference table's name, `public.regions`; nobody may be called that."""

PartyId = NewType("PartyId", str)
RoomId = NewType("RoomId", str)
UploadId = NewType("UploadId", str)
Epoch = NewType("Epoch", str)
Purpose = NewType("Purpose", str)
TokenKind = NewType("TokenKind", str)
"""What a token says of its making: `email`, `phone`, `opaque`, or `opaque:NAME` for one number space (S10)."""


class Role(StrEnum):
    """What a party is in the room."""

    MEMBER = "member"
    OBSERVATOIRE = "observatoire"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class IdentifierKind(StrEnum):
    """What a privacy unit's token is made from; tokens of different kinds never meet (S10)."""

    EMAIL = "email"
    PHONE = "phone"
    OPAQUE = "opaque"


class ErasureGround(StrEnum):
    """On which ground a person is erased, as the log's public part writes it; a closed list."""

    QC_28 = "qc-28"
    """P-39.1 s. 28: the law did not authorise the collection."""
    QC_CCQ_40 = "qc-ccq-40"
    """Civil Code of Québec art. 40: out of date, or not justified by the purpose of the file."""
    QC_8 = "qc-8"
    """P-39.1 s. 8: the person withdrew consent."""
    QC_23 = "qc-23"
    """P-39.1 s. 23: the purpose is achieved."""
    GDPR_17_1_A = "gdpr-17-1-a"
    GDPR_17_1_B = "gdpr-17-1-b"
    GDPR_17_1_C = "gdpr-17-1-c"
    GDPR_17_1_D = "gdpr-17-1-d"
    GDPR_17_1_E = "gdpr-17-1-e"
    GDPR_17_1_F = "gdpr-17-1-f"
    """RGPD 17(1): no longer necessary, consent withdrawn, objection, unlawful, legal obligation, child."""


class InvalidName(ValueError):
    """A name outside `[a-z][a-z0-9_]*`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"not a name: {name!r} (lowercase ASCII letters, digits and _, starting with a letter)")
        self.name = name


def identifier(text: str) -> str:
    """Return `text` if it is a name, else raise `InvalidName`."""
    if IDENTIFIER.fullmatch(text) is None:
        raise InvalidName(text)
    return text


def token_kind(kind: IdentifierKind, namespace: str | None = None) -> TokenKind:
    """Name the kind that tokens are made and kept apart by.

    Args:
        namespace: the number space of opaque identifiers; None for the room's common one, and for other kinds.

    Raises:
        InvalidName: the namespace is no name, or the kind has none.
    """
    if namespace is None:
        return TokenKind(kind.value)
    if kind is not IdentifierKind.OPAQUE:
        raise InvalidName(namespace)
    return TokenKind(f"{kind.value}:{identifier(namespace)}")


def parse_token_kind(text: str) -> TokenKind:
    """Return the kind of tokens called `text`, else raise `InvalidName`."""
    kind, colon, namespace = text.partition(":")
    if kind not in set(IdentifierKind):
        raise InvalidName(text)
    return token_kind(IdentifierKind(kind), namespace if colon else None)


def fold(name: str) -> str:
    """Fold the case of ASCII letters, and of no other: U+212A is no k (DESIGN §9)."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in name)


def party_id(text: str) -> PartyId:
    """Return the party called `text`, else raise `InvalidName`."""
    if text == RESERVED_PARTY:
        raise InvalidName(text)
    return PartyId(identifier(text))


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A member's table, `owner.name`."""

    owner: PartyId
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read `owner.name`, else raise `InvalidName`."""
        owner, dot, name = text.partition(".")
        if not dot:
            raise InvalidName(text)
        return cls(party_id(owner), identifier(name))

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest, 32 bytes."""

    value: bytes

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """Digest `content`."""
        return cls(hashlib.sha256(content).digest())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:` and 64 lowercase hexadecimal digits, else raise ValueError."""
        prefix, _, digits = text.partition(":")
        if prefix != "sha256" or re.fullmatch(r"[0-9a-f]{64}", digits, re.ASCII) is None:
            raise ValueError(f"not a digest: {text!r}")
        return cls(bytes.fromhex(digits))

    def __str__(self) -> str:
        return f"sha256:{self.value.hex()}"
