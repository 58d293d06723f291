"""Envelopes have one size and one spelling; details open for their readers and nobody else."""

import contextlib
import hashlib
import json
from dataclasses import replace

import pytest
from audit_samples import KEK, READERS, event, seal
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_log import MAX_PARTIES, Envelope, Event, EventType, MalformedEntry, NotVerified, Outcome, Retention
from audit_log.appending import draft
from audit_log.details import canonical_details, open_details, rewrap
from audit_log.entry import LEAF_BYTES, UNSEALED, fresh_id, is_leaf_at

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,47}", fullmatch=True)
CODES = st.from_regex(r"([A-Za-z0-9][A-Za-z0-9:._/-]{0,31})?", fullmatch=True)
DIGESTS = st.one_of(st.just(""), st.binary(min_size=32, max_size=32).map(lambda b: f"sha256:{b.hex()}"))
EVENTS = st.builds(
    Event,
    room=NAMES,
    id=st.binary(min_size=16, max_size=16).map(bytes.hex),
    t=st.integers(0, 2**53 - 1),
    type=st.sampled_from(EventType),
    outcome=st.sampled_from(Outcome),
    actor=NAMES,
    org=NAMES,
    parties=st.frozensets(st.integers(0, MAX_PARTIES - 1)),
    policy=DIGESTS,
    purpose=CODES,
    legal=CODES,
    caused_by=st.integers(-1, 2**53 - 1),
    code=DIGESTS,
    kid=CODES,
    ret=st.sampled_from(Retention),
)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
ENVELOPE = Envelope(event(id="0" * 32), "a" * 64, "b" * 64)
LEAF = ENVELOPE.leaf()


@given(st.builds(Envelope, EVENTS, HEX, HEX))
def test_every_leaf_has_one_size_and_reads_as_written(envelope):
    leaf = envelope.leaf()
    assert len(leaf) == LEAF_BYTES
    assert Envelope.parse(leaf) == envelope
    values = json.loads(leaf)
    assert leaf == json.dumps(values, sort_keys=True, separators=(",", ":")).encode("ascii")
    assert all(type(value) in (int, str) for value in values.values())


def test_the_largest_envelope_fits():
    digest = "sha256:" + "f" * 64
    largest = event(
        **dict.fromkeys(("room", "actor", "org"), "x" * 48),
        **dict.fromkeys(("purpose", "legal", "kid"), "x" * 32),
        t=2**53 - 1,
        caused_by=2**53 - 1,
        policy=digest,
        code=digest,
        type=max(EventType, key=len),
        outcome=max(Outcome, key=len),
        ret=max(Retention, key=len),
        parties=frozenset(range(MAX_PARTIES)),
    )
    assert len(Envelope(largest, "f" * 64, "f" * 64).leaf()) == LEAF_BYTES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("room", ""),
        ("room", "r" * 49),
        ("actor", "Marie Tremblay"),
        ("actor", "marie@example.com"),
        ("actor", "élise"),
        ("org", "m:1\n"),
        ("id", "0" * 31),
        ("id", "A" * 32),
        ("t", -1),
        ("t", True),
        ("t", 1.5),
        ("t", 2**53),
        ("caused_by", -2),
        ("policy", "0" * 64),
        ("policy", "sha256:" + "F" * 64),
        ("purpose", "SELECT *"),
        ("parties", frozenset({512})),
        ("parties", frozenset({-1})),
        ("parties", frozenset({True})),
        ("type", "query.charged"),
        ("outcome", "ok"),
        ("ret", "access-1y"),
    ],
)
def test_what_an_event_may_not_hold(field, value):
    with pytest.raises(MalformedEntry) as refused:
        event(**{field: value})
    assert refused.value.field == field
    assert str(value) not in str(refused.value) or len(str(value)) < 5


@pytest.mark.parametrize("field", ["room", "id", "actor", "org", "policy", "purpose", "legal", "code", "kid"])
@pytest.mark.parametrize("value", ["\n", "a\nb", "a\n", "\na", "0" * 32 + "\n", "\n" * 8, None, 1, b"a", ("a",)])
def test_no_field_reaches_into_the_next(field, value):
    """The names are looked at all at once; what is one field's must not be read as another's."""
    with pytest.raises(MalformedEntry) as refused:
        event(**{field: value})
    assert refused.value.field == field


def test_what_was_drafted_cannot_be_changed_any_more():
    details, readers = {"sql": ["SELECT 1"]}, {"auditor": KEK}
    drafted = draft(event(), details, readers)
    details["sql"].append("SELECT 2")
    readers["m:1"] = KEK
    entry = drafted.seal()
    assert set(entry.sealed.wraps) == {"auditor"}
    found = open_details(
        Envelope.parse(entry.leaf),
        entry.sealed.ciphertext,
        entry.sealed.wraps["auditor"],
        reader="auditor",
        kek=KEK,
    )
    assert found == {"sql": ["SELECT 1"]}


