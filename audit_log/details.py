"""Details: what is known of an event beyond its envelope, encrypted under a key of its own.

Per entry, a random 32-byte key k. The leaf holds a commitment under k and the digest of the ciphertext; k itself lies
wrapped for each reader. To erase the details for good is to destroy k: the leaf, the tree and every proof stay valid.
What leaves the room for many readers at once holds k in slots instead, which say nothing of whose they are.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit_log.entry import UNSEALED, Envelope, Event, around_seal
from audit_log.errors import MalformedEntry, NotVerified

KEY_BYTES: Final = 32
BLOCK_BYTES: Final = 4096
MAX_DETAILS_BYTES: Final = 1 << 20
WRAPPED_BYTES: Final = 12 + KEY_BYTES + 16
_NONCE_BYTES: Final = 12
_LENGTH_BYTES: Final = 4
_MAX_DEPTH: Final = 32
_COMMIT_LABEL: Final = b"dcr-audit-commit-v1\0"
_DETAILS_LABEL: Final = b"dcr-audit-details-v1"
_WRAP_LABEL: Final = b"dcr-audit-wrap-v1\0"
_VEIL_LABEL: Final = b"dcr-audit-veil-v1"
_SLOT: Final = "slot"  # the reader's name in a slot, which does not say whose it is
_SLOT_NAME: Final = _SLOT.encode("ascii")
_TAG_BYTES: Final = 16
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_READER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SealedDetails:
    """Details as they are stored.

    Attributes:
        ciphertext: AES-256-GCM, a multiple of 4096 bytes and a tag of 16.
        wraps: for each reader, the entry's key under the reader's: nonce, ciphertext, tag; 60 bytes.
    """

    ciphertext: bytes
    wraps: Mapping[str, bytes]

    def digest(self) -> str:
        """Return what the leaf says of the ciphertext, its SHA-256 in hex."""
        return hashlib.sha256(self.ciphertext).hexdigest()


def canonical_details(details: Mapping[str, object]) -> bytes:
    """Write details as canonical JSON: sorted keys, no spaces, ASCII.

    Args:
        details: strings, integers, booleans, None, and lists, tuples and mappings of these. No floats: an amount is
            written as a string, exactly.

    Raises:
        MalformedEntry: another kind of value, nested above 32 levels, or above 1 MiB.
    """
    text = _CANONICAL.encode(_plain(details, _MAX_DEPTH))
    if len(text) > MAX_DETAILS_BYTES:
        raise MalformedEntry("details", f"above {MAX_DETAILS_BYTES} bytes")
    return text.encode("ascii")


def _plain(value: object, depth: int) -> object:
    if depth == 0:
        raise MalformedEntry("details", f"nested above {_MAX_DEPTH} levels")
    # Nearly all is of these very types, and an abstract one is slow to ask for.
    if type(value) is str or value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise MalformedEntry("details", "an integer is above 64 bits")
        return value
    if type(value) is list or isinstance(value, (list, tuple)):
        return [_plain(each, depth - 1) for each in value]
    if type(value) is dict or isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise MalformedEntry("details", "a key is not a string")
        return {str(key): _plain(each, depth - 1) for key, each in value.items()}
    raise MalformedEntry("details", f"a {type(value).__name__} cannot be written exactly")


def _require_key(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise MalformedEntry("readers", f"a reader's key has {KEY_BYTES} bytes")
    return key


def _binding(envelope: Envelope) -> bytes:
    """Return what ties ciphertext and wraps to their entry: the leaf's digest, as before it was sealed.

    The leaf holds the ciphertext's digest, so the ciphertext cannot be bound to the finished leaf: that would be a
    circle. Everything else in the leaf, its random id foremost, is bound.
    """
    return _binding_around(*around_seal(envelope.event, envelope.commit))


def _binding_around(before: str, after: str) -> bytes:
    return hashlib.sha256(f"{before}{UNSEALED}{after}".encode("ascii")).digest()


def _commit(key: bytes, canonical: bytes) -> str:
    return hmac.digest(key, _COMMIT_LABEL + canonical, "sha256").hex()


def _cipher(key: bytes) -> tuple[AESGCM, bytes]:
    # The entry's key encrypts one message, ever: its nonce is derived with it.
    stream = HKDF(algorithm=SHA256(), length=KEY_BYTES + _NONCE_BYTES, salt=None, info=_DETAILS_LABEL).derive(key)
    return AESGCM(stream[:KEY_BYTES]), stream[KEY_BYTES:]


def _wrap(key: bytes, *, reader: str, kek: bytes, binding: bytes, nonce: bytes) -> bytes:
    return nonce + AESGCM(_require_key(kek)).encrypt(nonce, key, _WRAP_LABEL + binding + reader.encode("ascii"))


def _wrap_all(key: bytes, binding: bytes, readers: Mapping[str, bytes], nonces: bytes) -> dict[str, bytes]:
    wraps = {}
    for at, (reader, kek) in enumerate(readers.items()):
        if not _READER.fullmatch(reader):
            raise MalformedEntry("readers", "a reader's name is not in the form that the log allows")
        nonce = nonces[at * _NONCE_BYTES : (at + 1) * _NONCE_BYTES]
        wraps[reader] = _wrap(key, reader=reader, kek=kek, binding=binding, nonce=nonce)
    if not wraps:
        raise MalformedEntry("readers", "details without a reader could never be opened")
    return wraps


def seal(event: Event, canonical: bytes, readers: Mapping[str, bytes]) -> tuple[bytes, SealedDetails]:
    """Encrypt an event's details and finish its leaf.

    Args:
        event: what happened.
        canonical: what only readers may know of it, from `canonical_details`.
        readers: for each reader by name, the 32-byte key under which it will find the entry's key; at least one.

    Returns:
        The leaf, which `Envelope.parse` reads, and what lies beside it.

    Raises:
        MalformedEntry: readers that cannot be served, or names too long together.
    """
    # Drawn at once: each call of the system lets other threads in, and many append at the same time.
    drawn = secrets.token_bytes(KEY_BYTES + _NONCE_BYTES * len(readers))
    key = drawn[:KEY_BYTES]
    before, after = around_seal(event, _commit(key, canonical))
    binding = _binding_around(before, after)
    cipher, nonce = _cipher(key)
    framed = len(canonical).to_bytes(_LENGTH_BYTES, "big") + canonical
    padded = framed + bytes(-len(framed) % BLOCK_BYTES)
    wraps = _wrap_all(key, binding, readers, drawn[KEY_BYTES:])
    sealed = SealedDetails(cipher.encrypt(nonce, padded, binding), wraps)
    return f"{before}{sealed.digest()}{after}".encode("ascii"), sealed


def open_details(
    envelope: Envelope, ciphertext: bytes, wrapped: bytes, *, reader: str, kek: bytes
) -> dict[str, object]:
    """Decrypt details and check them against what the leaf commits to.

    Args:
        envelope: the entry.
        ciphertext: the stored details.
        wrapped: the entry's key for this reader.
        reader: the reader's name.
        kek: the reader's key, 32 bytes.

    Raises:
        NotVerified: another key, other details than the entry's, or altered.
    """
    if not hmac.compare_digest(hashlib.sha256(ciphertext).hexdigest(), envelope.sealed):
        raise NotVerified("details", "not the ciphertext that the entry seals")
    return _opened(envelope, ciphertext, _unwrap(envelope, wrapped, reader=reader, kek=kek))


def _opened(envelope: Envelope, ciphertext: bytes, key: bytes) -> dict[str, object]:
    cipher, nonce = _cipher(key)
    try:
        padded = cipher.decrypt(nonce, ciphertext, _binding(envelope))
    except InvalidTag as error:
        raise NotVerified("details", "the ciphertext does not open") from error
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    canonical = padded[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if len(canonical) != length or any(padded[_LENGTH_BYTES + length :]):
        raise NotVerified("details", "the padding is not in its only form")
    if not hmac.compare_digest(_commit(key, canonical), envelope.commit):
        raise NotVerified("details", "not the details that the entry commits to")
    values = json.loads(canonical)
    if not isinstance(values, dict) or canonical_details(values) != canonical:
        raise NotVerified("details", "not in their canonical form")
    return values


def _unwrap(envelope: Envelope, wrapped: bytes, *, reader: str, kek: bytes) -> bytes:
    if len(wrapped) != WRAPPED_BYTES or not _READER.fullmatch(reader):
        raise NotVerified("details", "not a wrapped key")
    label = _WRAP_LABEL + _binding(envelope) + reader.encode("ascii")
    try:
        return AESGCM(_require_key(kek)).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], label)
    except InvalidTag as error:
        raise NotVerified("details", "the key does not open under this reader's") from error


def rewrap(
    envelope: Envelope, wrapped: bytes, *, reader: str, kek: bytes, readers: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Wrap an entry's key again, for other readers or under their next keys.

    Args:
        envelope: the entry.
        wrapped: the entry's key for a present reader.
        reader: the present reader's name.
        kek: the present reader's key, 32 bytes.
        readers: for each reader from now on, the 32-byte key; at least one.

    Raises:
        NotVerified: the present reader's key does not open it.
        MalformedEntry: readers that cannot be served.
    """
    key = _unwrap(envelope, wrapped, reader=reader, kek=kek)
    return _wrap_all(key, _binding(envelope), readers, secrets.token_bytes(_NONCE_BYTES * len(readers)))


