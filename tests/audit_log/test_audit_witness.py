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
    VKEY,
    WITNESSES,
    add,
    cosigned_note,
    fixed_leaves,
    grow,
    naive_consistency,
    naive_leaf_hash,
    naive_note,
    naive_root,
    new_log,
    signer,
    witness_lines,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from loopback import served

from audit_log import (
    Checkpoint,
    Cosigner,
    DirectorySource,
    Finding,
    HttpPoster,
    HttpSource,
    LogFault,
    LogUnreachable,
    MalformedNote,
    MalformedRequest,
    Memory,
    NotVerified,
    Refusal,
    Reply,
    Signer,
    TrustPolicy,
    Verifier,
    Witness,
    WriterStopped,
    export_log,
    follow,
    gather_cosignatures,
    open_checkpoint,
    serve,
    store_cosigned,
    verify_database,
    verify_directory,
    verify_receipt,
)
from audit_log.checkpoint import sign_checkpoint
from audit_log.cosignature import accept_cosignatures, merge_signatures, verify_cosignatures
from audit_log.cosigned import MOST_GATHERING
from audit_log.note import parse_note, sign_note
from audit_log.witness import MAX_CONFLICTS, AddCheckpoint

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


def said(reply):
    return reply.status, reply.body


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
from test_audit_witness import LOG, ORIGIN_HASH, WITNESSES, Witness, open_checkpoint, request
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


def test_answers_that_are_no_cosignature_are_not_taken():
    note = naive_note(5, naive_root(HASHES[:5]))
    text = parse_note(note).text
    right = WITNESSES[0].cosign(text, 7).line().encode()
    other = WITNESSES[0].cosign(text.replace("5", "6"), 7).line().encode()
    for answered in (
        b"",
        b"thanks\n",
        other,
        WITNESSES[1].cosign(text, 7).line().encode(),
        right[:-1],
        right + right,
        b"\xff",
    ):
        with pytest.raises(NotVerified):
            accept_cosignatures(note, answered, WITNESSES[0].verifier)
    both = accept_cosignatures(note, WITNESSES[1].cosign(text, 9).line().encode() + right, WITNESSES[0].verifier)
    assert len(parse_note(both).signatures) == 2  # the log's and the one that was asked
    again = accept_cosignatures(both, WITNESSES[0].cosign(text, 8).line().encode(), WITNESSES[0].verifier)
    assert [each.at for each in verify_cosignatures(again, [WITNESSES[0].verifier])] == [8]


