"""Hand-written expressions mean what DuckDB computes from the same text on DECIMAL, INTEGER, VARCHAR and DATE."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import duckdb
import pytest

from cleanroom.catalog import day_number
from cleanroom.query.terms.evaluate import Values, evaluate
from cleanroom.query.terms.language import Column
from cleanroom.query.terms.resolutions import as_typed
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import BooleanType, CategoryType, DateType, NumberType, TextType
from tests.query.terms.sql_terms import read_term

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN = ("montreal", "laval", "Estrie", "côte-nord")
COLUMNS = {
    "amount": Typed(Column(0), NumberType(Fraction(1, 100), -50_000, 50_000, True, -50_000, 50_000)),
    "tickets": Typed(Column(1), NumberType.between(1, 12, nullable=True)),
    "region": Typed(Column(2), CategoryType(DOMAIN, nullable=True)),
    "zone": Typed(Column(3), CategoryType(("laval", "autre", "montreal"), nullable=True)),
    "channel": Typed(Column(4), TextType(nullable=True)),
    "bought": Typed(Column(5), DateType(19_000, 20_000, nullable=True)),
    "seen": Typed(Column(6), DateType(19_000, 20_000, nullable=True)),
    "score": Typed(Column(7), NumberType.between(-100, 100, nullable=True)),
}
TABLE = """
create table v (amount decimal(7, 2), tickets integer, region varchar, zone varchar, channel varchar, bought date,
                seen date, score integer)
