"""The key that a party opens its own details of the log with, offline: an X-Wing pair, the private half at its own.

parties/ID/reading.key    in `$CLEANROOM_HOME`: the label's line and the seed, 64 hexadecimal digits, mode 0600
FILE.pub                  what the room is given: 2432 hexadecimal digits and, in a second line, a signed request

The pair is of the kind that uploads are sealed to (`key_management.transport`): hybrid, so that what leaves the room
today is not opened by whoever has a quantum computer later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.identifiers import Digest, PartyId, Role
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR, private_directory, read_seed, write_private
from cleanroom.room.signed_request import SignedRequest, read_request
from key_management import SecretKey, TransportKey
from key_management.transport import PUBLIC_KEY_BYTES

if TYPE_CHECKING:
    from cleanroom.identifiers import RoomId
    from cleanroom.room.home import Home
    from cleanroom.room.room import Room

ACTION: Final = "reading key"
_LABEL: Final = "cleanroom/reading-key/v1"
_HEX: Final = re.compile(rf"[0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}}", re.ASCII)


def reading_key_path(home: Home, party: PartyId) -> Path:
    """Return where a party's reading key is kept."""
    return home.path / "parties" / party / "reading.key"


def make_reading_key(home: Home, party: PartyId) -> bytes:
    """Make a party's reading key, or keep the one there is; return its public half."""
    path = reading_key_path(home, party)
    if not path.exists():
        private_directory(path.parent)
        seed = SecretKey.generate().reveal_secret_bytes()
        write_private(path, f"{_LABEL}\n{seed.hex()}\n".encode())
    return read_reading_key(path).public_bytes()


def read_reading_key(path: Path) -> TransportKey:
    """Read a private reading key from its file.

    Raises:
        Fault: it is not there, others may read it, or it is something else.
    """
    missing = Fault(
        Bilingual(f"la clé de lecture n'est pas là : {path}", f"the reading key is not there: {path}"),
        code="reading_key_missing",
    )
    return TransportKey.from_seed(SecretKey.adopt(read_seed(path, _LABEL, missing=missing)))


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a party hands over of its reading key.

    Args:
        request: that the room is to take it, signed; None where that is for whoever registers it to have signed.
    """

    public: bytes
    request: SignedRequest | None = None

    def encode(self) -> bytes:
        """Return the file: the key in hexadecimal digits, and in a second line the request if there is one."""
        lines = [self.public.hex().encode(), *([] if self.request is None else [self.request.encode()])]
        return b"\n".join([*lines, b""])


def handed_over(path: Path) -> HandedOver:
    """Read the file that a party handed over, else raise `UsageError`."""
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
        written = first.decode("ascii").strip().lower()
    except (OSError, UnicodeDecodeError):
        written, rest = "", b""
    if _HEX.fullmatch(written) is None:
        raise UsageError(
            Bilingual(
                f"{path} n'est pas une clé publique de lecture ({2 * PUBLIC_KEY_BYTES} chiffres hexadécimaux)",
                f"{path} is no public reading key ({2 * PUBLIC_KEY_BYTES} hexadecimal digits)",
            ),
            code="invalid_public_key",
        )
    return HandedOver(bytes.fromhex(written), read_request(rest) if rest.strip() else None)


def key_facts(room: Room, party: PartyId, public: bytes) -> dict[str, object]:
    """Return what the log's details say of a reading key: whose it is, and what the public part calls that party.

    From this entry, which its leaf commits to, a reader far from the room learns which entries are its own.
    """
    return {"reading_key": str(Digest.of(public)), "pseudonym": room.journal.pseudonym(party)}


def sign_reading_key(home: Home, room: RoomId, party: PartyId, public: bytes, *, at: int) -> SignedRequest:
    """Sign, with the party's key on this machine, that its details are to be sealed to a reading key from now on."""
    content = {"reading_key": str(Digest.of(public))}
    return SignedRequest.sign(home.signing_key(party), room=room, party=party, action=ACTION, content=content, at=at)


def register_reading_key(room: Room, public: bytes, request: SignedRequest) -> int:
    """Take a party's reading key, in the place of the one it had; return the log's entry.

    Raises:
        UsageError: it is not the key that was signed, another party has it, or the operator wants one.
        NotVerified: it is not signed by its party for this.
    """
    party = room.verified(request, ACTION)
    if party.role is Role.OPERATOR:
        raise UsageError(
            Bilingual(
                "l'opérateur lit avec la clé de la salle ; il n'a pas de clé de lecture",
                "the operator reads with the room's key; it has no reading key",
            ),
            code="operator_reads",
        )
    if request.content != {"reading_key": str(Digest.of(public))}:
        raise UsageError(
            Bilingual("ce n'est pas la clé qui a été signée", "this is not the key that was signed"),
            code="request_not_signed",
        )
    with transaction(room.connection):
        at = room.take(request)
        require_unused(room, party.party, public)
        room.connection.execute("UPDATE party SET reading_key = ? WHERE party = ?", (public, party.party))
        return room.journal.append(
            room.connection,
            EventType.KEY_REGISTERED,
            at=at,
            actor=party.party,
            ordinals=(party.ordinal,),
            details={
                "party": party.party,
                **key_facts(room, party.party, public),
                **request.entered(),
            },
        )


def require_unused(room: Room, party: PartyId, public: bytes) -> None:
    """Check that nobody else reads with a key; inside the caller's transaction."""
    others = {name: each for name, each in registry.parties(room.connection).items() if name not in {party, OPERATOR}}
    if any(each.reading_key == public for each in others.values()):
        raise UsageError(
            Bilingual("une autre partie a cette clé de lecture", "another party has this reading key"),
            code="reading_key_taken",
        )
