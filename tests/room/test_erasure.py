"""Erasing people: their rows go from every file, and nobody can tell from anything else whether they were in it."""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from erasure_samples import (
    ABSENT,
    EMPTY,
    MINE,
    SECOND,
    erased,
    files,
    furnish,
    holding,
    last,
    named,
    packages,
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
    kinds,
    partition_files,
    spent,
    stored_names,
    visits,
)
from test_table_life import reads

from audit_log import EventType
from cleanroom.client.normalise import normalise_email
from cleanroom.errors import CleanroomError, Fault, InvalidUpload, NotVerified
from cleanroom.identifiers import Epoch, ErasureGround, UploadId, party_id
from cleanroom.partition.erasure import ErasureList
from cleanroom.partition.intent import Append, Correct, Erase, Intent, Replace
from cleanroom.query.reuse import Source
from cleanroom.room import (
    Room,
    erasure,
    intake,
    logbook,
    member_facts,
    question,
    registry,
    retirement,
    sending,
    upload,
)
from cleanroom.room.backup import backup
from cleanroom.room.erasure import ErasureOrder, erase
from cleanroom.room.erasure_order import order_erasure
from cleanroom.room.own_uploads import own_uploads, sign_reading
from cleanroom.room.restoration import restore
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.upload_choices import UploadChoices
from cleanroom.room.withdrawal import sign_withdrawal, withdraw
from cleanroom.storage import erasure as storage_erasure
from key_management import KeyDestroyed, KeyId, KeyKind, UnknownKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Patch = pytest.MonkeyPatch


@pytest.fixture
def furnished(place: Place) -> Place:
    furnish(place)
    return place


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


def test_a_word_that_only_they_had_does_not_live_on_in_a_dictionary(furnished: Place, tmp_path: Path) -> None:
    who, word = people(furnished)[3], "telephone"
    lines = furnished.csv(MEMBER).read_text("utf-8").splitlines()
    channel = lines[0].split(",").index("channel")
    changed = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        cells[channel] = word if cells[0] == who else "web"
        changed.append(",".join(cells))
    source = tmp_path / "words.csv"
    source.write_text("\n".join(changed), "utf-8")
    with furnished.open() as room:
        upload(room, MINE, source, intent=Replace())
        assert word in words(room)
        erased(room, who)
        assert word not in words(room)
        # Nor does a category that nobody has any more: dictionaries hold what the rows have.
        erased(room, *people(furnished))
        assert words(room) == set()


def words(room: Room) -> set[str]:
    """Return all words of the dictionaries of the member's files, whether a row has them or not."""
    found: set[str] = set()
    for each in registry.uploads(room.connection, MINE):
        key = room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.upload))
        names = [column.name for column in each.manifest.columns[1:] if column.storage in {"dictionary", "string"}]
        with room.store.open(room.stored(each), key) as reader:
            read = reader.read(0, 0, names)
        for name in names:
            for chunk in read.column(name).chunks:
                coded = chunk if hasattr(chunk, "dictionary") else chunk.dictionary_encode()
                found |= set(coded.dictionary.to_pylist()) - {None}
    return found


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


# Who may, and what is refused


def order(room: Room, *who: str, party: str = MEMBER) -> ErasureOrder:
    return order_erasure(room, party_id(party), ErasureGround.QC_28, list(who))


def unchanged(place: Place, room: Room, act: Callable[[], object], code: str) -> None:
    """Go through an act that is refused; nothing of the tables, files and keys may change."""
    held = holding(room), files(room), partition_files(place), stored_names(place)
    with pytest.raises(CleanroomError) as caught:
        act()
    assert caught.value.code == code
    assert caught.value.message.fr != caught.value.message.en
    assert (holding(room), files(room), partition_files(place), stored_names(place)) == held


