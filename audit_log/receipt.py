"""Receipts: that an entry is in the log, verifiable by whoever holds the log's key (c2sp.org/tlog-proof)."""

import base64
from dataclasses import dataclass
from typing import Final, Self

from audit_log.checkpoint import Checkpoint, open_checkpoint, parse_decimal
from audit_log.errors import MalformedCheckpoint, MalformedNote, MalformedReceipt
from audit_log.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from audit_log.note import Verifier, decode_base64, parse_note
from audit_log.policy import TrustPolicy

_HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES: Final = 63


@dataclass(frozen=True, slots=True)
class Receipt:
    """An inclusion proof with the checkpoint that it leads to; nothing verified yet.

    Attributes:
        index: the entry, from 0.
        proof: hashes from the leaf's sibling up (RFC 6962 §2.1.1).
        note: the signed checkpoint.
        extra: what the sender adds; authenticated by nobody.
    """

    index: int
    proof: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """Write the receipt as `.tlog-proof` text."""
        lines = [_HEADER]
        if self.extra:
            lines.append(f"extra {base64.b64encode(self.extra).decode('ascii')}")
        lines.append(f"index {self.index}")
        lines.extend(base64.b64encode(each).decode("ascii") for each in self.proof)
        return "\n".join([*lines, "", ""]).encode("ascii") + self.note

    @classmethod
    def parse(cls, encoded: bytes) -> Self:
        """Read a receipt without verifying it.

        Raises:
            MalformedReceipt: another spelling than c2sp.org/tlog-proof's.
        """
        head, blank, note = encoded.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
            parse_note(note)
            extra = b""
            if len(lines) > 1 and lines[1].startswith("extra "):
                extra = decode_base64(lines.pop(1).removeprefix("extra "))
                if not extra:
                    raise MalformedReceipt("an empty extra line")
            if not blank or lines[0] != _HEADER or len(lines) < 2 or not lines[1].startswith("index "):
                raise MalformedReceipt(f"a receipt begins with {_HEADER} and an index")
            index = parse_decimal(lines[1].removeprefix("index "))
            proof = tuple(decode_base64(line) for line in lines[2:])
        except (UnicodeDecodeError, MalformedNote, MalformedCheckpoint) as error:
            raise MalformedReceipt("not in its only spelling") from error
        if len(proof) > MAX_PROOF_HASHES or any(len(each) != HASH_BYTES for each in proof):
            raise MalformedReceipt("the proof is not at most 63 hashes of 32 bytes")
        return cls(index, proof, note, extra)


def verify_receipt(
    receipt: bytes, leaf: bytes, verifier: Verifier, policy: TrustPolicy | None = None
) -> tuple[int, Checkpoint]:
    """Check that an entry is in the log that the receipt's checkpoint describes.

    Args:
        receipt: `.tlog-proof` text.
        leaf: the entry's bytes.
        verifier: the log's key.
        policy: whose witnesses must have cosigned the receipt's checkpoint.

    Returns:
        The entry's index and the checkpoint, worth remembering.

    Raises:
        MalformedReceipt: another spelling.
        NotVerified: signature or proof does not hold.
        QuorumMissing: too few of the policy's witnesses cosigned.
    """
    parsed = Receipt.parse(receipt)
    checkpoint = open_checkpoint(parsed.note, verifier)
    if policy is not None:
        policy.open(parsed.note, verifier)
    verify_inclusion(
        index=parsed.index,
        size=checkpoint.size,
        hashed_leaf=leaf_hash(leaf),
        proof=parsed.proof,
        root=checkpoint.root,
    )
    return parsed.index, checkpoint
