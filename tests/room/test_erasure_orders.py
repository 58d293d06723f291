"""Who may have people erased, what is refused, and what was held back or comes again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from erasure_samples import (
    ABSENT,
    EMPTY,
    MINE,
    SECOND,
    erased,
    holding,
    named,
    order,
    pack,
    packages,
    people,
    token_of,
    unchanged,
    without,
)
from room_samples import (
    MEMBER,
    OTHER,
    Place,
    ask,
    audit,
    kinds,
)

from audit_log import EventType
from cleanroom.client.normalise import normalise_email
from cleanroom.errors import Fault, InvalidUpload
from cleanroom.identifiers import Epoch, ErasureGround, UploadId, party_id
from cleanroom.partition.erasure import ErasureList
from cleanroom.partition.intent import Append, Correct, Erase, Replace
from cleanroom.room import (
    Room,
    intake,
    member_facts,
    registry,
    sending,
    upload,
)
from cleanroom.room.erasure import ErasureOrder, erase
from cleanroom.room.erasure_order import order_erasure
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.upload_choices import UploadChoices

if TYPE_CHECKING:
    from pathlib import Path

Patch = pytest.MonkeyPatch


# Who may, and what is refused


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
