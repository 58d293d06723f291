"""Hand the linkage key from one member to another, through anybody's hands, the operator's too.

The one who lacks it asks, with its reading key and under its signature; one who has it seals it to that key and signs
that; the asker opens it. Both signatures are checked against a public key that its owner told the other by another
way. Without the first, whoever carries the files could ask in a member's name and would have the key; without the
second, it could hand out a key of its own, and read back the identifiers of whoever makes tokens under it.

    cleanroom/linkage-request/v1   or   cleanroom/linkage-handover/v1, and a line feed
    the signed request as canonical JSON, and a line feed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.client.linkage import LinkageKey, keep_linkage_key, linkage_path, read_linkage_key
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.identifiers import Epoch
from cleanroom.partition.manifest import is_epoch
from cleanroom.room.reading_key import make_reading_key, read_reading_key, reading_key_path
from cleanroom.room.signed_request import SignedRequest, read_request
from key_management import KeyManagementError
from key_management.transport import bind, seal

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from cleanroom.identifiers import PartyId, RoomId
    from cleanroom.room.home import Home

ASK: Final = "linkage ask"
GIVE: Final = "linkage give"
_LABELS: Final = {ASK: b"cleanroom/linkage-request/v1\n", GIVE: b"cleanroom/linkage-handover/v1\n"}


def ask_linkage_key(home: Home, room: RoomId, party: PartyId, *, at: int) -> SignedRequest:
    """Sign, with a member's key on this machine, that it asks for the linkage key, sealed to its reading key."""
    signing, public = home.signing_key(party), make_reading_key(home, party)
    return SignedRequest.sign(signing, room=room, party=party, action=ASK, content={"reading_key": public.hex()}, at=at)


def give_linkage_key(
    home: Home, asked: SignedRequest, asker: Ed25519PublicKey, party: PartyId, epoch: Epoch | None = None, *, at: int
) -> SignedRequest:
    """Seal this machine's linkage key to a member that asked for it, and sign that.

    Args:
        asker: the asker's public key, as it told it by another way than the request.
        party: who gives.
        epoch: whose key; None where this machine has the key of one epoch only.

    Raises:
        NotVerified: the asker did not sign this request.
        Fault: the linkage key is not here.
        UsageError: several epochs and none is named, or the request holds no key.
    """
    _verify(asked, asker, ASK)
    key = read_linkage_key(_held(home, asked.room, epoch))
    if key.room != asked.room:
        raise _not_this(ASK)
    try:
        public = bytes.fromhex(str(asked.content["reading_key"]))
        sealed = seal(public, key.secret, _info(asked.room, key.epoch, party, asked.party))
    except (KeyError, ValueError, KeyManagementError):
        raise _not_this(ASK) from None
    content = {"epoch": key.epoch, "to": asked.party, "sealed": sealed.hex(), "check": key.check().hex()}
    return SignedRequest.sign(
        home.signing_key(party), room=asked.room, party=party, action=GIVE, content=content, at=at
    )


