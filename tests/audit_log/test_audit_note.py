"""Signed notes, keys, checkpoints and receipts: one spelling each."""

import base64
import copy
import pickle

import pytest
from audit_samples import ORIGIN, SEED, VKEY, naive_note, signer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_log import (
    Checkpoint,
    MalformedCheckpoint,
    MalformedNote,
    MalformedReceipt,
    NotVerified,
    Receipt,
    Signer,
    Verifier,
    checkpoint,
    open_checkpoint,
    open_known_checkpoint,
    verify_receipt,
)
from audit_log.checkpoint import sign_checkpoint
from audit_log.merkle import EMPTY_ROOT, leaf_hash
from audit_log.note import open_note, parse_note, sign_note

# golang.org/x/mod/sumdb/note, the format's first implementation.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# c2sp.org/signed-note, "Format".
SPECIFICATION_NOTE = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "\u2014 quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
TEXT = "hello\n\nworld\n"
NOTE = sign_note(TEXT, [signer()])
LINE = NOTE.decode().split("\n\n")[-1]


def test_the_first_implementations_note():
    note = (PETER_TEXT + "\n" + PETER_LINE).encode()
    assert open_note(note, [Verifier.from_vkey(PETER)]) == PETER_TEXT
    with pytest.raises(NotVerified, match="does not hold"):
        open_note(note.replace(b"think", b"thinK"), [Verifier.from_vkey(PETER)])


def test_the_specifications_note_is_well_formed():
    parsed = parse_note(SPECIFICATION_NOTE.encode())
    assert parsed.text.endswith("\n\ned è subito sera.\n")
    assert [each.name for each in parsed.signatures] == ["quasimodo.example/salvatore"]
    assert len(parsed.signatures[0].signature) == 64


def test_signing_is_the_oracles():
    assert sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), signer()) == naive_note(0, EMPTY_ROOT)


def test_keys_read_as_written():
    assert Verifier.from_vkey(PETER).vkey == PETER
    assert Verifier.from_vkey(VKEY) == signer().verifier


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a+b",
        PETER.replace("c74f", "C74F"),
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("PeterNeumann", "Peter Neumann"),
        PETER.replace("PeterNeumann", ""),
        PETER[:-1] + "X",  # stray trailing bits or another key
        PETER + "=",
        PETER + "\n",
        "x+" + "0" * 8 + "+",
    ],
)
def test_malformed_keys_are_refused(vkey):
    with pytest.raises(MalformedNote):
        Verifier.from_vkey(vkey)


def test_keys_of_other_algorithms_are_refused_by_name():
    from audit_log.note import key_id

    public = bytes(32)
    encoded = base64.b64encode(b"\x06" + public).decode()
    with pytest.raises(MalformedNote, match="0x06"):
        Verifier.from_vkey(f"w+{key_id('w', 6, public).hex()}+{encoded}")


def test_unknown_keys_are_ignored_and_a_known_one_must_hold():
    other = Signer(ORIGIN, Ed25519PrivateKey.generate())
    both = sign_note(TEXT, [other, signer()])
    assert open_note(both, [signer().verifier]) == TEXT
    with pytest.raises(NotVerified, match="no known key"):
        open_note(sign_note(TEXT, [other]), [signer().verifier])
    bad = base64.b64encode(signer().verifier.key_id + bytes(64)).decode()
    good_and_bad = sign_note(TEXT, [other]).decode() + f"\u2014 {ORIGIN} {bad}\n"
    with pytest.raises(NotVerified, match="does not hold"):
        open_note(good_and_bad.encode(), [signer().verifier, other.verifier])


def _stray_bits(line):
    """Respell the base64 so that it decodes to the same bytes."""
    head, encoded = line.rstrip("\n").rsplit(" ", 1)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = len(encoded.rstrip("=")) - 1
    respelled = encoded[:at] + alphabet[alphabet.index(encoded[at]) + 1] + encoded[at + 1 :]
    assert base64.b64decode(respelled, validate=True) == base64.b64decode(encoded)
    return f"{head} {respelled}\n"


def _many(count):
    lines = [f"\u2014 w{number} {base64.b64encode(bytes(68)).decode()}\n" for number in range(count)]
    return TEXT + "\n" + "".join(lines)


