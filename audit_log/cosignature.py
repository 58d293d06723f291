"""Cosignatures: a witness's dated word on the largest state of a log that it has seen (c2sp.org/tlog-cosignature)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn, SupportsIndex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log.errors import MalformedNote, NotVerified
from audit_log.note import (
    MAX_TIME,
    TIME_BYTES,
    Algorithm,
    Signature,
    Verifier,
    cosigned_message,
    parse_note,
    parse_signatures,
)


class Cosigner:
    """A witness's private key under its name; it cannot be printed, copied or pickled.

    The signed message does not name the witness: a key serves one witness and nothing else.
    """

    __slots__ = ("__key", "_verifier")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """Hold a key.

        Args:
            name: the witness's, such as "member-a.example/witness".
            key: the private key; used for nothing else.

        Raises:
            MalformedNote: the name is not allowed.
        """
        self.__key = key
        self._verifier = Verifier(name, key.public_key().public_bytes_raw(), Algorithm.COSIGNATURE)

    @property
    def name(self) -> str:
        """The witness's name."""
        return self._verifier.name

    @property
    def verifier(self) -> Verifier:
        """The public half; its `vkey` is what policies list."""
        return self._verifier

    def cosign(self, text: str, at: int) -> Signature:
        """Sign a checkpoint's text. Only `Witness` may decide that it is consistent with all that it signed before.

        Args:
            text: the note's text, extension lines included.
            at: Unix time in seconds, above 0.

        Raises:
            MalformedNote: the time cannot be written.
        """
        if not 0 < at <= MAX_TIME:
            raise MalformedNote("the time of a cosignature is between 1 and 2^63 - 1")
        signed = self.__key.sign(cosigned_message(at, text.encode("utf-8")))
        return Signature(self.name, self._verifier.key_id, at.to_bytes(TIME_BYTES, "big") + signed)

    def __repr__(self) -> str:
        return f"Cosigner({self._verifier.vkey!r})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Cosigner holds a private key and is not copied or pickled")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A cosignature that was verified.

    Attributes:
        witness: whose it is.
        at: Unix time in seconds, the witness's claim.
    """

    witness: Verifier
    at: int


def verify_cosignatures(note: bytes, witnesses: Iterable[Verifier]) -> tuple[Cosigned, ...]:
    """Verify every cosignature of a known witness on a note; those of others are ignored.

    Args:
        note: a signed note; whether its log signed it is for `open_checkpoint` to say.
        witnesses: the known witnesses' keys.

    Raises:
        MalformedNote: not a signed note, or a key that does not cosign.
        NotVerified: the cosignature of a known witness does not hold.
    """
    parsed = parse_note(note)
    known = _by_identity(witnesses)
    text = parsed.text.encode("utf-8")
    found = []
    for each in parsed.signatures:
        witness = known.get((each.name, each.key_id))
        if witness is None:
            continue
        if not witness.holds(text, each.signature):
            raise NotVerified("cosignature", f"the cosignature of {each.name} does not hold")
        found.append(Cosigned(witness, int.from_bytes(each.signature[:TIME_BYTES], "big")))
    return tuple(found)


def accept_cosignatures(note: bytes, answered: bytes, witness: Verifier) -> bytes:
    """Add to a checkpoint what a witness answered.

    Args:
        note: the checkpoint as it was submitted.
        answered: signature lines; those of other keys are ignored.
        witness: the key of the witness that was asked.

    Returns:
        The note with the witness's cosignature, in the place of an earlier one of the same key.

    Raises:
        MalformedNote: other bytes than signature lines.
        NotVerified: the witness's cosignature is missing or does not hold.
    """
    parsed = parse_note(note)
    try:
        lines = parse_signatures(answered.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedNote("not UTF-8") from error
    (identity,) = _by_identity((witness,))
    ours = [each for each in lines if (each.name, each.key_id) == identity]
    if not ours or not witness.holds(parsed.text.encode("utf-8"), ours[0].signature):
        raise NotVerified("cosignature", f"{witness.name} did not cosign this checkpoint")
    return merge_signatures(note, ours)


def merge_signatures(note: bytes, signatures: Iterable[Signature]) -> bytes:
    """Return a note with more signatures; one of a key that has signed already replaces its earlier one.

    Raises:
        MalformedNote: not a note, or above the number of signatures that a note may have.
    """
    parsed = parse_note(note)
    lines = {(each.name, each.key_id): each for each in (*parsed.signatures, *signatures)}
    merged = f"{parsed.text}\n{''.join(each.line() for each in lines.values())}".encode()
    parse_note(merged)
    return merged


def _by_identity(witnesses: Iterable[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known = {(each.name, each.key_id): each for each in witnesses}
    if any(each.algorithm is not Algorithm.COSIGNATURE for each in known.values()):
        raise MalformedNote("a witness's key cosigns, it does not sign")
    return known
