"""The log in its database: one transaction with the caller's state, signed after what was signed before."""

import sqlite3
from contextlib import closing

import pytest
from audit_samples import (
    KEK,
    ORIGIN,
    READERS,
    SEED,
    VKEY,
    add,
    connect,
    event,
    naive_consistency,
    naive_leaf_hash,
    naive_path,
    naive_root,
    new_log,
    signer,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log import (
    EventType,
    Finding,
    InsideTransaction,
    Log,
    LogDamaged,
    LogFault,
    MalformedEntry,
    NoSuchEntry,
    NotDurable,
    NotVerified,
    OutsideTransaction,
    Receipt,
    Signer,
    open_checkpoint,
    require_durable,
    verify_database,
    verify_receipt,
)
from audit_log.merkle import Frontier, inclusion_proof, verify_inclusion
from audit_log.tables import SCHEMA, node_reader, store_leaves
from audit_log.tiles import tiles_of


def dump(connection):
    return list(connection.iterdump())


def test_checkpoint_proofs_and_receipts_are_the_oracles(db):
    connection, log = new_log(db)
    with closing(connection):
        assert open_checkpoint(log.checkpoint(connection), log.verifier).size == 0
        add(connection, log, 258)
        hashes = [naive_leaf_hash(log.leaf(connection, index)) for index in range(258)]
        head = open_checkpoint(log.checkpoint(connection), log.verifier)
        assert (head.size, head.root) == (258, naive_root(hashes))
        assert log.verify_head(connection) == head
        for index in (0, 1, 127, 255, 256, 257):
            receipt = log.receipt(connection, index)
            assert list(Receipt.parse(receipt).proof) == naive_path(index, hashes)
            assert verify_receipt(receipt, log.leaf(connection, index), log.verifier) == (index, head)
            with pytest.raises(NotVerified):
                verify_receipt(receipt, log.leaf(connection, index ^ 1), log.verifier)
        for old, new in ((0, 258), (1, 2), (3, 257), (255, 256), (256, 257), (258, 258)):
            assert list(log.consistency_proof(connection, old, new)) == (
                naive_consistency(old, hashes[:new]) if old else []
            )
        assert list(log.inclusion_proof(connection, 3, 7)) == naive_path(3, hashes[:7])
        for call in (
            lambda: log.entry(connection, 258),
            lambda: log.entry(connection, -1),
            lambda: log.receipt(connection, 258),
            lambda: log.inclusion_proof(connection, 7, 7),
            lambda: log.inclusion_proof(connection, 0, 259),
            lambda: log.consistency_proof(connection, 3, 2),
            lambda: log.consistency_proof(connection, 3, 259),
        ):
            with pytest.raises(NoSuchEntry):
                call()


def test_tiles_of_three_levels_make_the_same_tree():
    """65 536 entries complete the first tile of level 1; the last hash of level 2 rests on all of them."""
    size = 256 * 256 + 300
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute("BEGIN")
        frontier = Frontier.empty()
        for index in range(size):
            store_leaves(connection, index, [b"%d" % index], [naive_leaf_hash(b"%d" % index)])
            frontier = frontier.push(naive_leaf_hash(b"%d" % index))
        read = node_reader(connection, size)
        assert Frontier.of(size, read) == frontier
        stored = connection.execute("SELECT level, number, length(hashes) / 32 FROM audit_tile ORDER BY 1, 2")
        expected = [(each.level, each.number, each.width) for each in tiles_of(size)]
        assert stored.fetchall() == [each for each in expected if each[0] > 0 or each[2] == 256]
        for index in (0, 255, 256, 65535, 65536, size - 1):
            verify_inclusion(
                index=index,
                size=size,
                hashed_leaf=naive_leaf_hash(b"%d" % index),
                proof=inclusion_proof(index, size, read),
                root=frontier.root(),
            )


def test_a_receipt_reads_no_more_entries_than_the_head_leaves_open(db):
    connection, log = new_log(db)
    with closing(connection):
        for size in range(1, 35):
            add(connection, log, 1)
            hashes = [naive_leaf_hash(log.leaf(connection, index)) for index in range(size)]
            for index in range(size):
                statements = []
                connection.set_trace_callback(statements.append)
                receipt = log.receipt(connection, index)
                connection.set_trace_callback(None)
                assert list(Receipt.parse(receipt).proof) == naive_path(index, hashes)
                # Of its own complete subtree, one query for each height; the others' roots are in the head.
                within = next(height for height in range(7) if (size ^ index) >> height == 1)
                assert len([each for each in statements if "FROM audit_entry" in each]) == within


def test_a_partys_entries_are_counted_densely(db):
    connection, log = new_log(db, 10)
    with closing(connection):
        assert [(n, at) for n, at, _ in log.party_entries(connection, 1)] == [(1, 1), (2, 4), (3, 7)]
        assert [at for at, _ in log.entries(connection, 8, 99)] == [8, 9]


def test_appending_needs_the_callers_transaction(db):
    connection, log = new_log(db, 1)
    with closing(connection):
        for call in (
            lambda: log.append(connection, event(), {}, READERS),
            lambda: log.create_schema(connection),
            lambda: log.erase(connection, 0, event(), {}, READERS),
            lambda: log.rewrap_details(connection, 0, reader="auditor", kek=KEK, readers=READERS),
        ):
            with pytest.raises(OutsideTransaction):
                call()
        assert log.size(connection) == 1


def test_nothing_signed_leaves_before_it_is_durable(db, tmp_path):
    from audit_log import export_log

    connection, log = new_log(db, 1)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        log.append(connection, event(), {}, READERS)
        for call in (
            lambda: log.checkpoint(connection),
            lambda: log.receipt(connection, 1),
            lambda: export_log(connection, log.verifier, tmp_path / "out"),
        ):
            with pytest.raises(InsideTransaction):
                call()
        connection.execute("COMMIT")
        assert log.receipt(connection, 1)


def test_state_and_entry_are_one(db):
    connection, log = new_log(db, 2)
    with closing(connection):
        connection.execute("CREATE TABLE balance (spent INTEGER)")
        before = dump(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO balance VALUES (5)")
        assert log.append(connection, event(), {}, READERS) == 2
        assert log.size(connection) == 3
        connection.execute("ROLLBACK")
        assert dump(connection) == before
        assert verify_database(connection, VKEY).ok
        assert add(connection, log, 1) == [2]


@pytest.mark.parametrize(
    ("change", "details", "readers"),
    [
        ({"caused_by": 2}, {}, READERS),
        ({"type": EventType.DETAILS_ERASED, "caused_by": 0}, {}, READERS),
        ({}, {"x": 0.5}, READERS),
        ({}, {}, {}),
    ],
)
def test_what_may_not_be_logged_leaves_no_trace(db, change, details, readers):
    connection, log = new_log(db, 2)
    with closing(connection):
        before = dump(connection)
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(MalformedEntry):
            log.append(connection, event(**change), details, readers)
        connection.execute("COMMIT")
        assert dump(connection) == before


@pytest.mark.parametrize("table", ["audit_entry", "audit_tile", "audit_detail", "audit_wrap", "audit_checkpoint"])
def test_a_write_that_fails_undoes_the_others(db, table):
    """The 256th entry writes to every table; whichever write fails, a caller that commits anyway commits nothing."""
    connection, log = new_log(db, 255)
    with closing(connection):
        connection.execute(f"CREATE TRIGGER fault BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'fault'); END")
        before = dump(connection)
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogDamaged):
            log.append(connection, event(), {}, READERS)
        connection.execute("COMMIT")
        assert dump(connection) == before
        connection.execute("DROP TRIGGER fault")
        assert add(connection, log, 1) == [255]
        assert verify_database(connection, VKEY).ok


@pytest.mark.parametrize(
    ("pragma", "setting"),
    [
        ("journal_mode = delete", "journal_mode"),
        ("synchronous = normal", "synchronous"),
        ("synchronous = 0", "synchronous"),
    ],
)
def test_a_connection_that_may_lose_entries_is_refused(db, pragma, setting):
    connection, log = new_log(db, 1)
    with closing(connection):
        require_durable(connection)
        connection.execute(f"PRAGMA {pragma}")
        with pytest.raises(NotDurable) as refused:
            require_durable(connection)
        assert refused.value.setting == setting
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotDurable):
            log.append(connection, event(), {}, READERS)
        connection.execute("ROLLBACK")


