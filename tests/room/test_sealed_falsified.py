"""What is left out of sealed details, exchanged or altered, its reader is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import MEMBER, Place
from sealed_samples import VERA, M, N, exported, key_of, mandate, opened, reading, withdrawn

from audit_log import EventType, SealedFile
from audit_log import details as sealing
from cleanroom.errors import NotVerified, UsageError
from cleanroom.identifiers import Role
from cleanroom.room import (
    logbook,
    reading_key,
)
from cleanroom.room.reading_key import (
    make_reading_key,
    register_reading_key,
    sign_reading_key,
)
from cleanroom.room.sealed_export import sealed_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cleanroom.room import Room


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mandate SET withdrawn = NULL",
        "UPDATE mandate SET events = '[]' WHERE withdrawn IS NULL",
        "UPDATE mandate SET auditor = 'observatoire' WHERE withdrawn IS NULL",
        "UPDATE mandate SET until = 5 WHERE withdrawn IS NULL",
        "DELETE FROM mandate WHERE withdrawn IS NULL",
        "UPDATE party SET reading_key = zeroblob(1216) WHERE party = 'theatre_fleuve'",
        "UPDATE party SET reading_key = NULL WHERE party = 'theatre_fleuve'",
    ],
)
def test_a_right_changed_behind_the_logs_back_is_named(place: Place, change: str) -> None:
    with place.open() as room:
        room.add_party(VERA, Role.AUDITOR)
        mandate(room, M)
        withdrawn(room, M)
        mandate(room, N, events=(EventType.DATASET_UPLOADED,))
    assert logbook.verify(place.path, place.home).ok
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        connection.execute(change)
        connection.commit()
    found = logbook.verify(place.path, place.home)
    assert not found.ok
    assert len(found.contradictions) == 1


def rewritten(out: Path, change: Callable[[int, bytes, tuple[bytes, ...]], tuple[bytes, tuple[bytes, ...]]]) -> None:
    """Write the sealed details of an export again, changed entry by entry."""
    path = sealed_path(out)
    whole = path.read_bytes()
    with path.open("rb") as source:
        file = SealedFile(source)
        start = source.tell()
        size = int(file.note.split(b"\n")[1])
        entries = list(file.entries(size))
    parts = [whole[:start]]
    for index, each in enumerate(entries):
        ciphertext, slots = change(index, each.content, each.slots)
        parts += [len(ciphertext).to_bytes(4, "big") + len(slots).to_bytes(2, "big"), ciphertext, *slots]
    path.write_bytes(b"".join(parts))


def test_what_is_left_out_is_named_entry_by_entry(room: Room, place: Place, tmp_path: Path) -> None:
    room.add_party(VERA, Role.AUDITOR)
    mandate(room, M)
    out = exported(room, tmp_path / "out")
    key, own = key_of(place.home, M), opened(tmp_path / "out", key_of(place.home, M), room)
    victim = max(own)
    emptied = lambda index, text, slots: (text, tuple(bytes(60) for _ in slots)) if index == victim else (text, slots)  # noqa: E731
    whole = sealed_path(out).read_bytes()
    rewritten(out, emptied)
    found, lines = reading(out, key, room)
    assert (found.missing, lines[victim].withheld) == ([victim], True)
    found, _ = reading(out, key_of(place.home, VERA), room)
    assert found.missing == [victim]  # the auditor's mandate, opened, says that it is hers too
    # Passed off as erased, without an entry that says so.
    sealed_path(out).write_bytes(whole)
    rewritten(out, lambda index, text, slots: (b"", ()) if index == victim else (text, slots))
    assert reading(out, key, room)[0].missing == [victim]
    # The registration itself taken away: then nothing can be said, and that is said.
    sealed_path(out).write_bytes(whole)
    rewritten(out, lambda index, text, slots: (b"", ()) if index == min(own) else (text, slots))
    with pytest.raises(NotVerified, match="registration") as caught:
        reading(out, key, room)
    assert caught.value.code == "reading_key_unregistered"


def test_other_details_are_told_with_their_entry(room: Room, place: Place, tmp_path: Path) -> None:
    out = exported(room, tmp_path / "out")
    victim = max(opened(out, key_of(place.home, M), room))
    rewritten(
        out, lambda index, text, slots: (text[:-1] + bytes([text[-1] ^ 1]), slots) if index == victim else (text, slots)
    )
    with pytest.raises(NotVerified, match=f"entry {victim}: the details are not those") as caught:
        reading(out, key_of(place.home, M), room)
    assert (caught.value.code, f"entrée {victim}" in caught.value.message.fr) == ("details_not_committed", True)
    assert opened(out, key_of(place.home, N), room)  # whose own are untouched


def test_a_commitment_to_something_else_is_told(room: Room, place: Place, tmp_path: Path, monkeypatch: Any) -> None:
    """An operator who seals one thing and commits to another, with the right key, is found out by its readers."""
    whole = sealing._commit
    monkeypatch.setattr(sealing, "_commit", lambda key, _canonical: whole(key, b'{"another":"story"}'))
    room.session(MEMBER).catalog()
    victim = room.journal.log.size(room.connection) - 1
    monkeypatch.setattr(sealing, "_commit", whole)
    out = exported(room, tmp_path / "out")
    with pytest.raises(NotVerified, match=f"entry {victim}: the details are not those that"):
        reading(out, key_of(place.home, M), room)


def test_a_false_pseudonym_is_told_by_the_readers_own_acts(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told another's pseudonym, a reader would miss none of its own acts that are left out."""
    with place.open() as room:
        public = make_reading_key(place.home, M)
        whole = reading_key.key_facts
        monkeypatch.setattr(
            reading_key, "key_facts", lambda room, party, key: whole(room, party, key) | {"pseudonym": "p:0"}
        )
        register_reading_key(room, public, sign_reading_key(room.home, room.room_id, M, public, at=room.now()))
        out = exported(room, tmp_path / "out")
        with pytest.raises(NotVerified, match="another pseudonym"):
            reading(out, key_of(place.home, M), room)


def test_details_of_another_export_or_damaged_are_refused(room: Room, place: Place, tmp_path: Path) -> None:
    first, second = exported(room, tmp_path / "a"), exported(room, tmp_path / "b")
    key = key_of(place.home, M)
    sealed_path(second).replace(sealed_path(first))
    with pytest.raises(NotVerified, match="another export"):
        reading(first, key, room)
    with pytest.raises(UsageError, match="--details"):
        reading(second, key, room)
    out = exported(room, tmp_path / "c")
    content = sealed_path(out).read_bytes()
    for broken in (b"", content[:30], content[:-1], content + b"\0", b"x" + content[1:]):
        sealed_path(out).write_bytes(broken)
        with pytest.raises(NotVerified):
            reading(out, key, room)