def take_linkage_key(home: Home, given: SignedRequest, giver: Ed25519PublicKey, party: PartyId) -> tuple[Path, bool]:
    """Open a linkage key that was sealed to a member, and keep it; return where, and whether it was there already.

    Args:
        giver: the giver's public key, as it told it by another way than the file.

    Raises:
        NotVerified: the giver did not sign this, or it does not open.
        UsageError: it is for somebody else, or this machine has another linkage key.
    """
    _verify(given, giver, GIVE)
    said = {name: str(value) for name, value in given.content.items()}
    if said.keys() != {"epoch", "to", "sealed", "check"} or not is_epoch(said["epoch"]):
        raise _not_this(GIVE)
    if said["to"] != party:
        raise UsageError(
            Bilingual(
                f"cette clé est remise à {said['to']}, non à {party}", f"this key is for {said['to']}, not {party}"
            ),
            code="not_for_you",
        )
    epoch = Epoch(said["epoch"])
    try:
        reading = read_reading_key(reading_key_path(home, party))
        secret = reading.open(bytes.fromhex(said["sealed"]), _info(given.room, epoch, given.party, party))
    except (ValueError, KeyManagementError):
        raise NotVerified(
            Bilingual(
                "la clé d'appariement scellée ne s'ouvre pas avec votre clé de lecture ; demandez-la de nouveau "
                "(linkage ask)",
                "the sealed linkage key does not open with your reading key; ask for it again (linkage ask)",
            ),
            code="linkage_key_sealed",
        ) from None
    key = LinkageKey(given.room, epoch, secret)
    if key.check().hex() != said["check"]:
        raise _not_this(GIVE)
    path = linkage_path(home.path, key.room, epoch)
    if not path.exists():
        keep_linkage_key(path, key)
        return path, False
    if read_linkage_key(path).check() != key.check():
        raise UsageError(
            Bilingual(
                f"cette machine a une autre clé d'appariement : {path}. Si rien de vous ne fut pris dans la salle avec "
                "elle, écartez ce fichier et recommencez ; sinon, voyez lequel de vous a la clé des autres membres",
                f"this machine has another linkage key: {path}. If the room took nothing of yours that was made with "
                "it, move that file away and begin again; else find out which of you has the other members' key",
            ),
            code="linkage_key_exists",
        )
    return path, True


def encode(request: SignedRequest) -> bytes:
    """Return the file that travels."""
    return _LABELS[request.action] + request.encode() + b"\n"


def decode(content: bytes, action: str) -> SignedRequest:
    """Read the file that travelled; whose it is, is for the other functions to check.

    Raises:
        UsageError: it is something else.
    """
    label = _LABELS[action]
    if not content.startswith(label):
        raise _not_this(action)
    return read_request(content.removeprefix(label))


def _verify(request: SignedRequest, key: Ed25519PublicKey, action: str) -> None:
    try:
        request.verify(key, request.room, action)
    except NotVerified:
        raise NotVerified(
            Bilingual(
                f"ce fichier n'est pas signé par {request.party} avec la clé publique que vous donnez ; comparez-la à "
                "ce que ce membre vous dit lui-même",
                f"this file is not signed by {request.party} with the public key that you give; compare it with what "
                "that member tells you itself",
            ),
            code="member_key_differs",
        ) from None


def _held(home: Home, room: RoomId, epoch: Epoch | None) -> Path:
    """Return where the linkage key of an epoch lies, or the only one that there is of the room."""
    if epoch is not None:
        return linkage_path(home.path, room, epoch)
    found = sorted(linkage_path(home.path, room, Epoch("1")).parent.glob("*.key"))
    if len(found) == 1:
        return found[0]
    if found:
        epochs = ", ".join(each.stem for each in found)
        raise UsageError(
            Bilingual(f"laquelle ? --epoch, parmi {epochs}", f"which one? --epoch, one of {epochs}"),
            code="several_epochs",
        )
    raise Fault(
        Bilingual(
            f"cette machine n'a pas la clé d'appariement de {room} : c'est le premier dépôt du premier membre qui la "
            "crée",
            f"this machine does not have the linkage key of {room}: the first upload of the first member makes it",
        ),
        code="linkage_key_missing",
    )


def _info(room: RoomId, epoch: Epoch, giver: PartyId, taker: PartyId) -> bytes:
    """Return what a sealed key is bound to: a key sealed for uploads or details opens nothing here, nor this there."""
    return bind(_LABELS[GIVE].strip(), room.encode(), epoch.encode(), giver.encode(), taker.encode())


def _not_this(action: str) -> UsageError:
    return UsageError(
        Bilingual(f"ce n'est pas un fichier de cleanroom {action}", f"this is no file of cleanroom {action}"),
        code="invalid_handover",
    )
