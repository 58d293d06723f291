"""Verification finds whatever was changed and names the place."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from audit_samples import (
    ORIGIN,
    READERS,
    VKEY,
    add,
    connect,
    event,
    fixed_leaves,
    naive_files,
    new_log,
    read_files,
    signer,
    write_files,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from make_golden import golden

from audit_log import (
    Checkpoint,
    EventType,
    Finding,
    LogFault,
    MalformedNote,
    NotVerified,
    Signer,
    Verdict,
    explain,
    export_log,
    open_checkpoint,
    verify_database,
    verify_directory,
    verify_receipt,
)
from audit_log.checkpoint import sign_checkpoint
from audit_log.note import sign_note

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("small"), 5)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("large"), 300)


def exported(folder, entries):
    """Return (database, export) of a new log."""
    connection, log = new_log(folder / "room.db", entries)
    export_log(connection, log.verifier, folder / "out")
    connection.close()
    return folder / "room.db", folder / "out"


@pytest.fixture
def copied(small, tmp_path):
    """A small export that the test may damage."""
    shutil.copytree(small[1], tmp_path / "out")
    return tmp_path / "out"


def found(verdict):
    return verdict.code, verdict.place, verdict.index


def test_the_golden_logs_are_what_the_oracle_writes():
    assert golden() == GOLDEN


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257])
def test_golden_logs_verify(size, tmp_path):
    expected = GOLDEN["logs"][str(size)]
    leaves = fixed_leaves(size)
    write_files(tmp_path, naive_files(leaves))
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in read_files(tmp_path).items()}
    assert digests == expected["sha256"]
    receipts = [expected["receipt_of_last"].encode()] if size else []
    verdict = verify_directory(tmp_path, GOLDEN["vkey"], receipts=receipts)
    assert verdict.ok
    assert verdict.checkpoint.size == size
    if size:
        assert verify_receipt(receipts[0], leaves[-1], signer().verifier)[0] == size - 1


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257])
def test_exports_are_what_the_oracle_writes(size, tmp_path):
    connection, log = new_log(tmp_path / "room.db", size)
    with closing(connection):
        assert export_log(connection, log.verifier, tmp_path / "out").size == size
        assert read_files(tmp_path / "out") == naive_files([log.leaf(connection, at) for at in range(size)])
        assert verify_directory(tmp_path / "out", VKEY).ok
        assert verify_database(connection, VKEY, readers=READERS).ok


def test_an_export_is_brought_up_to_date(tmp_path):
    connection, log = new_log(tmp_path / "room.db", 3)
    out = tmp_path / "out"
    with closing(connection):
        remembered = export_log(connection, log.verifier, out)
        (out / "tile" / "0" / "000.p" / "3.tmp").write_bytes(b"left by a killed export")
        add(connection, log, 254)
        export_log(connection, log.verifier, out)
        assert read_files(out) == naive_files([log.leaf(connection, at) for at in range(257)])
        verdict = verify_directory(out, VKEY, remembered=remembered)
        assert verdict.ok
        assert verdict.checkpoint.size == 257


def test_an_export_replaces_nothing_else(tmp_path):
    connection, log = new_log(tmp_path / "a.db", 3)
    other, other_log = new_log(tmp_path / "b.db", 4)
    with closing(connection), closing(other):
        (tmp_path / "papers").mkdir()
        (tmp_path / "papers" / "letter.txt").write_text("dear")
        with pytest.raises(LogFault):
            export_log(connection, log.verifier, tmp_path / "papers")
        export_log(connection, log.verifier, tmp_path / "out")
        with pytest.raises(NotVerified):
            export_log(other, other_log.verifier, tmp_path / "out")
        export_log(other, other_log.verifier, tmp_path / "out2")
        with pytest.raises(LogFault, match="rolled back"):
            export_log(connection, log.verifier, tmp_path / "out2")


def test_every_flipped_byte_is_found_and_named(copied):
    for name, content in read_files(copied).items():
        path = copied / name
        for at in range(len(content)):
            path.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :])
            verdict = verify_directory(copied, VKEY)
            assert not verdict.ok
            assert verdict.place == name
            if name.startswith("tile/entries"):
                assert verdict.index == at // 1026
            if name.startswith("tile/0"):
                assert verdict.index == at // 32
        path.write_bytes(content)
    assert verify_directory(copied, VKEY).ok


def test_flipped_bytes_of_a_larger_log_are_found_and_named(large, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(large[1], out)
    files = read_files(out)
    assert "tile/1/000.p/1" in files
    for name, content in files.items():
        path = out / name
        first = 256 if "/001.p/" in name else 0
        for at in sorted({0, 1, len(content) - 1, *range(7, len(content), max(1, len(content) // 12))}):
            path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            verdict = verify_directory(out, VKEY)
            assert not verdict.ok
            assert verdict.place == name
            if name.startswith("tile/entries"):
                assert verdict.index == first + at // 1026
            if name.startswith("tile/0"):
                assert verdict.index == first + at // 32
        path.write_bytes(content)


def test_missing_extra_truncated_and_longer_files_are_named(copied):
    files = read_files(copied)
    for name, content in files.items():
        path = copied / name
        path.unlink()
        assert found(verify_directory(copied, VKEY)) == (Finding.FILE_MISSING, name, -1)
        path.symlink_to(copied / "elsewhere")
        assert verify_directory(copied, VKEY).place == name
        path.unlink()
        for wrong in (b"", content[:-1], content[: len(content) // 2], content + b"\0"):
            path.write_bytes(wrong)
            assert not verify_directory(copied, VKEY).ok
            assert verify_directory(copied, VKEY).place == name
        path.write_bytes(content)
    for extra in ("tile/0/001", "tile/entries/000", "tile/1/000.p/1", "notes.txt", "tile/0/000.p/4"):
        (copied / extra).parent.mkdir(parents=True, exist_ok=True)
        (copied / extra).write_bytes(b"x")
        assert found(verify_directory(copied, VKEY)) == (Finding.FILE_EXTRA, extra, -1)
        (copied / extra).unlink()
    assert verify_directory(copied, VKEY).ok


def test_a_truncated_bundle_names_the_entry(copied):
    bundle = copied / "tile" / "entries" / "000.p" / "5"
    bundle.write_bytes(bundle.read_bytes()[: 2 * 1026 + 100])
    assert found(verify_directory(copied, VKEY)) == (Finding.FILE_LENGTH, "tile/entries/000.p/5", 2)


def test_entries_and_tiles_altered_together_are_found(copied):
    """An operator without the key rewrites an entry and everything that follows from it, but not the signature."""
    files = naive_files(fixed_leaves(5))
    for name in ("tile/entries/000.p/5", "tile/0/000.p/5"):
        (copied / name).write_bytes(files[name])
    verdict = verify_directory(copied, VKEY)
    assert (verdict.code, verdict.place) == (Finding.ROOT_DIFFERS, "checkpoint")


def test_another_key_is_not_believed(copied):
    stranger = Signer(ORIGIN, Ed25519PrivateKey.generate())
    assert found(verify_directory(copied, stranger.verifier.vkey)) == (Finding.KEY_DIFFERS, "log.vkey", -1)
    (copied / "log.vkey").write_text(stranger.verifier.vkey + "\n")
    assert verify_directory(copied, stranger.verifier.vkey).code is Finding.SIGNATURE_WRONG
    with pytest.raises(MalformedNote):
        verify_directory(copied, "not a key")


def test_an_absurd_signed_size_ends_at_the_first_missing_file(copied):
    note = sign_checkpoint(Checkpoint(ORIGIN, 2**62, bytes(32)), signer())
    (copied / "checkpoint").write_bytes(note)
    assert found(verify_directory(copied, VKEY)) == (Finding.FILE_MISSING, "tile/entries/000", -1)


def test_a_signed_entry_that_is_no_envelope_is_named(tmp_path):
    leaves = fixed_leaves(4)
    leaves[2] = leaves[2].replace(b"query.charged", b"query.chargeX")
    write_files(tmp_path / "a", naive_files(leaves))
    assert found(verify_directory(tmp_path / "a", VKEY)) == (Finding.ENTRY_MALFORMED, "tile/entries/000.p/4", 2)
    leaves = fixed_leaves(4)
    leaves[1], leaves[3] = leaves[3], leaves[1]  # caused by what comes later
    write_files(tmp_path / "b", naive_files(leaves))
    assert found(verify_directory(tmp_path / "b", VKEY)) == (Finding.ENTRY_MALFORMED, "tile/entries/000.p/4", 1)


def test_rollback_and_rewritten_history_are_told_apart(tmp_path):
    connection, log = new_log(tmp_path / "a.db", 5)
    rewritten, other_log = new_log(tmp_path / "b.db", 9)
    with closing(connection), closing(rewritten):
        early = export_log(connection, log.verifier, tmp_path / "early")
        receipt = log.receipt(connection, 2)
        add(connection, log, 3)
        late = export_log(connection, log.verifier, tmp_path / "late")
        late_receipt = log.receipt(connection, 7)
        export_log(rewritten, other_log.verifier, tmp_path / "other")
        other = Checkpoint("other.example/log", 1, early.root)
        cases = [
            ("late", early, Finding.VERIFIED),
            ("late", late, Finding.VERIFIED),
            ("early", late, Finding.ROLLED_BACK),
            ("other", early, Finding.HISTORY_REWRITTEN),
            ("other", late, Finding.HISTORY_REWRITTEN),
            ("late", other, Finding.OTHER_LOG),
        ]
        for directory, remembered, code in cases:
            assert verify_directory(tmp_path / directory, VKEY, remembered=remembered).code is code
        assert verify_database(connection, VKEY, early).ok
        assert verify_database(rewritten, VKEY, early).code is Finding.HISTORY_REWRITTEN
        beyond = Checkpoint(ORIGIN, 10, early.root)
        assert found(verify_database(connection, VKEY, beyond)) == (Finding.ROLLED_BACK, "audit_head", 8)
        receipts = [
            ("late", [receipt, late_receipt], (Finding.VERIFIED, "", -1)),
            ("early", [receipt, late_receipt], (Finding.ROLLED_BACK, "receipt 1", 5)),
            ("early", [log.receipt(connection, 2)], (Finding.ROLLED_BACK, "receipt 0", 5)),
            ("other", [receipt], (Finding.RECEIPT_WRONG, "receipt 0", 2)),
            ("late", [receipt, receipt[:-2]], (Finding.RECEIPT_MALFORMED, "receipt 1", -1)),
            ("late", [receipt.replace(b"index 2", b"index 3")], (Finding.RECEIPT_WRONG, "receipt 0", 3)),
        ]
        for directory, held, expected in receipts:
            assert found(verify_directory(tmp_path / directory, VKEY, receipts=held)) == expected


def test_a_receipt_of_a_forked_log_is_found(tmp_path):
    """Two members were shown the same entry in two different logs, both signed."""
    connection, log = new_log(tmp_path / "a.db", 3)
    with closing(connection), closing(connect(tmp_path / "b.db")) as fork:
        connection.backup(fork)
        fork.execute("PRAGMA journal_mode = wal")
        add(connection, log, 2)
        add(fork, log, 2)
        export_log(connection, log.verifier, tmp_path / "out")
        shown_elsewhere = log.receipt(fork, 1)
        verdict = verify_directory(tmp_path / "out", VKEY, receipts=[shown_elsewhere])
        assert found(verdict) == (Finding.HISTORY_REWRITTEN, "receipt 0", 1)


TAMPERING = [
    ("UPDATE audit_entry SET leaf = zeroblob(1024) WHERE idx = 2", Finding.ENTRY_ALTERED, "audit_entry", 2),
    ("UPDATE audit_entry SET leaf = x'' WHERE idx = 299", Finding.ENTRY_ALTERED, "audit_entry", 299),
    (
        "UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE idx = 7) WHERE idx = 6",
        Finding.ENTRY_ALTERED,
        "audit_entry",
        6,
    ),
    ("DELETE FROM audit_entry WHERE idx = 299", Finding.ROW_MISSING, "audit_entry", 299),
    ("DELETE FROM audit_entry WHERE idx = 0", Finding.ROW_MISSING, "audit_entry", 0),
    ("INSERT INTO audit_entry VALUES (300, zeroblob(1024))", Finding.ROW_EXTRA, "audit_entry", 300),
    ("INSERT INTO audit_entry VALUES (-1, zeroblob(1024))", Finding.ROW_EXTRA, "audit_entry", 0),
    ("UPDATE audit_tile SET hashes = zeroblob(8192) WHERE level = 0", Finding.TILE_ALTERED, "audit_tile level 0", 0),
    ("UPDATE audit_tile SET hashes = zeroblob(32) WHERE level = 1", Finding.TILE_ALTERED, "audit_tile level 1", 0),
    ("DELETE FROM audit_tile WHERE level = 0", Finding.TILE_ALTERED, "audit_tile level 0", 0),
    ("INSERT INTO audit_tile VALUES (0, 1, zeroblob(32))", Finding.ROW_EXTRA, "audit_tile level 0", 1),
    ("INSERT INTO audit_tile VALUES (-1, 0, zeroblob(32))", Finding.ROW_EXTRA, "audit_tile level -1", 0),
    ("INSERT INTO audit_tile VALUES (1, -1, zeroblob(32))", Finding.ROW_EXTRA, "audit_tile level 1", -1),
    ("INSERT INTO audit_tile VALUES (2, 0, zeroblob(32))", Finding.ROW_EXTRA, "audit_tile level 2", 0),
    ("UPDATE audit_head SET size = 299", Finding.HEAD_DIFFERS, "audit_head", -1),
    ("UPDATE audit_head SET root = zeroblob(32)", Finding.HEAD_DIFFERS, "audit_head", -1),
    ("UPDATE audit_head SET frontier = zeroblob(128)", Finding.HEAD_DIFFERS, "audit_head", -1),
    ("UPDATE audit_head SET note = x'00'", Finding.CHECKPOINT_MALFORMED, "audit_head", -1),
    (
        "UPDATE audit_head SET note = (SELECT note FROM audit_checkpoint WHERE size = 9)",
        Finding.HEAD_DIFFERS,
        "audit_head",
        -1,
    ),
    ("DELETE FROM audit_head", Finding.HEAD_DIFFERS, "audit_head", -1),
    ("DROP TABLE audit_head", Finding.HEAD_DIFFERS, "audit_head", -1),
    ("DROP TABLE audit_tile", Finding.DATABASE_UNREADABLE, "database", -1),
    ("DELETE FROM audit_checkpoint WHERE size = 0", Finding.ROW_MISSING, "audit_checkpoint", 0),
    ("DELETE FROM audit_checkpoint WHERE size = 300", Finding.ROW_MISSING, "audit_checkpoint", 300),
    ("INSERT INTO audit_checkpoint VALUES (301, x'00')", Finding.ROW_EXTRA, "audit_checkpoint", 301),
    ("UPDATE audit_checkpoint SET note = x'00' WHERE size = 4", Finding.CHECKPOINT_MALFORMED, "audit_checkpoint", 4),
    (
        "UPDATE audit_checkpoint SET note = (SELECT note FROM audit_checkpoint WHERE size = 9) WHERE size = 8",
        Finding.HEAD_DIFFERS,
        "audit_checkpoint",
        8,
    ),
    ("UPDATE audit_detail SET ciphertext = zeroblob(4112) WHERE idx = 3", Finding.DETAILS_ALTERED, "audit_detail", 3),
    ("DELETE FROM audit_detail WHERE idx = 299", Finding.DETAILS_MISSING, "audit_detail", 299),
    ("DELETE FROM audit_detail WHERE idx = 0", Finding.DETAILS_MISSING, "audit_detail", 0),
    ("INSERT INTO audit_detail VALUES (300, x'00', NULL)", Finding.ROW_EXTRA, "audit_detail", 300),
    ("UPDATE audit_detail SET ciphertext = NULL, erased_by = 9 WHERE idx = 3", Finding.ROW_EXTRA, "audit_wrap", 3),
    ("DELETE FROM audit_wrap WHERE idx = 5", Finding.DETAILS_MISSING, "audit_wrap", 5),
    ("UPDATE audit_wrap SET wrapped = zeroblob(59) WHERE idx = 5", Finding.DETAILS_ALTERED, "audit_wrap", 5),
    ("UPDATE audit_wrap SET wrapped = zeroblob(60) WHERE idx = 5", Finding.DETAILS_ALTERED, "audit_wrap", 5),
    ("INSERT INTO audit_wrap VALUES (300, 'auditor', zeroblob(60))", Finding.ROW_EXTRA, "audit_wrap", 300),
]


@pytest.mark.parametrize(("statement", "code", "place", "index"), TAMPERING)
def test_tampering_with_each_table_is_named(large, tmp_path, statement, code, place, index):
    with closing(sqlite3.connect(large[0])) as source, closing(connect(tmp_path / "copy.db")) as connection:
        source.backup(connection)
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement) is not None
        verdict = verify_database(connection, VKEY, readers=READERS)
        assert verdict.code is code
        assert verdict.place.startswith(place)
        assert verdict.index == index
        assert not connection.in_transaction


def test_a_head_with_another_note_than_the_last_signed_is_named(tmp_path):
    connection, log = new_log(tmp_path / "room.db", 2)
    with closing(connection):
        stranger = Signer("w.example/1", Ed25519PrivateKey.generate())
        checkpoint = open_checkpoint(log.checkpoint(connection), log.verifier)
        note = sign_note(checkpoint.text(), [signer(), stranger])
        connection.execute("UPDATE audit_head SET note = ?", (note,))
        assert found(verify_database(connection, VKEY)) == (Finding.HEAD_DIFFERS, "audit_head", -1)


def test_details_removed_without_a_logged_erasure_are_named(tmp_path):
    connection, log = new_log(tmp_path / "room.db", 4)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        decision = event(type=EventType.DETAILS_ERASED, caused_by=1)
        by = log.erase(connection, 1, decision, {}, READERS)
        connection.execute("COMMIT")
        assert verify_database(connection, VKEY).ok
        connection.execute("DELETE FROM audit_wrap WHERE idx = 0")
        for claimed in (by, 2, 99):
            connection.execute("UPDATE audit_detail SET ciphertext = NULL, erased_by = ? WHERE idx = 0", (claimed,))
            assert found(verify_database(connection, VKEY)) == (Finding.ERASURE_UNLOGGED, "audit_detail", 0)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "room.db").write_bytes(b"x" * 9000)
    with closing(sqlite3.connect(tmp_path / "room.db")) as connection:
        assert verify_database(connection, VKEY).code is Finding.DATABASE_UNREADABLE


def test_verdicts_are_said_in_both_languages(copied):
    checkpoint = open_checkpoint((copied / "checkpoint").read_bytes(), signer().verifier)
    for code in Finding:
        verdict = Verdict(code, "tile/0/000.p/5", 3, checkpoint)
        french, english = explain(verdict, "fr"), explain(verdict, "en")
        assert french != english
        assert "{" not in french + english
        if code is not Finding.VERIFIED:
            assert "tile/0/000.p/5" in french
            assert "tile/0/000.p/5" in english
    assert explain(verify_directory(copied, VKEY), "fr").startswith("Tout concorde : 5 entrées")