def test_an_identifier_that_is_none_stops_all(furnished: Place) -> None:
    with furnished.open() as room:
        before = kinds(room)
        for wrong in ("pas un courriel", "", "a@@b.ca", "a@b"):
            unchanged(
                furnished, room, lambda wrong=wrong: order(room, people(furnished)[0], wrong), "invalid_identifiers"
            )
        assert kinds(room) == before
        unchanged(furnished, room, lambda: order(room), "nobody")
        assert not list(furnished.home.path.glob("rooms/*/erased/*"))


def test_only_a_member_with_its_keys_asks_for_its_own(furnished: Place) -> None:
    with furnished.open() as room:
        unchanged(furnished, room, lambda: order(room, ABSENT, party="observatoire"), "unknown_table")
        unchanged(furnished, room, lambda: order(room, ABSENT, party="personne"), "unknown_party")
        mine = order(room, people(furnished)[0])
        # Another member's signature on the same order, and its own claim on another's tables.
        forged = dataclasses.replace(mine.request, party=party_id(OTHER))
        unchanged(furnished, room, lambda: erase(room, dataclasses.replace(mine, request=forged)), "request_not_signed")
        assert kinds(room)[-1] is EventType.ACCESS_REFUSED
        theirs = signed(room, dict(mine.request.content), party=OTHER)
        unchanged(furnished, room, lambda: erase(room, ErasureOrder(theirs, mine.sealed)), "erasure_list_refused")
        (path,) = furnished.home.path.glob(f"parties/{MEMBER}/signing.key")
        path.unlink()
        unchanged(furnished, room, lambda: order(room, ABSENT), "signing_key_missing")
    audit(furnished)


def signed(room: Room, content: dict[str, object], party: str = MEMBER) -> SignedRequest:
    return SignedRequest.sign(
        room.home.signing_key(party_id(party)),
        room=room.room_id,
        party=party_id(party),
        action="erase",
        content=content,
        at=room.now(),
    )


def test_an_order_is_taken_once_and_only_of_the_tables_as_they_are(furnished: Place) -> None:
    with furnished.open() as room:
        ask(room)
        stale, once = order(room, people(furnished)[0]), order(room, people(furnished)[1])
        erase(room, once)
        unchanged(furnished, room, lambda: erase(room, once), "request_repeated")
        unchanged(furnished, room, lambda: erase(room, stale), "table_moved_on")
        for wrong in ([], None, [[str(MINE), 3]], [[str(MINE), "3"]], {"a": 1}):
            content = {**order(room, ABSENT).request.content, "tables": wrong}
            request = signed(room, content)
            sealed = dataclasses.replace(order(room, ABSENT), request=request)
            unchanged(furnished, room, lambda sealed=sealed: erase(room, sealed), "erasure_list_refused")
    audit(furnished)


def test_versions_that_were_not_signed_are_refused(furnished: Place) -> None:
    with furnished.open() as room:
        listed = ErasureList.of(order_groups(room))
        for wrong in ([], None, [[str(MINE), 2]], [[str(MINE), "2"]], 7):
            request = signed(room, {"ground": "qc-28", "tables": wrong, "list": listed.commitment()})
            sealed = ErasureOrder(request, listed.sealed(room.facts.transport_key, room.room_id, party_id(MEMBER)))
            unchanged(furnished, room, lambda sealed=sealed: erase(room, sealed), "table_moved_on")
        for wrong in ({"who": "quelqu.un@exemple.ca"}, {"list": None}):
            content = {"ground": "qc-28", "tables": [], "list": listed.commitment(), **wrong}
            request = signed(room, {name: said for name, said in content.items() if said is not None})
            sealed = ErasureOrder(request, listed.sealed(room.facts.transport_key, room.room_id, party_id(MEMBER)))
            unchanged(furnished, room, lambda sealed=sealed: erase(room, sealed), "no_erasure_order")
        request = signed(room, {"ground": "parce que", "tables": [], "list": listed.commitment()})
        sealed = ErasureOrder(request, listed.sealed(room.facts.transport_key, room.room_id, party_id(MEMBER)))
        unchanged(furnished, room, lambda: erase(room, sealed), "unknown_ground")
    audit(furnished)


