"""Signed notes: text under one or more signatures (c2sp.org/signed-note), read strictly.

Strictly means that a note has one spelling: base64 is compared with its re-encoding, because Python's decoder accepts
stray trailing bits; lines end at U+000A only, because `splitlines` also cuts at U+0085 and U+2028.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final, NoReturn, Self, SupportsIndex

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit_log.errors import MalformedNote, NotVerified

KEY_ID_BYTES: Final = 4
ED25519_KEY_BYTES: Final = 32
# The specification asks for at least 16. A room of 150 members whose witnesses all cosign needs more.
MAX_SIGNATURES: Final = 256
MAX_NOTE_BYTES: Final = 2_000_000
TIME_BYTES: Final = 8
MAX_TIME: Final = 2**63 - 1  # c2sp.org/tlog-cosignature
_DASH: Final = "\u2014"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")  # all but the newline
_NOT_IN_NAME: Final = re.compile(r"[\s+\x00-\x1f\x7f]")
_KEY_ID_HEX: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)


class Algorithm(IntEnum):
    """The signature types of c2sp.org/signed-note that this library verifies."""

    ED25519 = 0x01
    COSIGNATURE = 0x04  # c2sp.org/tlog-cosignature, Ed25519: a time and a signature over both


def decode_base64(text: str) -> bytes:
    """Decode canonical standard base64 (RFC 4648 §4, §3.5).

    Raises:
        MalformedNote: another spelling of the same bytes, or not base64.
    """
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedNote("not base64") from error
    if base64.b64encode(decoded).decode("ascii") != text:
        raise MalformedNote("base64 is not canonical")
    return decoded


def require_name(name: str) -> str:
    """Return a key name that c2sp.org/signed-note allows.

    Raises:
        MalformedNote: empty, or with a plus, a space of any kind or a control character.
    """
    if not name or _NOT_IN_NAME.search(name):
        raise MalformedNote("a key name is empty or has a space, a plus or a control character")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedNote("a key name is not UTF-8") from error
    return name


@lru_cache(maxsize=256)
def key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """Return the four bytes that stand for a key: SHA-256(name, 0x0A, algorithm, key)[:4]."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + bytes([algorithm]) + public_key).digest()[:KEY_ID_BYTES]


def cosigned_message(at: int, text: bytes) -> bytes:
    """Return what an Ed25519 cosignature signs (c2sp.org/tlog-cosignature).

    Args:
        at: Unix time in seconds.
        text: the checkpoint's text, its last newline included.
    """
    return b"cosignature/v1\ntime %d\n" % at + text


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under its name.

    Attributes:
        name: the key's name; for a log, its origin.
        public_key: 32 bytes, Ed25519.
        algorithm: what its signatures are over; a witness's key cosigns, a log's does not.
    """

    name: str
    public_key: bytes
    algorithm: Algorithm = field(default=Algorithm.ED25519)

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.public_key) != ED25519_KEY_BYTES:
            raise MalformedNote("an Ed25519 key has 32 bytes")

    @classmethod
    def from_vkey(cls, vkey: str) -> Self:
        """Read a key as `name+hex(key id)+base64(algorithm, key)`.

        Raises:
            MalformedNote: malformed, the id does not belong to the key, or an algorithm we do not verify.
        """
        parts = vkey.split("+", 2)
        if len(parts) != 3 or not _KEY_ID_HEX.fullmatch(parts[1]):
            raise MalformedNote("a key is written name+id+key")
        name, hex_id, encoded = parts
        require_name(name)
        raw = decode_base64(encoded)
        if not raw:
            raise MalformedNote("a key is empty")
        if key_id(name, raw[0], raw[1:]).hex() != hex_id:
            raise MalformedNote("the id does not belong to the key")
        try:
            algorithm = Algorithm(raw[0])
        except ValueError as error:
            raise MalformedNote(f"keys of algorithm {raw[0]:#04x} are not supported") from error
        return cls(name, raw[1:], algorithm)

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand for this key in a signature line."""
        return key_id(self.name, self.algorithm, self.public_key)

    @property
    def vkey(self) -> str:
        """The key as text, to hand to whoever verifies."""
        encoded = base64.b64encode(bytes([self.algorithm]) + self.public_key).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def holds(self, text: bytes, signature: bytes) -> bool:
        """Say whether `signature` (without key id) is this key's over `text`."""
        match self.algorithm:
            case Algorithm.ED25519:
                return self._verifies(signature, text)
            case Algorithm.COSIGNATURE:
                at = int.from_bytes(signature[:TIME_BYTES], "big")
                return (
                    len(signature) > TIME_BYTES
                    and 0 < at <= MAX_TIME
                    and self._verifies(signature[TIME_BYTES:], cosigned_message(at, text))
                )

    def _verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A private key under its name; it cannot be printed, copied or pickled."""

    __slots__ = ("__key", "_verifier")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """Hold a key.

        Args:
            name: the key's name; for a log, its origin.
            key: the private key.

        Raises:
            MalformedNote: the name is not allowed.
        """
        self.__key = key
        self._verifier = Verifier(name, key.public_key().public_bytes_raw())

    @property
    def name(self) -> str:
        """The key's name."""
        return self._verifier.name

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return self._verifier

    def sign_text(self, text: bytes) -> bytes:
        """Return key id and signature over a note's text, as they stand in a signature line."""
        return self._verifier.key_id + self.__key.sign(text)

    def __repr__(self) -> str:
        return f"Signer({self._verifier.vkey!r})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Signer holds a private key and is not copied or pickled")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says to have signed, and what."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line as it stands in a note."""
        return signature_line(self.name, self.key_id + self.signature)


