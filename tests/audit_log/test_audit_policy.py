"""A policy is read strictly, and its quorum means what the specification says."""

from itertools import combinations

import pytest
from audit_samples import ORIGIN, VKEY, WITNESSES, cosigned_note, naive_note, naive_root, signer, witness_lines
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit_log import Cosigner, MalformedPolicy, NotVerified, QuorumMissing, Signer, TrustPolicy
from audit_log.cosignature import Cosigned, merge_signatures

KEYS = [Cosigner(f"w{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in range(7)]
NOTE = naive_note(0, naive_root([]))


def lines(*more, witnesses=6):
    named = [f"witness W{number} {KEYS[number].verifier.vkey}" for number in range(witnesses)]
    return "\n".join([f"log {VKEY}", *named, *more, ""]).encode()


# The specification's own example: two of three, one of three, and both groups.
EXAMPLE = lines("group X 2 W0 W1 W2", "group Y any W3 W4 W5", "group both all X Y", "quorum both")


def test_the_specifications_example_means_what_it_says():
    policy = TrustPolicy.parse(EXAMPLE)
    for count in range(7):
        for some in combinations(range(6), count):
            cosigned = tuple(Cosigned(KEYS[each].verifier, 1) for each in some)
            expected = len({0, 1, 2} & set(some)) >= 2 and bool({3, 4, 5} & set(some))
            assert policy.satisfied_by(cosigned) is expected
    assert not policy.satisfied_by((Cosigned(KEYS[6].verifier, 1),) * 9)


def test_checkpoints_are_opened_by_policy():
    two = TrustPolicy.parse(witness_lines("2"))
    assert [each.at for each in two.open(cosigned_note(NOTE, 0, 2)).cosigned] == [1_700_000_000, 1_700_000_002]
    with pytest.raises(QuorumMissing) as few:
        two.open(cosigned_note(NOTE, 1))
    assert few.value.cosigned == (WITNESSES[1].name,)
    false = merge_signatures(cosigned_note(NOTE, 1, 2), [WITNESSES[0].cosign("another state\n", 7)])
    with pytest.raises(NotVerified):
        two.open(false)
    assert TrustPolicy.parse(b"quorum none\n").open(NOTE, signer().verifier).checkpoint.size == 0
    for policy, log in (
        (TrustPolicy.parse(b"quorum none\n"), None),  # no log is believed
        (two, Signer(ORIGIN, Ed25519PrivateKey.generate()).verifier),  # one that is not listed
    ):
        with pytest.raises(NotVerified):
            policy.open(cosigned_note(NOTE, 0, 1, 2), log)


@pytest.mark.parametrize(
    "content",
    [
        b"quorum none\n",
        b"  quorum\t none \n",
        b"# comment\n\n \t\nquorum none\n",
        b"\t# d\xc3\xa9j\xc3\xa0 vu \xff\nquorum none\n",
        lines("quorum W3"),
        lines("group \xff\xfe all W0 W1".encode("latin-1").decode("latin-1"), "quorum \xff\xfe"),
        lines("group K 1 W0", "group \u212a any W1", "quorum \u212a"),  # a Kelvin sign is no K
        lines("quorum W1", "group after any W0"),
        EXAMPLE.replace(
            b"witness W0 " + KEYS[0].verifier.vkey.encode(), b"witness W0 %s http://x" % KEYS[0].verifier.vkey.encode()
        ),
    ],
)
def test_what_the_specification_allows_is_read(content):
    TrustPolicy.parse(content)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        (b"quorum none", 1),
        (b"quorum none\r\n", 1),
        (b"\n\x00\nquorum none\n", 2),
        (b"quorum none\x7f\n", 1),
        (b"quorum none\nquorum none\n", 2),
        (b"quorum X\n", 1),
        (b"quorum\n", 1),
        (b"quorum none none\n", 1),
        (b"Quorum none\n", 1),
        (b"\xc2\xa0quorum none\n", 1),  # a no-break space is no whitespace here
        (b"log x\nquorum none\n", 1),
        (lines(f"log {VKEY} http://elsewhere", "quorum none"), 8),
        (lines(f"witness again {KEYS[0].verifier.vkey}", "quorum none"), 8),
        (lines(f"witness W0 {KEYS[6].verifier.vkey}", "quorum none"), 8),
        (lines(f"witness none {KEYS[6].verifier.vkey}", "quorum none"), 8),
        (lines(f"witness log {VKEY}", "quorum none"), 8),
        (lines(f"log {KEYS[6].verifier.vkey}", "quorum none"), 8),
        (lines("group g 0 W0", "quorum g"), 8),
        (lines("group g 2 W0", "quorum g"), 8),
        (lines("group g 01 W0", "quorum g"), 8),
        (lines("group g +1 W0", "quorum g"), 8),
        (lines("group g \u0661 W0", "quorum g"), 8),
        (lines("group g any", "quorum g"), 8),
        (lines("group g some W0", "quorum g"), 8),
        (lines("group g any g", "quorum g"), 8),
        (lines("group g any none", "quorum g"), 8),
        (lines("group g any later", "group later any W0", "quorum g"), 8),
        (lines("group g 2 W0 W0", "quorum g"), 8),
        (lines("group g any W0", "group h any W0", "quorum g"), 9),
        (lines("group W0 any W1", "quorum W0"), 8),
        (lines("quorum g", "group g any W0"), 8),
        (lines("group g any W0"), 9),
        (b"#" * (1 << 20) + b"\n", 0),
    ],
)
def test_anything_else_is_refused_with_its_line(content, line):
    with pytest.raises(MalformedPolicy) as refused:
        TrustPolicy.parse(content)
    assert refused.value.line == line


