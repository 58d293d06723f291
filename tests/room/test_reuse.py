"""Asking again: what is answered already is free, for all to whom the gate admits the question, and for nobody else."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from reuse_samples import COUNT, free, no_data, numbers
from room_samples import MEMBER, OTHER, OVERLAP, SECTOR, Place, ask, audit, entries, kinds, spent, stored_names, visits

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.query.reuse import MOST_DRAWS, Source
from cleanroom.room import Room, question, upload
from cleanroom.room.withdrawal import sign_withdrawal, withdraw
from cleanroom.storage.partition_store import PartitionStore
from key_management import KeyDestroyed, KeyId, KeyKind

if TYPE_CHECKING:
    from collections.abc import Callable

Patch = pytest.MonkeyPatch


def test_the_same_question_again_is_free_and_reads_no_data(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        first = ask(room)
        assert first.sources == (Source.DRAWN,)
        paid = spent(room)
        no_data(monkeypatch)
        again = ask(room)
        assert numbers(again) == numbers(first)
        assert again.noise_scale == first.noise_scale
        assert again.suppressed == first.suppressed
        assert free(again)
        assert again.epsilon == 0
        assert spent(room) == paid
        # Its own entry, with its own request and receipt.
        index, kind, details = entries(room)[-1]
        assert (index, kind) == (again.receipt.index, EventType.QUERY_REUSED)
        assert details["from"] == [stored_names(place)]
        assert EventType.KEY_USED not in kinds(room)[first.receipt.index :]
    audit(place)


def test_it_is_free_after_a_restart_with_less_precision_and_as_margin(place: Place) -> None:
    with place.open() as room:
        first = ask(room, epsilon=0.2)
        (_, scale) = first.noise_scale[0]
    with place.open() as room:
        for asked in ({"epsilon": 0.1}, {"epsilon": None}, {"epsilon": None, "margin": 2 * scale}):
            again = ask(room, **asked)
            assert numbers(again) == numbers(first)
            assert free(again)
    audit(place)


def test_another_party_gets_it_if_the_gate_admits_it_for_them(place: Place) -> None:
    with place.open() as room:
        first = ask(room)
        other = room.session(OTHER).query(OVERLAP, purpose="audience_overlap", epsilon=0.1)
        assert free(other)
        assert numbers(other) == numbers(first)
        # The owners' rules do not admit it for the Observatoire, stored or not.
        with pytest.raises(Refused) as caught:
            room.session("observatoire").query(OVERLAP, purpose="audience_overlap", epsilon=0.1)
        with pytest.raises(Refused) as unasked:
            room.session("observatoire").query(
                OVERLAP.replace("region", "discipline"), purpose="audience_overlap", epsilon=0.1
            )
        assert {r.code for r in caught.value.refusals} == {r.code for r in unasked.value.refusals}
        # Nor for anybody at a precision above their limit, although less would be drawn.
        with pytest.raises(Refused, match="epsilon"):
            ask(room, epsilon=30)
    audit(place)


def test_rules_that_end_end_the_reuse(place: Place) -> None:
    with place.open() as room:
        ask(room)
        room.declare(place.yaml(OTHER).split(b"rules:")[0] + b"rules: []\n")
        for party in (MEMBER, OTHER):
            with pytest.raises(Refused):
                room.session(party).query(OVERLAP, purpose="audience_overlap", epsilon=0.1)
    audit(place)


def test_a_plan_that_no_gate_issued_finds_nothing(room: Room, monkeypatch: Patch) -> None:
    ask(room)
    whole = question.admit

    def altered(*arguments: Any) -> Any:
        validated = whole(*arguments)
        object.__setattr__(validated, "party", "inconnu")
        return validated

    monkeypatch.setattr(question, "admit", altered)
    with pytest.raises(InvariantBroken, match="gate"):
        ask(room)


# Bounds that were chosen

CHOSEN = {"max_sum": "auto", "epsilon": 0.5}


def test_a_chosen_bound_is_stored_with_its_answer_and_paid_once(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        before = room.session("observatoire").preview(SECTOR, purpose="sector_statistics", **CHOSEN)
        assert before.least_margins
        assert before.sources == (Source.DRAWN,)
        first = ask(room, SECTOR, **CHOSEN)
        (picked,) = entries(room)[first.receipt.index][2]["picked"]
        assert first.sources == (Source.DRAWN,)
        chosen = [note.en for note in first.notes if note.en.startswith("auto: ")]
        assert len(chosen) == 1
    with place.open() as room:
        no_data(monkeypatch)
        for asked in (CHOSEN, {**CHOSEN, "epsilon": 0.2}):
            again = ask(room, SECTOR, **asked)
            assert free(again)
            assert numbers(again) == numbers(first)
            assert again.noise_scale == first.noise_scale
            assert [note.en for note in again.notes if note.en.startswith("auto: ")] == chosen
            assert again.provenance.releases[0].bounds == first.provenance.releases[0].bounds
            assert again.provenance.releases[0].mechanisms == first.provenance.releases[0].mechanisms
            _, kind, details = entries(room)[-1]
            assert (kind, details["picked"]) == (EventType.QUERY_REUSED, [picked])
        # The preview is of the bound that is stored: one margin, the answer's.
        preview = room.session("observatoire").preview(SECTOR, purpose="sector_statistics", **CHOSEN)
        assert preview.sources == (Source.STORED,)
        assert preview.least_margins == ()
        assert dict(preview.margins)["billets"] == pytest.approx(first.table["billets_margin95"].max())
        assert [note.en for note in preview.notes if note.en.startswith("auto: ")] == chosen
    audit(place)


def test_a_bound_given_or_more_precision_or_other_candidates_find_nothing_of_a_chosen_one(place: Place) -> None:
    with place.open() as room:
        ask(room, SECTOR, **CHOSEN)
        for asked in ({"epsilon": 0.5}, {**CHOSEN, "max_groups_contributed": 2}, {**CHOSEN, "epsilon": 0.6}):
            other = ask(room, SECTOR, **asked)
            assert other.sources == (Source.DRAWN,), asked
        # The more precise draw took the place of the first.
        assert free(ask(room, SECTOR, **CHOSEN))
        assert free(ask(room, SECTOR, **{**CHOSEN, "epsilon": 0.6}))
    audit(place)


# More precision


def test_more_precision_costs_the_difference_and_is_combined(place: Place) -> None:
    fresh = place.copy(place.path.parent / "fresh")
    with place.open() as room:
        first = ask(room, epsilon=0.1)
        one = spent(room)
        second = ask(room, epsilon=0.3)
        assert second.sources == (Source.COMBINED,)
        both = spent(room)
        with pytest.MonkeyPatch.context() as patch:
            no_data(patch)
            again = ask(room, epsilon=0.3)
        assert numbers(again) == numbers(second) != numbers(first)
        assert free(again)
    with fresh.open() as room:
        before = spent(room)
        in_one = ask(room, epsilon=0.3)
        for account, steps in spent(room).items():
            # Both together cost what one would have, but for the rounding up to steps of 1e-12 against the asker.
            assert 0 <= both[account] - steps <= 2
            assert one[account] - before[account] < 0.2 * max(1, steps - before[account]) or steps == before[account]
    assert second.noise_scale[0][1] == pytest.approx(in_one.noise_scale[0][1], rel=1e-9)
    assert second.noise_scale[0][1] < first.noise_scale[0][1]
    audit(place)


def test_a_margin_is_kept_by_a_combination(room: Room) -> None:
    ask(room, margin=120, epsilon=None)
    second = ask(room, margin=70, epsilon=None)
    assert second.sources == (Source.COMBINED,)
    assert second.table["n_margin95"].max() <= 70
    assert second.table["n_margin95"].max() > 69


def test_after_many_draws_it_is_drawn_anew(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        epsilons = [0.01 + 0.004 * step for step in range(MOST_DRAWS + 1)]
        sources = [ask(room, epsilon=round(each, 4)).sources[0] for each in epsilons]
        assert sources == [Source.DRAWN, *[Source.COMBINED] * (MOST_DRAWS - 1), Source.DRAWN]
        assert len(stored_names(place)) == 1
        no_data(monkeypatch)
        assert free(ask(room, epsilon=round(epsilons[-1], 4)))
    audit(place)


# Other questions, other versions


VARIATIONS: dict[str, Callable[[Room], Any]] = {
    "another filter": lambda room: ask(room, OVERLAP.replace("GROUP", f"WHERE {MEMBER}.visits.tickets > 2 GROUP")),
    "another key": lambda room: ask(room, OVERLAP.replace("visits.region", "visits.discipline")),
    "other bounds": lambda room: ask(room, max_groups_contributed=2),
}


@pytest.mark.parametrize("variation", VARIATIONS)
def test_another_question_is_another_answer(variation: str, room: Room) -> None:
    ask(room)
    assert VARIATIONS[variation](room).sources == (Source.DRAWN,)


def changed_rules(room: Room, place: Place) -> None:
    room.declare(place.yaml(OTHER).replace(b"threshold: ", b"threshold: 1"))


CHANGES: dict[str, Callable[[Room, Place], object]] = {
    "an upload": lambda room, place: upload(room, visits(OTHER), place.csv(OTHER)),
    "the same declaration with another comment": lambda room, place: room.declare(place.yaml(OTHER) + b"# vu\n"),
    "another threshold": changed_rules,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_table_ends_what_is_stored_of_it(change: str, place: Place) -> None:
    with place.open() as room:
        ask(room)
        kept = ask(room, COUNT)
        names = stored_names(place)
        CHANGES[change](room, place)
        assert stored_names(place) == names[1:], "an answer of another table went, or one of this one stayed"
        with pytest.raises(KeyDestroyed):
            room.keyring.open(room.connection, KeyId(KeyKind.ANSWER, names[0]))
        assert entries(room)[-1][2]["answers_removed"] == names[:1]
        paid = spent(room)
        assert ask(room).sources == (Source.DRAWN,)
        assert spent(room)["room"] > paid["room"]
        assert free(ask(room, COUNT))
        assert numbers(ask(room, COUNT)) == numbers(kept)
    audit(place)


def test_a_withdrawn_table_s_answers_are_destroyed_and_stay_charged(place: Place) -> None:
    with place.open() as room:
        ask(room)
        paid = spent(room)
        (name,) = stored_names(place)
        withdraw(room, sign_withdrawal(room, visits(OTHER).owner, visits(OTHER)))
        assert stored_names(place) == []
        with pytest.raises(KeyDestroyed):
            room.keyring.open(room.connection, KeyId(KeyKind.ANSWER, name))
        assert spent(room) == paid
        with pytest.raises(Refused):
            ask(room)
    audit(place)


def test_a_draw_on_a_version_that_passed_meanwhile_is_not_stored(place: Place, monkeypatch: Patch) -> None:
    whole = question.log_release

    def late(room: Room, *rest: Any) -> int:
        with place.open() as other:
            upload(other, visits(OTHER), place.csv(OTHER))
        return whole(room, *rest)

    with place.open() as room:
        with monkeypatch.context() as patch:
            patch.setattr(question, "log_release", late)
            ask(room)
        assert stored_names(place) == []
        assert ask(room).sources == (Source.DRAWN,)
    audit(place)


# Parts of a question

TWO = (
    "SELECT a.region, a.n, b.m FROM (SELECT region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits"
    " GROUP BY region) AS a JOIN (SELECT region, COUNT(*) AS m FROM nuits_claires.visits GROUP BY region) AS b"
    " ON a.region = b.region"
)


def test_a_question_that_shares_a_release_pays_for_the_rest_only(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        first = ask(room, COUNT, epsilon=0.1)
        paid = spent(room)
        opened: list[str] = []
        whole = PartitionStore.open

        def open_partition(self: PartitionStore, partition: Any, key: Any) -> Any:
            opened.append(str(partition.manifest.table))
            return whole(self, partition, key)

        monkeypatch.setattr(PartitionStore, "open", open_partition)
        before = room.session(MEMBER).preview(TWO, purpose="audience_overlap", epsilon=0.1)
        assert opened == []
        answer = ask(room, TWO, epsilon=0.1)
        assert before.sources == answer.sources == (Source.STORED, Source.DRAWN)
        assert set(opened) == {str(visits(OTHER))}
        now = spent(room)
        assert now[str(visits(MEMBER))] == paid[str(visits(MEMBER))]
        assert now[str(visits(OTHER))] > paid[str(visits(OTHER))]
        assert [cost.rho for cost in before.cost] == [cost.rho for cost in answer.cost]
        assert {cost.account: cost.rho for cost in answer.cost}[str(visits(MEMBER))] == "0"
        assert set(answer.table["n"].dropna()) == set(first.table["n"].dropna())
        charged = [details for _, kind, details in entries(room) if kind is EventType.QUERY_CHARGED][-1]
        assert [each["source"] for each in charged["releases"]] == ["stored", "drawn"]
        assert free(ask(room, TWO, epsilon=0.1))
    audit(place)


def test_a_preview_says_what_is_free(room: Room) -> None:
    asked = {"purpose": "audience_overlap", "epsilon": 0.1}
    before = room.session(MEMBER).preview(OVERLAP, **asked)  # type: ignore[arg-type]
    assert before.sources == (Source.DRAWN,)
    answer = ask(room)
    after = room.session(OTHER).preview(OVERLAP, **asked)  # type: ignore[arg-type]
    assert free(after)
    assert after.epsilon == 0
    assert after.margins[0][1] == pytest.approx(answer.table["n_margin95"].max())
    dearer = room.session(MEMBER).preview(OVERLAP, purpose="audience_overlap", epsilon=0.2)
    assert dearer.sources == (Source.COMBINED,)
    assert 0 < dearer.epsilon < 0.2
    assert dearer.margins[0][1] < after.margins[0][1]


def test_what_is_free_needs_no_budget(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        first = ask(room, epsilon=0.1)
        whole = ledger.reserve

        def nothing_left(connection: sqlite3.Connection, **asked: Any) -> Any:
            more = [replace(charge, loss=type(charge.loss)(10**15)) for charge in asked.pop("charges")]
            return whole(connection, charges=more, **asked)

        monkeypatch.setattr(ledger, "reserve", nothing_left)
        for sql, epsilon in ((COUNT, 0.1), (OVERLAP, 0.2)):
            with pytest.raises(Refused) as caught:
                ask(room, sql, epsilon=epsilon)
            assert {each.code for each in caught.value.refusals} == {"budget_insufficient"}
        assert numbers(ask(room, epsilon=0.1)) == numbers(first)
