"""The property over the whole algebra: generated questions over generated catalogs, rooms and persons (SOUNDNESS F).

Questions are drawn by Hypothesis, so that what fails shrinks; `make soak` asks hundreds of thousands more, by seed: one
that fails names its question, and can be asked alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

import duckdb
import pytest
from generated.constructs import constructs
from generated.holding import hold
from generated.populations import REFERENCE_TABLES, REFERENCES, plain_population, population
from generated.releases import generated
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_sql import compare_plan, database
from rooms import bind, choices
from searches import LIMITS, by_seeds, try_each

from cleanroom.errors import Refused

if TYPE_CHECKING:
    from generated.values import Question
    from rooms import Catalogs, Room

    from cleanroom.query.plan import QuestionPlan

ROOMS = 60
"""Rooms that the examples of `make test` share."""

MOST_SEEDS = 500
PUBLIC = list(REFERENCES.values())
COUNTS: Counter[str] = Counter()
"""What became of the questions of this process."""


def asked(
    rng: Random, made: Catalogs, *, plain: bool = False, threshold: int = 0
) -> tuple[Question, QuestionPlan | None]:
    """Write a question and bind it: it is admitted, or refused in two languages; anything else is a failure."""
    written = generated(rng, made, PUBLIC, plain=plain)
    COUNTS["asked"] += 1
    try:
        plan = bind(written.sql, written.parameters, made, threshold=threshold, references=REFERENCES)
    except Refused as refused:
        require_words(refused)
        return written, None
    COUNTS["admitted"] += 1
    return written, plan


def require_words(refused: Refused) -> None:
    """Hold a refusal to say why, in both languages."""
    assert refused.refusals
    assert all(each.code and each.message.fr and each.message.en for each in refused.refusals)


# 1. Nobody moves anything further than was declared


def check_held(rng: Random, number: int) -> None:
    """Ask a question in a room of hostile rows and hold all its releases to what they declare."""
    people = population(number)
    question, plan = asked(rng, people.catalogs, threshold=rng.choice((0, 0, 20)))
    for release in plan.releases if plan is not None else ():
        try:
            COUNTS["held"] += hold(release, people, rng)
        except Exception as error:
            error.add_note(f"room {number}: {question.written}")
            raise


@given(choices(), st.integers(0, ROOMS - 1))
@settings(LIMITS, max_examples=1_000)
def test_nobody_moves_a_release_further_than_declared(rng: Random, number: int) -> None:
    check_held(rng, number)


@pytest.mark.soak
@by_seeds(260_000, at_once=MOST_SEEDS)
def test_the_whole_algebra_holds_many_times(seeds: range) -> None:
    try_each(seeds, lambda seed: check_held(Random(seed), seed // 5))


# 2. Where no bound binds, the answer is plain SQL's


@lru_cache(maxsize=128)
def room_of(number: int, *, once: bool) -> Room:
    """Return a room, with equal rows of a person in a table once if `once`."""
    room = plain_population(number)
    if not once:
        return room
    return replace(
        room, uploads={table: (tuple(dict.fromkeys(chain(*parts))),) for table, parts in room.uploads.items()}
    )


@lru_cache(maxsize=128)
def opened(number: int, *, once: bool) -> duckdb.DuckDBPyConnection:
    """Return a database of a room, for all questions asked in it."""
    return database(room_of(number, once=once), REFERENCE_TABLES)


def check_plain(rng: Random, number: int) -> None:
    """Compare a question with an independent run of the same text."""
    room = plain_population(number)
    question, plan = asked(rng, room.catalogs, plain=True, threshold=1)
    if plan is None or not comparable(plan):
        return
    # Which of two equal rows comes first is nobody's to say, and two windows may say it differently: of a row that has
    # no row before it, and of another that QUALIFY leaves out, whether they are the same.
    once = any(repr(release.relation).count("Window(") > 1 for release in plan.releases)
    room = room_of(number, once=once)
    try:
        # Persons' means are rounded to a resolution (S20).
        COUNTS["compared"] += 1
        COUNTS["not empty"] += compare_plan(plan, question.written, room, opened(number, once=once), within=1e-3) > 0
    except duckdb.Error:
        # Plain SQL fails where its numbers do not fit or it has a fault of its own; that is counted, below.
        COUNTS["not comparable"] += 1
        opened.cache_clear()
    except AssertionError as error:
        error.add_note(f"room {number}: {question.written}")
        raise


def comparable(plan: QuestionPlan) -> bool:
    """Return whether nothing is cut, and every value of a quantile is a candidate."""
    cut = any("FirstRows(" in repr(release.relation) for release in plan.releases)
    return not cut and all(bound.grid.step == 1 for release in plan.releases for bound in release.bounds.quantiles)


@given(choices(), st.integers(0, ROOMS - 1))
@settings(LIMITS, max_examples=2_000)
def test_where_no_bound_binds_a_question_is_plain_sql(rng: Random, number: int) -> None:
    check_plain(rng, number)


@pytest.mark.soak
@by_seeds(160_000, at_once=MOST_SEEDS)
def test_the_whole_algebra_is_plain_sql_many_times(seeds: range) -> None:
    before = COUNTS["not comparable"]
    try_each(seeds, lambda seed: check_plain(Random(seed), seed // 5))
    assert COUNTS["not comparable"] - before < MOST_SEEDS // 50


# 3. and 4. Admitted or refused by the text alone; and the generator writes what it is meant to

SEEDS = 900
"""Questions whose constructs are counted."""

LEAST = {
    80: "self join, two owners, FILTER, USING, comma join, SQL over releases, $name parameters, ? parameters, "
    "INNER join, LEFT join, semi-join, anti-join, IN (SELECT), WITH, HAVING of a person, "
    "GroupPerson, Project, Compared, Choice, "
    "LookUp, FirstRows, several releases, CountPersons, CountRows",
    40: "public INNER join, public LEFT join, INNER join on more, LEFT join on more, FULL join, Mark, "
    "semi-join on more, anti-join on more, EXISTS, NOT EXISTS, NOT IN (SELECT), UNION ALL, UnionAll, Distinct, "
    "DISTINCT, unit of an absent side, Window, Sum, CategoryKey, ListedKey, InSet, person COUNT_ROWS, OneOf",
    20: "UNION, INTERSECT, EXCEPT, scalar subquery, Mean, UnknownKey, PartOf, TextIn, person SUM, window AGGREGATE, "
    "person FILTER, window ROWS, grouping sets, FULL join on more",
    8: "person COUNT, person COUNT_DISTINCT, person AVERAGE, person LEAST, person GREATEST, "
    "person SOME, person EVERY, QUANTILE_CONT, QUANTILE_DISC, STDDEV_SAMP, STDDEV_POP, VAR_POP, VAR_SAMP, MonthKey, "
    "GROUPING SETS, GROUPING, HAVING of a release, window RANGE, window ROW_NUMBER, Quotient, FloorDivide, StartOf, "
    "AddMonths, Length, Lower, Upper, Trim, Substring, Like, Least, Greatest",
    4: "person FIRST, person LAST, QUALIFY, IN of values, USING of columns, RANGE of values",
    2: "window RANK, window DENSE_RANK, window LAG, window LEAD, window FIRST_VALUE, window LAST_VALUE, ROLLUP, CUBE, "
    "NumberKey, Absolute, Sign, Remainder",
}
"""How often constructs occur in admitted plans, at least."""


def test_the_generator_writes_every_construct_and_most_of_it_is_admitted() -> None:
    found: Counter[str] = Counter()
    admitted = 0
    for seed in range(SEEDS):
        question, plan = asked(Random(seed), population(seed % ROOMS).catalogs)
        if plan is not None:
            admitted += 1
            found.update(constructs(question, plan))
    assert admitted >= 0.9 * SEEDS
    rare = {name: found[name] for least, names in LEAST.items() for name in names.split(", ") if found[name] < least}
    assert rare == {}