@dataclass(frozen=True, slots=True)
class Veiled:
    """An entry's details on their way out of the room.

    Attributes:
        content: the ciphertext, encrypted once more and padded: its length tells a power of four of blocks, and nobody
            but a reader can try lengths of it against the digest in the leaf. Empty where the details were erased.
        slots: of 60 bytes each; in some of them a reader finds the entry's key.
    """

    content: bytes
    slots: tuple[bytes, ...]


def veiled_length(blocks: int) -> int:
    """Return the length of veiled content for a number of blocks of 4096 bytes."""
    return _NONCE_BYTES + _LENGTH_BYTES + blocks * BLOCK_BYTES + 2 * _TAG_BYTES


def veil(
    envelope: Envelope,
    ciphertext: bytes,
    wrapped: bytes,
    *,
    reader: str,
    kek: bytes,
    keys: Sequence[bytes],
    count: int,
    least_blocks: int = 1,
) -> Veiled:
    """Make ready what leaves of an entry's details: its key in slots that do not tell whose they are.

    A wrapped key (random nonce, AES-256-GCM) cannot be told from random bytes without its reader's key, so neither can
    it from an empty slot; in the order of their bytes, which are random, their order says nothing either.

    Args:
        envelope: the entry.
        ciphertext: its details as they are stored.
        wrapped: the entry's key for a present reader.
        reader: the present reader's name.
        kek: the present reader's key, 32 bytes.
        keys: of each reader that is to open it, the 32-byte key; fresh for this occasion.
        count: how many slots there are, from what every reader of the log knows.
        least_blocks: the content is no shorter than this, for entries whose length would tell something.

    Raises:
        NotVerified: the present reader's key does not open it.
        MalformedEntry: more readers than slots, or a key of another length.
    """
    if len(keys) > count:
        raise MalformedEntry("readers", f"{len(keys)} for {count} slots")
    key = _unwrap(envelope, wrapped, reader=reader, kek=kek)
    binding = _binding(envelope)
    held = [
        _wrap(key, reader=_SLOT, kek=each, binding=binding, nonce=secrets.token_bytes(_NONCE_BYTES)) for each in keys
    ]
    blocks = 1
    while blocks < least_blocks or _TAG_BYTES + blocks * BLOCK_BYTES < len(ciphertext):
        blocks *= 4
    framed = len(ciphertext).to_bytes(_LENGTH_BYTES, "big") + ciphertext
    nonce = secrets.token_bytes(_NONCE_BYTES)
    room = _LENGTH_BYTES + blocks * BLOCK_BYTES + _TAG_BYTES - len(framed)
    content = nonce + _veil_cipher(key).encrypt(nonce, framed + bytes(room), binding)
    empty = [secrets.token_bytes(WRAPPED_BYTES) for _ in range(count - len(keys))]
    return Veiled(content, tuple(sorted(held + empty)))