def test_python_must_not_begin_or_commit_by_itself(db):
    with closing(sqlite3.connect(db)) as connection, pytest.raises(NotDurable):
        require_durable(connection)


def test_one_log_to_a_database_and_one_key_to_a_log(db):
    connection, log = new_log(db, 1)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            log.create_schema(connection)
        connection.execute("ROLLBACK")
        with pytest.raises(LogFault):
            Log("other.example/log", signer())
        stranger = Log(ORIGIN, Signer(ORIGIN, Ed25519PrivateKey.generate()))
        with pytest.raises(LogDamaged):
            stranger.verify_head(connection)
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogDamaged):
            stranger.append(connection, event(), {}, READERS)
        connection.execute("ROLLBACK")


def test_a_database_without_a_log_is_named(db):
    with closing(connect(db)) as connection, pytest.raises(LogDamaged, match="no log"):
        Log(ORIGIN, signer()).verify_head(connection)


def test_entries_cannot_be_changed_by_mistake(db):
    connection, _ = new_log(db, 1)
    with closing(connection):
        for statement in (
            "DELETE FROM audit_entry",
            "UPDATE audit_entry SET leaf = x'00'",
            "DELETE FROM audit_checkpoint",
            "UPDATE audit_checkpoint SET note = x'00'",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_the_head_that_is_not_what_was_signed_stops_the_log(db):
    connection, log = new_log(db, 3)
    earlier = connect(db).execute("SELECT size, root, frontier, note FROM audit_head").fetchone()
    add(connection, log, 2)
    with closing(connection):
        connection.execute("UPDATE audit_head SET size = ?, root = ?, frontier = ?, note = ?", earlier)
        with pytest.raises(LogDamaged, match="signed last"):
            log.verify_head(connection)
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogDamaged, match="signed last"):
            log.append(connection, event(), {}, READERS)
        connection.execute("ROLLBACK")


