"""A witness cosigns what contains all it cosigned before, and nothing else; it forgets nothing."""

import base64
import hashlib
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from audit_samples import (
    ORIGIN,
    WITNESSES,
    naive_consistency,
    naive_note,
    naive_root,
    signer,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from witness_samples import HASHES, LOG, ORIGIN_HASH, OTHER, request

from audit_log import (
    Checkpoint,
    Cosigner,
    LogFault,
    MalformedNote,
    MalformedRequest,
    NotVerified,
    Signer,
    Verifier,
    Witness,
    WriterStopped,
    open_checkpoint,
)
from audit_log.checkpoint import sign_checkpoint
from audit_log.cosignature import accept_cosignatures, merge_signatures, verify_cosignatures
from audit_log.note import parse_note, sign_note
from audit_log.witness import MAX_CONFLICTS, AddCheckpoint


def test_a_cosignature_is_what_the_specification_says(witness):
    reply = witness.answer("POST", "/add-checkpoint", request(0, 5))
    assert reply.status == 200
    dash, name, encoded = reply.body.decode().removesuffix("\n").split(" ")
    public = WITNESSES[0].verifier.public_key
    raw = base64.b64decode(encoded)
    assert (dash, name) == ("\u2014", "member-a.example/w")
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    assert int.from_bytes(raw[4:12], "big") == 1_800_000_000
    text = naive_note(5, naive_root(HASHES[:5])).split(b"\n\n")[0] + b"\n"
    Ed25519PublicKey.from_public_bytes(public).verify(raw[12:], b"cosignature/v1\ntime 1800000000\n" + text)


def test_a_witness_follows_a_log_and_shows_what_it_cosigned(witness):
    assert witness.answer("GET", f"/{ORIGIN_HASH}/checkpoint").status == 404
    for old, size in ((0, 0), (0, 1), (1, 1), (1, 2), (2, 7), (7, 8), (8, 40)):
        reply = witness.add_checkpoint(request(old, size))
        assert reply.status == 200, reply.body
        shown = witness.answer("GET", f"/{ORIGIN_HASH}/checkpoint")
        assert shown.status == 200
        assert open_checkpoint(shown.body, LOG).size == size
        (cosigned,) = verify_cosignatures(shown.body, [WITNESSES[0].verifier])
        assert cosigned.at == 1_800_000_000
        assert shown.body.endswith(reply.body)


def test_rollback_split_view_and_rewritten_history_are_refused(witness):
    assert witness.add_checkpoint(request(0, 20)).status == 200
    before = witness.latest(ORIGIN_HASH).body
    refused = [
        (request(0, 5), (409, b"20\n")),  # an older state, as if it were new
        (request(5, 5), (409, b"20\n")),
        (request(20, 5), (400, None)),  # the old size above the new
        (request(5, 30), (409, b"20\n")),
        (request(20, 20, OTHER), (422, None)),  # another root at the same size: a split view
        (request(20, 30, OTHER), (422, None)),  # a rewritten history, with its own honest proof
        (request(20, 30, proof=[]), (422, None)),
        (request(20, 30, proof=naive_consistency(19, HASHES[:30])), (422, None)),
        (request(20, 30, proof=[*naive_consistency(20, HASHES[:30]), bytes(32)]), (422, None)),
        (request(20, 20, proof=[bytes(32)]), (422, None)),
    ]
    for body, (status, text) in refused:
        reply = witness.add_checkpoint(body)
        assert reply.status == status
        assert text is None or (reply.body, reply.content_type) == (text, "text/x.tlog.size")
        assert "\u2014" not in reply.body.decode()
    assert witness.latest(ORIGIN_HASH).body == before
    kept = [parse_note(note).text for note in witness.conflicts(ORIGIN)]
    assert parse_note(naive_note(20, naive_root(OTHER[:20]))).text in kept
    assert witness.add_checkpoint(request(20, 30)).status == 200


def test_evidence_does_not_fill_the_disk(witness):
    witness.add_checkpoint(request(0, 5))
    for number in range(MAX_CONFLICTS + 5):
        note = sign_checkpoint(Checkpoint(ORIGIN, 5, number.to_bytes(32, "big")), signer())
        assert witness.add_checkpoint(request(5, 5, note=note)).status == 422
    assert len(witness.conflicts(ORIGIN)) == MAX_CONFLICTS


def test_what_the_log_did_not_sign_is_not_cosigned(witness):
    root = naive_root(HASHES[:5])
    stranger = Signer(ORIGIN, Ed25519PrivateKey.generate())
    elsewhere = signer("other.example/log")
    good = naive_note(5, root)
    broken = good[:120] + (b"A" if good[120:121] != b"A" else b"B") + good[121:]
    cases = [
        (sign_checkpoint(Checkpoint(ORIGIN, 5, root), stranger), 403),
        (broken, 403),
        (sign_checkpoint(Checkpoint("other.example/log", 5, root), elsewhere), 404),
        (sign_note(f"{ORIGIN}\n0\n{base64.b64encode(bytes(32)).decode()}\n", [signer()]), 422),
        (sign_note(f"{ORIGIN}\n5\n", [signer()]), 400),
        (sign_note(f"{ORIGIN}\n05\n{base64.b64encode(root).decode()}\n", [signer()]), 400),
        (sign_note(f"{ORIGIN}\n5\n{base64.b64encode(root[:31]).decode()}\n", [signer()]), 400),
        (parse_note(good).text.encode(), 400),
    ]
    for note, status in cases:
        size = 0 if b"\n0\n" in note else 5
        assert witness.add_checkpoint(request(0, size, note=note)).status == status, note
    assert witness.latest(ORIGIN_HASH).status == 404
    assert not [note for note in witness.conflicts(ORIGIN) if b"\n5\n" in note]


def test_extension_lines_of_other_logs_are_cosigned_as_they_are(witness):
    text = f"{ORIGIN}\n5\n{base64.b64encode(naive_root(HASHES[:5])).decode()}\nextension 1\n"
    note = sign_note(text, [signer()])
    reply = witness.add_checkpoint(request(0, 5, note=note))
    assert reply.status == 200
    assert (
        len(verify_cosignatures(accept_cosignatures(note, reply.body, WITNESSES[0].verifier), [WITNESSES[0].verifier]))
        == 1
    )


def test_only_the_protocols_resources_are_there(witness):
    for method, path, status in (
        ("GET", "/add-checkpoint", 405),
        ("POST", f"/{ORIGIN_HASH}/checkpoint", 405),
        ("POST", "/add-checkpoint/", 404),
        ("GET", "/" + ORIGIN_HASH.upper() + "/checkpoint", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/", 404),
    ):
        assert witness.answer(method, path).status == status


def test_a_clock_set_back_makes_no_earlier_statement(place):
    times = iter([1_800_000_000, 5, -7])
    with closing(Witness(place, WITNESSES[0], [LOG], now=lambda: next(times))) as witness:
        for old, size in ((0, 5), (5, 6), (6, 7)):
            witness.add_checkpoint(request(old, size))
            (cosigned,) = verify_cosignatures(witness.latest(ORIGIN_HASH).body, [WITNESSES[0].verifier])
            assert cosigned.at == 1_800_000_000


def test_a_witness_that_lost_its_state_is_not_started(place, tmp_path):
    with pytest.raises(LogFault, match="retired"):
        Witness(tmp_path / "lost.db", WITNESSES[0], [LOG])
    with pytest.raises(LogFault, match="another witness's"):
        Witness(place, WITNESSES[1], [LOG])
    with pytest.raises(LogFault, match="already"):
        Witness.create(place, WITNESSES[0].verifier)
    (tmp_path / "text.db").write_bytes(b"not a database, and long enough to be looked at" * 30)
    with pytest.raises(LogFault, match="not a witness's state"):
        Witness(tmp_path / "text.db", WITNESSES[0], [LOG])
    with pytest.raises(MalformedNote):
        Witness(place, WITNESSES[0], [WITNESSES[1].verifier])


def test_of_two_at_once_one_is_first(place):
    """The race of the specification: many threads on several openings of one state never cosign a rollback."""
    sizes, largest = [], []
    with ExitStack() as stack:
        openings = [stack.enter_context(closing(Witness(place, WITNESSES[0], [LOG]))) for _ in range(3)]

        def climb(witness, seed):
            draw = random.Random(seed)
            for _ in range(40):
                known = openings[0].latest(ORIGIN_HASH)
                old = open_checkpoint(known.body, LOG).size if known.status == 200 else 0
                size = draw.randint(old, 40)
                if witness.add_checkpoint(request(old, size)).status == 200:
                    sizes.append((old, size))
                largest.append(old)

        threads = [threading.Thread(target=climb, args=(openings[each % 3], each)) for each in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        final = open_checkpoint(openings[0].latest(ORIGIN_HASH).body, LOG).size
    # What was cosigned is one chain: each begins at the end of another, and no size was left twice for a larger one.
    grown = sorted(pair for pair in sizes if pair[0] != pair[1])
    assert len({old for old, _ in grown}) == len(grown)
    assert [old for old, _ in grown] == [0, *[size for _, size in grown[:-1]]]
    assert grown[-1][1] == final >= max(largest)


CLIMBER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from witness_samples import LOG, ORIGIN_HASH, WITNESSES, Witness, request
from audit_log import open_checkpoint
witness = Witness(Path(sys.argv[1]), WITNESSES[0], [LOG])
known = witness.latest(ORIGIN_HASH)
size = open_checkpoint(known.body, LOG).size if known.status == 200 else 0
while size < 40:
    assert witness.add_checkpoint(request(size, size + 1)).status == 200
    size += 1
    print(size, flush=True)
"""


def test_kill_9_loses_no_cosignature(place):
    acknowledged = 0
    for after in (1, 2, 3, 5, 8):
        with subprocess.Popen(
            [sys.executable, "-c", CLIMBER, str(place), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        ) as climber:
            for _, line in zip(range(after), climber.stdout, strict=False):
                acknowledged = int(line)
            os.kill(climber.pid, signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, climber.stdout.read().split())])
        with closing(Witness(place, WITNESSES[0], [LOG])) as witness:
            assert open_checkpoint(witness.latest(ORIGIN_HASH).body, LOG).size >= acknowledged


def test_a_witness_that_cannot_write_cosigns_nothing(place):
    with closing(Witness(place, WITNESSES[0], [LOG])) as witness, closing(sqlite3.connect(place)) as other:
        assert witness.add_checkpoint(request(0, 5)).status == 200
        witness._connection.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        busy = witness.answer("POST", "/add-checkpoint", request(5, 6))
        assert busy.status == 503
        assert "\u2014" not in busy.body.decode()
        other.rollback()
        (pages,) = other.execute("PRAGMA page_count").fetchone()
        witness._connection.execute(f"PRAGMA max_page_count = {pages}")  # the disk is full
        long = sign_note(
            f"{ORIGIN}\n6\n{base64.b64encode(naive_root(HASHES[:6])).decode()}\n{'x' * 50_000}\n", [signer()]
        )
        with pytest.raises(WriterStopped, match="full"):
            witness.add_checkpoint(request(5, 6, note=long))
        witness._connection.execute("PRAGMA max_page_count = 100000")
        with pytest.raises(WriterStopped):
            witness.add_checkpoint(request(5, 6))
        assert witness.answer("POST", "/add-checkpoint", request(5, 6)).status == 503
    with closing(Witness(place, WITNESSES[0], [LOG])) as witness:
        assert open_checkpoint(witness.latest(ORIGIN_HASH).body, LOG).size == 5
        assert witness.add_checkpoint(request(5, 6)).status == 200


@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_refused(body):
    with suppress(MalformedRequest):
        assert AddCheckpoint.parse(body).encode() == body


@given(st.data())
def test_a_request_has_one_spelling(data):
    body = request(5, 30)
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + data.draw(st.sampled_from([b"", b"\n", b" ", b"0", b"=", b"\r\n", b"A"])) + body[at + 1 :]
    with suppress(MalformedRequest):
        assert AddCheckpoint.parse(changed).encode() == changed


def test_too_many_hashes_and_too_long_bodies_are_refused(witness):
    for body in (request(5, 30, proof=[bytes(32)] * 64), b"old 0\n\n" + b"x" * 2_100_000, b"", b"old 0", b"old -1\n\n"):
        assert witness.add_checkpoint(body).status == 400


def test_a_cosigner_hands_out_no_secret():
    with pytest.raises(TypeError):
        pickle.dumps(WITNESSES[0])
    assert "PRIVATE" not in repr(WITNESSES[0])
    assert repr(WITNESSES[0]) == f"Cosigner({WITNESSES[0].verifier.vkey!r})"
    for at in (0, -1, 2**63):
        with pytest.raises(MalformedNote):
            WITNESSES[0].cosign("x\n", at)


def test_a_witness_key_is_no_log_key():
    """A cosignature must not pass for the log's own signature, nor the other way round."""
    same = Ed25519PrivateKey.from_private_bytes(bytes(32))
    text = Checkpoint(ORIGIN, 0, hashlib.sha256().digest()).text()
    cosigner = Cosigner(ORIGIN, same)
    note = merge_signatures(sign_note(text, [Signer(ORIGIN, same)]), [cosigner.cosign(text, 1)])
    with pytest.raises(NotVerified):
        open_checkpoint(note, cosigner.verifier)
    with pytest.raises(MalformedNote):
        verify_cosignatures(note, [Signer(ORIGIN, same).verifier])
    assert open_checkpoint(note, Signer(ORIGIN, same).verifier).size == 0
    assert Verifier.from_vkey(cosigner.verifier.vkey) == cosigner.verifier
