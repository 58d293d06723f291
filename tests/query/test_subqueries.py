"""Subqueries of the same person: which relation each is bound to, what they know of NULL, what is refused (S16, S21).

Relations are compared whole, as they are bound and before they are brought into one order, each written in one line:
`#i` is column i, of the outer rows first, then of the other side; `r[p]` the rows of r for which p is true;
`r ⋉ s | c` those that meet a row of s by c (`▷`: that meet none); `mark(r, s | c)` all of r and whether they do.
"""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from gate_samples import ROOM_RULES, declaration

from cleanroom.query.algebra import Join, Mark, Scan, Select, Semi
from cleanroom.query.binding.asking import Asking, Unbound
from cleanroom.query.binding.personal import Personal
from cleanroom.query.binding.selects import Selects
from cleanroom.query.parse import parse
from cleanroom.query.terms.language import AllOf, Choice, Column, Compared, Flag, Opposite

if TYPE_CHECKING:
    from cleanroom.errors import Position, Refusal

DECLARED = [*ROOM_RULES.declarations.values(), declaration("opera", nullable="false")]
CATALOGS = {each.catalog.table: each.catalog for each in DECLARED}
"""Columns of each: 0 region, 1 discipline, 2 bought, 3 seats, 4 amount, 5 channel. Region may be NULL, but at opera."""


def shown(each: Any) -> str:
    """Return a relation, predicate or term in one line; two that differ are written differently."""
    match each:
        case Scan(table, columns):
            return str(table.owner) if len(columns) == 6 else f"{table.owner}{columns}"
        case Select(source, predicate, columns):
            whole = columns == tuple(range(len(columns)))
            return f"{shown(source)}[{shown(predicate)}]" + (f"({len(columns)})" if whole else str(columns))
        case Semi(source, other, negated, held):
            return f"({shown(source)} {'▷' if negated else '⋉'} {shown(other)} | {shown(held)})"
        case Mark(source, other, held):
            return f"mark({shown(source)}, {shown(other)} | {shown(held)})"
        case Join(left, right, kind, held):
            return f"{kind.value}({shown(left)}, {shown(right)} | {shown(held)})"
        case Column(index):
            return f"#{index}"
        case Flag(value):
            return {True: "TRUE", False: "FALSE", None: "NULL"}[value]
        case Choice(branches, otherwise):
            return "case(" + "; ".join(f"{shown(a)}: {shown(b)}" for a, b in branches) + f"; {shown(otherwise)})"
        case Compared(comparing, left, right):
            return f"{shown(left)} {comparing.value} {shown(right)}"
        case AllOf(items):
            return " & ".join(f"({shown(item)})" for item in items)
        case Opposite(item):
            return f"not({shown(item)})"
        case Enum():
            return str(each.name)
        case tuple():
            return "(" + ", ".join(map(shown, each)) + ")"
    if is_dataclass(each):
        return f"{type(each).__name__}({', '.join(shown(getattr(each, one.name)) for one in fields(each))})"
    return "-" if each is None else str(each)


def bound(sql: str) -> tuple[Personal | None, list[Refusal]]:
    """Return what a SELECT of rows is bound to, and why it is refused."""
    asking = Asking(parse(sql, None), CATALOGS, {}, None)
    try:
        found = Selects(asking).relation(asking.query.tree, {})
    except Unbound:
        return None, asking.reasons
    assert isinstance(found, Personal)
    return found, asking.reasons


def at(sql: str, position: Position | None) -> str:
    """Return the two words that stand at a position."""
    assert position is not None
    assert position.line == 1
    return " ".join(sql[position.column - 1 :].split()[:2])


ONE, LEFT, FULL, OPERA = (
    "tnm.visits AS a",
    "tnm.visits AS a LEFT JOIN francos.visits AS b USING (person)",
    "tnm.visits AS a FULL JOIN francos.visits AS b USING (person)",
    "opera.visits AS a",
)
SOURCES = {"ONE": ONE, "LEFT": LEFT, "FULL": FULL, "OPERA": OPERA}
HINTS = {
    "EXISTS": "EXISTS (SELECT 1 FROM … AS b WHERE b.person = a.person)",
    "IN": "x IN (SELECT b.x FROM … AS b WHERE b.person = a.person)",
}
TWO = (
    "posez deux questions : d'abord le nombre, puis WHERE … > ce nombre",
    "ask in two questions: first the number, then WHERE … > that number",
)


def table(text: str) -> list[tuple[str, ...]]:
    """Return the lines of a text, each cut into its parts."""
    return [tuple(part.strip() for part in line.split("⇒")) for line in text.strip().splitlines()]