def test_a_list_of_other_epochs_alone_is_refused(furnished: Place) -> None:
    """It would find nobody, and be certified."""
    with furnished.open() as room:
        (group,) = order_groups(room)
        listed = ErasureList.of([dataclasses.replace(group, epoch=Epoch("0"))])
        content = {**order(room, ABSENT).request.content, "list": listed.commitment()}
        sealed = listed.sealed(room.facts.transport_key, room.room_id, party_id(MEMBER))
        bad = ErasureOrder(signed(room, content), sealed)
        unchanged(furnished, room, lambda: erase(room, bad), "linkage_key_missing")
        both = ErasureList.of([group, *listed.groups])
        content["list"] = both.commitment()
        sealed = both.sealed(room.facts.transport_key, room.room_id, party_id(MEMBER))
        assert erase(room, ErasureOrder(signed(room, content), sealed)).finished
    audit(furnished)


def order_groups(room: Room) -> Any:
    made = order(room, ABSENT)
    return ErasureList.opened(
        made.sealed,
        room.room_id,
        party_id(MEMBER),
        str(made.request.content["list"]),
        room.transport_key().open,
    ).groups


def test_a_list_that_was_not_signed_for_this_room_is_refused(furnished: Place) -> None:
    with furnished.open() as room:
        one, other = order(room, people(furnished)[0]), order(room, ABSENT)
        flipped = bytes([one.sealed[0] ^ 1]) + one.sealed[1:]
        for sealed in (other.sealed, b"", one.sealed[:-1], one.sealed[:1168], flipped):
            bad = dataclasses.replace(one, sealed=sealed)
            unchanged(furnished, room, lambda bad=bad: erase(room, bad), "erasure_list_refused")
        assert erase(room, one).finished
    audit(furnished)


def test_no_package_says_that_it_is_the_rooms_own(furnished: Place, tmp_path: Path, monkeypatch: Patch) -> None:
    claim: Any = Erase(UploadId("0" * 32), "1" * 32)
    with furnished.open() as room:
        facts = member_facts.facts_in(room, MINE)
        sending.pack(room.home, facts, furnished.csv(MEMBER), tmp_path / "a.package", claim)
        unchanged(furnished, room, lambda: intake(room, tmp_path / "a.package"), "mismatched_upload")


def test_without_the_right_linkage_key_nothing_is_done(furnished: Place) -> None:
    (path,) = furnished.home.path.glob("rooms/*/linkage/1.key")
    content = path.read_text()
    with furnished.open() as room:
        key = content.split("\n")[3]
        path.write_text(content.replace(key, "0" * 64))
        unchanged(furnished, room, lambda: order(room, ABSENT), "wrong_linkage_key")
        path.unlink()
        unchanged(furnished, room, lambda: order(room, ABSENT), "linkage_key_missing")
    assert not list(furnished.home.path.glob("rooms/*/erased/*"))


def test_of_several_kinds_one_is_named_and_all_tables_are_written_anew(furnished: Place) -> None:
    table = named("telephones")
    text = furnished.yaml(MEMBER).replace(str(MINE).encode(), str(table).encode()).replace(b"email", b"phone")
    assert b"kind: phone" in text
    with furnished.open() as room:
        room.declare(text)
        phones = furnished.csv(MEMBER).read_text("utf-8").splitlines()
        rows = [f"514 555-{number:04},{line.split(',', 1)[1]}" for number, line in enumerate(phones[1:40])]
        source = furnished.path.parent / "phones.csv"
        source.write_text("\n".join([phones[0], *rows]), "utf-8")
        upload(room, table, source)
        who, before = people(furnished)[0], holding(room)
        unchanged(furnished, room, lambda: order(room, who), "several_kinds")
        party, ground = party_id(MEMBER), ErasureGround.QC_28
        unchanged(
            furnished, room, lambda: order_erasure(room, party, ground, [who], kind="phone"), "invalid_identifiers"
        )
        done = erase(room, order_erasure(room, party, ground, ["+1 (514) 555.0003"], kind="phone"))
        assert {each.table for each in done.tables} == {MINE, named(SECOND), named(EMPTY), table}
        after = holding(room)
        assert [len(rows) for rows in after.pop(str(table))] == [len(before.pop(str(table))[0]) - 1]
        assert after == before
        erase(room, order_erasure(room, party, ground, [who], kind="email"))
        after = holding(room)
        after.pop(str(table))
        assert after == without(before, token_of(furnished, who)) != before
    audit(furnished)


