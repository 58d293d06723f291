"""Reuse broken on purpose: each breakage turns a test red that is green without it (SOUNDNESS F)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import test_reuse
from room_samples import OTHER, Place, ask, visits

from cleanroom.errors import Fault
from cleanroom.query.release import NoisedRelease
from cleanroom.query.reuse import Added, Answered, Source
from cleanroom.room import question, stored_releases, upload

if TYPE_CHECKING:
    from collections.abc import Callable

Patch = pytest.MonkeyPatch


def anybody(patch: Patch) -> None:
    patch.setattr(stored_releases, "is_genuine", lambda _: True)


def any_version(patch: Patch) -> None:
    whole = stored_releases.states
    patch.setattr(stored_releases, "states", lambda *given: tuple(replace(each, version=0) for each in whole(*given)))
    patch.setattr("cleanroom.room.hand_in.take_away", lambda *_: [])


def whole_price(patch: Patch) -> None:
    whole = stored_releases.due
    patch.setattr(stored_releases, "due", lambda plan, noise, paid, _stored: whole(plan, noise, paid, ()))


def nothing_paid_for_more(patch: Patch) -> None:
    whole = stored_releases.due

    def due(plan: Any, noise: Any, paid: Any, stored: Any) -> Any:
        found = whole(plan, noise, paid, stored)
        return Answered(stored) if isinstance(found, Added) else found

    patch.setattr(stored_releases, "due", due)


def test_more_precision_is_drawn(place: Place) -> None:
    with place.open() as room:
        ask(room, epsilon=0.1)
        assert ask(room, epsilon=0.3).sources == (Source.COMBINED,)


def forged_plan_finds_nothing(place: Place, patch: Patch) -> None:
    with place.open() as room:
        test_reuse.test_a_plan_that_no_gate_issued_finds_nothing(room, patch)


def uploads_end_reuse(place: Place) -> None:
    with place.open() as room:
        ask(room)
        upload(room, visits(OTHER), place.csv(OTHER))
        assert ask(room).sources == (Source.DRAWN,)


def another_decision_is_noticed(place: Place, patch: Patch) -> None:
    with place.open() as room:
        ask(room)
        patch.setattr(NoisedRelease, "withheld", lambda self: (0,) * self.cell_count)
        with pytest.raises(Fault):
            ask(room)


SABOTAGES: dict[str, tuple[Callable[[Patch], None], Callable[[Place, Patch], None]]] = {
    "entitlement unchecked": (anybody, forged_plan_finds_nothing),
    "reuse across versions": (any_version, lambda place, _: uploads_end_reuse(place)),
    "a reuse is charged": (whole_price, test_reuse.test_the_same_question_again_is_free_and_reads_no_data),
    "a reuse is not logged": (
        lambda patch: patch.setattr(
            question, "log_reuse", lambda room, *_, **__: room.journal.log.size(room.connection) - 1
        ),
        test_reuse.test_the_same_question_again_is_free_and_reads_no_data,
    ),
    "a draw is not stored": (
        lambda patch: patch.setattr(stored_releases, "keep", lambda *_: {"stored": [], "answers_removed": []}),
        test_reuse.test_the_same_question_again_is_free_and_reads_no_data,
    ),
    "more precision is given away": (nothing_paid_for_more, lambda place, _: test_more_precision_is_drawn(place)),
    "a stored decision is not compared": (
        lambda patch: patch.setattr(stored_releases, "_require_decisions", lambda *_: None),
        another_decision_is_noticed,
    ),
    "stored answers survive a withdrawal": (
        lambda patch: patch.setattr("cleanroom.room.withdrawal.take_away", lambda *_: []),
        lambda place, _: test_reuse.test_a_withdrawn_table_s_answers_are_destroyed_and_stay_charged(place),
    ),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_each_sabotage_of_reuse_turns_a_test_red(sabotage: str, place: Place, monkeypatch: Patch) -> None:
    breaking, test = SABOTAGES[sabotage]
    whole = place.copy(place.path.parent / "whole")
    with pytest.MonkeyPatch.context() as patch:
        test(whole, patch)
    breaking(monkeypatch)
    with (
        pytest.raises((AssertionError, pytest.fail.Exception, Fault, KeyError)),
        pytest.MonkeyPatch.context() as patch,
    ):
        test(place, patch)