def test_a_room_gathers_cosignatures_over_http(tmp_path):
    """Two witnesses follow, a third was never started; later one of them has seen more than the room shows."""
    connection, log = new_log(tmp_path / "room.db", 6)
    with ExitStack() as stack:
        stack.enter_context(closing(connection))
        urls = ["http://127.0.0.1:9"] * 3
        for each in range(2):
            Witness.create(tmp_path / f"{each}.db", WITNESSES[each].verifier)
            opened = stack.enter_context(closing(Witness(tmp_path / f"{each}.db", WITNESSES[each], [LOG])))
            urls[each] = stack.enter_context(served(opened.answer))
        lines = [f"witness {each} {WITNESSES[each].verifier.vkey} {urls[each]}/" for each in range(3)]
        policy = TrustPolicy.parse("\n".join([f"log {VKEY}", *lines, "group q 2 0 1 2", "quorum q", ""]).encode())

        def gather(sizes=None):
            note = log.checkpoint(connection)
            size = open_checkpoint(note, LOG).size
            return gather_cosignatures(
                note,
                LOG,
                policy.witnesses,
                lambda old: log.consistency_proof(connection, old, size),
                HttpPoster(timeout=10),
                sizes=sizes,
            )

        first = gather()
        assert [(each.witness, each.why) for each in first.declined] == [("member-c.example/w", Refusal.UNREACHABLE)]
        assert len(policy.open(first.note).cosigned) == 2
        with pytest.raises(NotVerified):
            policy.open(log.checkpoint(connection))
        connection.execute("BEGIN IMMEDIATE")
        assert store_cosigned(connection, LOG, first.note, policy)
        connection.execute("COMMIT")
        receipt = log.receipt(connection, 3, cosigned=True)
        assert verify_receipt(receipt, log.leaf(connection, 3), LOG, policy)[1].size == 6
        add(connection, log, 5)
        for sizes in (first.sizes, None, dict.fromkeys(first.sizes, 3)):  # remembered, forgotten, wrong
            later = gather(sizes)
            assert policy.open(later.note).checkpoint.size == 11
            assert set(later.sizes.values()) == {11}
        # The cosigned state is what is exported to whoever asks for witnesses; the newest is the log's own word.
        for cosigned, size in ((True, 6), (False, 11)):
            export_log(connection, LOG, tmp_path / f"out{size}", cosigned=cosigned)
            assert verify_directory(tmp_path / f"out{size}", VKEY, policy=policy).ok is cosigned
            assert verify_directory(tmp_path / f"out{size}", VKEY).checkpoint.size == size
        assert verify_database(connection, VKEY, policy=policy).ok
        connection.execute("BEGIN IMMEDIATE")
        assert store_cosigned(connection, LOG, later.note, policy)
        store_cosigned(connection, LOG, first.note, policy)  # older: the larger one stays
        connection.execute("COMMIT")
        assert log.receipt(connection, 9, cosigned=True)
        rolled = sqlite3.connect(tmp_path / "room.db", isolation_level=None)
        with closing(rolled):
            smaller, smaller_log = new_log(tmp_path / "small.db", 4)
            with closing(smaller):
                back = gather_cosignatures(
                    smaller_log.checkpoint(smaller), LOG, policy.witnesses[:2], lambda _: (), HttpPoster(timeout=10)
                )
        assert {each.why for each in back.declined} == {Refusal.AHEAD}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(200, b"thanks\n"), Refusal.WRONG_ANSWER),
        (Reply(200, b""), Refusal.WRONG_ANSWER),
        (Reply(409, b"many\n"), Refusal.WRONG_ANSWER),
        (Reply(409, b"3\n"), Refusal.WRONG_ANSWER),  # again and again
        (Reply(409, b"9\n"), Refusal.AHEAD),
        (Reply(422, b"no\n"), Refusal.INCONSISTENT),
        (Reply(403, b"no\n"), Refusal.NOT_KNOWN),
        (Reply(404, b"no\n"), Refusal.NOT_KNOWN),
        (Reply(503, b""), Refusal.WRONG_ANSWER),
    ],
)
def test_a_witness_that_answers_otherwise_stops_nobody(reply, why):
    class Answers:
        def post(self, url, body):
            assert AddCheckpoint.parse(body).note == note
            if url.startswith("http://w1"):
                return Reply(200, WITNESSES[1].cosign(parse_note(note).text, 7).line().encode())
            if url.startswith("http://w2"):
                raise LogUnreachable(url, "no route")
            return reply

    note = naive_note(5, naive_root(HASHES[:5]))
    policy = TrustPolicy.parse(witness_lines())
    gathered = gather_cosignatures(note, LOG, policy.witnesses, lambda old: (bytes(32),) * bool(old), Answers())
    assert [each.why for each in gathered.declined] == [why, Refusal.UNREACHABLE]
    assert [each.witness.name for each in policy.open(gathered.note).cosigned] == ["member-b.example/w"]


