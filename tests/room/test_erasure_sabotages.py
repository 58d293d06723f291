"""Erasure broken on purpose: each breakage turns a test red that is green without it (SOUNDNESS F)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import test_erasure
import test_erasure_orders
from room_samples import (
    Place,
)

from cleanroom.errors import CleanroomError
from cleanroom.room import (
    Room,
    erasure,
    registry,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Patch = pytest.MonkeyPatch


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
    test_erasure_orders.test_a_package_held_back_does_not_bring_them_back("append", place, place.path.parent)


def manifests_in_the_entry(patch: Patch) -> None:
    patch.setattr(erasure, "manifest_digest", lambda stored: str(stored.manifest.row_count).rjust(9)[:9].strip())


SABOTAGES: dict[str, tuple[Callable[[Patch], None], Callable[[Place], None]]] = {
    "erasing an absent token does not bump the version": (
        no_version_for_nobody,
        lambda place: test_erasure.test_nothing_that_others_see_tells_whether_they_were_there(1, place),
    ),
    "erasing keeps stored answers": (
        lambda patch: patch.setattr(erasure, "take_away", lambda *_: []),
        test_erasure.test_stored_answers_are_destroyed_and_stay_charged,
    ),
    "the rows stay": (rows_stay, test_erasure.test_their_rows_are_gone_and_all_others_stay_in_their_order),
    "only one table of the member": (
        only_the_first_table,
        test_erasure.test_their_rows_are_gone_and_all_others_stay_in_their_order,
    ),
    "the old files are not retired": (
        lambda patch: patch.setattr(erasure, "retire", lambda *_, **__: None),
        test_erasure.test_their_rows_are_gone_and_all_others_stay_in_their_order,
    ),
    "a package held back is taken": (
        lambda patch: patch.setattr(registry, "began_anew", lambda *_: 0),
        held_packages_are_taken,
    ),
    "the entry's size tells of the rows": (
        manifests_in_the_entry,
        test_erasure.test_the_entry_has_one_size,
    ),
    "a list that could find nobody is certified": (
        lambda patch: patch.setattr(erasure, "_require_epochs", lambda *_: None),
        test_erasure_orders.test_a_list_of_other_epochs_alone_is_refused,
    ),
    "the order is not bound to its list": (
        lambda patch: patch.setattr("cleanroom.partition.erasure.ErasureList.commitment", lambda _self: "0" * 64),
        test_erasure_orders.test_a_list_that_was_not_signed_for_this_room_is_refused,
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