@dataclass(frozen=True, slots=True)
class ParsedNote:
    """A well-formed note, nothing verified yet."""

    text: str
    signatures: tuple[Signature, ...]


def sign_note(text: str, signers: Iterable[Signer]) -> bytes:
    """Sign a text.

    Args:
        text: ends with a newline; no control characters.
        signers: one or more, in the order of their lines.

    Raises:
        MalformedNote: the text cannot be a note's.
    """
    _require_text(text)
    body = text.encode("utf-8")
    lines = [signature_line(signer.name, signer.sign_text(body)) for signer in signers]
    note = body + b"\n" + "".join(lines).encode("utf-8")
    parse_note(note)
    return note


def signature_line(name: str, identified: bytes) -> str:
    """Write a signature line.

    Args:
        name: the key's.
        identified: key id and signature.
    """
    return f"{_DASH} {name} {base64.b64encode(identified).decode('ascii')}\n"


def _require_text(text: str) -> None:
    if not text.endswith("\n"):
        raise MalformedNote("the text does not end with a newline")
    if _CONTROL.search(text):
        raise MalformedNote("a control character")


def parse_note(note: bytes) -> ParsedNote:
    """Read a signed note without verifying it.

    Raises:
        MalformedNote: any other spelling than c2sp.org/signed-note's, no signature or more than 256, one key twice.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedNote("too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedNote("not UTF-8") from error
    _require_text(whole)
    cut = whole.rfind("\n\n")
    if cut < 0:
        raise MalformedNote("no blank line before the signatures")
    text, block = whole[: cut + 1], whole[cut + 2 :]
    if not block:
        raise MalformedNote("no signature")
    return ParsedNote(text, parse_signatures(block))


def parse_signatures(block: str) -> tuple[Signature, ...]:
    """Read signature lines, as they follow a note's text.

    Raises:
        MalformedNote: another spelling, none or more than 256, one key twice.
    """
    if not block.endswith("\n"):
        raise MalformedNote("a signature line does not end")
    lines = block.split("\n")[:-1]
    if len(lines) > MAX_SIGNATURES:
        raise MalformedNote(f"more than {MAX_SIGNATURES} signatures")
    signatures = tuple(_parse_signature(line) for line in lines)
    if len({(each.name, each.key_id) for each in signatures}) != len(signatures):
        raise MalformedNote("one key signs twice")
    return signatures


def _parse_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise MalformedNote("a signature line is written — name base64")
    raw = decode_base64(parts[2])
    if len(raw) <= KEY_ID_BYTES:
        raise MalformedNote("a signature is too short")
    return Signature(require_name(parts[1]), raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def open_note(note: bytes, verifiers: Iterable[Verifier]) -> str:
    """Return the text of a note that at least one known key signed.

    Args:
        note: the whole note.
        verifiers: the known keys; signatures of others are ignored.

    Raises:
        MalformedNote: not a signed note.
        NotVerified: no known key signed, or the signature of a known key does not hold.
    """
    parsed = parse_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    text = parsed.text.encode("utf-8")
    signed = False
    for each in parsed.signatures:
        verifier = known.get((each.name, each.key_id))
        if verifier is None:
            continue
        if not verifier.holds(text, each.signature):
            raise NotVerified("note", f"the signature of {each.name} does not hold")
        signed = True
    if not signed:
        raise NotVerified("note", "no known key signed it")
    return parsed.text