def test_a_room_of_150_witnesses_fits():
    keys = [Cosigner(f"m{each}", Ed25519PrivateKey.from_private_bytes(each.to_bytes(32, "big"))) for each in range(150)]
    named = [f"witness m{each} {key.verifier.vkey}" for each, key in enumerate(keys)]
    members = " ".join(f"m{each}" for each in range(150))
    policy = TrustPolicy.parse("\n".join([*named, f"group g 76 {members}", "quorum g", ""]).encode())
    assert not policy.satisfied_by(tuple(Cosigned(each.verifier, 1) for each in keys[:75]))
    assert policy.satisfied_by(tuple(Cosigned(each.verifier, 1) for each in keys[:76]))
    many = [f"log {Signer(f'l{each}', Ed25519PrivateKey.generate()).verifier.vkey}" for each in range(1025)]
    with pytest.raises(MalformedPolicy, match="1024 logs"):
        TrustPolicy.parse("\n".join([*many, "quorum none", ""]).encode())


_WORDS = [
    b"log",
    b"witness",
    b"group",
    b"quorum",
    b"none",
    b"any",
    b"all",
    b"2",
    b"#",
    b" ",
    b"\t",
    b"\n",
    b"W0",
    b"W1",
]
_WORDS += [KEYS[0].verifier.vkey.encode(), VKEY.encode(), b"\xff", b"\x00", b"g"]


@given(st.lists(st.sampled_from(_WORDS) | st.binary(max_size=3), max_size=40))
def test_any_words_are_a_policy_or_refused(words):
    try:
        policy = TrustPolicy.parse(b" ".join(words) + b"\n")
    except MalformedPolicy:
        return
    policy.satisfied_by(())


@given(st.integers(0, len(EXAMPLE) - 1), st.binary(max_size=2))
def test_a_changed_policy_demands_something_or_is_refused(at, put):
    try:
        policy = TrustPolicy.parse(EXAMPLE[:at] + put + EXAMPLE[at + 1 :])
    except MalformedPolicy:
        return
    assert policy.quorum == "none" or not policy.satisfied_by(())
