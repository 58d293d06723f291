"""Erasing people: their rows go from every file, and nobody can tell from anything else whether they were in it."""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from erasure_samples import (
    ABSENT,
    EMPTY,
    MINE,
    SECOND,
    erased,
    holding,
    last,
    named,
    people,
    seen,
    token_of,
    without,
)
from room_samples import (
    MEMBER,
    OTHER,
    Place,
    ask,
    audit,
    entries,
    partition_files,
    spent,
    stored_names,
)

from audit_log import EventType
from cleanroom.client.normalise import normalise_email
from cleanroom.errors import NotVerified
from cleanroom.identifiers import ErasureGround
from cleanroom.partition.intent import Correct
from cleanroom.query.reuse import Source
from cleanroom.room import (
    logbook,
    registry,
    upload,
)
from cleanroom.room.backup import backup
from cleanroom.room.own_uploads import own_uploads, sign_reading
from cleanroom.room.restoration import restore
from cleanroom.room.withdrawal import sign_withdrawal, withdraw
from key_management import KeyDestroyed, KeyId, KeyKind

if TYPE_CHECKING:
    from pathlib import Path

Patch = pytest.MonkeyPatch


# Whether they were there, nobody can tell


@pytest.mark.parametrize("there", [1, 3])
def test_nothing_that_others_see_tells_whether_they_were_there(there: int, furnished: Place) -> None:
    present = people(furnished)[:there]
    absent = [f"{number}.{ABSENT}" for number in range(there)]
    tried = [furnished.copy(furnished.path.parent / f"{number}") for number in range(2)]
    with tried[0].open() as room, tried[1].open() as other:
        before = holding(room)
        assert before == holding(other)
    assert seen(tried[0], *present) == seen(tried[1], *absent)
    # And yet: of the one list the rows are gone, of the other none is.
    with tried[0].open() as room, tried[1].open() as other:
        assert holding(room) == without(before, *(token_of(furnished, each) for each in present)) != before
        assert holding(other) == before
    for each in tried:
        audit(each)


# What is done


def test_their_rows_are_gone_and_all_others_stay_in_their_order(furnished: Place) -> None:
    who = people(furnished)[7]
    with furnished.open() as room:
        before, others = holding(room), holding(room, OTHER)
        old = [each.upload for each in registry.uploads(room.connection) if each.table.owner == MEMBER]
        # Written otherwise than in the file, as a person writes to a box office.
        done = erased(room, f"  {who.upper()} ")
        assert [(str(each.table), each.before, each.number) for each in done.tables] == [
            (f"{MEMBER}.{SECOND}", 1, 2),
            (f"{MEMBER}.{EMPTY}", 0, 1),
            (str(MINE), 2, 3),
        ]
        assert done.finished
        after = holding(room)
        assert after == without(before, token_of(furnished, who)) != before
        assert [len(found) for found in after.values()] == [1, 0, 2]
        assert holding(room, OTHER) == others
        for each in old:
            with pytest.raises(KeyDestroyed):
                room.keyring.open(room.connection, KeyId(KeyKind.DATA, each))
        assert partition_files(furnished) == {f"{each.upload}.parquet" for each in registry.uploads(room.connection)}
        assert not partition_files(furnished) & {f"{each}.parquet" for each in old}
    audit(furnished)


def test_everybody_of_a_table_can_be_erased(furnished: Place) -> None:
    with furnished.open() as room:
        erased(room, *people(furnished))
        assert all(not rows for found in holding(room).values() for rows in found)
        asked = ask(room)
        assert asked.sources == (Source.DRAWN,)
    audit(furnished)


def test_stored_answers_are_destroyed_and_stay_charged(furnished: Place) -> None:
    with furnished.open() as room:
        first = ask(room)
        assert ask(room).sources == (Source.STORED,)
        (name,) = stored_names(furnished)
        paid = spent(room)
        erased(room, ABSENT)
        assert spent(room) == paid
        assert stored_names(furnished) == []
        with pytest.raises(KeyDestroyed):
            room.keyring.open(room.connection, KeyId(KeyKind.ANSWER, name))
        assert last(room, EventType.DATASET_ERASED)["answers_removed"] == [name]
        again = ask(room)
        assert again.sources == (Source.DRAWN,)
        assert spent(room) == {account: 2 * steps for account, steps in paid.items()}
        assert first.table["n"].shape == again.table["n"].shape
    audit(furnished)


def test_answers_from_other_tables_stay_free(furnished: Place) -> None:
    sql = "SELECT region, COUNT(DISTINCT person) AS n FROM nuits_claires.visits GROUP BY region"
    with furnished.open() as room:
        asker = room.session(OTHER)
        asker.query(sql, purpose="audience_overlap", epsilon=0.1)
        erased(room, people(furnished)[0])
        assert asker.query(sql, purpose="audience_overlap", epsilon=0.1).sources == (Source.STORED,)


def test_it_may_be_done_again_and_order_and_lineage_hold(furnished: Place) -> None:
    first, second = people(furnished)[:2]
    with furnished.open() as room:
        packages_before = [each.package for each in registry.uploads(room.connection, MINE)]
        before = holding(room)
        for who in (first, second, ABSENT, first):
            erased(room, who)
        assert holding(room) == without(before, token_of(furnished, first), token_of(furnished, second))
        now = registry.uploads(room.connection, MINE)
        assert [each.package for each in now] == packages_before
        assert {each.number for each in now} == {6}
        corrected = upload(room, MINE, furnished.csv(MEMBER), intent=Correct(packages_before[0]))[1]
        assert corrected is not None
        assert [each.package for each in registry.uploads(room.connection, MINE)] == [
            packages_before[1],
            corrected.upload,
        ]
    audit(furnished)


