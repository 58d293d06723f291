"""Rooms gather cosignatures over HTTP, and members follow a log that is cosigned."""

import sqlite3
from contextlib import ExitStack, closing

import pytest
from audit_samples import (
    ORIGIN,
    VKEY,
    WITNESSES,
    add,
    cosigned_note,
    fixed_leaves,
    grow,
    naive_note,
    naive_root,
    new_log,
    witness_lines,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from loopback import served
from witness_samples import HASHES, LOG

from audit_log import (
    Cosigner,
    DirectorySource,
    Finding,
    HttpPoster,
    HttpSource,
    LogUnreachable,
    Memory,
    NotVerified,
    Refusal,
    Reply,
    TrustPolicy,
    Witness,
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
from audit_log.cosignature import accept_cosignatures, merge_signatures, verify_cosignatures
from audit_log.cosigned import MOST_GATHERING
from audit_log.note import parse_note
from audit_log.witness import AddCheckpoint


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
