"""Keys that nobody declared: each person brings few, in a public order, and what few bring is not said."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import each_person, planned
from streamed import Streamed, room_charge, text_rows

from cleanroom.errors import InvariantBroken, Refused
from cleanroom.query.backend import PersonRows
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.combining import answered
from cleanroom.query.contribution import contributions, exact_vector
from cleanroom.query.drawing import draw, released_keys
from cleanroom.query.mechanisms import KeyNoise, Noise
from cleanroom.query.noise import margin95
from cleanroom.query.plan import Plan
from cleanroom.query.release import margins_before, scales_of
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    KeyOutput,
    Quantile,
    Shown,
    StatisticOutput,
    UnknownKey,
)
from cleanroom.query.unknown_keys import counted_keys, first_keys, surviving_keys

if TYPE_CHECKING:
    pass


ONE = Fraction(1)
WORDS = ("web", "guichet", "", "été", "zèbre", "Zèbre", "a", "aa", "\U0001f3ad")


def some_persons(rng: Random, count: int) -> list[list[tuple[str | None, int | None, int | None]]]:
    return [
        [
            (rng.choice((*WORDS, None)), rng.choice((0, 1, 2, None, 7)), rng.choice((-5, 0, 40, None)))
            for _ in range(rng.randrange(1, 9))
        ]
        for _ in range(count)
    ]


def slow_keys(a_plan: Plan, person: list[tuple[str | None, int | None, int | None]]) -> set[tuple[Any, ...]]:
    """Return the combinations that a person keeps: the first in code-point order."""
    found = set()
    for row in person:
        outside = False
        mine = []
        for key in a_plan.keys:
            value = row[key.column]
            if isinstance(key, UnknownKey):
                outside |= value is None and not key.nullable
                mine.append(value)
            else:
                outside |= (value is None and not key.nullable) or (value is not None and value not in (0, 1, 2))
        if not outside:
            found.add(tuple(mine))
    ordered = sorted(found, key=lambda values: [(value is not None, value) for value in values])
    return set(ordered[: a_plan.bounds.distinct_keys])


def unknown_plan(rng: Random, most: int) -> Plan:
    nullable = rng.random() < 0.5
    keys = rng.choice(
        (
            (UnknownKey(0, nullable),),
            (UnknownKey(0, nullable), UnknownKey(2, nullable, Shown.NUMBER, Fraction(1, 2))),
            (UnknownKey(2, nullable, Shown.DATE), CategoryKey(1, ("a", "b", "c"), nullable)),
        )
    )
    return planned(keys, (CountPersons(), CountRows()), 3, most)


def counted(a_plan: Plan, parts: list[PersonRows]) -> dict[tuple[Any, ...], int]:
    table = counted_keys(a_plan, parts)
    columns = [column.to_pylist() for column in table.columns]
    found = dict(zip(zip(*columns[:-1], strict=True), columns[-1], strict=True))
    assert len(found) == table.num_rows
    return found


def check_keys(rng: Random) -> None:
    """Compare with the slow count; a person who leaves takes at most m keys along, one who changes at most 2m."""
    a_plan = unknown_plan(rng, rng.choice((1, 2, 3)))
    most = a_plan.bounds.distinct_keys
    persons = some_persons(rng, rng.randrange(1, 12))
    whole = counted(a_plan, [text_rows(persons[:4], rng), text_rows(persons[4:], rng)])
    wanted = Counter(key for person in persons for key in slow_keys(a_plan, person))
    assert whole == dict(wanted)
    without = counted(a_plan, [text_rows(persons[1:], rng)])
    instead = counted(a_plan, [text_rows([persons[-1], *persons[1:]], rng)])
    for other, changed in ((without, most), (instead, 2 * most)):
        moved = [abs(whole.get(key, 0) - other.get(key, 0)) for key in whole.keys() | other.keys()]
        assert max(moved, default=0) <= 1
        assert sum(moved) <= changed


@given(st.integers(0, 2**32))
@settings(LIMITS, max_examples=120)
def test_each_person_brings_at_most_m_keys_in_a_public_order(seed: int) -> None:
    check_keys(Random(seed))


def check_keys_of_seeds() -> None:
    for seed in range(12):
        check_keys(Random(seed))


def test_first_keys_are_each_person_s_own() -> None:
    units = np.array([0, 0, 0, 0, 3, 3, 9], dtype=np.int64)
    numbers = np.array([5, 2, 2, 9, 9, 5, 1], dtype=np.int64)
    outside = np.array([False, False, False, False, False, False, True])
    assert sorted(first_keys(units, numbers, outside, 2).tolist()) == [2, 5, 5, 9]
    assert first_keys(units[:0], numbers[:0], outside[:0], 2).tolist() == []


def test_counts_of_many_slices_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted and noised part by part is the same as in one piece."""
    a_plan = planned(
        (UnknownKey(0, nullable=True), CategoryKey(1, ("a", "b", "c"), nullable=True)), (CountRows(),), 2, 3
    )
    persons = some_persons(Random(5), 60)
    whole = counted(a_plan, [text_rows(persons)])
    monkeypatch.setattr("cleanroom.query.unknown_keys._AT_ONCE", 2)
    assert counted(a_plan, [text_rows([person]) for person in persons]) == whole
    assert len(whole) > 4
    table = pa.table({"k0": pa.array([f"w{at}" for at in range(9)]), "n": pa.array([9_000, 0, 0, 8_000, 0] + [0] * 4)})
    kept = surviving_keys(table, scale=5.0, threshold=1_000, most=7)
    assert kept.columns == (("w0", "w3"),)
    assert [abs(ours - theirs) < 100 for ours, theirs in zip(kept.counted, (9_000, 8_000), strict=True)] == [True] * 2


