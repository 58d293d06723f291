"""Equal conditions, spelled differently, become one predicate; keys' domains follow from the question's own words."""

# ruff: noqa: E501 - one row of spellings a line
from __future__ import annotations

from fractions import Fraction

import pytest

from cleanroom.query import algebra
from cleanroom.query.normal import as_predicate
from cleanroom.query.terms.language import Column, Term
from cleanroom.query.terms.resolutions import as_typed
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import CategoryType, DateType, NumberType, TextType
from cleanroom.query.terms.universes import Reached, universe_of, values_over
from tests.query.terms.sql_terms import read_term

COLUMNS = {
    "amount": Typed(Column(0), NumberType(Fraction(1, 100), 0, 50_000, False, 0, 50_000, "CAD")),
    "tickets": Typed(Column(1), NumberType.between(1, 12)),
    "region": Typed(Column(2), CategoryType(("laval", "estrie", "montreal"), nullable=True)),
    "channel": Typed(Column(3), TextType(nullable=True)),
    "bought": Typed(Column(4), DateType(19_000, 19_730, nullable=False)),
    "visits": Typed(Column(5), NumberType.between(0, 1 << 40)),
}
EVERYTHING = {place: universe_of(column.type) for place, column in enumerate(COLUMNS.values())}


def term_of(sql: str) -> Term:
    found = read_term(sql, COLUMNS)
    typed = as_typed(found) if isinstance(found, (Typed, Constant)) else None
    assert typed is not None, found
    return typed.term


def predicate_of(sql: str) -> algebra.Predicate:
    return as_predicate(term_of(sql), EVERYTHING)


SAME = [
    ["tickets >= 3 AND tickets <= 5", "tickets BETWEEN 3 AND 5", "tickets IN (5, 4, 3)", "NOT (tickets < 3 OR 5 < tickets)"],
    ["amount > 37.425", "NOT amount <= 37.425", "amount >= 37.43", "amount * 2 > 74.85", "37.43 <= amount"],
    ["region <> 'laval'", "region IN ('montreal', 'estrie')", "NOT region = 'laval' AND region IS NOT NULL"],
    ["region IS NULL OR region = 'laval'", "COALESCE(region, 'laval') = 'laval'", "region IS NOT DISTINCT FROM 'laval' OR region IS NULL"],
    ["channel <> 'web' AND channel <> 'tel'", "channel NOT IN ('tel', 'web')", "NOT (channel = 'web' OR channel = 'tel')"],
    ["channel = 'web' OR channel <> 'web'", "channel IS NOT NULL", "NOT channel IS NULL"],
    ["visits >= 3", "NOT visits < 3", "visits > 2 OR visits = 3", "visits > 2.5"],
    ["bought < '2023-01-01'", "bought <= DATE '2022-12-31'"],
    ["tickets > 100", "region = 'nulle part'", "1 = 2", "region = NULL", "tickets = 1.5", "tickets = 1 AND tickets = 2"],
    ["tickets > 0", "1 = 1", "tickets <= 12", "tickets IS NOT NULL", "tickets > 0 AND amount >= 0"],
    ["tickets > 3 AND amount > 5 AND amount > tickets", "amount > tickets AND amount > 5 AND tickets > 3"],
    ["amount >= 0.005 AND region = 'laval'", "region = 'laval' AND amount > 0"],
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda each: each[0])
def test_equal_conditions_are_one_predicate(spellings: list[str]) -> None:
    predicates = [predicate_of(sql) for sql in spellings]
    assert predicates == [predicates[0]] * len(spellings)


def test_conditions_on_one_column_are_codes() -> None:
    assert predicate_of("tickets BETWEEN 3 AND 5") == algebra.InRange(1, 3, 5)
    assert predicate_of("tickets % 2 = 1 AND tickets < 5") == algebra.Or(
        (algebra.InRange(1, None, 1), algebra.InRange(1, 3, 3))
    )
    assert predicate_of("region IN ('montreal', 'laval', 'x')") == algebra.InSet(2, (0, 2))
    assert predicate_of("channel = 'web'") == algebra.TextIn(3, ("web",))
    assert predicate_of("FLOOR(amount) = 7") == algebra.InRange(0, 700, 799)
    assert isinstance(predicate_of("amount > tickets"), algebra.Holds)
    assert isinstance(predicate_of("visits % 2 = 1"), algebra.Holds)


REACHED = [
    ("FLOOR(amount / 50) * 50", "1 = 1", Reached(tuple(range(11)), null=False)),
    ("region", "1 = 1", Reached((0, 1, 2), null=True)),
    ("region", "region IN ('laval', 'estrie')", Reached((0, 1), null=False)),
    ("LEAST(visits, 3)", "visits < 10", Reached((0, 1, 2, 3), null=False)),
    ("visits", "visits BETWEEN 1 AND 4", Reached((1, 2, 3, 4), null=False)),
    ("tickets", "tickets > amount AND amount > 10.5", Reached((11, 12), null=False)),
    ("tickets", "1 = 2", Reached((), null=False)),
    ("region = 'laval'", "1 = 1", Reached((False, True), null=True)),
    ("CASE WHEN tickets = 1 THEN 'seul' ELSE 'groupe' END", "tickets > 1", Reached((1,), null=False)),
    ("visits", "1 = 1", None),
    ("channel", "1 = 1", None),
]


@pytest.mark.parametrize(("sql", "condition", "expected"), REACHED)
def test_the_values_of_a_key_follow_from_the_question(sql: str, condition: str, expected: Reached | None) -> None:
    most = 1 << 20
    assert values_over(term_of(sql), EVERYTHING, most, [term_of(condition)]) == expected


def test_units_and_bounds_are_derived() -> None:
    found = read_term("amount * tickets", COLUMNS)
    assert isinstance(found, Typed)
    assert found.type == NumberType(Fraction(1, 100), 0, 600_000, False, 0, 600_000, "CAD")
    found = read_term("tickets * 9000000000000000", COLUMNS)
    assert isinstance(found, Typed)
    assert found.term == Column(1)
    assert found.type == NumberType(Fraction(9 * 10**15), 1, 12, False, 1, 12)
