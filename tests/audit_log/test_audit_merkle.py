"""RFC 6962 trees and proofs, against the RFC's words and published vectors."""

import hashlib

import pytest
from audit_samples import naive_consistency, naive_leaf_hash, naive_path, naive_root
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_log import NotVerified
from audit_log.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtree_hash,
    verify_consistency,
    verify_inclusion,
)

# certificate-transparency's reference tree (RFC 6962 implementations share it).
CT_LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = sorted({n + d for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) for d in (-1, 0, 1)})
HASHES = [naive_leaf_hash(b"%d" % number) for number in range(600)]
ROOTS = {size: naive_root(HASHES[:size]) for size in SIZES}


def read(height, number):
    return naive_root(HASHES[number << height : (number + 1) << height])


def test_the_reference_tree():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = Frontier.empty()
    for leaf, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        frontier = frontier.push(leaf_hash(leaf))
        assert frontier.root().hex() == root


def test_the_reference_proofs():
    nodes = [leaf_hash(leaf) for leaf in CT_LEAVES]
    proof = consistency_proof(6, 8, lambda height, number: naive_root(nodes[number << height :][: 1 << height]))
    assert [each.hex() for each in proof] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_frontier_pushed_and_read_agree_with_the_oracle():
    frontier = Frontier.empty()
    for size in range(514):
        if size in ROOTS:
            assert frontier.root() == ROOTS[size]
            assert frontier == Frontier.of(size, read)
            if size:
                assert subtree_hash(0, size, read) == ROOTS[size]
        frontier = frontier.push(HASHES[size])


@pytest.mark.parametrize("size", SIZES)
def test_a_frontier_extended_by_many_is_the_oracles(size):
    for start in {0, size // 3, max(0, size - 1), size}:
        assert Frontier.of(start, read).extended(HASHES[start:size]) == Frontier.of(size, read)
        assert Frontier.of(start, read).extended(HASHES[start:size]).root() == ROOTS[size]


@pytest.mark.parametrize("size", [n for n in SIZES if n])
def test_inclusion_at_the_edges(size):
    for index in sorted({0, 1, size // 2, size - 2, size - 1} & set(range(size))):
        proof = inclusion_proof(index, size, read)
        assert list(proof) == naive_path(index, HASHES[:size])
        verify_inclusion(index=index, size=size, hashed_leaf=HASHES[index], proof=proof, root=ROOTS[size])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_inclusion_and_each_of_its_mutations(data):
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    root = naive_root(HASHES[:size])
    proof = list(inclusion_proof(index, size, read))
    assert proof == naive_path(index, HASHES[:size])
    good = {"index": index, "size": size, "hashed_leaf": HASHES[index], "proof": proof, "root": root}
    verify_inclusion(**good)
    bad = [
        {"hashed_leaf": HASHES[index + 1]},
        {"root": hashlib.sha256(root).digest()},
        {"proof": [*proof, root]},
        {"proof": [root, *proof]},
        {"index": size},
        {"index": -1},
        {"root": root[:31]},
    ]
    bad += [{"index": other} for other in {index ^ 1, index + 1, index - 1, 0, size - 1} - {index}]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        bad += [
            {"proof": proof[:-1]},
            {"proof": proof[1:]},
            {"proof": [*proof[:at], flipped, *proof[at + 1 :]]},
            {"proof": [*proof[:at], proof[at][:-1], *proof[at + 1 :]]},
        ]
    if len(set(proof)) > 1:
        bad.append({"proof": proof[::-1]})
    for change in bad:
        with pytest.raises(NotVerified):
            verify_inclusion(**(good | change))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_consistency_and_each_of_its_mutations(data):
    new = data.draw(st.integers(1, 300))
    old = data.draw(st.integers(1, new))
    proof = list(consistency_proof(old, new, read))
    assert proof == naive_consistency(old, HASHES[:new])
    roots = {"old_root": naive_root(HASHES[:old]), "new_root": naive_root(HASHES[:new])}
    good = {"old_size": old, "new_size": new, "proof": proof} | roots
    verify_consistency(**good)
    wrong = hashlib.sha256(b"wrong").digest()
    bad = [
        {"old_root": wrong},
        {"new_root": wrong},
        {"proof": [*proof, wrong]},
        {"proof": [wrong, *proof]},
        {"old_size": new + 1},
        {"old_size": -1},
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bad += [
            {"proof": proof[:-1]},
            {"proof": proof[1:]},
            {"proof": [*proof[:at], wrong, *proof[at + 1 :]]},
        ]
    for change in bad:
        with pytest.raises(NotVerified):
            verify_consistency(**(good | change))


def test_consistency_with_the_empty_tree():
    root = naive_root(HASHES[:3])
    assert consistency_proof(0, 3, read) == ()
    verify_consistency(old_size=0, new_size=3, old_root=EMPTY_ROOT, new_root=root, proof=())
    for old, new in ((root, root), (EMPTY_ROOT[:4], root)):
        with pytest.raises(NotVerified):
            verify_consistency(old_size=0, new_size=3, old_root=old, new_root=new, proof=())
    with pytest.raises(NotVerified):
        verify_consistency(old_size=0, new_size=0, old_root=root, new_root=root, proof=())


def test_what_no_tree_has_is_refused():
    for call in (
        lambda: inclusion_proof(3, 3, read),
        lambda: consistency_proof(4, 3, read),
        lambda: Frontier(3, (EMPTY_ROOT,)),
        lambda: Frontier(1, (b"short",)),
    ):
        with pytest.raises(NotVerified):
            call()