def test_one_word_and_a_null_are_two_keys() -> None:
    a_plan = planned((UnknownKey(0, nullable=True),), (CountRows(),), 2, 3)
    assert counted(a_plan, [text_rows([[("web", 0, None)], [(None, 0, None)]])]) == {("web",): 1, (None,): 1}
    assert counted(a_plan, [text_rows([[(None, 0, None)]])]) == {(None,): 1}


def test_keys_that_many_have_survive_and_nothing_is_said_of_the_others() -> None:
    """500 persons of two words, one of each of a thousand others: those are gone, the release has no trace of them."""
    a_plan = planned((UnknownKey(0, nullable=False), CategoryKey(1, ("x", "y"), nullable=False)), (CountRows(),), 2, 1)
    shown = (KeyOutput("w", 0), KeyOutput("k", 1), StatisticOutput("n", 0))
    a_plan = replace(a_plan, outputs=shown)
    common = [[(("web", "été")[number % 2], number % 2, None)] for number in range(500)]
    rare = [[(f"rare {number}", 0, None)] for number in range(1_000)]
    backend = Streamed([text_rows(common[:300] + rare[:500]), text_rows(common[300:] + rare[500:])])
    noise = Noise(a_plan.bounds.norm * 2.0, (), KeyNoise(10.0, 100))
    paid = room_charge(a_plan, noise)
    surviving = released_keys(a_plan, noise, backend, paid)
    assert surviving is not None
    assert surviving.columns == (("web", "été"),)
    assert all(abs(n - 250) < 150 for n in surviving.counted)
    exact = exact_vector(a_plan, backend, surviving)
    step = a_plan.bounds.components[0].steps
    assert exact.values == (250 * step, 0, 0, 250 * step)
    release = answered(a_plan, [draw(a_plan, noise, exact, surviving, paid)])
    assert [cell.keys for cell in release.cells()] == [("web", "x"), ("web", "y"), ("été", "x"), ("été", "y")]
    assert "rare" not in repr(release)