@pytest.mark.parametrize("count", [1, 16, 17, 150, 256])
def test_many_signatures_are_accepted(count):
    assert len(parse_note(_many(count).encode()).signatures) == count


MALFORMED = {
    "empty": "",
    "crlf": NOTE.decode().replace("\n", "\r\n"),
    "tab": TEXT + "\t\n\n" + LINE,
    "nul": TEXT + "\0\n\n" + LINE,
    "no final newline": NOTE.decode()[:-1],
    "no blank line": "hello\n" + LINE,
    "no signature": TEXT + "\n",
    "blank line after the signatures": NOTE.decode() + "\n",
    "double blank line within the signatures": TEXT + "\n" + LINE + "\n\n",
    "stray bits in the base64": TEXT + "\n" + _stray_bits(LINE),
    "padding left out": TEXT + "\n" + LINE.replace("=", ""),
    "base64url": TEXT + "\n" + "\u2014 w " + base64.urlsafe_b64encode(b"\xff" * 68).decode() + "\n",
    "another dash": TEXT + "\n" + LINE.replace("\u2014", "\u2013"),
    "hyphen": TEXT + "\n" + LINE.replace("\u2014", "-"),
    "two spaces": TEXT + "\n" + LINE.replace("\u2014 ", "\u2014  "),
    "trailing space": TEXT + "\n" + LINE.replace("\n", " \n"),
    "U+2028 in a name": TEXT + "\n" + LINE.replace(ORIGIN, "a\u2028b"),
    "U+0085 in a name": TEXT + "\n" + LINE.replace(ORIGIN, "a\u0085b"),
    "U+00A0 in a name": TEXT + "\n" + LINE.replace(ORIGIN, "a\u00a0b"),
    "plus in a name": TEXT + "\n" + LINE.replace(ORIGIN, "a+b"),
    "no name": TEXT + "\n" + LINE.replace(ORIGIN, ""),
    "only a key id": TEXT + "\n\u2014 w AAAAAA==\n",
    "one key twice": TEXT + "\n" + LINE + LINE,
    "257 signatures": _many(257),
    "U+2028 instead of newline": NOTE.decode().replace("\n\u2014", "\u2028\u2014"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_notes_are_refused(name):
    with pytest.raises(MalformedNote):
        parse_note(MALFORMED[name].encode())


def test_notes_that_are_not_utf8_or_too_long_are_refused():
    for note in (NOTE.replace(b"hello", b"hell\xff"), b"x" * 2_000_001):
        with pytest.raises(MalformedNote):
            parse_note(note)


def test_a_blank_line_more_in_the_text_breaks_the_signature():
    with pytest.raises(NotVerified):
        open_note(NOTE.replace(b"world\n\n", b"world\n\n\n"), [signer().verifier])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_every_flipped_byte_of_a_note_is_found(at, mask):
    flipped = NOTE[:at] + bytes([NOTE[at] ^ mask]) + NOTE[at + 1 :]
    with pytest.raises(NotVerified):
        open_note(flipped, [signer().verifier])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(note):
    with pytest.raises(NotVerified):
        open_note(note, [signer().verifier])


def test_a_signer_shows_and_hands_out_no_secret():
    secret = signer()
    for form in (SEED.hex(), base64.b64encode(SEED).decode()):
        assert form not in repr(secret) + str(secret)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(secret)


ROOT = base64.b64encode(leaf_hash(b"x")).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n01\n{ROOT}\n",
        f"{ORIGIN}\n+1\n{ROOT}\n",
        f"{ORIGIN}\n1 \n{ROOT}\n",
        f"{ORIGIN}\n\u0661\n{ROOT}\n",
        f"{ORIGIN}\n-1\n{ROOT}\n",
        f"{ORIGIN}\n9223372036854775808\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n",
        f"{ORIGIN}\n0\n{ROOT}\n",
        f"{ORIGIN}\n1\n{ROOT}\nextension\n",
        f"{ORIGIN}\n1\n{ROOT}\n\n",
        f"{ORIGIN}\n\n1\n{ROOT}\n",
        f"{ORIGIN}\n1\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n1\n{ROOT[:-2]}{chr(ord(ROOT[-2]) + 1)}=\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"\n1\n{ROOT}\n",
        f"a b\n1\n{ROOT}\n",
        f"{ORIGIN}\n1\n{ROOT}",
        f"{ORIGIN}\u20281\n{ROOT}\n",
        "",
    ],
)
def test_malformed_checkpoints_are_refused(text):
    with pytest.raises(MalformedCheckpoint):
        Checkpoint.parse(text)


