"""What makes a verdict: a note, a tree made again, a remembered checkpoint, each held against what was signed."""

from collections.abc import Callable, Iterable

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.errors import MalformedCheckpoint, MalformedNote, MalformedReceipt, NotVerified, QuorumMissing
from audit_log.merkle import NodeReader, consistency_proof, subtree_hash, verify_consistency
from audit_log.note import Verifier
from audit_log.policy import TrustPolicy
from audit_log.receipt import Receipt, verify_receipt
from audit_log.rehash import Rehash
from audit_log.tiles import Tile
from audit_log.verdict import Finding, Verdict


def judge_note(note: bytes, verifier: Verifier, place: str, policy: TrustPolicy | None = None) -> Checkpoint | Verdict:
    """Open a checkpoint, or say what is wrong with it.

    Args:
        note: the signed note.
        verifier: the log's key.
        place: where the note was found.
        policy: whose witnesses must have cosigned.
    """
    try:
        checkpoint = open_checkpoint(note, verifier)
    except (MalformedNote, MalformedCheckpoint):
        return Verdict(Finding.CHECKPOINT_MALFORMED, place)
    except NotVerified:
        return Verdict(Finding.SIGNATURE_WRONG, place)
    if policy is not None:
        try:
            policy.open(note, verifier)
        except QuorumMissing as error:
            return Verdict(Finding.QUORUM_MISSING, place, names=error.cosigned, checkpoint=checkpoint)
        except NotVerified:
            return Verdict(Finding.POLICY_UNMET, place, checkpoint=checkpoint)
    return checkpoint


def check_remembered(
    checkpoint: Checkpoint, remembered: Checkpoint | None, read: NodeReader, place: str
) -> Verdict | None:
    """Check that a log contains an earlier checkpoint of it.

    Args:
        checkpoint: the log's present state, verified.
        remembered: the earlier one; None if there is none.
        read: gives the log's complete subtrees, verified.
        place: where the present checkpoint was found.
    """
    if remembered is None:
        return None
    if remembered.origin != checkpoint.origin:
        return Verdict(Finding.OTHER_LOG, place)
    if remembered.size > checkpoint.size:
        return Verdict(Finding.ROLLED_BACK, place, checkpoint.size)
    try:
        verify_consistency(
            old_size=remembered.size,
            new_size=checkpoint.size,
            old_root=remembered.root,
            new_root=checkpoint.root,
            proof=consistency_proof(remembered.size, checkpoint.size, read),
        )
    except NotVerified:
        return Verdict(Finding.HISTORY_REWRITTEN, place)
    return None


def check_receipts(
    receipts: Iterable[bytes], verifier: Verifier, size: int, read_leaf: Callable[[int], bytes], read: NodeReader
) -> Verdict | None:
    """Check that a log honours receipts: the entry is there, and the log was what the receipt's checkpoint says.

    Args:
        receipts: `.tlog-proof` texts; the verdict's place is `receipt` and the number, from 0.
        verifier: the log's key.
        size: of the log, verified.
        read_leaf: gives an entry's bytes.
        read: gives the log's complete subtrees, verified.
    """
    for number, receipt in enumerate(receipts):
        place = f"receipt {number}"
        try:
            index = Receipt.parse(receipt).index
        except MalformedReceipt:
            return Verdict(Finding.RECEIPT_MALFORMED, place)
        if index >= size:
            return Verdict(Finding.ROLLED_BACK, place, size)
        try:
            _, then = verify_receipt(receipt, read_leaf(index), verifier)
        except NotVerified:
            return Verdict(Finding.RECEIPT_WRONG, place, index)
        if then.size > size:
            return Verdict(Finding.ROLLED_BACK, place, size)
        if then.size == 0 or subtree_hash(0, then.size, read) != then.root:
            return Verdict(Finding.HISTORY_REWRITTEN, place, index)
    return None


def judge_tree(
    rehash: Rehash,
    checkpoint: Checkpoint,
    *,
    entry_place: Callable[[int], str],
    tile_place: Callable[[Tile], str],
    root_place: str,
) -> Verdict | None:
    """Say what is wrong with a tree that was made again from its entries, if anything is.

    The checkpoint is authentic. If the entries make its root they are all as signed, and a tile that differs was
    altered; if they do not, the first entry that differs from its tile was.

    Args:
        rehash: after all entries.
        checkpoint: the log's signed state.
        entry_place: names the place of an entry.
        tile_place: names the place of a tile.
        root_place: where the signed root lies.
    """
    difference, malformed = rehash.difference, rehash.malformed
    if rehash.frontier.root() == checkpoint.root:
        if malformed is not None:
            return Verdict(Finding.ENTRY_MALFORMED, entry_place(malformed), malformed)
        if difference is not None:
            return Verdict(Finding.TILE_ALTERED, tile_place(difference.tile), difference.index)
        return None
    if difference is not None and (malformed is None or difference.index <= malformed):
        return Verdict(Finding.ENTRY_ALTERED, entry_place(difference.index), difference.index)
    if malformed is not None:
        return Verdict(Finding.ENTRY_MALFORMED, entry_place(malformed), malformed)
    return Verdict(Finding.ROOT_DIFFERS, root_place)