def test_cosignatures_add_up_and_one_witness_ahead_takes_nothing_away(tmp_path):
    connection, log = new_log(tmp_path / "room.db", 3)
    policy = TrustPolicy.parse(witness_lines("2"))
    with closing(connection):

        def store(note):
            connection.execute("BEGIN IMMEDIATE")
            try:
                return store_cosigned(connection, LOG, note, policy)
            finally:
                connection.execute("COMMIT")

        three = log.checkpoint(connection)
        stranger = Cosigner("x.example/w", Ed25519PrivateKey.generate())
        noisy = merge_signatures(cosigned_note(three, 0), [stranger.cosign(parse_note(three).text, 9)])
        assert store(noisy) is False
        assert (
            verify_directory(exported(connection, tmp_path / "a"), VKEY, policy=policy).code is Finding.QUORUM_MISSING
        )
        assert store(cosigned_note(three, 2)) is True
        assert {each.name for each in parse_note(log_shown(connection)).signatures} == {
            ORIGIN,
            WITNESSES[0].name,
            WITNESSES[2].name,
        }
        add(connection, log, 2)
        five = log.checkpoint(connection)
        assert store(cosigned_note(five, 1)) is False  # one is ahead
        assert open_checkpoint(log_shown(connection), LOG).size == 3
        assert verify_database(connection, VKEY, policy=policy).ok
        assert store(cosigned_note(five, 0, 1)) is True
        assert open_checkpoint(log_shown(connection), LOG).size == 5
        assert connection.execute("SELECT size FROM audit_cosigned").fetchall() == [(5,)]
        assert store(cosigned_note(three, 0, 1, 2)) is True  # true, and of no more use
        assert connection.execute("SELECT size FROM audit_cosigned").fetchall() == [(5,)]
        false = merge_signatures(five, [WITNESSES[0].cosign("another state\n", 7)])
        with pytest.raises(NotVerified):
            store(false)
        for _ in range(MOST_GATHERING + 9):
            add(connection, log, 1)
            store(cosigned_note(log.checkpoint(connection), 1))
        (kept,) = connection.execute("SELECT count(*) FROM audit_cosigned").fetchone()
        assert kept == MOST_GATHERING + 1
        assert open_checkpoint(log_shown(connection), LOG).size == 5


def log_shown(connection):
    return serve(connection, "/checkpoint", VKEY, cosigned=True).body


def exported(connection, place):
    export_log(connection, LOG, place, cosigned=True)
    return place


def test_a_member_follows_a_log_without_being_called(tmp_path):
    """It fetches over HTTP, reads every new entry, cosigns, and finds out what a proof alone would not show."""
    connection, log = new_log(tmp_path / "room.db", 258)
    policy = TrustPolicy.parse(witness_lines("any"))
    Witness.create(tmp_path / "w.db", WITNESSES[0].verifier)
    memory = Memory(tmp_path / "memory")
    with ExitStack() as stack:
        stack.enter_context(closing(connection))
        reader = stack.enter_context(closing(sqlite3.connect(tmp_path / "room.db", check_same_thread=False)))
        witness = stack.enter_context(closing(Witness(tmp_path / "w.db", WITNESSES[0], [LOG])))
        url = stack.enter_context(served(lambda _, path, __: serve(reader, path, VKEY)))
        source = stack.enter_context(closing(HttpSource(url)))
        for size in (258, 258, 300):
            add(connection, log, size - log.size(connection))
            followed = follow(witness, LOG, source, memory)
            assert followed.verdict.ok
            assert memory.recall(LOG).size == witness.size_of(ORIGIN) == size
            connection.execute("BEGIN IMMEDIATE")
            assert store_cosigned(connection, LOG, followed.note, policy)
            connection.execute("COMMIT")
        assert followed.verdict.since == 258
        assert policy.open(log_shown(connection)).checkpoint.size == 300
        # A log that grew as it must, whose new entry is none: a proof would be cosigned, this is not.
        bad = fixed_leaves(1)[0].replace(b"query.charged", b"query.chargeX")
        with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as forged:
            connection.backup(forged)
            grow(forged, log, [bad])
            export_log(forged, LOG, tmp_path / "grown")
        found = follow(witness, LOG, DirectorySource(tmp_path / "grown"), memory)
        assert (found.verdict.code, found.verdict.index, found.note) == (Finding.ENTRY_MALFORMED, 300, b"")
        # An older state, another history, and both to a member that has lost its memory but not its witness.
        older, older_log = new_log(tmp_path / "older.db", 20)
        other, other_log = new_log(tmp_path / "rewritten.db", 301)
        with closing(older), closing(other):
            export_log(older, older_log.verifier, tmp_path / "old")
            export_log(other, other_log.verifier, tmp_path / "new")
        for name, code in (("old", Finding.ROLLED_BACK), ("new", Finding.HISTORY_REWRITTEN)):
            for kept in (memory, Memory(tmp_path / "lost" / name)):
                found = follow(witness, LOG, DirectorySource(tmp_path / name), kept)
                assert (found.verdict.code, found.note) == (code, b"")
        assert witness.size_of(ORIGIN) == 300
        assert witness.conflicts(ORIGIN)