def test_a_checkpoint_of_another_origin_is_refused():
    note = sign_note(f"other.example/log\n1\n{ROOT}\n", [signer()])
    with pytest.raises(MalformedCheckpoint):
        open_checkpoint(note, signer().verifier)


LEAF = b"x"
RECEIPT = Receipt(0, (), sign_checkpoint(Checkpoint(ORIGIN, 1, leaf_hash(LEAF)), signer()))


def test_receipts_read_as_written():
    for receipt in (RECEIPT, Receipt(0, (), RECEIPT.note, b"hint"), Receipt(7, (bytes(32),) * 3, RECEIPT.note)):
        assert Receipt.parse(receipt.encode()) == receipt
    assert verify_receipt(RECEIPT.encode(), LEAF, signer().verifier)[0] == 0


ENCODED = RECEIPT.encode()


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        ENCODED.replace(b"@v1", b"@v2"),
        ENCODED.replace(b"index 0", b"index 00"),
        ENCODED.replace(b"index 0", b"index  0"),
        ENCODED.replace(b"index 0\n", b""),
        ENCODED.replace(b"index 0\n", b"index 0\nAAAA\n"),
        ENCODED.replace(b"index 0\n", b"extra \nindex 0\n"),
        ENCODED.replace(b"index 0\n", b"extra QR==\nindex 0\n"),
        ENCODED.replace(b"index 0\n", b"index 0\n" + b"A" * 43 + b"=\n" + b"A" * 42 + b"B=\n"),
        ENCODED.replace(b"index 0\n", b"index 0\n" + (b"A" * 43 + b"=\n") * 64),
        ENCODED.replace(b"\n", b"\r\n"),
        ENCODED[:-1],
        ENCODED.split(b"\n\n")[0],
    ],
)
def test_malformed_receipts_are_refused(encoded):
    with pytest.raises(MalformedReceipt):
        verify_receipt(encoded, LEAF, signer().verifier)


def test_every_flipped_byte_of_a_receipt_is_found():
    for at in range(len(ENCODED)):
        flipped = ENCODED[:at] + bytes([ENCODED[at] ^ 1]) + ENCODED[at + 1 :]
        with pytest.raises(NotVerified):
            verify_receipt(flipped, LEAF, signer().verifier)
    with pytest.raises(NotVerified):
        verify_receipt(ENCODED, b"y", signer().verifier)


def test_bytes_that_were_verified_are_known_and_no_others(monkeypatch):
    note = sign_checkpoint(Checkpoint(ORIGIN, 7, b"7" * 32), signer())
    asked = []
    holds = Verifier.holds
    monkeypatch.setattr(Verifier, "holds", lambda self, *rest: asked.append(rest) or holds(self, *rest))
    for _ in range(3):
        assert open_known_checkpoint(note, signer().verifier) == Checkpoint(ORIGIN, 7, b"7" * 32)
    assert len(asked) == 1
    for place in range(len(note)):
        altered = bytearray(note)
        altered[place] ^= 1
        with pytest.raises((NotVerified, MalformedNote, MalformedCheckpoint)):
            open_known_checkpoint(bytes(altered), signer().verifier)
    other = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier
    for _ in range(2):
        with pytest.raises(NotVerified):
            open_known_checkpoint(note, other)


def test_so_many_notes_are_known_and_no_more():
    notes = [sign_checkpoint(Checkpoint(ORIGIN, size, b"x" * 32), signer()) for size in range(1, 200)]
    for size, note in enumerate(notes, 1):
        assert open_known_checkpoint(note, signer().verifier).size == size
        assert len(checkpoint._KNOWN) <= checkpoint._MOST_KNOWN
