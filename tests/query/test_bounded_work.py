"""No text makes admission, or what it admits, work without measure: work is counted, not timed (attacks §2)."""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from test_corpus import MADE
from test_text_fuzzer import RULEBOOK, decided

from cleanroom.errors import Refused
from cleanroom.query.binding.public_columns import release_columns
from cleanroom.query.duckdb_sql import MAX_CALLS, calls_to_read, statement
from cleanroom.query.finishing import require_runnable
from cleanroom.query.gate import Question, ValidatedPlan, admit
from cleanroom.query.precision import precision
from cleanroom.query.public.printing import MAX_PRINTED, public_statement
from cleanroom.query.public.run import PublicRows, Shown, run

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE = "SELECT person FROM tnm.visits"
NUMBER = "SELECT COUNT(*) AS n FROM tnm.visits"


def chain(first: str, step: str, count: int, last: str) -> str:
    """Return a chain of WITH names, each over the one before, `{p}` in `step` and `last`."""
    names = [f"t0 AS ({first})", *(f"t{n} AS ({step.format(p=f't{n - 1}')})" for n in range(1, count))]
    return f"WITH {', '.join(names)} {last.format(p=f't{count - 1}')}"


def nested(inner: str, around: str, times: int) -> str:
    """Return `around` written around `inner` so often; `{p}` is what is inside."""
    for _ in range(times):
        inner = around.format(p=inner)
    return inner


def why(sql: str) -> set[str]:
    """Return why a text is refused; `counted` in `decided` fails the test if that takes too many calls."""
    found = decided(sql, None)
    return {each.code for each in found.refusals} if isinstance(found, Refused) else set()


DOUBLING: list[tuple[str, set[str]]] = [
    # What has no meaning is found to have none once, however often it is named.
    (
        chain("SELECT nothing FROM tnm.visits", "SELECT x.person FROM {p} AS x JOIN {p} AS y USING (person)", 60, "SELECT COUNT(*) FROM {p}"),
        {"unknown_name"},
    ),
    (chain(PEOPLE, "SELECT x.person FROM {p} AS x JOIN {p} AS y USING (person)", 60, "SELECT COUNT(*) FROM {p}"), {"too_many_relations"}),
    (chain(PEOPLE, "SELECT person FROM {p} UNION ALL SELECT person FROM {p}", 60, "SELECT COUNT(*) FROM {p}"), {"too_many_relations"}),
    (chain(NUMBER, "SELECT x.n FROM {p} AS x, {p} AS y", 60, "SELECT n FROM {p}"), {"statement_too_long"}),
    (chain(NUMBER, "SELECT n FROM {p} UNION ALL SELECT n FROM {p}", 60, "SELECT n FROM {p}"), {"statement_too_long"}),
    (chain(NUMBER, "SELECT *, * FROM {p}", 40, "SELECT COUNT(*) AS n FROM {p}"), {"too_many_columns"}),
    (f"SELECT {nested('COUNT(*)', 'CAST({p} AS INTEGER) + 1', 28)} AS n FROM tnm.visits", set()),
    (f"SELECT {nested('COUNT(*)', 'SQRT({p})', 28)} AS n FROM tnm.visits", {"statement_too_long"}),
    (f"SELECT {nested('COUNT(*)', 'CASE {p} WHEN 1 THEN 1 WHEN 2 THEN 2 WHEN 3 THEN 3 END', 14)} AS n FROM tnm.visits", {"term_too_large"}),
    (f"SELECT {nested('x', 'DECIMAL({p})', 28)} AS n FROM tnm.visits", {"nested_too_deep"}),
    (f"SELECT {nested('1', 'ARRAY[{p}]', 28)} AS n FROM tnm.visits", {"nested_too_deep"}),
    (f"SELECT COUNT(*) FILTER (WHERE {nested('1', 'DATE ({p})', 28)}) AS n FROM tnm.visits", {"nested_too_deep"}),
    ("WITH r AS (SELECT purchased, COUNT(*) AS n FROM tnm.visits GROUP BY purchased) SELECT COUNT(*) AS n FROM r AS a, r AS b, r AS c", {"too_many_cells"}),
    ("WITH r AS (SELECT purchased, tickets, COUNT(*) AS n FROM tnm.visits GROUP BY ALL) SELECT a.n FROM r AS a, r AS b", {"too_many_cells"}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "codes"), DOUBLING, ids=[str(at) for at in range(len(DOUBLING))])
def test_what_doubles_at_every_step_is_refused(sql: str, codes: set[str]) -> None:
    assert why(sql) == codes


def test_names_inside_names_are_bound_once() -> None:
    deep = nested(PEOPLE, "WITH c AS ({p}) SELECT person FROM c WHERE person IN (SELECT person FROM c)", 12)
    assert why(f"SELECT COUNT(*) AS n FROM ({deep}) AS t") == {"too_many_relations"}


def test_a_key_computed_step_by_step_is_judged_step_by_step() -> None:
    """Written into each other the steps of `x + x` of `x + x` … would be a million terms."""
    sql = chain(
        "SELECT person, amount AS x FROM tnm.visits", "SELECT person, LEAST(x + x, 12) AS x FROM {p}", 20,
        "SELECT x, COUNT(*) AS n FROM {p} GROUP BY x",
    )  # fmt: skip
    assert why(sql) in (set(), {"dimension_not_allowed"})


