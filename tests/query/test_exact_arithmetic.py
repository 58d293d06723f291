"""Where a bound binds, the vector is what a slow reimplementation makes of it, to the unit."""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import (
    TNM,
)
from searches import LIMITS
from slow_vector import check_kernel, planned, stream

from cleanroom.errors import InvariantBroken
from cleanroom.query.algebra import Scan
from cleanroom.query.backend import PersonRows
from cleanroom.query.bound import Bounds, Component, Measured
from cleanroom.query.contribution import contributions
from cleanroom.query.plan import Plan
from cleanroom.query.row_cells import cell_numbers
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    Mean,
    MonthKey,
    NumberKey,
    Sum,
)

# The bounds again, slowly: Python's own integers and fractions (`slow_vector`)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Plan, PersonRows]:
    """Draw a plan over columns 0 to 3 and persons' rows, out of the domain too."""
    rng = Random(draw(st.integers(0, 2**32)))
    key_choices = (
        CategoryKey(0, ("a", "b", "c"), nullable=rng.random() < 0.5),
        NumberKey(1, -2, 3, Decimal(1), nullable=rng.random() < 0.5),
        MonthKey(2, 648, 3, nullable=rng.random() < 0.5),
    )
    keys = tuple(rng.sample(key_choices, rng.randrange(3)))
    low, high = rng.choice(((0, 10), (-5, 7), (5, 5), (0, 0), (-9, -3), (-(2**31) + 1, 2**31 - 1)))
    statistics = [CountPersons(), CountRows(), Sum(3, low, high, Decimal(1)), Mean(3, low, high, Decimal(1))]
    chosen = tuple(rng.sample(statistics, rng.randrange(1, 5)))
    a_plan = planned(keys, chosen, rng.choice((1, 2, 5, 16)), rng.choice((1, 2, 7)), rng.choice((0, 20)))
    persons = [
        [
            (
                rng.choice((0, 1, 2, 3, -1, None)),
                rng.choice((-3, -2, 0, 3, 4, None)),
                rng.choice((19_723, 19_753, 19_754, 19_782, 19_814, 0, None)),
                rng.choice((low, high, (low + high) // 2, rng.randrange(low, high + 1), None)),
            )
            for _ in range(rng.choice((1, 2, 5, 40)))
        ]
        for _ in range(rng.randrange(6))
    ]
    return a_plan, stream(persons, 4)


@given(streams())
@settings(LIMITS, max_examples=250)
def test_the_kernel_is_the_slow_arithmetic(drawn: tuple[Plan, PersonRows]) -> None:
    check_kernel(*drawn)


def check_middle() -> None:
    """A mean centres on the middle of its bounds, truncated down: values there add nothing."""
    a_plan = planned((), (Mean(0, 3, 10, Decimal(1)),), 4, 1)
    steps = [component.steps for component in a_plan.bounds.components]
    assert contributions(a_plan, stream([[(6,), (6,)]], 1)).values == (2 * steps[0], 0)
    assert contributions(a_plan, stream([[(10,), (3,)]], 1)).values == (2 * steps[0], (4 - 3) * steps[1])


def test_a_mean_is_centred_on_the_middle() -> None:
    check_middle()


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31) + 1])
@pytest.mark.parametrize("rows", [16, 5_000])
def test_extremes_sum_exactly(value: int, rows: int) -> None:
    wide = (-(2**31) + 1, 2**31 - 1)
    for statistic in (Sum(0, *wide, Decimal(1)), Mean(0, *wide, Decimal(1))):
        a_plan = planned((), (statistic, CountRows()), 16, 1)
        check_kernel(a_plan, stream([[(value,)] * rows, [(value,), (-value,), (None,)]], 1))


def test_thousands_of_cells_and_rows() -> None:
    a_plan = planned((NumberKey(0, 0, 4_999, Decimal(1), nullable=False),), (CountRows(),), 3, 2)
    rng = Random(5)
    persons = [[(rng.randrange(-5, 5_005),) for _ in range(size)] for size in (4_000, 1, 2_000, 3)]
    check_kernel(a_plan, stream(persons, 1))


