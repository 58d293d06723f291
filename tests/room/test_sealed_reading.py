"""What leaves the log sealed: its parties read theirs offline and nobody else's, and what is left out is named."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from room_samples import LATE, MEMBER, Place, ask, overlap, visits
from sealed_samples import OPERATOR, VERA, M, N, exported, key_of, mandate, opened, reading, truth, withdrawn

from audit_log import RETENTION_SECONDS, EventType, Retention, SealedFile
from cleanroom.errors import Fault, NotVerified, UsageError
from cleanroom.identifiers import PartyId, Role
from cleanroom.room import (
    log_reading,
    log_retention,
    logbook,
    own_uploads,
    question,
    sealed_export,
)
from cleanroom.room.log_reading import Wanted, sign_log_reading
from cleanroom.room.mandates import Terms, give_mandate, sign_mandate
from cleanroom.room.reading_key import (
    make_reading_key,
    register_reading_key,
    sign_reading_key,
)
from cleanroom.room.reading_rights import Known, Scope, mandates
from cleanroom.room.sealed_export import sealed_path
from key_management import SecretKey, TransportKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cleanroom.room import Room


def test_each_party_reads_its_own_whole_and_the_others_as_envelopes(room: Room, place: Place, tmp_path: Path) -> None:
    ask(room)
    out = exported(room, tmp_path / "out")
    assert logbook.verify(out, place.home).ok  # what lies beside it does not make it another directory
    for party in (M, N, PartyId(LATE), PartyId("observatoire")):
        found, lines = reading(out, key_of(place.home, party), room)
        assert (found.party, found.scopes, found.missing) == (party, (), [])
        assert {line.index: line.details for line in lines if line.details} == truth(room, party)
        assert [line.index for line in lines] == list(range(len(lines)))
        assert all(line.withheld is (line.details is None) for line in lines)
    mine = opened(out, key_of(place.home, M), room)
    asked = [index for index, said in mine.items() if "sql" in said.get("content", {})]  # type: ignore[operator]
    assert asked
    assert set(asked) <= set(opened(out, key_of(place.home, N), room))  # its data was read too
    assert not set(asked) & set(opened(out, key_of(place.home, PartyId(LATE)), room))


def test_other_keys_open_nothing_and_say_so(room: Room, place: Place, tmp_path: Path) -> None:
    out = exported(room, tmp_path / "out")
    with pytest.raises(NotVerified, match="opens nothing") as caught:
        reading(out, TransportKey.generate(), room)
    assert (caught.value.code, "n'ouvre rien" in caught.value.message.fr) == ("reading_key_opens_nothing", True)
    # The room's own transport key, that of uploads, is of the same kind and opens nothing either.
    with pytest.raises(NotVerified):
        reading(out, room.transport_key(), room)


def test_a_party_without_a_key_works_and_reads_when_it_has_one(room: Room, place: Place, tmp_path: Path) -> None:
    signing = Ed25519PrivateKey.generate().public_key()
    late = room.add_party("maison_neuve", Role.MEMBER, signing)
    assert late.reading_key is None
    assert late.party not in [each.party for each in sealed_export.keyed_parties(room)]
    exported(room, tmp_path / "before")
    # A party that has one takes another.
    own = TransportKey.generate()
    request = sign_reading_key(room.home, room.room_id, M, own.public_bytes(), at=room.now())
    index = register_reading_key(room, own.public_bytes(), request)
    out = exported(room, tmp_path / "out")
    now = opened(out, own, room)
    assert (now, now[index]["party"]) == (truth(room, M), M)
    assert min(now) < index  # what came before is its own too
    with pytest.raises(NotVerified, match="opens nothing"):
        reading(out, key_of(place.home, M), room)  # the key before
    assert opened(tmp_path / "before", key_of(place.home, M), room)  # opens what was exported before
    assert logbook.verify(place.path, place.home).ok


def test_a_reading_key_is_its_partys_alone(room: Room, place: Place) -> None:
    theirs = key_of(place.home, N).public_bytes()
    with pytest.raises(UsageError, match="another party") as caught:
        register_reading_key(room, theirs, sign_reading_key(room.home, room.room_id, M, theirs, at=room.now()))
    assert caught.value.code == "reading_key_taken"
    mine = make_reading_key(place.home, M)
    with pytest.raises(UsageError, match="not the key"):
        register_reading_key(room, theirs, sign_reading_key(room.home, room.room_id, M, mine, at=room.now()))
    with pytest.raises(UsageError, match="operator reads"):
        register_reading_key(room, mine, sign_reading_key(room.home, room.room_id, OPERATOR, mine, at=room.now()))
    forged = own_uploads.sign_reading(room, M, None)
    with pytest.raises(NotVerified):
        register_reading_key(room, mine, forged)


def test_an_auditor_reads_what_its_mandates_cover(room: Room, place: Place, tmp_path: Path) -> None:
    room.add_party(VERA, Role.AUDITOR)
    ask(room)
    key = key_of(place.home, VERA)
    alone = opened(exported(room, tmp_path / "none"), key, room)
    assert {each["party"] for each in alone.values()} == {VERA}  # its own registration
    index = mandate(room, N, events=(EventType.QUERY_CHARGED, EventType.DATASET_UPLOADED))
    out = exported(room, tmp_path / "some")
    some = opened(out, key, room)
    kinds = {room.journal.log.entry(room.connection, each).event.type for each in set(some) - set(alone)}
    assert kinds == {EventType.QUERY_CHARGED, EventType.DATASET_UPLOADED, EventType.MANDATE_GIVEN}
    uploads = [said["upload"] for said in some.values() if "manifest" in said]
    assert len(uploads) == 1  # of the giver alone
    assert index in opened(out, key_of(place.home, N), room)
    assert index not in opened(out, key_of(place.home, M), room)
    # Online it is the same rule.
    request = sign_log_reading(room, VERA, Wanted())
    online = {each.index for each in log_reading.read(room, request=request) if each.details is not None}
    assert online - {room.journal.log.size(room.connection) - 1} == set(some)


def test_the_operators_mandate_covers_the_room_but_no_failures_and_tells_everybody(
    room: Room, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.add_party(VERA, Role.AUDITOR)
    with monkeypatch.context() as broken:
        broken.setattr(question, "draw", lambda *_, **__: 1 / 0)
        with pytest.raises(Fault):
            ask(room)
    index = mandate(room, OPERATOR)
    out = exported(room, tmp_path / "out")
    found = opened(out, key_of(place.home, VERA), room)
    failed = [at for at, each in room.journal.log.entries(room.connection) if each.event.type is EventType.QUERY_FAILED]
    assert failed
    assert set(range(room.journal.log.size(room.connection))) - set(found) == set(failed)
    for party in (M, N):
        theirs = opened(out, key_of(place.home, party), room)
        assert (index in theirs, set(failed) & set(theirs)) == (True, set())


def test_a_withdrawn_mandate_opens_nothing_exported_later(room: Room, place: Place, tmp_path: Path) -> None:
    room.add_party(VERA, Role.AUDITOR)
    first, second = mandate(room, M), mandate(room, M, since=1)
    kept = mandate(room, N, events=(EventType.DATASET_UPLOADED,))
    key = key_of(place.home, VERA)
    before = opened(exported(room, tmp_path / "before"), key, room)
    assert withdrawn(room, M) == (first, second)
    with pytest.raises(UsageError, match="no mandate") as caught:
        withdrawn(room, M)
    assert caught.value.code == "no_mandate"
    ask(room)
    after = opened(exported(room, tmp_path / "after"), key, room)
    assert after == truth(room, VERA)
    assert kept in after
    own = {at for at, said in before.items() if said.get("actor") == M and "auditor" not in said}
    assert own
    assert not own & set(after)
    assert logbook.verify(place.path, place.home).ok


def test_mandates_are_for_auditors_and_by_whoever_signed(room: Room) -> None:
    said = Terms(N)
    signed = sign_mandate(room.home, room.room_id, M, said, at=room.now())
    with pytest.raises(UsageError, match="no auditor"):
        give_mandate(room, said, signed)
    room.add_party(VERA, Role.AUDITOR)
    with pytest.raises(UsageError, match="not the mandate"):
        give_mandate(room, Terms(VERA, since=5), sign_mandate(room.home, room.room_id, M, Terms(VERA), at=room.now()))
    request = sign_mandate(room.home, room.room_id, M, Terms(VERA), at=room.now())
    give_mandate(room, Terms(VERA), request)
    with pytest.raises(NotVerified, match="already"):
        give_mandate(room, Terms(VERA), request)


def test_erased_details_are_gone_for_everybody_and_every_proof_holds(room: Room, place: Place, tmp_path: Path) -> None:
    room.session(MEMBER).catalog()
    ask(room)
    key = key_of(place.home, M)
    before = opened(exported(room, tmp_path / "before"), key, room)
    now = room.now() + 2 * (RETENTION_SECONDS[Retention.ACCESS_1Y] or 0)
    room.now = lambda: now  # type: ignore[method-assign]
    erased = {index for each in log_retention.retention(room, dry_run=False) for index in each.due}
    assert erased & set(before)
    out = exported(room, tmp_path / "before")  # over the earlier one
    after = opened(out, key, room)
    assert not set(after) & erased
    assert set(before) - erased <= set(after)
    _, lines = reading(out, key, room)
    assert [line.index for line in lines if line.details is None and not line.withheld] == sorted(erased & set(before))
    assert logbook.verify(out, place.home).ok
    assert logbook.verify(place.path, place.home).ok


def counted(out: Path) -> tuple[int, list[tuple[int, int]]]:
    with sealed_path(out).open("rb") as source:
        file = SealedFile(source)
        size = int(file.note.split(b"\n")[1])
        return len(file.boxes), [(len(each.content), len(each.slots)) for each in file.entries(size)]


def test_the_file_counts_what_the_public_part_says_and_no_more(room: Room, place: Place, tmp_path: Path) -> None:
    """Boxes and slots are reckoned from the leaves alone, whoever has keys, acts or mandates."""
    room.add_party(VERA, Role.AUDITOR)
    mandate(room, M)
    ask(room)
    out = exported(room, tmp_path / "out")
    boxes, entries = counted(out)
    events = [envelope.event for _, envelope in room.journal.log.entries(room.connection)]
    given = sum(each.type is EventType.MANDATE_GIVEN for each in events)
    assert boxes == sum(each.type is EventType.PARTY_ADDED for each in events)
    assert [slots for _, slots in entries] == [len(each.parties) + 1 + given for each in events]
    # The same with nobody's key but one.
    room.connection.execute("UPDATE party SET reading_key = NULL WHERE party <> ?", (MEMBER,))
    fewer = exported(room, tmp_path / "fewer")
    assert counted(fewer)[0] == boxes
    assert counted(fewer)[1][: len(entries)] == entries
    with sealed_path(out).open("rb") as one, sealed_path(fewer).open("rb") as other:
        slots = [
            {slot for each in SealedFile(source).entries(len(entries)) for slot in each.slots} for source in (one,)
        ]
        second = SealedFile(other)
        slots.append({slot for each in second.entries(len(entries) + 1) for slot in each.slots})
        assert not slots[0] & slots[1]  # nothing of one file is found in another
        assert not set(SealedFile(one).boxes) & set(second.boxes)


def test_a_scope_is_told_by_public_parts_alone() -> None:
    from audit_log import Event, Outcome

    def event(**changes: Any) -> Event:
        values = {
            "room": "r",
            "id": "0" * 32,
            "t": 100,
            "type": EventType.QUERY_CHARGED,
            "outcome": Outcome.OK,
            "actor": "p:a",
            "org": "p:a",
            "parties": frozenset({1, 2}),
        }
        return Event(**(values | changes))

    scope = Scope(Known("p:b", 2), (EventType.QUERY_CHARGED,), 50, 150)
    assert scope.covers(event())
    assert scope.covers(event(parties=frozenset(), actor="p:b"))
    assert scope.covers(event(t=50))
    assert not scope.covers(event(t=150))
    assert not scope.covers(event(t=49))
    assert not scope.covers(event(parties=frozenset({1})))
    assert not scope.covers(event(type=EventType.KEY_USED))
    whole = Scope(Known("p:o", 0))
    assert whole.covers(event(type=EventType.KEY_USED, t=0, parties=frozenset()))
    assert not whole.covers(event(type=EventType.QUERY_FAILED))
    assert not Known("p:a", 1).reads(event(type=EventType.QUERY_FAILED))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_each_reader_opens_what_is_its_own_and_no_more(
    place: Place, tmp_path: Path, seed: int
) -> None:
    """A walk through mandates, keys, acts and retention; at each export each reader is held against the room's rule."""
    choose = random.Random(seed)
    members = (M, N)
    days = 0
    with place.open() as room:
        keys = {each: key_of(place.home, each) for each in members}
        room.add_party(VERA, Role.AUDITOR)
        keys[VERA] = key_of(place.home, VERA)
        start = room.now()
        room.now = lambda: start + days * 86_400  # type: ignore[method-assign]

        def rotate() -> None:
            who = choose.choice((*members, VERA))
            keys[who] = TransportKey.from_seed(SecretKey.generate())
            public = keys[who].public_bytes()
            register_reading_key(room, public, sign_reading_key(room.home, room.room_id, who, public, at=room.now()))

        def give() -> None:
            events = tuple(choose.sample([EventType.QUERY_CHARGED, EventType.CATALOG_READ, EventType.KEY_USED], 2))
            mandate(
                room,
                choose.choice((*members, OPERATOR)),
                events=choose.choice([(), events]),
                since=choose.choice([0, room.now()]),
                until=choose.choice([None, room.now() + 86_400 * 200]),
            )

        def take() -> None:
            given = [each.giver for each in mandates(room.connection, room.journal)]
            if given:
                withdrawn(room, choose.choice(given))

        acts: list[Callable[[], object]] = [
            rotate,
            give,
            give,
            take,
            lambda: room.session(choose.choice(members)).catalog(),
            lambda: room.session(MEMBER).preview(overlap(1), purpose="audience_overlap"),
            lambda: own_uploads.own_uploads(room, own_uploads.sign_reading(room, M, visits(MEMBER))),
            lambda: log_retention.retention(room, dry_run=False),
        ]
        for step in range(6):
            for _ in range(5):
                choose.choice(acts)()
            days += choose.choice([1, 250])
            out = exported(room, tmp_path / str(step))
            for who, key in keys.items():
                assert opened(out, key, room) == truth(room, who), (seed, step, who)
    assert logbook.verify(place.path, place.home).ok