# What was held back, and what comes again


def pack(room: Room, place: Place, to: Path, intent: Intent | None = None) -> Path:
    sending.pack(room.home, member_facts.facts_in(room, MINE), place.csv(MEMBER), to, intent)
    return to


@pytest.mark.parametrize("name", ["append", "replace", "correct"])
def test_a_package_held_back_does_not_bring_them_back(name: str, furnished: Place, tmp_path: Path) -> None:
    with furnished.open() as room:
        (first, _) = registry.uploads(room.connection, MINE)
        intent = {"append": Append(), "replace": Replace(), "correct": Correct(first.upload)}[name]
        held = pack(room, furnished, tmp_path / "held.package", intent)
        empty = tmp_path / "empty.package"
        sending.pack(room.home, member_facts.facts_in(room, named(EMPTY)), furnished.csv(MEMBER), empty, Append())
        erased(room, people(furnished)[0])
        unchanged(furnished, room, lambda: intake(room, held), "table_moved_on")
        unchanged(furnished, room, lambda: intake(room, empty), "table_moved_on")
        assert kinds(room)[-1] is EventType.UPLOAD_REFUSED
    audit(furnished)


def test_a_package_taken_before_gives_its_receipt_and_nothing_else(furnished: Place, tmp_path: Path) -> None:
    with furnished.open() as room:
        package = pack(room, furnished, tmp_path / "old.package")
        first = intake(room, package)
        who = people(furnished)[0]
        erased(room, who)
        held = holding(room)
        again = intake(room, package)
        assert (again.repeated, again.receipt.index, again.retired_by) == (True, first.receipt.index, 4)
        assert holding(room) == held
    audit(furnished)


def test_what_waits_in_the_outbox_is_refused_and_leaves(furnished: Place, monkeypatch: Patch) -> None:
    def busy(*_: object) -> None:
        raise Fault(sending.Bilingual("occupée", "busy"), code="storage_failed")

    with furnished.open() as room:
        with monkeypatch.context() as patch:
            patch.setattr("cleanroom.room.hand_in._record", busy)
            with pytest.raises(Fault):
                upload(room, MINE, furnished.csv(MEMBER))
        assert len(packages(furnished.home.path)) == 1
        erased(room, people(furnished)[0])
        held = holding(room)
        with pytest.raises(InvalidUpload) as caught:
            sending.resume(room)
        assert caught.value.code == "table_moved_on"
        assert packages(furnished.home.path) == []
        assert holding(room) == held
    audit(furnished)


def test_a_later_upload_may_hold_them_and_says_so_at_home(furnished: Place, tmp_path: Path) -> None:
    who, other = people(furnished)[:2]
    with furnished.open() as room:
        erased(room, who, ABSENT)
        written = [line.split(",")[0] for line in furnished.csv(MEMBER).read_text("utf-8").splitlines()]
        rows = sum(normalise_email(each) == normalise_email(who) for each in written)
        prepared, _ = upload(room, MINE, furnished.csv(MEMBER))
        assert prepared is not None
        assert prepared.left_out.returning == rows > 0
        listed = tmp_path / "no.txt"
        listed.write_text(f"{who}\n")
        prepared, _ = upload(room, MINE, furnished.csv(MEMBER), choices=UploadChoices(opt_out=listed))
        assert prepared is not None
        assert (prepared.left_out.returning, prepared.left_out.opted_out) == (0, rows)
        (path,) = furnished.home.path.glob("rooms/*/erased/*")
        assert path.stat().st_mode & 0o777 == 0o600
        content = path.read_text()
        assert who not in content
        assert token_of(furnished, who).hex() in content
        assert token_of(furnished, other).hex() not in content
        path.write_text(content.replace(token_of(furnished, who).hex(), "0" * 32))
        with pytest.raises(Fault) as caught:
            upload(room, MINE, furnished.csv(MEMBER))
        assert caught.value.code == "erased_list_refused"
    audit(furnished)


