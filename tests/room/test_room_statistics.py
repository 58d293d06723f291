"""Noise and margins as promised: 19 of 20, fresh each time, suppression at the threshold and not above it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import OVERLAP, Place, ask, sector, upload_all

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.query.bound import Measured
from cleanroom.query.estimates import unit_of
from cleanroom.query.gate import ValidatedPlan, admit
from cleanroom.query.noise import add_noise
from cleanroom.query.plan import Plan
from cleanroom.query.release import CellState, NoisedRelease
from cleanroom.room import question, registry

if TYPE_CHECKING:
    from cleanroom.room import Room
    from examples.season import Season

FALSE_ALARM = 1e-9
TOTALS = sector("SELECT discipline, COUNT(*) AS lignes, SUM(amount) AS recette FROM GROUP BY 1")


def binomial_tail(hits: int, draws: int, chance: float) -> float:
    """Return the two-sided probability of a count at least as far out, doubled from the nearer tail."""
    logs = [
        math.lgamma(draws + 1) - math.lgamma(k + 1) - math.lgamma(draws - k + 1)
        + k * math.log(chance) + (draws - k) * math.log1p(-chance)
        for k in range(draws + 1)
    ]  # fmt: skip
    low = math.fsum(math.exp(each) for each in logs[: hits + 1])
    high = math.fsum(math.exp(each) for each in logs[hits:])
    return min(1.0, 2 * min(low, high))


def plausible(hits: int, draws: int) -> bool:
    return binomial_tail(hits, draws, 0.95) > FALSE_ALARM


def planned(room: Room, sql: str, **asked: Any) -> ValidatedPlan:
    wide = "UNION ALL" in sql
    session = room.session("observatoire" if wide else "theatre_fleuve")
    content = {"sql": sql, "purpose": "sector_statistics" if wide else "audience_overlap", **asked}
    request = session._signed("preview", content)
    return admit(
        question.question_of(request, registry.parties(room.connection)[session.party]),
        registry.rulebook(room.connection),
    )


def room_charge(validated: ValidatedPlan) -> Rho:
    return next(each.rho for each in validated.charges if each.account == ROOM)


def drawn(validated: ValidatedPlan, exact: tuple[int, ...]) -> NoisedRelease:
    plan, scale = only(validated)
    steps = add_noise(exact, norm=plan.bounds.norm, scale=scale, charged=room_charge(validated))
    return NoisedRelease(plan, scale, steps)


def only(validated: ValidatedPlan) -> tuple[Plan, float]:
    """Return the one release of a question and the scale of its noise."""
    (plan,), (noise,) = validated.plan.releases, validated.noises
    return plan, noise.scale


@pytest.mark.parametrize(("sql", "runs"), [(OVERLAP, 400), (TOTALS, 400)])
def test_margins_hold_in_nineteen_of_twenty(sql: str, runs: int, room: Room) -> None:
    validated = planned(room, sql)
    plan, _ = only(validated)
    bounds = plan.bounds
    measure = plan.statistics[-1]
    units = [unit_of(component, measure) for component in bounds.components]
    # Big enough that nothing is withheld, and different in each place.
    exact = tuple(round((5_000 + 10 * place) / units[place % len(units)]) for place in range(bounds.cells * len(units)))
    shown = [
        next(at for at, each in enumerate(bounds.components) if each.measured is measured)
        for measured in ([Measured.PERSONS] if sql == OVERLAP else [Measured.ROWS, Measured.TOTAL])
    ]
    hits = narrow = wide = draws = 0
    for _ in range(runs):
        for number, cell in enumerate(drawn(validated, exact).cells()):
            assert cell.state is CellState.RELEASED
            for value, place in zip(cell.values, shown, strict=True):
                assert value.number is not None
                assert value.margin95 is not None
                error = abs(value.number - float(exact[number * len(units) + place] * units[place]))
                draws += 1
                hits += error <= value.margin95
                narrow += error <= 0.7 * value.margin95
                wide += error <= 1.3 * value.margin95
    assert plausible(hits, draws), (hits, draws)
    assert not plausible(narrow, draws), "a margin 30 % too small would not be noticed"
    assert not plausible(wide, draws), "a margin 30 % too large would not be noticed"


def exact_of(room: Room, patch: pytest.MonkeyPatch, sql: str, **asked: Any) -> tuple[NoisedRelease, Any]:
    """Ask for real; return the exact vector as a release of its own, and the answer."""
    seen: list[tuple[int, ...]] = []
    plans: list[Any] = []
    whole, released = question.exact_vector, question.answer_table

    def keep(*arguments: Any) -> Any:
        exact = whole(*arguments)
        seen.append(exact.values)
        return exact

    def table(plan: Any, releases: Any, references: Any) -> Any:
        plans.append(*releases)
        return released(plan, releases, references)

    with patch.context() as watch:
        watch.setattr(question, "exact_vector", keep)
        watch.setattr(question, "answer_table", table)
        answer = ask(room, sql, **asked)
    return NoisedRelease(plans[0].plan, plans[0].scale, seen[0]), answer


def values_of(release: NoisedRelease, measured: Measured) -> list[Fraction]:
    bounds = release.plan.bounds
    place = next(at for at, each in enumerate(bounds.components) if each.measured is measured)
    unit = unit_of(bounds.components[place], release.plan.statistics[-1])
    return [step * unit for step in release.steps[place :: len(bounds.components)]]


def test_where_no_bound_binds_the_exact_vector_is_the_truth(
    place: Place, season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.open() as room:
        upload_all(room, place)
        release, answer = exact_of(room, monkeypatch, OVERLAP, epsilon=0.5)
        truth = season.overlap_by_region("theatre_fleuve", "nuits_claires")["persons"].to_list()
        assert values_of(release, Measured.PERSONS) == truth
        # Beyond six margins (p < 1e-30 a cell) there is no noise that could have done it.
        shown = answer.table[answer.table["n_state"] == "released"]
        true = dict(zip(season.overlap_by_region("theatre_fleuve", "nuits_claires")["region"], truth, strict=True))
        assert all(abs(row["n"] - true[row.iloc[0]]) <= 6 * row["n_margin95"] for _, row in shown.iterrows())

        question_of_tickets = sector("SELECT SUM(tickets) AS billets FROM")
        release, answer = exact_of(room, monkeypatch, question_of_tickets, epsilon=2, max_rows_contributed=60)
        total = season.sector_totals()["tickets"].item()
        assert abs(values_of(release, Measured.TOTAL)[0] - total) <= Fraction(total, 1000)
        assert abs(answer.table["billets"][0] - total) <= 6 * answer.table["billets_margin95"][0] + total / 1000


def test_each_draw_is_fresh_noise(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = exact_of(room, monkeypatch, OVERLAP)
    validated = planned(room, OVERLAP)
    assert drawn(validated, first.steps).steps != drawn(validated, first.steps).steps


def test_suppression_is_at_the_threshold_and_takes_the_whole_cell(room: Room) -> None:
    validated = planned(room, TOTALS)
    plan, scale = only(validated)
    bounds = plan.bounds
    width = len(bounds.components)
    persons = next(at for at, each in enumerate(bounds.components) if each.measured is Measured.PERSONS)
    unit = unit_of(bounds.components[persons], plan.statistics[-1])
    assert bounds.threshold == 20
    exactly = Fraction(bounds.threshold) / unit
    assert exactly.denominator == 1
    steps = [10**9] * (bounds.cells * width)
    wanted = []
    for cell in range(bounds.cells):
        below = cell % 3
        steps[cell * width + persons] = int(exactly) - (below == 1) - (below == 2) * int(exactly)
        wanted.append(CellState.RELEASED if below == 0 else CellState.SUPPRESSED)
    release = NoisedRelease(plan, scale, tuple(steps))
    cells = list(release.cells())
    assert [cell.state for cell in cells] == wanted
    for cell in cells:
        for value in cell.values:
            gone = cell.state is CellState.SUPPRESSED
            assert (value.number is None) is (value.margin95 is None) is gone
    table, suppressed = question.answer_table(validated.plan, (release,), {})
    assert suppressed == wanted.count(CellState.SUPPRESSED)
    hidden = table[table["lignes_state"] == "suppressed"]
    assert hidden[["lignes", "recette", "lignes_margin95", "recette_margin95"]].isna().all().all()
    assert len(hidden) == suppressed


def test_numbers_are_floats_and_keys_are_as_they_are_whatever_their_names(room: Room) -> None:
    """A key that is named like a margin was read as one, after it was paid."""
    named = ask(room, OVERLAP.replace("region,", "region AS region_margin95,")).table
    plain = ask(room, OVERLAP).table
    assert named["region_margin95"].to_list() == plain["region"].to_list()
    assert list(named.columns) == ["region_margin95", "n", "n_margin95", "n_state"]
    assert [str(kind) for kind in plain.dtypes] == ["str", "float64", "float64", "str"]
    assert list(named.dtypes) == list(plain.dtypes)
    assert plain[["n", "n_margin95"]].isna().all(axis=1).to_list() == (plain["n_state"] == "suppressed").to_list()


def test_a_draw_dearer_than_its_charge_is_stopped(room: Room) -> None:
    validated = planned(room, OVERLAP)
    plan, scale = only(validated)
    with pytest.raises(AssertionError):
        add_noise((0,), norm=plan.bounds.norm, scale=scale, charged=Rho(room_charge(validated).pico // 2))
