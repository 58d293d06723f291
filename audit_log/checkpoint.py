"""Checkpoints: what a log signs about itself (c2sp.org/tlog-checkpoint)."""

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

from audit_log.errors import MalformedCheckpoint, MalformedNote
from audit_log.merkle import EMPTY_ROOT, HASH_BYTES
from audit_log.note import Algorithm, Signer, Verifier, decode_base64, open_note, require_name, sign_note

MAX_SIZE: Final = 2**63 - 1  # SQLite's integers
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_decimal(text: str) -> int:
    """Read a non-negative decimal without leading zeros, at most 2^63 - 1.

    Raises:
        MalformedCheckpoint: another spelling.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise MalformedCheckpoint("not a decimal number in its only spelling")
    return int(text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log.

    Attributes:
        origin: the log's name, which is also its key's.
        size: number of entries.
        root: 32 bytes, RFC 6962 §2.1.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        try:
            require_name(self.origin)
        except MalformedNote as error:
            raise MalformedCheckpoint("the origin is not a key name") from error
        if not 0 <= self.size <= MAX_SIZE:
            raise MalformedCheckpoint("the size is out of range")
        if len(self.root) != HASH_BYTES:
            raise MalformedCheckpoint("the root is not 32 bytes long")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedCheckpoint("an empty log has the root of the empty tree")

    def text(self) -> str:
        """Return the note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text. Extension lines are refused: this log writes none, for nobody can audit them.

        Raises:
            MalformedCheckpoint: another spelling.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise MalformedCheckpoint("a checkpoint has three lines")
        try:
            root = decode_base64(lines[2])
        except MalformedNote as error:
            raise MalformedCheckpoint("the root is not canonical base64") from error
        return cls(lines[0], parse_decimal(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Sign a checkpoint. Only `Log` may decide that it is consistent with all that was signed before."""
    return sign_note(checkpoint.text(), (signer,))


def open_checkpoint(note: bytes, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint that a log's key signed.

    Args:
        note: the signed note.
        verifier: the log's key; the origin must bear its name.

    Raises:
        MalformedNote, MalformedCheckpoint: another spelling.
        NotVerified: the key did not sign it.
    """
    if verifier.algorithm is not Algorithm.ED25519:
        # A witness's word that it saw a state is not the log's word that the state is its own.
        raise MalformedCheckpoint("a log's key signs, it does not cosign")
    checkpoint = Checkpoint.parse(open_note(note, (verifier,)))
    if checkpoint.origin != verifier.name:
        raise MalformedCheckpoint("the origin is not the key's name")
    return checkpoint


_MOST_KNOWN: Final = 64
_KNOWN: Final[dict[tuple[Verifier, bytes], Checkpoint]] = {}


def open_known_checkpoint(note: bytes, verifier: Verifier) -> Checkpoint:
    """Open a checkpoint; what this process verified or signed itself, byte for byte, it need not verify again.

    Args and errors: as `open_checkpoint`.
    """
    known = _KNOWN.get((verifier, note))
    if known is None:
        known = open_checkpoint(note, verifier)
        keep_known_checkpoint(note, verifier, known)
    return known


def keep_known_checkpoint(note: bytes, verifier: Verifier, checkpoint: Checkpoint) -> None:
    """Keep what a note says: that this key signed it is true of its bytes, whatever becomes of a transaction."""
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[verifier, note] = checkpoint