# At the same time, and cut short


@pytest.mark.parametrize("moment", ["before the keys", "while reading"])
def test_a_question_under_way_answers_on_the_version_it_charged(
    moment: str, furnished: Place, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(retirement, "PATIENCE_SECONDS", 60.0)
    who = people(furnished)[0]

    def erase_now() -> None:
        with furnished.open() as other:
            erased(other, who)

    thread, committed = threading.Thread(target=erase_now), threading.Event()
    whole_destroy, name = retirement._destroy_keys, "open_data_keys" if moment == "before the keys" else "exact_vector"
    whole = getattr(question, name)

    def destroy(room: Room, patience: float) -> None:
        committed.set()
        whole_destroy(room, patience)

    def slow(*arguments: Any, **rest: Any) -> Any:
        thread.start()
        assert committed.wait(60)
        return whole(*arguments, **rest)

    monkeypatch.setattr(retirement, "_destroy_keys", destroy)
    monkeypatch.setattr(question, name, slow)
    with furnished.open() as room:
        charged_on = {each.upload for each in registry.uploads(room.connection, MINE)}
        ask(room)
        thread.join()
        assert charged_on <= reads_of_questions(room)
        assert not charged_on & {each.upload for each in registry.uploads(room.connection, MINE)}
        assert stored_names(furnished) == [], "an answer of before the erasure was kept"
    audit(furnished)


def reads_of_questions(room: Room) -> set[str]:
    """Return the uploads whose keys questions opened."""
    found: set[str] = set()
    for _, kind, details in entries(room):
        if kind is EventType.KEY_USED and details.get("act") != "erase":
            found |= set(details["uploads"])
    return found


def test_without_patience_the_question_fails_charged(furnished: Place, monkeypatch: Patch) -> None:
    monkeypatch.setattr(retirement.finish, "__kwdefaults__", {"patience": 0.0})
    whole = question.open_data_keys

    def late(*arguments: Any, **rest: Any) -> Any:
        with furnished.open() as other:
            erased(other, ABSENT)
        return whole(*arguments, **rest)

    with furnished.open() as room:
        monkeypatch.setattr(question, "open_data_keys", late)
        with pytest.raises(Fault) as caught:
            ask(room)
        assert caught.value.code == "failed_after_charge"
        monkeypatch.setattr(question, "open_data_keys", whole)
        ask(room)
        assert reads(room) == {
            each.upload for each in registry.uploads(room.connection) if each.table in {MINE, visits(OTHER)}
        }
    audit(furnished)


def at_once(*actions: Callable[[], object]) -> list[object]:
    gate, outcomes = threading.Barrier(len(actions)), [None] * len(actions)

    def run(number: int, action: Callable[[], Any]) -> None:
        gate.wait()
        try:
            outcomes[number] = action()
        except CleanroomError as error:
            outcomes[number] = error.code  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(outcomes)


def test_two_erasures_at_once(furnished: Place) -> None:
    first, second = people(furnished)[:2]
    with furnished.open() as room:
        before = holding(room)
        orders = [order(room, each) for each in (first, second)]

    def run(given: ErasureOrder) -> Any:
        with furnished.open() as room:
            return erase(room, given)

    done = at_once(*(lambda given=given: run(given) for given in orders))
    assert done.count("table_moved_on") == 1
    taken = (first, second)[0 if done[1] == "table_moved_on" else 1]
    with furnished.open() as room:
        assert holding(room) == without(before, token_of(furnished, taken))
    audit(furnished)


def test_an_erasure_and_an_upload_at_once(furnished: Place, tmp_path: Path) -> None:
    who = people(furnished)[0]
    with furnished.open() as room:
        package = pack(room, furnished, tmp_path / "a.package")
        given, before = order(room, who), holding(room)

    def run(act: Callable[[Room], object]) -> Any:
        with furnished.open() as room:
            return act(room)

    done = at_once(lambda: run(lambda room: erase(room, given)), lambda: run(lambda room: intake(room, package)))
    # Whichever is first, the other was made on what is no more.
    assert done.count("table_moved_on") == 1
    with furnished.open() as room:
        if done[1] == "table_moved_on":
            assert holding(room) == without(before, token_of(furnished, who))
        else:
            assert len(holding(room)[str(MINE)]) == 3
            assert erased(room, who).finished
    audit(furnished)


def test_a_table_declared_meanwhile_is_noticed(furnished: Place, monkeypatch: Patch) -> None:
    whole = erasure._rewrite

    def slow(room: Room, *given: Any) -> Any:
        with furnished.open() as other:
            other.declare(furnished.yaml(MEMBER).replace(str(MINE).encode(), f"{MEMBER}.plus".encode()))
        return whole(room, *given)

    with furnished.open() as room:
        monkeypatch.setattr(erasure, "_rewrite", slow)
        given = order(room, people(furnished)[0])
        unchanged_but_declared = holding(room)[str(MINE)]
        with pytest.raises(NotVerified) as caught:
            erase(room, given)
        assert caught.value.code == "table_moved_on"
        assert holding(room)[str(MINE)] == unchanged_but_declared
        assert len(partition_files(furnished)) == len(registry.uploads(room.connection))
        monkeypatch.setattr(erasure, "_rewrite", whole)
        assert f"{MEMBER}.plus" in {str(each.table) for each in erased(room, people(furnished)[0]).tables}
    audit(furnished)


def test_a_full_disk_leaves_the_tables_as_they_were(furnished: Place, monkeypatch: Patch) -> None:
    whole, calls = storage_erasure.write_table_file, [0]

    def full(*given: Any, **rest: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(28, "No space left on device")
        return whole(*given, **rest)

    with furnished.open() as room:
        ask(room)
        with monkeypatch.context() as patch:
            patch.setattr(storage_erasure, "write_table_file", full)
            unchanged(furnished, room, lambda: erased(room, people(furnished)[0]), "storage_failed")
        assert kinds(room)[-1] is EventType.KEY_USED
        assert ask(room).sources == (Source.STORED,)
        assert erased(room, people(furnished)[0]).finished
    audit(furnished)


def test_a_record_that_fails_leaves_what_no_key_opens(furnished: Place, monkeypatch: Patch) -> None:
    """A commit whose sync failed may be found done: its files must be there then; if it is not, nobody reads them."""

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with furnished.open() as room:
        held, before = holding(room), partition_files(furnished)
        with monkeypatch.context() as patch:
            patch.setattr(erasure, "retire", broken)
            with pytest.raises(Fault) as caught:
                erased(room, people(furnished)[0])
        assert caught.value.code == "storage_failed"
        assert holding(room) == held
        left = partition_files(furnished) - before
        assert len(left) == 3
        for each in left:
            with pytest.raises(UnknownKey):
                room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.removesuffix(".parquet")))
        erased(room, people(furnished)[0])
        assert partition_files(furnished) == {f"{each.upload}.parquet" for each in registry.uploads(room.connection)}
    audit(furnished)


