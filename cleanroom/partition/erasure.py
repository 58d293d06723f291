"""Say who is to be erased: tokens, by epoch and kind, sealed to the room and bound to what their member signs.

What is signed, and logged, is a commitment: HMAC-SHA-256 of the list under 32 random bytes that travel with the list
and are kept nowhere. So neither the log's leaf nor its details hold a token, or a hash of one that could be tried
against e-mails; and what they hold has one length, whoever and however many are erased.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cleanroom.errors import Bilingual, NotVerified
from cleanroom.identifiers import Epoch, InvalidName, parse_token_kind
from cleanroom.partition.manifest import is_epoch
from cleanroom.partition.table_layout import TOKEN_BYTES
from key_management.binding import bind
from key_management.content import open_content, seal_content
from key_management.errors import KeyManagementError
from key_management.secret import SecretKey
from key_management.transport import SEALED_KEY_BYTES, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cleanroom.identifiers import PartyId, RoomId, TokenKind

_COMMITMENT_LABEL: Final = b"cleanroom/erasure/v1"
_SEALING_LABEL: Final = b"cleanroom/erasure/v1/list"
_NONCE_BYTES: Final = 32
_HEX: Final = re.compile(r"([0-9a-f]{2})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one epoch and one kind.

    Args:
        tokens: 16 bytes each, increasing, none twice.

    Raises:
        ValueError: they are not.
    """

    epoch: Epoch
    kind: TokenKind
    tokens: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not is_epoch(self.epoch) or any(len(each) != TOKEN_BYTES for each in self.tokens):
            raise ValueError("tokens")
        if list(self.tokens) != sorted(set(self.tokens)):
            raise ValueError("tokens")


@dataclass(frozen=True, slots=True)
class ErasureList:
    """Who is to be erased.

    Args:
        blinding: 32 random bytes, of this list alone.
        groups: one for each epoch and kind, in order.

    Raises:
        ValueError: nobody is, or an epoch and kind stands there twice.
    """

    blinding: bytes
    groups: tuple[Tokens, ...]

    def __post_init__(self) -> None:
        named = [(each.epoch, each.kind) for each in self.groups]
        if len(self.blinding) != _NONCE_BYTES or named != sorted(set(named)):
            raise ValueError("list")
        if not any(each.tokens for each in self.groups):
            raise ValueError("nobody")

    @classmethod
    def of(cls, groups: Iterable[Tokens]) -> Self:
        """Return a list with a blinding of its own."""
        return cls(secrets.token_bytes(_NONCE_BYTES), tuple(sorted(groups, key=lambda each: (each.epoch, each.kind))))

    def tokens(self, epoch: Epoch, kind: TokenKind) -> tuple[bytes, ...]:
        """Return the tokens of an epoch and a kind, which may be none."""
        return next((each.tokens for each in self.groups if (each.epoch, each.kind) == (epoch, kind)), ())

    def commitment(self) -> str:
        """Return what the member signs for the list: 64 hexadecimal digits that tell nothing of it."""
        return hmac.digest(self.blinding, bind(_COMMITMENT_LABEL, self._encode()), hashlib.sha256).hex()

    def sealed(self, transport_key: bytes, room: RoomId, party: PartyId) -> bytes:
        """Return the list, sealed to the room for this member and this commitment.

        Args:
            transport_key: the room's public key for sealing, 1216 bytes.

        Raises:
            InvalidPublicKey: it is none.
        """
        key, info = SecretKey.generate(), _info(room, party, self.commitment())
        return seal(transport_key, key, info) + seal_content(key, self.blinding + self._encode(), info)

    @classmethod
    def opened(
        cls,
        sealed: bytes,
        room: RoomId,
        party: PartyId,
        commitment: str,
        open_sealed: Callable[[bytes, bytes], SecretKey],
    ) -> Self:
        """Return the list that was sealed, if it is the one that was signed.

        Args:
            commitment: what the member signed.
            open_sealed: opens a sealed key, given what it is bound to: `TransportKey.open`.

        Raises:
            NotVerified: it does not open here, or is another.
        """
        info = _info(room, party, commitment)
        try:
            content = open_content(open_sealed(sealed[:SEALED_KEY_BYTES], info), sealed[SEALED_KEY_BYTES:], info)
            listed = cls(content[:_NONCE_BYTES], tuple(_groups(content[_NONCE_BYTES:])))
            if not hmac.compare_digest(listed.commitment(), commitment):
                raise ValueError("commitment")
        except (KeyManagementError, ValueError, KeyError, TypeError, RecursionError, InvalidName):
            raise NotVerified(
                Bilingual(
                    "la liste scellée des personnes à effacer n'est pas celle que le membre a signée, pour cette salle",
                    "the sealed list of people to erase is not the one that the member signed, for this room",
                ),
                code="erasure_list_refused",
            ) from None
        return listed

    def _encode(self) -> bytes:
        body = [[each.epoch, each.kind, b"".join(each.tokens).hex()] for each in self.groups]
        return json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode()


def _info(room: RoomId, party: PartyId, commitment: str) -> bytes:
    return bind(_SEALING_LABEL, room.encode(), party.encode(), commitment.encode())


def _groups(content: bytes) -> Iterable[Tokens]:
    for epoch, kind, digits in json.loads(content):
        if _HEX.fullmatch(digits) is None:
            raise ValueError("tokens")
        octets = bytes.fromhex(digits)
        tokens = tuple(octets[at : at + TOKEN_BYTES] for at in range(0, len(octets), TOKEN_BYTES))
        yield Tokens(Epoch(epoch), parse_token_kind(kind), tokens)