def test_a_person_of_many_unknown_keys_is_clipped_over_the_survivors() -> None:
    a_plan = planned((UnknownKey(0, nullable=True),), (CountPersons(), CountRows()), 2, 2)
    surviving = SurvivingKeys((tuple(WORDS),), (200,) * len(WORDS))
    rows = text_rows([[(word, None, None) for word in (*WORDS, None, "ailleurs")]])
    (part,) = each_person(rows)
    square = sum(entry**2 for entry in contributions(a_plan, part, surviving).values)
    assert a_plan.bounds.norm**2 * 0.99 <= square <= a_plan.bounds.norm**2
    with pytest.raises(InvariantBroken, match="surviving"):
        contributions(a_plan, part)


def test_counts_of_unknown_keys_are_the_threshold_s_own() -> None:
    plain = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 2, 3, 40)
    assert plain.bounds.counted_by_threshold
    outputs = (KeyOutput("w", 0), StatisticOutput("n", 0))
    a_plan = replace(plain, outputs=outputs)
    surviving = SurvivingKeys(((None, "a", "b"),), (39, 40, 95))
    noise = Noise(None, (), KeyNoise(10.0, 30))
    exact = exact_vector(a_plan, Streamed([]), surviving)
    cells = list(answered(a_plan, [draw(a_plan, noise, exact, surviving, room_charge(a_plan, noise))]).cells())
    assert [(cell.keys, cell.values[0].number) for cell in cells] == [((None,), None), (("a",), 40), (("b",), 95)]
    assert cells[2].values[0].margin95 == margin95(10.0) == 20
    assert margins_before(a_plan, noise.scale) == (20,)
    assert scales_of(a_plan, noise.scale) == (10,)


def test_too_many_survivors_are_cut_after_noise_fewest_first() -> None:
    table = pa.table(
        {"k0": pa.array([f"w{number}" for number in range(50)]), "n": pa.array(range(1_000, 51_000, 1_000))}
    )
    kept = surviving_keys(table, scale=5.0, threshold=40, most=7)
    assert kept.columns == (tuple(sorted(f"w{number}" for number in range(43, 50))),)
    nothing = surviving_keys(table.slice(0, 0), scale=5.0, threshold=40, most=7)
    assert (nothing.columns, nothing.size) == (((),), 0)
    assert surviving_keys(table, scale=5.0, threshold=10**6, most=7).size == 0


def test_survivors_of_one_count_are_cut_and_listed_in_the_order_of_keys() -> None:
    """At this scale no draw is anything but zero: the chance of one is 1e-80."""
    words = ["b", None, "a", "", "c", "z"]
    table = pa.table({"k0": pa.array(words), "k1": pa.array([1, 2, 3, 3, 3, None]), "n": pa.array([50] * 5 + [90])})
    kept = surviving_keys(table, scale=0.05, threshold=40, most=4)
    assert kept.columns == ((None, "", "a", "z"), (2, 3, 3, None))
    assert kept.counted == (50, 50, 50, 90)


def test_no_survivor_is_an_empty_answer() -> None:
    for listed in ((CountPersons(),), (CountRows(), Quantile(1, 0, 2, ONE, Fraction(1, 2), discrete=True))):
        a_plan = planned((UnknownKey(0, nullable=True),), listed, 2, 3)
        quantiles = tuple(each.norm * 9.0 for each in a_plan.bounds.quantiles)
        noise = Noise(a_plan.bounds.norm * 2.0 if a_plan.bounds.components else None, quantiles, KeyNoise(5.0, 80))
        backend = Streamed([text_rows([[("web", 1, None)]]), text_rows([])])
        paid = room_charge(a_plan, noise)
        surviving = released_keys(a_plan, noise, backend, paid)
        assert surviving is not None
        release = answered(a_plan, [draw(a_plan, noise, exact_vector(a_plan, backend, surviving), surviving, paid)])
        assert list(release.cells()) == []


def test_grouping_sets_over_unknown_keys_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        planned((UnknownKey(0, nullable=True),), (CountPersons(),), 1, 1, sets=((0,), ()))
    assert caught.value.code == "not_admitted"