def test_an_altered_or_missing_file_stops_it(furnished: Place) -> None:
    with furnished.open() as room:
        (each, _) = registry.uploads(room.connection, MINE)
        path = room.store.path(room.stored(each))
        content = path.read_bytes()
        path.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
        with pytest.raises(NotVerified):
            erased(room, ABSENT)
        path.unlink()
        with pytest.raises(Fault) as caught:
            erased(room, ABSENT)
        assert caught.value.code == "missing_partition"
        assert registry.version(room.connection, MINE) == 2
        path.write_bytes(content)
        assert erased(room, ABSENT).finished
    audit(furnished)


# What is broken on purpose


def no_version_for_nobody(patch: Patch) -> None:
    whole = erasure._record

    def record(room: Room, *given: Any) -> int:
        rewritten = given[-2]
        if all(each.old.manifest.row_count == each.made.manifest.row_count for each in rewritten):
            return room.journal.log.size(room.connection) - 1
        return whole(room, *given)

    patch.setattr(erasure, "_record", record)


def rows_stay(patch: Patch) -> None:
    whole = erasure.rewrite
    patch.setattr(erasure, "rewrite", lambda store, stored, key, _erased, **rest: whole(store, stored, key, (), **rest))


def only_the_first_table(patch: Patch) -> None:
    whole = erasure.versions_of
    patch.setattr(erasure, "versions_of", lambda room, party: dict([*whole(room, party).items()][:1]))