def respelled(**changes):
    return json.dumps(json.loads(LEAF) | changes, sort_keys=True, separators=(",", ":")).encode()


def shorter_pad(by):
    pad = json.loads(LEAF)["pad"]
    return pad[by:]


MALFORMED = {
    "empty": b"",
    "short": LEAF[:-1],
    "long": LEAF + b" ",
    "not json": b"x" * LEAF_BYTES,
    "deep": b"[" * LEAF_BYTES,
    "a list": b"[" + b" " * (LEAF_BYTES - 2) + b"]",
    "not ascii": LEAF.replace(b"a:5f0c", "a:5f0é".encode())[:LEAF_BYTES],
    "pad of other characters": LEAF.replace(b'"pad":"0', b'"pad":"1'),
    "blank for padding": LEAF[:-1].replace(b'"pad":"0', b'"pad":"') + b" }",
    "keys out of order": b'{"v":1,' + LEAF[1:].replace(b',"v":1', b""),
    "a key twice": respelled(pad=shorter_pad(6))[:-1] + b',"v":1}',
    "a field more": respelled(pad=shorter_pad(8), x=10),
    "true for 1": respelled(pad=shorter_pad(3), v=True),
    "1.0 for 1": respelled(pad=shorter_pad(2), v=1.0),
    "version 2": respelled(v=2),
    "an integer as string": respelled(pad=shorter_pad(2), t="1795398136"),
    "null": respelled(pad=shorter_pad(2), legal=None),
    "an unknown type": respelled(type="query.chargex"),
    "party map in capitals": respelled(parties="F" * 128),
    "party map short": respelled(pad=shorter_pad(-1), parties="0" * 127),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_leaves_are_refused(name):
    with pytest.raises(MalformedEntry):
        Envelope.parse(MALFORMED[name])


@settings(max_examples=300)
@given(st.integers(0, LEAF_BYTES - 1), st.integers(1, 255))
def test_a_flipped_byte_makes_another_leaf_or_none(at, mask):
    flipped = LEAF[:at] + bytes([LEAF[at] ^ mask]) + LEAF[at + 1 :]
    with contextlib.suppress(MalformedEntry):
        assert Envelope.parse(flipped) != ENVELOPE


DETAILS = {"sql": "SELECT count(*) FROM été", "rho": "1/200", "rows": [1, 2, {"a": None, "b": True}]}


def test_details_open_for_each_reader():
    envelope, sealed = seal(event(), DETAILS, READERS)
    for reader, kek in READERS.items():
        assert open_details(envelope, sealed.ciphertext, sealed.wraps[reader], reader=reader, kek=kek) == DETAILS


@given(st.integers(0, 20_000))
@settings(max_examples=40, deadline=None)
def test_stored_details_come_in_blocks(length):
    envelope, sealed = seal(event(), {"x": "y" * length}, {"auditor": KEK})
    assert (len(sealed.ciphertext) - 16) % 4096 == 0
    assert len(sealed.ciphertext) <= length + 4096 + 32
    assert len(envelope.leaf()) == LEAF_BYTES


def test_equal_details_look_different():
    first, second = (seal(event(id="0" * 32), DETAILS, READERS) for _ in range(2))
    assert first[0].commit != second[0].commit
    assert first[0].sealed != second[0].sealed
    assert first[1].ciphertext[:64] != second[1].ciphertext[:64]


def test_details_do_not_open_otherwise():
    envelope, sealed = seal(event(), DETAILS, READERS)
    other, other_sealed = seal(event(), {"sql": "other"}, READERS)
    good = {"ciphertext": sealed.ciphertext, "wrapped": sealed.wraps["auditor"], "reader": "auditor", "kek": KEK}
    assert open_details(envelope, **good) == DETAILS
    flipped = bytes([sealed.ciphertext[9] ^ 1])
    resealed = replace(envelope, sealed=hashlib.sha256(other_sealed.ciphertext).hexdigest())
    bad = [
        (envelope, {"kek": READERS["m:1"]}),
        (envelope, {"reader": "m:1"}),
        (envelope, {"reader": "m 1"}),
        (envelope, {"wrapped": sealed.wraps["m:1"]}),
        (envelope, {"wrapped": sealed.wraps["auditor"][:-1]}),
        (envelope, {"wrapped": other_sealed.wraps["auditor"]}),
        (envelope, {"ciphertext": sealed.ciphertext[:9] + flipped + sealed.ciphertext[10:]}),
        (envelope, {"ciphertext": sealed.ciphertext[:-1]}),
        (envelope, {"ciphertext": other_sealed.ciphertext}),
        (other, {}),
        (other, {"ciphertext": other_sealed.ciphertext}),
        (resealed, {"ciphertext": other_sealed.ciphertext, "wrapped": other_sealed.wraps["auditor"]}),
        (replace(envelope, commit=other.commit), {}),
        (replace(envelope, event=replace(envelope.event, id=fresh_id())), {}),
    ]
    for which, change in bad:
        with pytest.raises(NotVerified):
            open_details(which, **(good | change))


def test_the_commitment_binds_even_under_a_right_key():
    """Whoever knows the entry's key still cannot pass other details for the committed ones."""
    from audit_log import details as module

    envelope, sealed = seal(event(), DETAILS, {"auditor": KEK})
    key = module._unwrap(envelope, sealed.wraps["auditor"], reader="auditor", kek=KEK)
    cipher, nonce = module._cipher(key)
    forged = b'{"sql":"forged"}'
    padded = (len(forged).to_bytes(4, "big") + forged).ljust(4096, b"\0")
    ciphertext = cipher.encrypt(nonce, padded, module._binding(envelope))
    lying = replace(envelope, sealed=hashlib.sha256(ciphertext).hexdigest())
    with pytest.raises(NotVerified, match="commits to"):
        open_details(lying, ciphertext, sealed.wraps["auditor"], reader="auditor", kek=KEK)


def test_only_the_sealed_ciphertext_opens():
    """The same details encrypted again, under the entry's own key, are not what the leaf seals."""
    from audit_log import details as module

    envelope, sealed = seal(event(), DETAILS, {"auditor": KEK})
    key = module._unwrap(envelope, sealed.wraps["auditor"], reader="auditor", kek=KEK)
    cipher, nonce = module._cipher(key)
    canonical = canonical_details(DETAILS)
    padded = (len(canonical).to_bytes(4, "big") + canonical).ljust(8192, b"\0")
    again = cipher.encrypt(nonce, padded, module._binding(envelope))
    with pytest.raises(NotVerified, match="seals"):
        open_details(envelope, again, sealed.wraps["auditor"], reader="auditor", kek=KEK)


def test_keys_are_wrapped_again_for_others():
    envelope, sealed = seal(event(), DETAILS, {"auditor": KEK})
    wraps = rewrap(envelope, sealed.wraps["auditor"], reader="auditor", kek=KEK, readers={"next": bytes(32)})
    assert open_details(envelope, sealed.ciphertext, wraps["next"], reader="next", kek=bytes(32)) == DETAILS
    assert wraps.keys() == {"next"}


@pytest.mark.parametrize(
    "details",
    [
        {"x": 0.1},
        {"x": {1: "a"}},
        {"x": b"bytes"},
        {"x": {"set"}},
        {"x": 2**63},
        {"x": "y" * (1 << 20)},
    ],
)
def test_details_that_cannot_be_written_exactly_are_refused(details):
    with pytest.raises(MalformedEntry):
        canonical_details(details)


def test_details_nested_too_deeply_are_refused():
    nested = {}
    for _ in range(40):
        nested = {"x": nested}
    with pytest.raises(MalformedEntry):
        canonical_details(nested)


@pytest.mark.parametrize("readers", [{}, {"a b": KEK}, {"auditor": b"short"}])
def test_readers_that_cannot_read_are_refused(readers):
    with pytest.raises(MalformedEntry):
        seal(event(), DETAILS, readers)


def test_nothing_of_the_details_is_in_the_leaf():
    envelope, _ = seal(event(), {"sql": "SELECT secret"}, READERS)
    leaf = envelope.leaf()
    assert b"secret" not in leaf
    assert hashlib.sha256(canonical_details({"sql": "SELECT secret"})).hexdigest().encode() not in leaf
    assert envelope.sealed != UNSEALED


def reads(index, leaf):
    try:
        Envelope.parse_at(index, leaf)
    except MalformedEntry:
        return False
    return True


@given(st.builds(Envelope, EVENTS, HEX, HEX), st.integers(0, 2**53), st.data())
def test_the_quick_look_agrees_with_reading(envelope, index, data):
    """Full verification asks `is_leaf_at` only: it must be neither stricter nor laxer than `Envelope.parse_at`."""
    leaf = envelope.leaf()
    assert is_leaf_at(index, leaf) is reads(index, leaf)
    at = data.draw(st.integers(0, len(leaf) - 1))
    odd = [b'"', b"0", b"-", b"1", b"\n", b"\\u0030", b",", b"9" * 16]
    put = data.draw(st.binary(max_size=3) | st.sampled_from(odd))
    cut = data.draw(st.integers(0, 3))
    changed = leaf[:at] + put + leaf[at + cut :]
    missing = len(leaf) - len(changed)
    for each in (changed, changed.replace(b'"pad":"', b'"pad":"' + b"0" * missing, 1) if missing > 0 else changed):
        assert is_leaf_at(index, each) is reads(index, each)
