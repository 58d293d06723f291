"""A person's rows in joins and slices as large as they come: cut, halved, never beyond memory, and the sum the same."""

# ruff: noqa: S608 - questions are what is tested here, one a line
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import (
    FRANCOS,
    SALES,
    TNM,
    Engine,
    Room,
    admit,
    catalog_of,
    vector,
)
from searches import LIMITS
from test_sensitivity import visit

from cleanroom.catalog import Contribution
from cleanroom.query.backend import SliceTooLarge

# What only fails when a row is there would tell that it is (S-1, S-2)


@pytest.mark.parametrize(
    "condition",
    ["amount > 999999999999999999", "amount IN (999999999999999999, 3)", "seats > -999999999999999999", "seats > ?"],
)
def test_literals_beyond_the_codes_run_alike_with_and_without_a_row_that_reaches_them(condition: str) -> None:
    made = {TNM: catalog_of(TNM)}
    sql = f"SELECT COUNT(*) AS n FROM tnm.visits WHERE channel = 'web' AND {condition}"
    a_plan = admit(sql, [10**18 - 1] if "?" in condition else None, made)
    reached = Room(made, {TNM: ((visit(channel="web"),),)})
    missed = Room(made, {TNM: ((visit(channel="guichet"),),)})
    expected = a_plan.bounds.components[0].steps if "-" in condition else 0
    assert vector(a_plan, reached) == (expected,)
    assert vector(a_plan, missed) == (0,)


def test_a_heavy_person_s_fan_out_is_cut_and_never_exhausts_memory() -> None:
    """Nine unions of ten arms joined: 10^9 pairs of one person's rows without the cut, for a few hundred rows."""
    made = {TNM: catalog_of(TNM, most_rows=65_535, contribution=Contribution(3, 2))}
    union = " UNION ALL ".join(["SELECT person, seats FROM tnm.visits"] * 10)
    sources = ", ".join(f"({union}) AS a{number}" for number in range(9))
    equal = " AND ".join(f"a0.person = a{number}.person" for number in range(1, 9))
    a_plan = admit(f"SELECT COUNT(*) AS n FROM {sources} WHERE {equal}", None, made)
    room = Room(made, {TNM: (tuple([visit()] * 200),)})
    assert vector(a_plan, room) == (3 * a_plan.bounds.components[0].steps,)


def test_counting_persons_in_a_wide_join_is_exact_whatever_the_fan_out() -> None:
    """Where only persons are counted, a relation without columns is a semi-join: nothing is cut, nothing multiplies."""
    made = {table: catalog_of(table, most_rows=65_535) for table in (TNM, FRANCOS, SALES)}
    joins = " JOIN francos.visits AS b USING (person) JOIN tnm.sales AS c USING (person)" + "".join(
        f" JOIN francos.visits AS j{number} USING (person)" for number in range(12)
    )
    a_plan = admit(f"SELECT COUNT(DISTINCT a.person) AS n FROM tnm.visits AS a{joins}", None, made)
    heavy = tuple(visit(person) for person in range(3) for _ in range(300))
    room = Room(made, {TNM: (heavy,), FRANCOS: (heavy,), SALES: (heavy[:600],)})
    assert vector(a_plan, room) == (2 * a_plan.bounds.components[0].steps,)


def test_a_slice_that_does_not_fit_is_halved_and_the_sum_is_the_same() -> None:
    made = {TNM: catalog_of(TNM)}
    a_plan = admit("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", None, made)
    room = Room(made, {TNM: (tuple(visit(person) for person in range(40)),)})
    engine = Engine(a_plan)
    whole = engine.vector(room)

    class Small:
        """A backend in which only slices of two bits or more fit."""

        def __init__(self) -> None:
            self.seen: list[int] = []

        def slices(self):  # type: ignore[no-untyped-def]
            return engine.backend.slices()

        def rows(self, relation, columns, part):  # type: ignore[no-untyped-def]
            self.seen.append(part.bits)
            if part.bits < 2:
                raise SliceTooLarge
            return engine.backend.rows(relation, columns, part)

    from cleanroom.query.contribution import exact_vector

    small = Small()
    assert exact_vector(a_plan, small).values == whole
    assert sorted(small.seen) == [0, 1, 1, 2, 2, 2, 2]


@given(st.integers(0, 2**32 - 1), st.integers(1, 31))
@settings(LIMITS, max_examples=50)
def test_halves_of_a_slice_share_its_persons_out(prefix: int, bits: int) -> None:
    from cleanroom.query.backend import Slice

    part = Slice(bits, prefix >> (32 - bits))
    one, other = part.halves()
    for token_bits in (prefix, prefix ^ (1 << (31 - bits))):
        assert sum(token_bits >> (32 - each.bits) == each.prefix for each in (one, other)) == 1


def test_the_finest_slice_is_not_halved() -> None:
    from cleanroom.query.backend import FINEST_SLICE_BITS, Slice

    with pytest.raises(SliceTooLarge):
        Slice(FINEST_SLICE_BITS, 0).halves()