def test_a_head_that_was_never_signed_stops_the_log(db):
    connection, log = new_log(db, 2)
    with closing(connection):
        forged = naive_leaf_hash(b"forged")
        connection.execute("UPDATE audit_head SET root = ?, frontier = ?", (forged, forged))
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogDamaged, match="not the head's"):
            log.append(connection, event(), {}, READERS)
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_head SET size = 256",
        "UPDATE audit_head SET root = zeroblob(32)",
        "UPDATE audit_head SET frontier = zeroblob(64)",
        "UPDATE audit_head SET frontier = zeroblob(63)",
        "UPDATE audit_head SET note = x'00'",
        "DELETE FROM audit_head",
        "UPDATE audit_tile SET hashes = zeroblob(8192) WHERE level = 0",
        "UPDATE audit_tile SET hashes = zeroblob(32) WHERE level = 1",
        "DELETE FROM audit_tile WHERE level = 1",
        "DELETE FROM audit_entry WHERE idx = 256",
        "DELETE FROM audit_entry WHERE idx = 3",
        "UPDATE audit_entry SET leaf = zeroblob(1024) WHERE idx = 256",
        "INSERT INTO audit_entry VALUES (257, zeroblob(1024))",
    ],
)
def test_a_torn_database_is_not_opened(db, statement):
    connection, log = new_log(db, 257)
    with closing(connection):
        connection.execute("DROP TRIGGER audit_entry_keeps")
        connection.execute("DROP TRIGGER audit_entry_stays")
        connection.execute(statement)
        if statement.startswith("UPDATE audit_tile SET hashes = zeroblob(8192)"):
            # Level 1 keeps that tile's hash; only full verification reads the tile itself.
            assert verify_database(connection, VKEY).code is Finding.TILE_ALTERED
            return
        with pytest.raises(LogDamaged):
            log.verify_head(connection)


def test_a_restored_backup_is_found_by_what_was_remembered(db, tmp_path):
    connection, log = new_log(db, 3)
    with closing(connection), closing(connect(tmp_path / "backup.db")) as backup:
        connection.backup(backup)
        backup.execute("PRAGMA journal_mode = wal")
        add(connection, log, 2)
        remembered = log.verify_head(connection)
        assert log.verify_head(backup).size == 3
        with pytest.raises(LogDamaged, match="rolled back"):
            log.verify_head(backup, remembered)
        add(backup, log, 3)
        with pytest.raises(LogDamaged, match="rewritten"):
            log.verify_head(backup, remembered)
        assert log.verify_head(connection, remembered) == remembered


def test_the_key_is_not_in_the_database(db):
    connection, _ = new_log(db, 2)
    connection.close()
    on_disk = b"".join(path.read_bytes() for path in db.parent.iterdir())
    for secret in (SEED, *READERS.values()):
        assert secret not in on_disk