def test_the_owner_sees_it_in_its_uploads_and_it_is_proven(furnished: Place) -> None:
    with furnished.open() as room:
        erased(room, people(furnished)[0])
        shown = own_uploads(room, sign_reading(room, MINE.owner, MINE))
        assert [(each.number, each.act, each.end is None, each.proven) for each in shown] == [
            (1, "append", False, True),
            (2, "append", False, True),
            (3, "erase", True, True),
            (3, "erase", True, True),
        ]
        assert all(each.end.number == 3 for each in shown if each.end is not None)
        assert shown[2].rows < shown[0].rows


def test_withdrawn_tables_and_other_members_are_left_alone(furnished: Place) -> None:
    with furnished.open() as room:
        withdraw(room, sign_withdrawal(room, MINE.owner, named(SECOND)))
        versions = {each: registry.version(room.connection, each) for each in registry.declarations(room.connection)}
        done = erased(room, people(furnished)[0])
        assert {str(each.table) for each in done.tables} == {f"{MEMBER}.{EMPTY}", str(MINE)}
        for table, number in versions.items():
            assert registry.version(room.connection, table) == number + (table.owner == MEMBER)
        assert registry.version(room.connection, named(SECOND)) == 2
    audit(furnished)


# What is entered and kept


def test_entry_and_keys_come_in_order_and_hold_nothing_of_them(furnished: Place) -> None:
    who = people(furnished)[5]
    token = token_of(furnished, who)
    digests = [hashlib.sha256(each).hexdigest() for each in (token, who.encode(), token.hex().encode())]
    with furnished.open() as room:
        start = room.journal.log.size(room.connection)
        done = erased(room, who, ABSENT, ground=ErasureGround.GDPR_17_1_B)
        told = entries(room)[start:]
        assert [kind for _, kind, _ in told] == [
            EventType.KEY_USED,
            EventType.DATASET_ERASED,
            EventType.KEY_DESTROYED,
        ]
        used, made, destroyed = (room.journal.log.entry(room.connection, index).event for index, *_ in told)
        assert (made.caused_by, destroyed.caused_by) == (start, start + 1)
        assert made.legal == "gdpr-17-1-b"
        owner = registry.party_named(room.connection, MINE.owner).ordinal
        assert used.parties == made.parties == destroyed.parties == frozenset({owner})
        assert done.receipt.index == start + 1
        written = str(told) + done.leaf.decode()
        for secret in (who, str(normalise_email(who)), token.hex(), ABSENT, *digests):
            assert secret not in written
    needles = {each for one in (token, token_of(furnished, ABSENT)) for each in (one, one.hex().encode())}
    needles |= {who.encode(), ABSENT.encode(), *(each.encode() for each in digests)}
    for path in sorted(each for each in furnished.path.rglob("*") if each.is_file()):
        content = path.read_bytes()
        assert not any(needle in content for needle in needles), path
    for path in sorted(furnished.home.path.glob("rooms/*/erasures/*")):
        assert not any(needle in path.read_bytes() for needle in needles)


def test_the_entry_has_one_size(furnished: Place) -> None:
    """Whoever is erased, and however many rows go: the details have the same lengths."""
    with furnished.open() as room:
        lengths = set()
        for who in ([ABSENT], people(furnished)[:1], people(furnished)):
            erased(room, *who)
            details = last(room, EventType.DATASET_ERASED)
            lengths.add(tuple(len(digest) for *_, digest in details["files"]))
        assert len(lengths) == 1


def test_a_backup_from_before_is_refused_and_one_from_after_holds_nobody(furnished: Place, tmp_path: Path) -> None:
    who = people(furnished)[0]
    with furnished.open() as room:
        backup(room, tmp_path / "before.backup")
        before = holding(room)
        erased(room, who)
        backup(room, tmp_path / "after.backup")
    with pytest.raises(NotVerified):
        restore(tmp_path / "before.backup", tmp_path / "old", furnished.home)
    restore(tmp_path / "after.backup", tmp_path / "new", furnished.home)
    found = dataclasses.replace(furnished, path=tmp_path / "new")
    with found.open() as room:
        assert holding(room) == without(before, token_of(furnished, who)) != before
        assert ask(room).sources == (Source.DRAWN,)
    audit(found)


TAMPERED = {
    "an erasure forgotten": "DELETE FROM erasure",
    "another version": "UPDATE erasure SET number = number + 1",
    "another file": "UPDATE upload SET manifest = (SELECT manifest FROM upload WHERE number = 1 LIMIT 1)"
    " WHERE number = 3",
    "the old file in force again": "DELETE FROM retirement WHERE number = 3",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_verify_notices_what_was_done_behind_the_rooms_back(how: str, furnished: Place) -> None:
    with furnished.open() as room:
        erased(room, people(furnished)[0])
    assert logbook.verify(furnished.path, furnished.home).ok
    with closing(sqlite3.connect(furnished.path / "room.db")) as connection, connection:
        connection.execute(TAMPERED[how])
    assert logbook.verify(furnished.path, furnished.home).contradictions
