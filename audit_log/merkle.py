"""Merkle trees of RFC 6962 §2.1 and the proof verifiers of RFC 9162 §2.1: pure, no storage.

A node is named by (height, number): it covers leaves [number * 2^height, (number + 1) * 2^height).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from audit_log.errors import NotVerified

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

# Gives the hash of a complete subtree, by (height, number).
NodeReader: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one entry (RFC 6962 §2.1: SHA-256 of 0x00 and the entry)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children (RFC 6962 §2.1: SHA-256 of 0x01, left and right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the complete subtrees that a tree of `size` leaves is made of, the largest first.

    It is all that appending needs: as many hashes as `size` has bits set.
    """

    size: int
    peaks: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise NotVerified("frontier", f"{len(self.peaks)} subtrees cannot make {self.size} leaves")
        if not {HASH_BYTES}.issuperset(map(len, self.peaks)):
            raise NotVerified("frontier", "a hash is not 32 bytes long")

    @classmethod
    def empty(cls) -> Self:
        """Return the frontier of the tree without leaves."""
        return cls(0, ())

    @classmethod
    def of(cls, size: int, read: NodeReader) -> Self:
        """Read the frontier of a tree of `size` leaves from its nodes.

        Args:
            size: number of leaves.
            read: gives the hash of a complete subtree.
        """
        peaks = []
        start = 0
        for height in range(size.bit_length() - 1, -1, -1):
            if size >> height & 1:
                peaks.append(read(height, start >> height))
                start += 1 << height
        return cls(size, tuple(peaks))

    def push(self, hashed_leaf: bytes) -> Self:
        """Return the frontier after one more leaf.

        Args:
            hashed_leaf: `leaf_hash` of the new entry.
        """
        return self.push_subtree(0, hashed_leaf)

    def extended(self, hashed_leaves: Iterable[bytes]) -> Self:
        """Return the frontier after many leaves more: `push` of each, with one check at the end.

        Args:
            hashed_leaves: `leaf_hash` of each new entry, in order.
        """
        size, peaks = self.size, list(self.peaks)
        for carry in hashed_leaves:
            remaining = size
            while remaining & 1:
                carry = node_hash(peaks.pop(), carry)  # noqa: PLW2901  # what is carried up is the leaf's subtree
                remaining >>= 1
            peaks.append(carry)
            size += 1
        return type(self)(size, tuple(peaks))

    def push_subtree(self, height: int, root: bytes) -> Self:
        """Return the frontier after 2^height more leaves.

        Args:
            height: of the complete subtree that they make; the size is a multiple of 2^height.
            root: the subtree's.

        Raises:
            NotVerified: the size is no such multiple.
        """
        remaining = self.size >> height
        if remaining << height != self.size:
            raise NotVerified("frontier", f"no complete subtree of height {height} begins at {self.size}")
        peaks = list(self.peaks)
        carry = root
        while remaining & 1:
            carry = node_hash(peaks.pop(), carry)
            remaining >>= 1
        peaks.append(carry)
        return type(self)(self.size + (1 << height), tuple(peaks))

    def subtrees(self) -> dict[tuple[int, int], bytes]:
        """Return the root of each of the subtrees, by height and number."""
        heights = [height for height in range(self.size.bit_length() - 1, -1, -1) if self.size >> height & 1]
        # Each begins where the greater ones before it end.
        places = [(height, (self.size >> height) - 1) for height in heights]
        return dict(zip(places, self.peaks, strict=True))

    def root(self) -> bytes:
        """Return the tree's root (RFC 6962 §2.1)."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def _split(width: int) -> int:
    """Return the largest power of two smaller than `width` (RFC 6962 §2.1)."""
    return 1 << ((width - 1).bit_length() - 1)


def subtree_hash(start: int, end: int, read: NodeReader) -> bytes:
    """Hash the subtree over leaves [start, end) as it occurs in a larger tree.

    Args:
        start: first leaf; a multiple of the largest power of two within the width.
        end: one past the last leaf, above `start`.
        read: gives the hash of a complete subtree.
    """
    width = end - start
    if width & (width - 1) == 0:
        height = width.bit_length() - 1
        return read(height, start >> height)
    middle = start + _split(width)
    return node_hash(subtree_hash(start, middle, read), subtree_hash(middle, end, read))


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[bytes, ...]:
    """Compute the audit path of a leaf, the leaf's sibling first (RFC 6962 §2.1.1).

    Args:
        index: the leaf, from 0.
        size: number of leaves of the tree.
        read: gives the hash of a complete subtree.

    Raises:
        NotVerified: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise NotVerified("inclusion proof", f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_hash(middle, end, read))
            end = middle
        else:
            path.append(subtree_hash(start, middle, read))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> tuple[bytes, ...]:
    """Compute the proof that one tree is a prefix of another (RFC 6962 §2.1.2).

    Args:
        old_size: leaves of the earlier tree; for 0 or `new_size` the proof is empty.
        new_size: leaves of the later tree.
        read: gives the hash of a complete subtree.

    Raises:
        NotVerified: the earlier tree would be larger.
    """
    if not 0 <= old_size <= new_size:
        raise NotVerified("consistency proof", f"no tree of {new_size} leaves has one of {old_size} as prefix")
    if old_size in (0, new_size):
        return ()
    path: list[bytes] = []
    start, end = 0, new_size
    # `whole`: the old tree's part in [start, end) began at leaf 0, so the verifier already knows its hash.
    whole = True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(subtree_hash(middle, end, read))
            end = middle
        else:
            path.append(subtree_hash(start, middle, read))
            start = middle
            whole = False
    if not whole:
        path.append(subtree_hash(start, end, read))
    return tuple(reversed(path))


