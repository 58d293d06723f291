"""Details of entries: who reads them, who does not, and what stays when they are erased."""

from contextlib import closing

import pytest
from audit_samples import (
    KEK,
    READERS,
    VKEY,
    event,
    new_log,
)

from audit_log import (
    DetailsErased,
    EventType,
    Finding,
    MalformedEntry,
    NoSuchEntry,
    NotAReader,
    NotVerified,
    verify_database,
    verify_receipt,
)


def test_details_are_read_by_readers_only(db):
    connection, log = new_log(db, 2)
    with closing(connection):
        assert log.read_details(connection, 0, "auditor", KEK) == {"sql": "SELECT é"}
        with pytest.raises(NotVerified):
            log.read_details(connection, 0, "auditor", READERS["m:1"])
        with pytest.raises(NotAReader):
            log.read_details(connection, 0, "m:2", KEK)
        with pytest.raises(NoSuchEntry):
            log.read_details(connection, 2, "auditor", KEK)


@pytest.mark.parametrize("table", ["audit_detail", "audit_wrap"])
def test_details_swapped_between_entries_do_not_open(db, table):
    connection, log = new_log(db, 2)
    with closing(connection):
        connection.execute(f"UPDATE {table} SET idx = idx + 100")  # noqa: S608
        connection.execute(f"UPDATE {table} SET idx = 101 - idx")  # noqa: S608
        with pytest.raises(NotVerified):
            log.read_details(connection, 0, "auditor", KEK)
        verdict = verify_database(connection, VKEY, readers=READERS)
        assert (verdict.code, verdict.place, verdict.index) == (Finding.DETAILS_ALTERED, table, 0)


def test_erased_details_are_gone_and_the_log_still_holds(db):
    connection, log = new_log(db, 3)
    with closing(connection):
        receipt, leaf = log.receipt(connection, 1), log.leaf(connection, 1)
        ciphertext, wrapped = connection.execute(
            "SELECT ciphertext, wrapped FROM audit_detail JOIN audit_wrap USING (idx) WHERE idx = 1"
        ).fetchone()
        decision = event(type=EventType.DETAILS_ERASED, caused_by=1)
        connection.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite have it on from the start
        connection.execute("BEGIN IMMEDIATE")
        assert log.erase(connection, 1, decision, {"basis": "P-39.1 s. 23"}, READERS) == 3
        connection.execute("COMMIT")
        with pytest.raises(DetailsErased) as erased:
            log.read_details(connection, 1, "auditor", KEK)
        assert erased.value.erased_by == 3
        assert verify_database(connection, VKEY, readers=READERS).ok
        assert verify_receipt(receipt, leaf, log.verifier)[0] == 1
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(DetailsErased):
            log.erase(connection, 1, decision, {}, READERS)
        for wrong in (event(caused_by=0), event(type=EventType.DETAILS_ERASED, caused_by=1)):
            with pytest.raises(MalformedEntry):
                log.erase(connection, 0, wrong, {}, READERS)
        connection.execute("ROLLBACK")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        on_disk = b"".join(path.read_bytes() for path in db.parent.iterdir())
        assert wrapped not in on_disk
        assert ciphertext[:64] not in on_disk


def test_readers_change_without_changing_the_leaf(db):
    connection, log = new_log(db, 1)
    with closing(connection):
        leaf = log.leaf(connection, 0)
        connection.execute("BEGIN IMMEDIATE")
        log.rewrap_details(connection, 0, reader="auditor", kek=KEK, readers={"auditor": bytes(32)})
        connection.execute("COMMIT")
        assert log.read_details(connection, 0, "auditor", bytes(32)) == {"sql": "SELECT é"}
        with pytest.raises(NotAReader):
            log.read_details(connection, 0, "m:1", READERS["m:1"])
        assert log.leaf(connection, 0) == leaf
        assert verify_database(connection, VKEY, readers={"auditor": bytes(32)}).ok
