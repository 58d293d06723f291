"""What a party asks of the room, signed with its key, so that the log's entry can be held against it.

The signature covers a label and the canonical JSON of the request: room, party, action, content, a fresh id and the
time. The room takes each id once; a request that was answered cannot be sent again by somebody else.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cleanroom.errors import Bilingual, NotVerified, UsageError
from cleanroom.identifiers import PartyId, RoomId

LABEL: Final = b"cleanroom/request/v1\0"
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

Content = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request and its signature.

    Args:
        action: what is asked: query, preview, check, catalog, …
        content: the action's arguments; texts, integers, booleans, None, lists and mappings.
        at: Unix time in seconds, the party's claim.
    """

    room: RoomId
    party: PartyId
    action: str
    content: Content
    request_id: str
    at: int
    signature: bytes

    @classmethod
    def sign(
        cls, key: Ed25519PrivateKey, *, room: RoomId, party: PartyId, action: str, content: Content, at: int
    ) -> SignedRequest:
        """Sign a new request."""
        request_id = secrets.token_hex(16)
        message = _message(room, party, action, content, request_id, at)
        return cls(room, party, action, content, request_id, at, key.sign(message))

    def verify(self, key: Ed25519PublicKey, room: RoomId, action: str) -> None:
        """Raise `NotVerified` unless this party signed this request for this room and this action."""
        message = _message(self.room, self.party, self.action, self.content, self.request_id, self.at)
        try:
            if self.room != room or self.action != action or _ID.fullmatch(self.request_id) is None:
                raise InvalidSignature
            key.verify(self.signature, message)
        except InvalidSignature:
            raise NotVerified(
                Bilingual(
                    f"la demande n'est pas signée par {self.party} pour cela, dans cette salle",
                    f"the request is not signed by {self.party} for this, in this room",
                ),
                code="request_not_signed",
            ) from None

    def encode(self) -> bytes:
        """Return the request and its signature as canonical JSON."""
        body = {
            "room": self.room,
            "party": self.party,
            "action": self.action,
            "content": dict(self.content),
            "id": self.request_id,
            "at": self.at,
            "signature": self.signature.hex(),
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def entered(self) -> dict[str, object]:
        """Return what an entry's details say of the request, so that its signature can be held against it."""
        return {"request": self.request_id, "requested_at": self.at, "signature": self.signature.hex()}

    @classmethod
    def decode(cls, encoded: bytes) -> SignedRequest:
        """Read what `encode` wrote; the signature is not checked here."""
        body = json.loads(encoded)
        return cls(
            RoomId(body["room"]),
            PartyId(body["party"]),
            body["action"],
            body["content"],
            body["id"],
            body["at"],
            bytes.fromhex(body["signature"]),
        )


def read_request(content: bytes) -> SignedRequest:
    """Read a request that a party signed elsewhere and handed over; whether it holds is `verify`'s to say.

    Raises:
        UsageError: it is none.
    """
    try:
        request = SignedRequest.decode(content)
        texts = (request.room, request.party, request.action, request.request_id)
        if not all(isinstance(each, str) for each in texts) or type(request.at) is not int:
            raise TypeError(texts)
        if not isinstance(request.content, dict):
            raise TypeError(request.content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(
            Bilingual("ce n'est pas une demande signée", "this is no signed request"), code="no_signed_request"
        ) from None
    return request


def _message(room: RoomId, party: PartyId, action: str, content: Content, request_id: str, at: int) -> bytes:
    body = {"room": room, "party": party, "action": action, "content": content, "id": request_id, "at": at}
    return LABEL + json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