def _require_hashes(place: str, hashes: Sequence[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise NotVerified(place, "a hash is not 32 bytes long")


def verify_inclusion(*, index: int, size: int, hashed_leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf is in a tree (RFC 9162 §2.1.3.2).

    Args:
        index: the leaf, from 0.
        size: number of leaves of the tree.
        hashed_leaf: `leaf_hash` of the entry.
        proof: the audit path, the leaf's sibling first.
        root: the root of the tree, from a verified checkpoint.

    Raises:
        NotVerified: the proof does not lead from the leaf to the root.
    """
    place = "inclusion proof"
    _require_hashes(place, (*proof, hashed_leaf, root))
    if not 0 <= index < size:
        raise NotVerified(place, f"no leaf {index} in a tree of {size}")
    node, last, computed = index, size - 1, hashed_leaf
    for sibling in proof:
        if last == 0:
            raise NotVerified(place, "too many hashes")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise NotVerified(place, "too few hashes")
    if not hmac.compare_digest(computed, root):
        raise NotVerified(place, "the path does not lead to the root")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the old tree is a prefix of the new one (RFC 9162 §2.1.4.2).

    Args:
        old_size: leaves of the earlier tree.
        new_size: leaves of the later tree.
        old_root: root of the earlier tree, from a verified checkpoint.
        new_root: root of the later tree, from a verified checkpoint.
        proof: as from `consistency_proof`.

    Raises:
        NotVerified: the proof does not hold.
    """
    place = "consistency proof"
    _require_hashes(place, (*proof, old_root, new_root))
    if not 0 <= old_size <= new_size:
        raise NotVerified(place, f"no tree of {new_size} leaves has one of {old_size} as prefix")
    if old_size in (0, new_size):
        if proof:
            raise NotVerified(place, "too many hashes")
        if not hmac.compare_digest(old_root, EMPTY_ROOT if old_size == 0 else new_root):
            raise NotVerified(place, "the roots differ")
        if new_size == 0 and not hmac.compare_digest(new_root, EMPTY_ROOT):
            raise NotVerified(place, "the root of the empty tree is wrong")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        # The old tree is one complete subtree: RFC 9162 prepends its root, which the proof omits.
        path.insert(0, old_root)
    if not path:
        raise NotVerified(place, "too few hashes")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise NotVerified(place, "too many hashes")
        if node & 1 or node == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_computed = node_hash(new_computed, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise NotVerified(place, "too few hashes")
    if not hmac.compare_digest(old_computed, old_root):
        raise NotVerified(place, "the path does not lead to the old root")
    if not hmac.compare_digest(new_computed, new_root):
        raise NotVerified(place, "the path does not lead to the new root")