def held_packages_are_taken(place: Place) -> None:
    test_a_package_held_back_does_not_bring_them_back("append", place, place.path.parent)


def manifests_in_the_entry(patch: Patch) -> None:
    patch.setattr(erasure, "manifest_digest", lambda stored: str(stored.manifest.row_count).rjust(9)[:9].strip())


def anew_without_its_words(patch: Patch) -> None:
    patch.setattr(storage_erasure, "_anew", lambda column, _stored: column)


SABOTAGES: dict[str, tuple[Callable[[Patch], None], Callable[[Place], None]]] = {
    "erasing an absent token does not bump the version": (
        no_version_for_nobody,
        lambda place: test_nothing_that_others_see_tells_whether_they_were_there(1, place),
    ),
    "erasing keeps stored answers": (
        lambda patch: patch.setattr(erasure, "take_away", lambda *_: []),
        test_stored_answers_are_destroyed_and_stay_charged,
    ),
    "the rows stay": (rows_stay, test_their_rows_are_gone_and_all_others_stay_in_their_order),
    "only one table of the member": (only_the_first_table, test_their_rows_are_gone_and_all_others_stay_in_their_order),
    "the old files are not retired": (
        lambda patch: patch.setattr(erasure, "retire", lambda *_, **__: None),
        test_their_rows_are_gone_and_all_others_stay_in_their_order,
    ),
    "a package held back is taken": (
        lambda patch: patch.setattr(registry, "began_anew", lambda *_: 0),
        held_packages_are_taken,
    ),
    "the entry's size tells of the rows": (
        manifests_in_the_entry,
        test_the_entry_has_one_size,
    ),
    "a dictionary keeps their words": (
        anew_without_its_words,
        lambda place: test_a_word_that_only_they_had_does_not_live_on_in_a_dictionary(place, place.path.parent),
    ),
    "a list that could find nobody is certified": (
        lambda patch: patch.setattr(erasure, "_require_epochs", lambda *_: None),
        test_a_list_of_other_epochs_alone_is_refused,
    ),
    "the order is not bound to its list": (
        lambda patch: patch.setattr("cleanroom.partition.erasure.ErasureList.commitment", lambda _self: "0" * 64),
        test_a_list_that_was_not_signed_for_this_room_is_refused,
    ),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_each_sabotage_of_erasure_turns_a_test_red(sabotage: str, furnished: Place, monkeypatch: Patch) -> None:
    breaking, test = SABOTAGES[sabotage]
    for name in ("whole", "broken"):
        (furnished.path.parent / name).mkdir()
    whole, broken = (furnished.copy(furnished.path.parent / name) for name in ("whole", "broken"))
    test(whole)
    breaking(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, CleanroomError, KeyError)):
        test(broken)