KEPT = table(
    """
ONE ⇒ NOT EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person) ⇒ (tnm ▷ francos | -)
ONE ⇒ NOT NOT EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person) ⇒ (tnm ⋉ francos | -)
ONE ⇒ NOT (NOT (NOT EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person))) ⇒ (tnm ▷ francos | -)
ONE ⇒ ((NOT (EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person)))) ⇒ (tnm ▷ francos | -)
ONE ⇒ seats IN (1, 2) ⇒ tnm[InRange(3, -, 2)](6)
ONE ⇒ NOT (seats IN (2)) ⇒ tnm[Or((InRange(3, -, 1), InRange(3, 3, -)))](6)
ONE ⇒ EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person) AND seats = 2 AND NOT seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ ((tnm ⋉ francos | -) ▷ musee | case(not(#3 = #9): FALSE; TRUE))[InRange(3, 2, 2)](6)
LEFT ⇒ b.person IN (SELECT person FROM musee.visits) ⇒ (LEFT(tnm, francos | -)[Holds(#12)](13) ⋉ musee[TRUE](0) | -)
LEFT ⇒ b.person NOT IN (SELECT person FROM musee.visits) ⇒ (LEFT(tnm, francos | -)[Holds(#12)](13) ▷ musee[TRUE](0) | -)
LEFT ⇒ a.person NOT IN (SELECT person FROM musee.visits) ⇒ (LEFT(tnm, francos | -) ▷ musee[TRUE](0) | -)
LEFT ⇒ person IN (SELECT person FROM musee.visits) ⇒ (LEFT(tnm, francos | -) ⋉ musee[TRUE](0) | -)
FULL ⇒ person IN (SELECT person FROM musee.visits) ⇒ (FULL(tnm, francos | -) ⋉ musee[TRUE](0) | -)
FULL ⇒ a.person IN (SELECT person FROM musee.visits) ⇒ (FULL(tnm, francos | -)[Holds(#12)](14) ⋉ musee[TRUE](0) | -)
LEFT ⇒ (b.seats, b.person) IN (SELECT seats, person FROM musee.visits) ⇒ (LEFT(tnm, francos | -)[Holds(#12)](13) ⋉ musee[TRUE](3,) | #9 = #13)
LEFT ⇒ (b.seats, b.person) NOT IN (SELECT seats, person FROM musee.visits) ⇒ (LEFT(tnm, francos | -)[Holds(#12)](13) ▷ musee[TRUE](3,) | case(not(#9 = #13): FALSE; TRUE))
LEFT ⇒ (a.seats, a.person, b.region) NOT IN (SELECT seats, person, region FROM musee.visits) ⇒ (LEFT(tnm, francos | -) ▷ musee[TRUE](3, 0) | case(not((#3 = #13) & (#6 = #14)): FALSE; TRUE))
FULL ⇒ (person, a.seats) IN (SELECT person, seats FROM musee.visits) ⇒ (FULL(tnm, francos | -) ⋉ musee[TRUE](3,) | #3 = #14)
ONE ⇒ (person, a.seats) IN (SELECT person, 2 AS y FROM musee.visits) ⇒ (tnm ⋉ Project(musee, (Integer(1))) | #3 = Times(#6, Integer(2)))
LEFT ⇒ EXISTS (SELECT * FROM musee.visits AS m WHERE m.person = b.person) ⇒ (LEFT(tnm, francos | -) ⋉ musee | case(#12: TRUE; FALSE))
LEFT ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE b.person = m.person AND m.seats < b.seats AND m.seats < 9) ⇒ (LEFT(tnm, francos | -) ⋉ musee[InRange(3, -, 8)](6) | (case(#12: TRUE; FALSE)) & (#16 < #9))
LEFT ⇒ NOT EXISTS (SELECT 1 FROM musee.visits AS m WHERE person = a.person) ⇒ (LEFT(tnm, francos | -) ▷ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m LEFT JOIN cirque.visits AS c USING (person) WHERE c.person = a.person) ⇒ (tnm ⋉ LEFT(musee, cirque | -)[Holds(#12)](13) | -)
LEFT ⇒ a.seats NOT IN (SELECT c.seats FROM musee.visits AS m FULL JOIN cirque.visits AS c USING (person) WHERE b.person = c.person AND m.amount < a.amount) ⇒ (LEFT(tnm, francos | -) ▷ FULL(musee, cirque | -)[Holds(#13)](14) | ((case(#12: TRUE; FALSE)) & (#17 < #4)) & (case(not(#3 = #22): FALSE; TRUE)))
LEFT ⇒ a.seats IN (SELECT m.seats AS s FROM musee.visits AS m WHERE m.person = b.person) ⇒ (LEFT(tnm, francos | -) ⋉ musee | (case(#12: TRUE; FALSE)) & (#3 = #16))
ONE ⇒ seats IN (SELECT 2 FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | #3 = Integer(2))
ONE ⇒ 2 IN (SELECT seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | #9 = Integer(2))
ONE ⇒ seats IN ((SELECT DISTINCT m.seats + 1 FROM musee.visits AS m WHERE m.person = a.person)) ⇒ (tnm ⋉ musee | #3 = Plus(#9, Integer(1)))
ONE ⇒ seats IN (SELECT a.seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | #3 = #3)
ONE ⇒ EXISTS ((SELECT DISTINCT m.seats, m.person, COALESCE(m.region, 'x') AS r FROM musee.visits AS m WHERE m.person = a.person ORDER BY 1 LIMIT 1)) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 2) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 10) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 007) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT '1') ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = a.person AND a.seats IN (1, 2)) ⇒ (tnm ⋉ opera | OneOf(#3, (1, 2)))
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.person) ⇒ (tnm ⋉ GroupPerson(musee, (), ()) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.person, m.region, m.seats + 1 HAVING SUM(m.seats) > 3) ⇒ (tnm ⋉ GroupPerson(musee, (#0, Plus(#3, Integer(1))), (PersonAggregate(SUM, #3, -, (), 1)))[InRange(2, 4, -)](3) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region) ⇒ (tnm ⋉ GroupPerson(musee, (#0), ()) | -)
ONE ⇒ EXISTS (SELECT m.person, m.region AS r FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region) ⇒ (tnm ⋉ GroupPerson(musee, (#0), ()) | -)
LEFT ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = b.person GROUP BY m.region HAVING COUNT(*) > 1) ⇒ (LEFT(tnm, francos | -) ⋉ GroupPerson(musee, (#0), (PersonAggregate(COUNT_ROWS, -, -, (), 1)))[InRange(1, 2, -)](2) | case(#12: TRUE; FALSE))
ONE ⇒ EXISTS (SELECT a.seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT m.person AS p FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT a.person FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND m.person IN (SELECT person FROM opera.visits)) ⇒ (tnm ⋉ (musee ⋉ opera[TRUE](0) | -) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND (m.person, m.seats) IN (SELECT person, seats FROM opera.visits)) ⇒ (tnm ⋉ (musee ⋉ opera[TRUE](3,) | #3 = #6) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = m.person)) ⇒ (tnm ⋉ (musee ⋉ opera | -) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND (EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = m.person) OR m.seats = 1)) ⇒ (tnm ⋉ mark(musee, opera | -)[Or((Holds(#6), InRange(3, -, 1)))](7) | -)
ONE ⇒ EXISTS (WITH z AS (SELECT person, seats FROM opera.visits WHERE seats = 2) SELECT 1 FROM z WHERE z.person = a.person) ⇒ (tnm ⋉ opera[InRange(3, 2, 2)](6)[TRUE](3,) | -)
ONE ⇒ person NOT IN ((SELECT person FROM musee.visits) UNION ALL (SELECT person FROM opera.visits)) ⇒ (tnm ▷ UnionAll((Arm(musee[TRUE](0), ()), Arm(opera[TRUE](0), ()))) | -)
ONE ⇒ (person) IN (SELECT person FROM musee.visits) ⇒ (tnm ⋉ musee[TRUE](0) | -)
ONE ⇒ (seats, person) IN (SELECT seats, person FROM musee.visits) ⇒ (tnm ⋉ musee[TRUE](3,) | #3 = #6)
ONE ⇒ seats IN (SELECT DISTINCT m.seats FROM musee.visits AS m WHERE m.person = a.person ) ⇒ (tnm ⋉ musee | #3 = #9)
ONE ⇒ seats = ANY (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ (tnm ⋉ musee | #3 = #9)
ONE ⇒ (SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person) IN (SELECT o.seats FROM opera.visits AS o WHERE o.person = a.person) ⇒ (LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -) ⋉ opera | #6 = #11)
ONE ⇒ ((SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person), person) IN (SELECT o.seats, o.person FROM opera.visits AS o) ⇒ (LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -) ⋉ opera[TRUE](3,) | #6 = #8)
ONE ⇒ EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = a.person AND o.seats = (SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = o.person) AND o.seats < a.seats) ⇒ (tnm ⋉ LEFT(opera, GroupPerson(musee, (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -)[Holds(#3 = #6)](8) | #9 < #3)
ONE ⇒ seats IN (SELECT (SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = o.person) FROM opera.visits AS o WHERE o.person = a.person) ⇒ (tnm ⋉ LEFT(opera, GroupPerson(musee, (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -) | #3 = #12)
LEFT ⇒ EXISTS (SELECT 1 FROM (SELECT person AS p, seats FROM opera.visits) AS o WHERE o.p = person) ⇒ (LEFT(tnm, francos | -) ⋉ opera[TRUE](3,) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m JOIN cirque.visits AS c USING (person) WHERE person = a.person) ⇒ (tnm ⋉ INNER(musee, cirque | -) | -)
ONE ⇒ EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND m.region = a.region) ⇒ (tnm ⋉ musee | #6 = #0)
    """
)
TERMS = table(
    """
ONE ⇒ (SELECT SUM(m.seats) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(SUM, #3, -, (), 1))) | -)[TRUE](6,) ⇒ NumberType(1, 0, 600, True, 0, 60, -) @ SUM(m.seats) FROM
ONE ⇒ (SELECT COUNT(*) + SUM(m.seats) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ Project(LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(COUNT_ROWS, -, -, (), 1), PersonAggregate(SUM, #3, -, (), 1))) | -), (Plus(case(#8: #6; Integer(0)), #7))) ⇒ NumberType(1, 0, 650, True, 0, 65, -) @ COUNT(*) +
ONE ⇒ (SELECT MAX(m.seats) AS z FROM musee.visits AS m WHERE m.person = a.person AND m.seats < 9) ⇒ LEFT(tnm, GroupPerson(musee[InRange(3, -, 8)](6), (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -)[TRUE](6,) ⇒ NumberType(1, 1, 12, True, 1, 12, -) @ MAX(m.seats) AS
ONE ⇒ (SELECT COUNT(m.seats) + 2 * COUNT(*) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ Project(LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(COUNT, #3, -, (), 1), PersonAggregate(COUNT_ROWS, -, -, (), 1))) | -), (Plus(case(#8: #6; Integer(0)), Times(case(#8: #7; Integer(0)), Integer(2))))) ⇒ NumberType(1, 0, 150, False, 0, 15, -) @ COUNT(m.seats) +
ONE ⇒ (SELECT COUNT(DISTINCT m.region) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ Project(LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(COUNT_DISTINCT, #0, -, (), 1))) | -), (case(#7: #6; Integer(0)))) ⇒ NumberType(1, 0, 50, False, 0, 5, -) @ COUNT(DISTINCT m.region)
ONE ⇒ (((SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person))) ⇒ Project(LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(COUNT_ROWS, -, -, (), 1))) | -), (case(#7: #6; Integer(0)))) ⇒ NumberType(1, 0, 50, False, 0, 5, -) @ COUNT(*) FROM
LEFT ⇒ (SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = b.person) ⇒ Project(LEFT(LEFT(tnm, francos | -), GroupPerson(musee, (), (PersonAggregate(COUNT_ROWS, -, -, (), 1))) | case(#12: TRUE; FALSE)), (case(#14: #13; Integer(0)))) ⇒ NumberType(1, 0, 50, False, 0, 5, -) @ COUNT(*) FROM
ONE ⇒ 1 + (SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person) + (SELECT COUNT(*) FROM opera.visits AS m WHERE m.person = a.person) ⇒ Project(LEFT(LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -), GroupPerson(opera, (), (PersonAggregate(COUNT_ROWS, -, -, (), 1))) | -), (Plus(Plus(Integer(1), #6), case(#9: #8; Integer(0))))) ⇒ NumberType(1, 2, 63, True, 2, 18, -) @ 1 +
ONE ⇒ (SELECT MIN(m.region) FROM opera.visits AS m WHERE m.person = a.person) ⇒ LEFT(tnm, GroupPerson(opera, (), (PersonAggregate(LEAST, #0, -, (), 1))) | -)[TRUE](6,) ⇒ CategoryType((nord, sud), True) @ MIN(m.region) FROM
ONE ⇒ NOT EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person) ⇒ Project(mark(tnm, francos | -), (not(#6))) ⇒ BooleanType(False) @ 1 FROM
ONE ⇒ EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person) OR seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ Project(mark(mark(mark(tnm, francos | -), musee | #3 = #10), musee | case(not(#3 = #11): FALSE; TRUE)), (AnyOf((#6, case(#7: TRUE; #8: NULL; FALSE))))) ⇒ BooleanType(True) @ 1 FROM
ONE ⇒ a.person NOT IN (SELECT person FROM opera.visits) ⇒ Project(mark(tnm, opera[TRUE](0) | -), (not(#6))) ⇒ BooleanType(False) @ a.person NOT
LEFT ⇒ b.person IN (SELECT person FROM opera.visits) ⇒ Project(mark(LEFT(tnm, francos | -), opera[TRUE](0) | -), (case(case(#12: TRUE; FALSE): #13; NULL))) ⇒ BooleanType(True) @ b.person IN
LEFT ⇒ (b.person, b.seats) IN (SELECT person, seats FROM opera.visits) ⇒ Project(mark(mark(LEFT(tnm, francos | -), opera[TRUE](3,) | #9 = #13), opera[TRUE](3,) | case(not(#9 = #14): FALSE; TRUE)), (case(case(#12: TRUE; FALSE): case(#13: TRUE; #14: NULL; FALSE); NULL))) ⇒ BooleanType(True) @ b.person, b.seats)
LEFT ⇒ (person, a.seats) IN (SELECT person, seats FROM opera.visits) ⇒ Project(mark(mark(LEFT(tnm, francos | -), opera[TRUE](3,) | #3 = #13), opera[TRUE](3,) | case(not(#3 = #14): FALSE; TRUE)), (case(#13: TRUE; #14: NULL; FALSE))) ⇒ BooleanType(True) @ person, a.seats)
ONE ⇒ (SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person) IN (SELECT o.seats FROM opera.visits AS o WHERE o.person = a.person) ⇒ Project(mark(mark(LEFT(tnm, GroupPerson(musee, (), (PersonAggregate(GREATEST, #3, -, (), 1))) | -), opera | #6 = #11), opera | case(not(#6 = #12): FALSE; TRUE)), (case(#8: TRUE; #9: NULL; FALSE))) ⇒ BooleanType(True) @ MAX(m.seats) FROM
ONE ⇒ region IN (SELECT region FROM opera.visits AS o WHERE o.person = a.person) ⇒ Project(mark(mark(tnm, opera | #0 = #6), opera | case(not(#0 = #7): FALSE; TRUE)), (case(#6: TRUE; #7: NULL; FALSE))) ⇒ BooleanType(True) @ region IN
OPERA ⇒ region IN (SELECT o.region FROM opera.visits AS o WHERE o.person = a.person AND o.amount < a.amount AND o.seats < 4) ⇒ Project(mark(mark(opera, opera[InRange(3, -, 3)](6) | (#10 < #4) & (#0 = #6)), opera[InRange(3, -, 3)](6) | (#11 < #4) & (case(not(#0 = #7): FALSE; TRUE))), (case(#6: TRUE; #7: NULL; FALSE))) ⇒ BooleanType(True) @ region IN
FULL ⇒ COALESCE(a.person, b.person) IN (SELECT person FROM opera.visits) ⇒ mark(FULL(tnm, francos | -), opera[TRUE](0) | -)[TRUE](14,) ⇒ BooleanType(False) @ COALESCE(a.person, b.person)
ONE ⇒ (WITH z AS (SELECT person FROM opera.visits) SELECT COUNT(*) FROM z WHERE z.person = a.person) ⇒ Project(LEFT(tnm, GroupPerson(opera[TRUE](0), (), (PersonAggregate(COUNT_ROWS, -, -, (), 1))) | -), (case(#7: #6; Integer(0)))) ⇒ NumberType(1, 0, 50, False, 0, 5, -) @ z AS
    """
)
REFUSED = table(
    """
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 0) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 00) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT NULL) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 0.4) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 1.0) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 1e0) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT '') ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT (1)) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT -1) ⇒ correlated @ 1 FROM | EXISTS
NOT EXISTS (SELECT 1 FROM opera.visits AS o JOIN musee.visits AS m ON m.person = o.person AND m.seats = a.seats WHERE o.person = a.person) ⇒ correlated @ a.seats WHERE
EXISTS (SELECT 1 FROM opera.visits AS o LEFT JOIN musee.visits AS m ON m.person = o.person AND m.seats = a.seats WHERE o.person = a.person) ⇒ correlated @ a.seats WHERE
EXISTS (SELECT 1 FROM opera.visits AS o SEMI JOIN musee.visits AS m ON m.person = o.person AND m.seats = a.seats WHERE o.person = a.person) ⇒ correlated @ a.seats WHERE
EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = a.person AND a.seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = o.person)) ⇒ correlated @ a.seats IN
EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = a.person AND (a.seats, o.person) IN (SELECT seats, person FROM musee.visits AS m)) ⇒ correlated @ a.seats, o.person)
EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = a.person AND (o.seats = 2 OR a.seats + 1 IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = o.person))) ⇒ correlated @ a.seats +
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY a.seats) ⇒ correlated @ a.seats)
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.seats HAVING SUM(a.seats) > 2) ⇒ correlated @ a.seats) >
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person OFFSET 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person LIMIT 2 OFFSET 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person HAVING TRUE) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person QUALIFY ROW_NUMBER() OVER (PARTITION BY m.person ORDER BY seats) = 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY ALL) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT nothing FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region) ⇒ not_grouped @ nothing FROM
EXISTS (SELECT m.seats + 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region) ⇒ not_grouped @ m.seats +
EXISTS (SELECT * FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region) ⇒ not_admitted @ * FROM
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region HAVING m.seats > 2) ⇒ not_grouped @ m.seats >
EXISTS (SELECT nothing FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region HAVING m.seats > 2) ⇒ not_grouped @ m.seats >
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY ALL HAVING COUNT(*) > 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.person LIMIT 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.person OFFSET 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.person QUALIFY TRUE) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY 2) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY nothing) ⇒ unknown_name @ nothing)
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region HAVING SUM(m.nothing) > 1) ⇒ unknown_name @ m.nothing) >
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.region HAVING m.seats > 1) ⇒ not_grouped @ m.seats >
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person HAVING COUNT(*) > 1) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND m.seats < a.seats GROUP BY m.person) ⇒ correlated @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND b.seats < a.seats GROUP BY m.person) ⇒ unknown_name @ b.seats < | other
EXISTS (SELECT m.nothing FROM musee.visits AS m WHERE m.person = a.person) ⇒ unknown_name @ m.nothing FROM
EXISTS (SELECT nothing AS x FROM musee.visits AS m WHERE m.person = a.person) ⇒ unknown_name @ nothing AS
EXISTS (SELECT m.* FROM musee.visits AS m WHERE m.person = a.person) ⇒ row_output @ m.* FROM
EXISTS (SELECT (SELECT MAX(seats) FROM cirque.visits AS c WHERE c.person = m.person) FROM musee.visits AS m WHERE m.person = a.person) ⇒ not_admitted @ MAX(seats) FROM
EXISTS (SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person) ⇒ correlated @ COUNT(*) FROM | EXISTS
EXISTS (SELECT 1 + 'x' FROM musee.visits AS m WHERE m.person = a.person) ⇒ argument_type @ 'x' FROM
EXISTS (SELECT x.y FROM musee.visits AS m WHERE m.person = a.person) ⇒ unknown_name @ x.y FROM
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.seats = a.seats) ⇒ join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = m.person) ⇒ join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE a.person = a.person) ⇒ unit_use @ a.person =, unit_use @ a.person), join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE TRUE) ⇒ join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND a.person = a.person) ⇒ unit_use @ a.person =, unit_use @ a.person)
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND m.nothing = 1) ⇒ unknown_name @ m.nothing =
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND m.seats) ⇒ comparison_types @ m.seats)
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND a.person IN (SELECT person FROM opera.visits)) ⇒ correlated @ a.person IN | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND (a.person, m.seats) IN (SELECT person, seats FROM opera.visits)) ⇒ correlated @ a.person, m.seats) | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person OR TRUE) ⇒ unit_use @ m.person =, unit_use @ a.person OR, join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND EXISTS (SELECT 1 FROM opera.visits AS o WHERE o.person = a.person)) ⇒ unit_use @ o.person =, unknown_name @ a.person)), join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person AND NOT EXISTS (SELECT 1 FROM opera.visits AS o)) ⇒ join_without_unit @ 1 FROM | EXISTS
EXISTS (SELECT 1 FROM nobody.visits AS m WHERE m.person = a.person) ⇒ unknown_name @ nobody.visits AS | other
EXISTS (SELECT 1 FROM nobody.visits AS m WHERE m.person = a.person) OR nothing = 1 ⇒ unknown_name @ nobody.visits AS | other, unknown_name @ nothing =
EXISTS (SELECT 1 FROM (SELECT region, COUNT(*) AS n FROM musee.visits GROUP BY region) AS m WHERE m.region = a.region) ⇒ release_in_personal @ 1 FROM | other
EXISTS (SELECT person FROM musee.visits INTERSECT SELECT person FROM opera.visits) ⇒ correlated @ person FROM | EXISTS
EXISTS (SELECT person FROM musee.visits INTERSECT SELECT person FROM opera.visits) OR seats = 1 ⇒ correlated @ person FROM | EXISTS
EXISTS (SELECT COUNT(*) FROM musee.visits AS m) ⇒ release_in_personal @ COUNT(*) FROM | TWO
EXISTS (SELECT COUNT(*) FROM musee.visits AS m WHERE m.seats < a.seats) ⇒ join_without_unit @ COUNT(*) FROM | EXISTS
person IN (SELECT COUNT(*) FROM musee.visits) ⇒ set_operation @ person IN
person IN (SELECT seats FROM musee.visits) ⇒ set_operation @ person IN
person IN (SELECT person, seats FROM musee.visits) ⇒ set_operation @ person IN
person IN (SELECT person FROM nobody.visits) ⇒ unknown_name @ nobody.visits) | other
person IN (SELECT person FROM nobody.visits) OR seats = 1 ⇒ unknown_name @ nobody.visits) OR | other
nothing IN (SELECT seats FROM musee.visits AS m WHERE m.person = a.person) ⇒ unknown_name @ nothing IN
seats IN (SELECT nothing FROM musee.visits AS m WHERE m.person = a.person) ⇒ unknown_name @ nothing FROM
seats IN (SELECT region FROM musee.visits AS m WHERE m.person = a.person) ⇒ comparison_types @ seats IN
NOT seats IN (SELECT region FROM musee.visits AS m WHERE m.person = a.person) OR seats = 1 ⇒ comparison_types @ seats IN
(person, nothing) IN (SELECT person, seats FROM musee.visits) ⇒ unknown_name @ nothing) IN
(person, seats) IN (SELECT person, nothing FROM musee.visits) ⇒ unknown_name @ nothing FROM
(person, seats) IN (SELECT seats, person FROM musee.visits) ⇒ set_operation @ person, seats)
(person, seats) IN (SELECT person, seats, region FROM musee.visits) ⇒ set_operation @ person, seats)
(person, seats, region) IN (SELECT person, seats FROM musee.visits) ⇒ set_operation @ person, seats,
(seats, region) IN (SELECT seats, region FROM musee.visits) ⇒ set_operation @ seats, region)
(seats, region) IN (SELECT m.seats, m.region FROM musee.visits AS m WHERE m.person = a.person) ⇒ unit_use @ m.person =, unknown_name @ a.person)
(person, seats) IN (SELECT COUNT(*), MAX(seats) FROM musee.visits) ⇒ aggregate_not_admitted @ MAX(seats) FROM | other
(person, a.person) IN (SELECT person, person FROM musee.visits) ⇒ unit_use @ person, person
(person, person) IN (SELECT person, seats FROM musee.visits) ⇒ set_operation @ person, person)
(person, seats) IN (SELECT person, region FROM musee.visits) ⇒ comparison_types @ person, seats)
(person, seats) IN (SELECT person, region FROM musee.visits) OR seats = 1 ⇒ comparison_types @ person, seats)
(person, seats) IN (SELECT person, seats FROM nobody.visits) ⇒ unknown_name @ nobody.visits) | other
(nobody, person) IN (SELECT seats, person FROM musee.visits) ⇒ unknown_name @ nobody, person)
(region, seats) IN (SELECT region, seats FROM musee.visits) ⇒ set_operation @ region, seats)
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.seats) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person HAVING TRUE) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person LIMIT 1) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person OFFSET 1) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person ORDER BY 1) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person QUALIFY TRUE) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats, m.region FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ seats IN | IN
seats IN (SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person UNION ALL SELECT 1) ⇒ correlated @ seats IN | IN
seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person AND m.nothing = 1) ⇒ unknown_name @ m.nothing =
seats IN (SELECT m.person FROM musee.visits AS m WHERE m.person = a.person ) ⇒ unit_use @ m.person FROM
seats IN (SELECT * FROM musee.visits AS m WHERE m.person = a.person ) ⇒ not_admitted @ * FROM
seats IN (SELECT m.seats FROM musee.visits AS m) ⇒ join_without_unit @ m.seats FROM | EXISTS
seats IN (SELECT m.seats FROM nobody.visits AS m) OR seats = 1 ⇒ unknown_name @ nobody.visits AS | other
(person, seats) IN (SELECT COUNT(*), COUNT(DISTINCT person) FROM musee.visits) ⇒ set_operation @ person, seats)
EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person GROUP BY a.region) ⇒ correlated @ a.region)
    """
)
REFUSED_TERMS = table(
    """
(SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person GROUP BY m.person) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person HAVING COUNT(*) > 1) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person ORDER BY 1) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person LIMIT 1) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person OFFSET 1) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person QUALIFY TRUE) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT DISTINCT COUNT(*) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT COUNT(*), MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ COUNT(*), MAX(m.seats) | EXISTS
(SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ m.seats FROM | EXISTS
(SELECT SUM(m.nothing) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ unknown_name @ m.nothing) FROM
(SELECT SUM(m.region) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ measure_required @ SUM(m.region) FROM
(SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person AND m.seats < a.seats) ⇒ correlated @ MAX(m.seats) FROM | EXISTS
(SELECT MAX(m.seats) + a.seats FROM musee.visits AS m WHERE m.person = a.person ) ⇒ not_grouped @ a.seats FROM
(SELECT SUM(a.seats) FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ a.seats) FROM
(SELECT COUNT(*) + m.seats FROM musee.visits AS m WHERE m.person = a.person ) ⇒ not_grouped @ m.seats FROM
(SELECT 1 FROM musee.visits AS m WHERE m.person = a.person ) ⇒ correlated @ 1 FROM | EXISTS
(SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person AND m.nothing = 1) ⇒ unknown_name @ m.nothing =
(SELECT COUNT(*) FILTER (WHERE a.seats > 2) FROM musee.visits AS m WHERE m.person = a.person) ⇒ correlated @ a.seats >
(SELECT COUNT(*) FROM musee.visits AS m) ⇒ release_in_personal @ COUNT(*) FROM | TWO
(SELECT COUNT(*) FROM musee.visits AS m UNION ALL SELECT 1) ⇒ correlated @ COUNT(*) FROM | EXISTS
(SELECT MAX(m.seats) FROM musee.visits AS m WHERE m.person = a.person) + region ⇒ argument_type @ region AS
EXISTS (SELECT 1 FROM francos.visits AS c WHERE c.person = a.person) = 1 ⇒ comparison_types @ 1 FROM
(seats IN (SELECT m.seats FROM musee.visits AS m WHERE m.person = a.person)) = 'x' ⇒ comparison_types @ seats IN
x.person IN (SELECT person FROM opera.visits) ⇒ unknown_name @ x.person IN, join_without_unit @ person FROM | EXISTS
    """
)