def test_totals_of_many_persons_pass_32_bits_in_both_directions() -> None:
    """The halves of the accumulators are put together with their sign."""
    wide = (-(2**31) + 1, 2**31 - 1)
    a_plan = planned((), (Sum(0, *wide, Decimal(1)),), 16, 1)
    for sign in (1, -1):
        rows = stream([[(sign * (2**31 - 1),)] * 16] * 3_000, 1)
        assert contributions(a_plan, rows).values == (
            sign * 3_000 * 16 * (2**31 - 1) / a_plan.bounds.components[0].step,
        )


def norm_of(entries: int, steps: int, norm: int) -> Plan:
    """Return a plan of `entries` cells of one count, with this multiplier and norm."""
    component = Component(Measured.ROWS, None, 0, 0, 1, steps)
    bounds = Bounds(entries, 1, 1, (component,), norm, 0)
    key = NumberKey(0, 0, entries - 1, Decimal(1), nullable=False)
    return Plan(Scan(TNM, ("c0",)), (key,), (CountRows(),), (), bounds)


def test_a_norm_exactly_met_is_kept_and_one_off_is_clipped() -> None:
    """Four entries of 3·2^10 have length 6·2^10: met, nothing changes; one less, they shrink and stay below."""
    rows = stream([[(0,), (1,), (2,), (3,)]], 1)
    assert contributions(norm_of(4, 3, 6 << 10), rows).values == (3 << 10,) * 4
    shrunk = contributions(norm_of(4, 3, (6 << 10) - 1), rows).values
    assert max(shrunk) < 3 << 10
    assert sum(entry**2 for entry in shrunk) <= ((6 << 10) - 1) ** 2
    assert min(shrunk) >= (3 << 10) - 2


@pytest.mark.parametrize("entries", [2, 3, 1_000, 4_097])
@pytest.mark.parametrize("multiplier", [1, 12_345, 1 << 40])
def test_clipping_never_exceeds_the_norm_in_exact_arithmetic(entries: int, multiplier: int) -> None:
    """Norms chosen one off a multiple of the root, where a float alone would round above (S32)."""
    root = math.isqrt(entries * (multiplier << 10) ** 2)
    rows = stream([[(place,) for place in range(entries)]], 1)
    for norm in {root - 1, root, root + 1, root // 2, root // 3, 1}:
        values = contributions(norm_of(entries, multiplier, norm), rows).values
        assert sum(value**2 for value in values) <= norm**2
        if norm > entries:
            assert sum(value**2 for value in values) >= (norm - math.isqrt(entries) - 1) ** 2 * (1 - 1e-9)


def test_lattice_check_catches_what_floats_round_up() -> None:
    """Among these norms some make the truncated product of floats exceed the norm; the exact check shrinks them."""
    rows = stream([[(place,) for place in range(2)]], 1)
    for norm in range((1 << 50) + 1, (1 << 50) + 400):
        values = contributions(norm_of(2, 1 << 40, norm), rows).values
        assert sum(value**2 for value in values) <= norm**2


def test_rows_out_of_order_and_oversized_components_stop_the_question() -> None:
    a_plan = planned((), (CountRows(),), 1, 1)
    disorder = PersonRows.of_rows(np.array([1, 0], dtype=np.int64), {})
    with pytest.raises(InvariantBroken, match="not ordered"):
        contributions(a_plan, disorder)
    with pytest.raises(InvariantBroken, match="lattice"):
        contributions(norm_of(1, 1 << 41, 1 << 50), stream([[(0,)]], 1))


def test_rows_outside_the_declared_cells_are_dropped() -> None:
    """Out of the domain, or NULL where the key is not nullable: no cell, no contribution (S25)."""
    key = NumberKey(0, 0, 2, Decimal(1), nullable=False)
    rows = stream([[(-1,), (3,), (None,), (1,)], [(3,)]], 1)
    assert cell_numbers((key,), rows).tolist() == [-1, -1, -1, 1, -1]
    a_plan = planned((key,), (CountRows(),), 5, 1)
    assert contributions(a_plan, rows).values == (0, a_plan.bounds.components[0].steps, 0)