CHAINS = {
    "sum": lambda n: "SELECT SUM(" + "+".join(["tickets"] * n) + ") AS n FROM tnm.visits",
    "constants": lambda n: "SELECT COUNT(*) AS n FROM tnm.visits WHERE tickets = " + "+".join(["1"] * n),
    "released": lambda n: "SELECT COUNT(*)" + " + 1" * n + " AS n FROM tnm.visits",
    "casts": lambda n: "SELECT tickets" + "::INT" * n + " AS k, COUNT(*) AS n FROM tnm.visits GROUP BY k",
    "rounds": lambda n: f"SELECT SUM({nested('amount', 'ROUND({p} / 3, 2)', min(n, 14))}) AS n FROM tnm.visits",
    "days": lambda n: f"SELECT COUNT(*) AS n FROM tnm.visits WHERE {nested('purchased', 'LAST_DAY({p})', min(n, 29))} > DATE '2024-01-01'",
    "cases": lambda n: f"SELECT SUM({nested('tickets', 'CASE WHEN {p} > 1 THEN 2 ELSE 3 END', min(n, 14))}) AS n FROM tnm.visits",
    "nulls": lambda n: "SELECT COUNT(*) AS n FROM tnm.visits WHERE tickets" + " IS NULL" * n,
    "and": lambda n: "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region HAVING n > 1" + " AND n > 1" * min(n, 190),
    "unions": lambda n: "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits" + " UNION ALL SELECT person FROM tnm.visits" * min(n, 190) + ") AS t",
}  # fmt: skip


@pytest.mark.parametrize("length", [2, 8, 20, 40, 63, 64, 200, 900])
@pytest.mark.parametrize("kind", CHAINS)
def test_what_is_admitted_can_be_read_again_however_deep(kind: str, length: int) -> None:
    """Refused before it is charged, or run: never charged and then unreadable."""
    make: Callable[[int], str] = CHAINS[kind]  # type: ignore[assignment]
    found = decided(make(length), None)
    if isinstance(found, ValidatedPlan):
        require_runnable(found.plan, {}, MADE)
    else:
        assert {each.code for each in found.refusals} <= {
            "too_deep", "nested_too_deep", "too_many_tokens", "too_many_relations", "term_too_large", "bounds_too_wide",
        }  # fmt: skip
        assert length > 7


def asked(sql: str) -> Any:
    """Return what the gate makes of a text, without counting."""
    from test_text_fuzzer import STATISTICS

    from cleanroom.identifiers import PartyId, Role

    return admit(
        Question(sql, None, PartyId("observatoire"), Role.OBSERVATOIRE, STATISTICS, precision(epsilon=1)), RULEBOOK
    )


def test_a_caller_deep_in_its_own_stack_gets_a_decision() -> None:
    sql = CHAINS["sum"](14)

    def below(depth: int) -> ValidatedPlan | Refused:
        if depth:
            return below(depth - 1)
        try:
            return asked(sql)
        except Refused as refused:
            return refused

    frame, used = sys._getframe(), 0
    while frame is not None:
        frame, used = frame.f_back, used + 1
    for left in (900, 400, 200, 120, 60, 40):
        found = below(max(0, sys.getrecursionlimit() - used - left))
        assert isinstance(found, ValidatedPlan) or {each.code for each in found.refusals} <= {
            "nested_too_deep",
            "unreadable",
        }


def test_two_dozen_statistics_add_up() -> None:
    """A margin is written once at each step, so that an ordinary long sum prints in proportion."""
    months = " + ".join(f"SUM(amount) FILTER (WHERE month(purchased) = {month})" for month in range(1, 13))
    found = asked(f"SELECT {months} + {months} AS n FROM tnm.visits")
    printed = public_statement(found.plan.finish).sql
    assert len(printed) < 20_000 < MAX_PRINTED
    require_runnable(found.plan, {}, MADE)


def test_texts_over_released_keys_do_not_double() -> None:
    joined = chain(
        "SELECT region AS k, COUNT(*) AS n FROM tnm.visits GROUP BY k",
        "SELECT k || k AS k, n FROM {p}",
        40,
        "SELECT k, n FROM {p}",
    )
    found = asked(joined)
    shown = (Shown("bretagne", None, withheld=False), Shown(3.0, 1.0, withheld=False))
    table = PublicRows(release_columns(found.plan.releases[0].keys, found.plan.releases[0].outputs, 0), (shown,))
    ((key, _),) = run(found.plan.finish, {0: table}, {}).rows
    assert key.value == ("bretagne" * 1_000)[:1_000]


def test_calls_are_counted_from_the_text() -> None:
    found = asked("SELECT SUM(ROUND(amount / 3, 1)) AS n FROM tnm.visits WHERE tickets > 1")
    text = statement(found.plan.releases[0].relation, ()).sql
    assert 0 < calls_to_read(text) < MAX_CALLS
    assert calls_to_read(f"SELECT ({text})") > calls_to_read(text)