def refused(sql: str) -> str:
    """Return each reason: its code, where it stands, and which hint it gives."""
    _, reasons = bound(sql)
    found = []
    for each in reasons:
        hint = None if each.hint is None else (each.hint.fr, each.hint.en)
        names = [name for name, text in HINTS.items() if hint == (text, text)]
        name = "TWO" if hint == TWO else names[0] if names else "other"
        found.append(f"{each.code} @ {at(sql, each.position)}" + (f" | {name}" if hint else ""))
    return ", ".join(found)


@pytest.mark.parametrize(("source", "condition", "expected"), KEPT)
def test_where_keeps_rows_by_what_meets_them(source: str, condition: str, expected: str) -> None:
    found, reasons = bound(f"SELECT person FROM {SOURCES[source]} WHERE {condition}")
    assert not reasons
    assert found is not None
    # The last step takes no column, since the person alone is asked for.
    assert shown(found.relation) == f"{expected}[TRUE](0)"


@pytest.mark.parametrize(("source", "term", "expected", "kind"), TERMS)
def test_a_term_knows_of_the_same_person_alone(source: str, term: str, expected: str, kind: str) -> None:
    sql = f"SELECT person, {term} AS x FROM {SOURCES[source]}"
    found, reasons = bound(sql)
    assert not reasons
    assert found is not None
    (only,) = found.columns
    assert shown(found.relation) == expected
    assert f"{shown(only.type)} @ {at(sql, only.position)}" == kind


