"""A log's trees, its requests to a witness, and a witness."""

import base64
import hashlib
from contextlib import closing

import pytest
from audit_samples import (
    ORIGIN,
    WITNESSES,
    naive_consistency,
    naive_leaf_hash,
    naive_note,
    naive_root,
    signer,
)

from audit_log import (
    Witness,
)

HASHES = [naive_leaf_hash(b"%d" % number) for number in range(40)]
OTHER = [*HASHES[:7], *(naive_leaf_hash(b"other %d" % number) for number in range(33))]
LOG = signer().verifier
ORIGIN_HASH = hashlib.sha256(ORIGIN.encode()).hexdigest()


def request(old, size, hashes=HASHES, proof=None, note=None):
    path = naive_consistency(old, hashes[:size]) if proof is None and 0 < old < size else proof or []
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in path), "", ""]
    return "\n".join(lines).encode() + (note or naive_note(size, naive_root(hashes[:size])))


@pytest.fixture
def place(tmp_path):
    Witness.create(tmp_path / "witness.db", WITNESSES[0].verifier)
    return tmp_path / "witness.db"


@pytest.fixture
def witness(place):
    with closing(Witness(place, WITNESSES[0], [LOG], now=lambda: 1_800_000_000)) as opened:
        yield opened
