"""Plans that differ in anything computed have different digests: on these stand reuse, and what the gate issued."""

from __future__ import annotations

from copy import copy
from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from slow_vector import TNM, planned

from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import Digest, TableName
from cleanroom.query.algebra import InRange, Join, JoinKind, Scan, Select
from cleanroom.query.plan import Plan, QuestionPlan, _canonical
from cleanroom.query.public.language import PublicJoinKind
from cleanroom.query.statistics import (
    CategoryKey,
    CountRows,
    GroupingOutput,
    KeyOutput,
    MonthKey,
    NumberKey,
    Quantile,
    StatisticOutput,
    Sum,
    UnknownKey,
    Variance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = Fraction(1)


def variants(value: Any) -> Iterator[Any]:
    """Yield a value with one thing changed, for each thing in it."""
    match value:
        case Enum():
            yield next(each for each in type(value) if each is not value)
        case bool():
            yield not value
        case int():
            yield value + 1
        case Fraction():
            yield value + Fraction(1, 7)
        case Decimal():
            yield value + Decimal("0.001")
        case date():
            yield value + timedelta(days=1)
        case str():
            yield value + "x"
        case None:
            yield 12_345
        case TableName():
            yield TableName(value.owner, value.name + "x")
        case Digest():
            yield Digest.of(str(value).encode())
        case tuple() | frozenset():
            items = tuple(value)
            for place, item in enumerate(items):
                for other in variants(item):
                    yield type(value)((*items[:place], other, *items[place + 1 :]))
                yield type(value)((*items[:place], *items[place + 1 :]))
            if isinstance(value, tuple) and len(set(items)) > 1:
                yield items[::-1]
        case _ if is_dataclass(value):
            for field in fields(value):
                for other in variants(getattr(value, field.name)):
                    yield altered(value, field.name, other)
        case _:
            raise AssertionError(value)


def altered(value: Any, name: str, other: Any) -> Any:
    """Return a frozen value with a field changed, whatever its class says of that."""
    made = object.__new__(type(value))
    for field in fields(value):
        object.__setattr__(made, field.name, other if field.name == name else getattr(value, field.name))
    return made


def rich() -> Plan:
    """Return a plan in which there is something of everything."""
    keys = (
        CategoryKey(0, ("a", "b"), nullable=True),
        NumberKey(1, -3, 4, Fraction(1, 2), nullable=False),
        MonthKey(2, 600, 3, nullable=False),
    )
    statistics = (
        CountRows(),
        Sum(3, -5, 9, Decimal("0.01")),
        Variance(3, -5, 9, ONE, sample=True, root=False),
        Quantile(3, -5, 9, ONE, Fraction(1, 4), discrete=True),
    )
    made = planned(keys, statistics, 3, 2, 20, ((0, 1), (2,)))
    other = Scan(TableName.parse("francos.visits"), ("c0", "c1"))
    left = Select(Scan(TNM, ("c0", "c1", "c2", "c3")), InRange(0, 2, 5), (0, 1, 2, 3))
    outputs = (KeyOutput("k", 0), GroupingOutput("g", (0, 1)), StatisticOutput("n", 2))
    return replace(made, relation=Join(left, other, JoinKind.INNER), outputs=outputs)


def test_what_digests_were_found_of_a_plan_stays_with_it_alone() -> None:
    plan = rich()
    digests = (plan.digest(), plan.numbers())
    other = replace(plan, bounds=replace(plan.bounds, threshold=plan.bounds.threshold + 1))
    assert other.digest() not in digests
    assert other.numbers() not in digests
    assert other.digest() == other.digest_anew()
    question = QuestionPlan((plan,), None)
    two = QuestionPlan((plan, other), None)
    assert (question.digest(), two.digest()) == (question.digest_anew(), two.digest_anew())
    assert replace(question, releases=(other,)).digest() == other.digest() != question.digest()
    assert replace(two, releases=(other, plan)).digest() != two.digest()
    assert copy(plan).digest() == digests[0]
    assert plan == copy(plan)


def test_whatever_is_changed_in_a_plan_changes_its_digest() -> None:
    plan = rich()
    found = {plan.digest()}
    count = 1
    for field in fields(Plan):
        for other in variants(getattr(plan, field.name)):
            if field.name == "outputs" and [_told(each) for each in other] == [_told(each) for each in plan.outputs]:
                # The label of a column is not part of what is computed.
                assert altered(plan, "outputs", other).digest() == plan.digest()
                continue
            found.add(altered(plan, field.name, other).digest())
            count += 1
    assert len(found) == count > 150


def _told(output: Any) -> tuple[Any, ...]:
    return (type(output), *(getattr(output, field.name) for field in fields(output) if field.name != "label"))


def test_columns_of_an_answer_are_told_apart() -> None:
    plan = rich()
    shapes = [
        (KeyOutput("x", 0),),
        (KeyOutput("x", 1),),
        (StatisticOutput("x", 0),),
        (StatisticOutput("x", 1),),
        (GroupingOutput("x", (0,)),),
        (GroupingOutput("x", (1,)),),
        (GroupingOutput("x", ()),),
        (KeyOutput("x", 0), StatisticOutput("x", 0)),
        (StatisticOutput("x", 0), KeyOutput("x", 0)),
    ]
    assert len({replace(plan, outputs=shape).digest() for shape in shapes}) == len(shapes)


def test_values_of_different_kinds_are_told_apart() -> None:
    day, mark = date(2024, 1, 2), Digest.of(b"x")
    values = [
        None, True, 1, "1", "None", Fraction(1), Fraction(1, 2), day, day.isoformat(), mark, str(mark), TNM, str(TNM),
        (day.isoformat(),), (str(mark),), (str(TNM),), PublicJoinKind.INNER,
        JoinKind.INNER, JoinKind.INNER.name, JoinKind.LEFT, (), ("1",), (1, 2), (2, 1), frozenset({1, 2}),
        frozenset({1}), UnknownKey(0, nullable=False), CategoryKey(0, (), nullable=False), ((1,), 2), (1, (2,)),
    ]  # fmt: skip
    written = [repr(_canonical(value)) for value in values]
    assert len(set(written)) == len(written)
    assert _canonical(Decimal("0.50")) == _canonical(Fraction(1, 2))
    assert _canonical(frozenset({"b", "a", None})) == _canonical(frozenset({None, "a", "b"}))
    for stranger in (1.5, b"1", [1], object(), Scan):
        with pytest.raises(TypeError):
            _canonical(stranger)


def test_a_plan_without_a_bound_to_choose_is_settled() -> None:
    plan = rich()
    assert plan.settled(None) is plan
    with pytest.raises(InvariantBroken, match="one to choose"):
        plan.settled(0)


def test_a_question_is_its_releases_in_order_and_what_is_said_over_them() -> None:
    one = rich()
    two = replace(one, statistics=one.statistics[::-1])
    finish: Any = Scan(TNM, ("said",))
    questions = [
        QuestionPlan((one,), None),
        QuestionPlan((two,), None),
        QuestionPlan((one, two), None),
        QuestionPlan((two, one), None),
        QuestionPlan((one,), finish),
        QuestionPlan((two,), finish),
        QuestionPlan((one, two), finish),
        QuestionPlan((one,), Scan(TNM, ("otherwise",))),  # type: ignore[arg-type]
    ]
    assert len({each.digest() for each in questions}) == len(questions)
    # A release that is the whole answer is reused as a question, and the other way around.
    assert questions[0].digest() == one.digest()
