"""Details whose time is over go many at once, under one entry that anybody can check; nothing goes too early."""

from contextlib import closing

import pytest
from audit_samples import KEK, ORIGIN, READERS, VKEY, connect, event, new_log

from audit_log import (
    RETENTION_SECONDS,
    DetailsErased,
    EventType,
    Finding,
    MalformedEntry,
    NoSuchEntry,
    Retention,
    verify_database,
    verify_receipt,
)

T = 1_700_000_000
YEAR = RETENTION_SECONDS[Retention.ACCESS_1Y]
CLASSES = (Retention.ACCESS_1Y, Retention.CONTRACT, Retention.REGISTER_5Y)


@pytest.fixture
def db(tmp_path):
    return tmp_path / "room.db"


def grown(db):
    """Thirty entries of three classes in turns, a day apart."""
    connection, log = new_log(db)
    connection.execute("BEGIN IMMEDIATE")
    for number in range(30):
        of = event(t=T + number * 86400, ret=CLASSES[number % 3])
        log.append(connection, of, {"sql": f"question {number}"}, READERS)
    connection.execute("COMMIT")
    return connection, log


def executed(at, last, ret=Retention.ACCESS_1Y):
    return event(type=EventType.RETENTION_EXECUTED, t=at, caused_by=last, ret=ret)


def test_one_entry_erases_a_class_up_to_an_age(db):
    connection, log = grown(db)
    with closing(connection):
        receipt, leaf = log.receipt(connection, 3), log.leaf(connection, 3)
        due = [0, 3, 6, 9]
        now = T + 9 * 86400 + YEAR
        connection.execute("BEGIN IMMEDIATE")
        assert log.erase_expired(connection, due, executed(now, 9), {"basis": "access-1y"}, READERS) == 30
        connection.execute("COMMIT")
        for index in range(31):
            if index in due:
                with pytest.raises(DetailsErased) as erased:
                    log.read_details(connection, index, "auditor", KEK)
                assert erased.value.erased_by == 30
            else:
                assert log.read_details(connection, index, "auditor", KEK)
        assert verify_database(connection, VKEY, readers=READERS).ok
        assert verify_receipt(receipt, leaf, log.verifier)[0] == 3


@pytest.mark.parametrize(
    ("indexes", "erasure"),
    [
        ([0, 3, 6], executed(T + 6 * 86400 + YEAR - 1, 6)),  # a second too early
        ([0, 1], executed(T + 100 * YEAR, 1)),  # another class
        ([1], executed(T + 100 * YEAR, 1, Retention.CONTRACT)),  # a class that no age ends
        ([0, 3], executed(T + 100 * YEAR, 0)),  # beyond what the entry covers
        ([], executed(T + 100 * YEAR, 0)),
        ([0], event(type=EventType.DETAILS_ERASED, t=T + 100 * YEAR, caused_by=0)),
    ],
)
def test_nothing_else_goes(db, indexes, erasure):
    connection, log = grown(db)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(MalformedEntry):
            log.erase_expired(connection, indexes, erasure, {}, READERS)
        with pytest.raises(MalformedEntry):
            log.append(connection, erasure, {}, READERS)
        with pytest.raises(NoSuchEntry):
            log.erase_expired(connection, [77], executed(T + 100 * YEAR, 77), {}, READERS)
        connection.execute("COMMIT")
        assert log.size(connection) == 30
        assert verify_database(connection, VKEY, readers=READERS).ok


@pytest.mark.parametrize(("victim", "index"), [(3, -1), (12, 12), (1, 1), (2, 2)])
def test_details_removed_under_cover_of_a_retention_are_named(db, victim, index):
    """Whoever blanks more than the entry covers (too young, another class) is found by anybody."""
    connection, log = grown(db)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        log.erase_expired(connection, [0, 3], executed(T + 3 * 86400 + YEAR, 3), {}, READERS)
        connection.execute("UPDATE audit_detail SET ciphertext = NULL, erased_by = 30 WHERE idx = ?", (victim,))
        connection.execute("DELETE FROM audit_wrap WHERE idx = ?", (victim,))
        connection.execute("COMMIT")
        verdict = verify_database(connection, VKEY)
        assert (verdict.ok, verdict.index) == (index < 0, index)
        assert verdict.ok or verdict.code is Finding.ERASURE_UNLOGGED


def test_every_class_has_its_period():
    assert set(RETENTION_SECONDS) == set(Retention)


def test_erased_bytes_leave_the_files(db):
    connection, log = grown(db)
    with closing(connection):
        rows = connection.execute(
            "SELECT ciphertext, wrapped FROM audit_detail JOIN audit_wrap USING (idx) WHERE idx IN (0, 3)"
        ).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        log.erase_expired(connection, [0, 3], executed(T + 3 * 86400 + YEAR, 3), {}, READERS)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        on_disk = b"".join(path.read_bytes() for path in db.parent.iterdir())
        assert rows
        for ciphertext, wrapped in rows:
            assert wrapped not in on_disk
            assert ciphertext[:64] not in on_disk
    with closing(connect(db)) as again:
        assert verify_database(again, VKEY, readers=READERS).ok
        assert ORIGIN