"""

EXPRESSIONS = """
amount + tickets
amount - tickets
amount * tickets
tickets * amount * 3
-amount
- (amount - 1.5)
amount + 0.005
amount * -2
amount * 0
amount / 4
amount / -4
amount / 3
100 / tickets
amount / tickets
amount / (tickets + score / 1000)
amount / NULLIF(score, 0)
score / NULLIF(amount, 0)
tickets / NULLIF(tickets - 3, 0)
1 + 2 * 3 - amount
amount + NULL
FLOOR(amount)
CEIL(amount)
FLOOR(amount / 50) * 50
CEIL(amount / 7)
FLOOR(score / 7)
CEIL(score / 7)
FLOOR(-amount)
ROUND(amount)
ROUND(amount, 1)
ROUND(amount, 2)
ROUND(amount, -1)
ROUND(amount, -2)
ROUND(score, -1)
ROUND(amount * 1.5, 1)
ABS(amount)
ABS(score) - 50
ABS(-tickets)
SIGN(amount)
SIGN(score - 5)
score % 7
score % -7
amount % 7
amount % 0.5
tickets % 2
score // 7
score // -7
tickets // 5
tickets // -5
LEAST(tickets, 5)
LEAST(amount, tickets, score)
GREATEST(amount, 0)
GREATEST(score, tickets, NULL)
LEAST(tickets, NULL)
COALESCE(tickets, 0)
COALESCE(NULL, amount, tickets)
COALESCE(tickets, score, amount)
COALESCE(region, 'inconnue')
COALESCE(region, zone)
COALESCE(channel, 'aucun')
COALESCE(bought, seen)
NULLIF(tickets, 3)
NULLIF(amount, 10.5)
NULLIF(region, 'laval')
NULLIF(region, zone)
NULLIF(channel, 'web')
CASE WHEN tickets = 1 THEN 'seul' WHEN tickets = 2 THEN 'duo' ELSE 'groupe' END
CASE WHEN amount > 100 THEN amount ELSE 0 END
CASE WHEN amount > 100 THEN tickets WHEN amount < -100 THEN amount END
CASE region WHEN 'montreal' THEN 'ville' WHEN 'laval' THEN 'ville' ELSE region END
CASE tickets WHEN 1 THEN 1 WHEN NULL THEN 2 ELSE 3 END
CASE WHEN region = 'laval' THEN bought ELSE seen END
CASE WHEN score > 0 THEN region ELSE zone END
CASE WHEN score > 0 THEN channel ELSE 'x' END
CASE WHEN score > 0 THEN score > 10 ELSE NULL END
CASE WHEN NULL THEN 1 ELSE 2 END
IF(score > 0, amount, -amount)
amount = 10.5
amount = 10.505
amount <> 10.5
amount > 37.425
amount < 37.425
amount <= -0.001
amount >= tickets
tickets = amount
10 < amount
score > 100000000000000000000000000000
score < 1000000000000000000000000000000
score BETWEEN -5 AND 5
amount BETWEEN tickets AND 10 * tickets
score NOT BETWEEN 1 AND 20
tickets IN (1, 2, 3)
tickets NOT IN (1, 2, 3)
tickets IN (1, NULL)
tickets NOT IN (1, NULL)
amount IN (10.5, 10.505, tickets)
region = 'laval'
region <> 'laval'
region = 'nulle part'
region <> 'nulle part'
region IN ('laval', 'Estrie', 'nulle part')
region NOT IN ('laval', NULL)
region < 'm'
region >= 'laval'
region > 'zzz'
'laval' = region
region = zone
region <> zone
region < zone
zone <= region
channel = 'web'
channel < 'm'
channel IN ('web', 'tel', 'é')
channel = NULL
NOT channel = 'web'
bought = seen
bought < seen
bought <= DATE '2024-02-29'
bought > '2024-02-29'
bought BETWEEN '2023-01-01' AND DATE '2023-12-31'
bought IN ('2023-01-01', DATE '2023-06-01')
region IS NULL
amount IS NOT NULL
tickets IS DISTINCT FROM 3
tickets IS NOT DISTINCT FROM score
region IS DISTINCT FROM zone
region IS DISTINCT FROM NULL
(tickets > 3) IS TRUE
(tickets > 3) IS NOT TRUE
(tickets > 3) IS FALSE
(tickets > 3) = (score > 0)
(tickets > 3) = TRUE
tickets > 3 AND score > 0
tickets > 3 OR score > 0
NOT (tickets > 3 AND (score > 0 OR amount < 0))
tickets > 3 AND NULL
tickets > 3 OR TRUE
1 = 1
1 > 2 OR NULL
'a' < 'b'
CAST(amount AS INTEGER)
CAST(amount AS BIGINT) * 2
CAST(amount * 1.5 AS HUGEINT)
CAST(amount AS DECIMAL(10, 1))
CAST(amount AS DOUBLE)
CAST(score AS DECIMAL(9, 3))
CAST(tickets AS VARCHAR)
CAST(region AS VARCHAR)
CAST(bought AS VARCHAR)
CAST(bought AS DATE)
CAST(tickets > 3 AS INTEGER)
CAST(tickets > 3 AS VARCHAR)
CAST(ROUND(amount, -2) AS INTEGER)
""".strip().splitlines()


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    """Rows with halves, extremes, NULL in each column and every pair of texts."""
    with duckdb.connect() as connection:
        connection.execute(TABLE)
        cents = [
            0,
            1,
            -1,
            50,
            -50,
            49,
            51,
            150,
            250,
            -150,
            -250,
            1050,
            50_000,
            -50_000,
            12_345,
            -9_999,
            500,
            1500,
            None,
        ]
        scores = [0, 1, -1, 3, 5, -5, 7, -7, 100, -100, 42, 35, -35, 15, 25, None]
        texts = ["web", "tel", "", "é", "Web", "zzz", None]
        for number in range(1200):
            amount = cents[number % len(cents)]
            connection.execute(
                "insert into v values (?, ?, ?, ?, ?, date '1970-01-01' + ?, date '1970-01-01' + ?, ?)",
                [
                    None if amount is None else Decimal(amount) / 100,
                    [*range(1, 13), None][number % 13],
                    [*DOMAIN, None][number % 5],
                    ["laval", "autre", "montreal", None][number % 4],
                    texts[number % 7],
                    [19_000, 19_358, 19_509, 19_782, 20_000, None][number % 6],
                    [19_000, 19_782, 20_000, 19_783, None][number // 6 % 5],
                    scores[number % len(scores)],
                ],
            )
        yield connection


def columns_of_rows(connection: duckdb.DuckDBPyConnection) -> dict[int, Values]:
    table = connection.execute("select * from v order by rowid").fetchall()
    columns = {}
    for place, typed in enumerate(COLUMNS.values()):
        given = [row[place] for row in table]
        kind = typed.type
        if isinstance(kind, TextType):
            columns[place] = Values.of(given, str)
        else:
            columns[place] = Values.of([None if value is None else _code(kind, value) for value in given])
    return columns


def _code(kind: object, value: object) -> int:
    match kind:
        case NumberType(resolution=resolution):
            return int(Fraction(value) / resolution)  # type: ignore[arg-type]
        case CategoryType(domain=domain):
            return domain.index(str(value))
    return day_number(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("sql", EXPRESSIONS)
def test_an_expression_means_what_duckdb_computes(rows: duckdb.DuckDBPyConnection, sql: str) -> None:
    found = read_term(sql, COLUMNS)
    typed = as_typed(found)  # type: ignore[arg-type]
    assert isinstance(typed, Typed), found
    question = f"select {sql} from v order by rowid"  # noqa: S608 - written above
    expected = [value for (value,) in rows.execute(question).fetchall()]
    columns = columns_of_rows(rows)
    for value, want in zip(evaluate(typed.term, columns, len(expected)).items(), expected, strict=True):
        assert (value is None) == (want is None), (value, want)
        if value is None:
            assert typed.type.nullable
            continue
        match typed.type:
            case NumberType(resolution=resolution, lower=lower, upper=upper):
                assert lower <= value <= upper
                exact, given = value * resolution, Fraction(want)
                if isinstance(want, float):
                    assert abs(exact - given) <= resolution / 2 + Fraction(1, 10**9) * max(1, abs(given))
                else:
                    assert exact == given
            case CategoryType(domain=domain):
                assert domain[value] == want
            case DateType(lower=lower, upper=upper):
                assert lower <= value <= upper
                assert value == day_number(want)
            case BooleanType() | TextType():
                assert value == want


REFUSED = {
    "9223372036854775807 + tickets": "bounds_too_wide",
    "ABS(CAST(-9223372036854775808 AS BIGINT) + tickets - 1)": "bounds_too_wide",
    "amount * 1000000000000 * amount * 10000000000000": "bounds_too_wide",
    "amount * amount * amount * amount * amount * amount": "bounds_too_wide",
    "amount / (tickets - 1)": "division_by_zero",
    "amount / score": "division_by_zero",
    "amount / 0": "division_by_zero",
    "0.0 / 0.0": "division_by_zero",
    "score % 0": "division_by_zero",
    "score // 0": "division_by_zero",
    "score % tickets": "argument_type",
    "score // tickets": "argument_type",
    "amount // 7": "argument_type",
    "ROUND(amount, tickets)": "argument_type",
    "ABS(region)": "argument_type",
    "amount + region": "argument_type",
    "amount + 'x'": "argument_type",
    "LEAST(amount, channel)": "argument_type",
    "amount * 1e308 * 10": "argument_type",
    "NOT amount": "argument_type",
    "amount AND TRUE": "argument_type",
    "CASE WHEN tickets THEN 1 END": "argument_type",
    "CASE WHEN tickets = 1 THEN 1 ELSE 'a' END": "kinds_mixed",
    "CASE WHEN tickets = 1 THEN region ELSE channel END": "kinds_mixed",
    "COALESCE(bought, 'hier')": "kinds_mixed",
    "amount = 'dix'": "comparison_types",
    "bought = '2024-02-30'": "comparison_types",
    "bought < 3": "comparison_types",
    "region = channel": "comparison_types",
    "(tickets > 3) = 1": "comparison_types",
    "region IN ('laval', 3)": "comparison_types",
    "CAST(amount AS DECIMAL(3, 2))": "cast_can_fail",
    "CAST(amount * 100000000 AS INTEGER)": "cast_can_fail",
    "CAST(channel AS INTEGER)": "cast_can_fail",
    "CAST(channel AS DATE)": "cast_can_fail",
    "CAST(amount AS DATE)": "cast_can_fail",
    "CAST(amount AS BOOLEAN)": "cast_can_fail",
    "CAST(bought AS INTEGER)": "cast_can_fail",
    "CAST(amount AS VARCHAR)": "domain_too_large",
    "CAST(amount / 3 AS VARCHAR)": "domain_too_large",
    "CAST(tickets / 7 AS VARCHAR)": "cast_can_fail",
}


@pytest.mark.parametrize(("sql", "code"), REFUSED.items())
def test_what_could_fail_is_refused(sql: str, code: str) -> None:
    found = read_term(sql, COLUMNS)
    assert getattr(found, "code", found) == code