def unveil(envelope: Envelope, veiled: Veiled, *, kek: bytes) -> dict[str, object] | None:
    """Decrypt details through whichever slot is the reader's; return None if none is.

    Args:
        envelope: the entry, as the verified log has it.
        veiled: what left of it.
        kek: the reader's key, 32 bytes.

    Raises:
        NotVerified: a slot is the reader's, but the details behind it are not those that the entry seals and commits
            to.
    """
    binding = _binding(envelope)
    cipher = AESGCM(_require_key(kek))
    for each in veiled.slots:
        try:
            key = cipher.decrypt(each[:_NONCE_BYTES], each[_NONCE_BYTES:], _WRAP_LABEL + binding + _SLOT_NAME)
        except InvalidTag:
            continue
        nonce, content = veiled.content[:_NONCE_BYTES], veiled.content[_NONCE_BYTES:]
        try:
            framed = _veil_cipher(key).decrypt(nonce, content, binding)
        except (InvalidTag, ValueError) as error:
            raise NotVerified("details", "what lies beside the entry does not open") from error
        length = int.from_bytes(framed[:_LENGTH_BYTES], "big")
        ciphertext = framed[_LENGTH_BYTES : _LENGTH_BYTES + length]
        if not hmac.compare_digest(hashlib.sha256(ciphertext).hexdigest(), envelope.sealed):
            raise NotVerified("details", "not the ciphertext that the entry seals")
        return _opened(envelope, ciphertext, key)
    return None


def _veil_cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_VEIL_LABEL).derive(key))
