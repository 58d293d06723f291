"""What a rule-by-rule review of the written code found, and nothing else tests directly."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from cleanroom.catalog import Column, Contribution, Number, PrivacyUnit, TableCatalog
from cleanroom.errors import Refused
from cleanroom.identifiers import IdentifierKind, PartyId, TableName
from cleanroom.query import algebra, cohort, numbered
from cleanroom.query.backend import Slice, SliceTooLarge
from cleanroom.query.binding.question import bind_question
from cleanroom.query.cohort import MOST_ALTERNATIVES, owners_reaching, possible
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.parse import parse

if TYPE_CHECKING:
    from typing import NoReturn

HERE = TableName(PartyId("tnm"), "visits")
THERE = TableName(PartyId("francos"), "visits")


def catalog(table: TableName) -> TableCatalog:
    """A table with two numbers whose bounds do not meet, and one that meets both."""
    bounds = {"low": (0, 5), "high": (5, 9), "far": (20, 30)}
    columns = tuple(Column(name, Number(Decimal(1), *ends, nullable=False)) for name, ends in bounds.items())
    return TableCatalog(table, PrivacyUnit("person", "who", IdentifierKind.OPAQUE), columns, 50, Contribution(5, 4))


CATALOGS = {HERE: catalog(HERE), THERE: catalog(THERE)}
SCAN = algebra.Scan(HERE, ("low", "high", "far"))
LOW, HIGH, FAR = range(3)


@pytest.mark.parametrize(
    ("comparison", "left", "right", "reached"),
    [
        (algebra.Comparison.LESS, LOW, LOW, False),
        (algebra.Comparison.LESS_OR_EQUAL, LOW, LOW, True),
        (algebra.Comparison.LESS, LOW, HIGH, True),
        (algebra.Comparison.LESS, FAR, HIGH, False),
        (algebra.Comparison.LESS_OR_EQUAL, HIGH, LOW, True),
        (algebra.Comparison.LESS, HIGH, LOW, False),
        (algebra.Comparison.EQUAL, LOW, HIGH, True),
        (algebra.Comparison.EQUAL, LOW, FAR, False),
    ],
)
def test_a_comparison_that_no_domain_allows_reaches_nobody(
    comparison: algebra.Comparison,
    left: int,
    right: int,
    reached: bool,
) -> None:
    compared = algebra.Select(SCAN, algebra.CompareColumns(comparison, left, right), (LOW,))
    assert owners_reaching(compared, {}, CATALOGS) == (frozenset({HERE.owner}) if reached else frozenset())


def test_too_many_alternatives_count_as_nobody() -> None:
    """Past the bound a question is judged to reach too few, never too many (S43)."""
    either = algebra.Or((algebra.InRange(LOW, 0, 1), algebra.InRange(HIGH, 5, 6)))
    few = algebra.And((either,) * 8)
    many = algebra.And((either,) * 9)
    assert len(possible(few, SCAN, CATALOGS, negated=False)) == MOST_ALTERNATIVES
    assert possible(many, SCAN, CATALOGS, negated=False) == []
    assert cohort.owners_reaching(algebra.Select(SCAN, many, (LOW,)), {}, CATALOGS) == frozenset()


def test_using_links_the_relation_that_owns_the_unit() -> None:
    """USING after a relation without the unit equated the wrong pair, and answered another question."""
    sql = (
        "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN (SELECT low, far FROM francos.visits) AS x ON TRUE"
        " JOIN tnm.visits AS c USING (person) WHERE a.person = c.person"
    )
    with pytest.raises(Refused) as caught:
        bind_question(parse(sql), CATALOGS, {})
    assert {reason.code for reason in caught.value.refusals} == {"join_without_unit"}


def test_memory_that_a_scan_lacks_splits_the_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that cannot be scanned is halved like one that cannot be joined (S23)."""

    def full(*_: object, **__: object) -> NoReturn:
        raise MemoryError

    (release,) = bind_question(parse("SELECT COUNT(*) AS n FROM tnm.visits"), CATALOGS, {}).releases
    monkeypatch.setattr(numbered, "scan", full)
    for backend in (DuckDBBackend({HERE: (CATALOGS[HERE], [])}, 0), MergeBackend({HERE: (CATALOGS[HERE], [])}, 0)):
        with pytest.raises(SliceTooLarge):
            backend.rows(release.relation, (), Slice(0, 0))