@pytest.mark.parametrize(("condition", "reasons"), REFUSED)
def test_what_looks_at_others_is_refused_once(condition: str, reasons: str) -> None:
    assert refused(f"SELECT person FROM {ONE} WHERE {condition}") == reasons


@pytest.mark.parametrize(("term", "reasons"), REFUSED_TERMS)
def test_a_term_that_looks_at_others_is_refused_once(term: str, reasons: str) -> None:
    assert refused(f"SELECT person, {term} AS x FROM {ONE}") == reasons


@pytest.mark.parametrize(
    ("condition", "shape"),
    [
        (
            "person IN (SELECT seats FROM musee.visits)",
            ("la personne : person IN (SELECT person FROM …)", "the person: person IN (SELECT person FROM …)"),
        ),
        (
            "(person, seats) IN (SELECT seats, person FROM musee.visits)",
            ("la personne à la même place des deux côtés", "the person at the same place on both sides"),
        ),
    ],
)
def test_a_refusal_says_what_shape_is_admitted(condition: str, shape: tuple[str, str]) -> None:
    _, (reason,) = bound(f"SELECT person FROM {ONE} WHERE {condition}")
    assert reason.message.fr == f"IN (SELECT …) n'est admis que pour {shape[0]}"
    assert shape[1] in reason.message.en
    assert "IN (SELECT …)" in reason.message.en
