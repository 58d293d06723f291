"""One spelling for relations that say the same: equal questions, written differently, are one plan and one price (S40).

What is kept: for every unit the multiset of rows, columns renumbered; where only persons are looked at, the set of
units. So the exact vector is that of the relation as it was bound, and tests hold the two equal. Applied before joins
are capped: a cut takes the first rows in the order of all columns, and the plan that is run is the canonical one.

- Inner joins commute and associate: rows of one unit pair on every side, filtered by every condition.
- A semi-join filters rows, as WHERE does: filters may stand in any order, and twice is once.
- INTERSECT is one set whatever its order, EXCEPT takes sets away in any order, since rows are made distinct after.
- UNION ALL is a sum of its arms. RIGHT JOIN is LEFT JOIN from the other side.
- Columns may stand in any order, but below what breaks ties by all columns in their order (S20): there it stays.

No rule removes a table (S1), an owner, or a compared column from a plan: what the gate looks at is all still there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cleanroom.query import algebra
from cleanroom.query.algebra import JoinKind, Relation, Truth, column_count
from cleanroom.query.canonical_columns import Placed, aggregate_over, same_rows, window_over
from cleanroom.query.canonical_terms import canonical_predicate, canonical_term, conjuncts, together
from cleanroom.query.person_rows import PersonFunction
from cleanroom.query.row_filters import with_columns
from cleanroom.query.terms import language as t
from cleanroom.query.terms.rewriting import rewritten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def canonical(relation: Relation, *, once: bool) -> Placed:
    """Return the one spelling of a relation.

    Args:
        once: whether it does not matter how often a row occurs.
    """
    if once and not column_count(relation):
        return Placed(_persons(relation), ())
    if once and isinstance(relation, algebra.Semi):
        made = _distinct(algebra.Distinct(relation))
        if isinstance(made.relation, algebra.Distinct):
            return Placed(made.relation.source, made.places)
    return _placed(relation)


def _placed(relation: Relation) -> Placed:
    match relation:
        case algebra.Scan():
            return _as_it_is(relation)
        case algebra.Select() | algebra.Semi():
            return _filtered(relation)
        case algebra.Join(kind=JoinKind.INNER):
            return _inner(relation)
        case algebra.Join():
            return _outer(relation)
        case algebra.Project(source=source, terms=terms):
            below = _placed(source)
            return _sorted_columns([below.term(term) for term in terms], below.relation)
        case algebra.Distinct():
            return _distinct(relation)
        case algebra.Persons():
            return Placed(algebra.Persons(_persons(relation.source)), ())
        case algebra.UnionAll():
            return _union(relation)
        case algebra.Mark(source=source, other=other, condition=condition):
            below, met, condition = _met(source, other, condition)
            made = algebra.Mark(below.relation, met, condition)
            return Placed(made, (*below.places, len(below.places)))
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            ordered = any(each.function in {PersonFunction.FIRST, PersonFunction.LAST} for each in aggregates)
            below = _as_it_is(_fixed(source)) if ordered else _placed(source)
            grouped = tuple(aggregate_over(each, below) for each in aggregates)
            return _as_it_is(algebra.GroupPerson(below.relation, tuple(map(below.term, keys)), grouped))
        case algebra.Window(source=source, functions=functions):
            below = _as_it_is(_fixed(source))
            return _as_it_is(algebra.Window(below.relation, tuple(window_over(each, below) for each in functions)))
        case algebra.FirstRows(source=source):
            return _as_it_is(replace(relation, source=_fixed(source)))
        case algebra.JoinPublic(source=source, condition=condition, table=table):
            below = _placed(source)
            width = len(below.places)
            places = (*below.places, *range(width, width + len(table.columns)))
            made_public = replace(relation, source=below.relation)
            return Placed(replace(made_public, condition=Placed(made_public, places).term(condition)), places)


def _as_it_is(relation: Relation) -> Placed:
    return Placed(relation, tuple(range(column_count(relation))))


def _fixed(relation: Relation) -> Relation:
    """Return the one spelling of a relation whose columns stay where they are."""
    made = _placed(relation)
    return _arranged(made.relation, made.places)


def _arranged(relation: Relation, columns: Sequence[int]) -> Relation:
    if tuple(columns) == tuple(range(column_count(relation))):
        return relation
    if isinstance(relation, algebra.Select):
        return replace(relation, columns=tuple(relation.columns[place] for place in columns))
    return algebra.Select(relation, Truth.TRUE, tuple(columns))


def _sorted_columns(terms: list[t.Term], source: Relation) -> Placed:
    order = sorted(range(len(terms)), key=lambda place: (repr(terms[place]), place))
    made = algebra.Project(source, tuple(terms[place] for place in order))
    return Placed(made, tuple(order.index(place) for place in range(len(terms))))


# Filters: WHERE, IN, EXISTS, NOT IN


@dataclass(frozen=True, slots=True)
class _Filters:
    """A relation taken apart: rows of a base that pass a predicate and semi-joins, and these of its columns."""

    base: Relation
    predicate: algebra.Predicate
    semis: tuple[algebra.Semi, ...]
    columns: tuple[int, ...]


def _apart(relation: Relation) -> _Filters:
    """Take filters off; each semi-join's condition is over the base's columns, then the other side's."""
    match relation:
        case algebra.Select(source=source, predicate=predicate, columns=columns):
            below = _apart(source)
            moved = with_columns(predicate, dict(enumerate(below.columns)))
            both = canonical_predicate(algebra.And((below.predicate, moved)))
            return replace(below, predicate=both, columns=tuple(below.columns[place] for place in columns))
        case algebra.Semi(source=source, other=other, negated=negated, condition=condition):
            below = _apart(source)
            width = column_count(below.base)
            met = Placed(_persons(other), ()) if condition is None else _placed(other)
            places = (*below.columns, *(width + place for place in met.places))
            moved_condition = None if condition is None else Placed(relation, places).term(condition)
            semi = algebra.Semi(below.base, met.relation, negated, moved_condition)
            return replace(below, semis=(*below.semis, semi))
        case _:
            made = _placed(relation)
            return _Filters(made.relation, Truth.TRUE, (), made.places)


def _filtered(relation: Relation) -> Placed:
    return _put_together(_apart(relation))


def _put_together(found: _Filters) -> Placed:
    width = column_count(found.base)
    looked = {place for semi in found.semis for place in _own_columns(semi, width)}
    needed = sorted({*found.columns, *looked})
    relation = found.base
    if found.predicate is not Truth.TRUE or needed != list(range(width)):
        relation = algebra.Select(relation, found.predicate, tuple(needed))
    places = {old: new for new, old in enumerate(needed)}
    for semi in sorted(set(found.semis), key=lambda each: repr((each.other, each.negated, each.condition))):
        condition = semi.condition
        if condition is not None:
            condition = canonical_term(rewritten(condition, lambda index: t.Column(_moved(index, width, places))))
        relation = algebra.Semi(relation, semi.other, semi.negated, condition)
    wanted = [places[column] for column in found.columns]
    if sorted(wanted) == list(range(len(needed))):
        return Placed(relation, tuple(wanted))
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], place))
    made = algebra.Select(relation, Truth.TRUE, tuple(wanted[place] for place in order))
    return Placed(made, tuple(order.index(place) for place in range(len(wanted))))


def _own_columns(semi: algebra.Semi, width: int) -> list[int]:
    return [] if semi.condition is None else [place for place in t.columns_of(semi.condition) if place < width]


def _moved(index: int, width: int, places: dict[int, int]) -> int:
    return places[index] if index < width else len(places) + index - width


def _met(source: Relation, other: Relation, condition: t.Term | None) -> tuple[Placed, Relation, t.Term | None]:
    below = _placed(source)
    if condition is None:
        return below, _persons(other), None
    met = _placed(other)
    places = (*below.places, *(len(below.places) + place for place in met.places))
    return below, met.relation, Placed(source, places).term(condition)


# Persons


def _persons(relation: Relation) -> Relation:
    """Return the one spelling of the set of units of a relation, without columns: an intersection, less others."""
    within, without = _sets(relation)
    first, *rest = _once_each(within)
    made = first
    for each in rest:
        made = algebra.Semi(made, each)
    for each in _once_each(without):
        made = algebra.Semi(made, each, negated=True)
    return made


def _sets(relation: Relation) -> tuple[list[Relation], list[Relation]]:
    """Return sets of units whose intersection, less the second ones, is the units of `relation`."""
    match relation:
        case algebra.Join(left=left, right=right, kind=JoinKind.INNER, condition=None):
            (a, b), (c, d) = _sets(left), _sets(right)
            return [*a, *c], [*b, *d]
        case algebra.Persons(source=source) if not _unites(source):
            return _sets(source)
        case algebra.Persons(source=source):
            return [algebra.Persons(_persons(source))], []
        case algebra.UnionAll(arms=arms):
            found = _once_each(_persons(arm.relation) for arm in _arms(arms))
            return [
                found[0] if len(found) == 1 else algebra.UnionAll(tuple(algebra.Arm(each, ()) for each in found))
            ], []
        case algebra.Select() | algebra.Semi():
            apart = _apart(relation)
            within: list[Relation] = []
            without: list[Relation] = []
            own = replace(apart, semis=tuple(each for each in apart.semis if each.condition is not None), columns=())
            for semi in apart.semis:
                if semi.condition is None and semi.negated:
                    without.append(semi.other)
                elif semi.condition is None:
                    a, b = _sets(semi.other)
                    within, without = [*within, *a], [*without, *b]
            if own.predicate is Truth.TRUE and not own.semis:
                a, b = _sets(own.base) if not isinstance(own.base, algebra.Scan) else ([_bare(own.base)], [])
                return [*a, *within], [*b, *without]
            return [_put_together(own).relation, *within], without
        case _:
            return [_bare(_placed(relation).relation)], []


def _unites(relation: Relation) -> bool:
    """Return whether rows of several owners lie beside each other and are put together only by being made persons.

    The gate calls that an overlap (S43); the node that says so stays.
    """
    within = relation
    while isinstance(within, algebra.Select):
        within = within.source
    owners = {scan.table.owner for scan in algebra.scans(relation)}
    return len(owners) > 1 and not isinstance(within, algebra.Semi | algebra.Join)


def _bare(relation: Relation) -> Relation:
    """Return a relation without its columns."""
    match relation:
        case algebra.Scan(table=table):
            return algebra.Scan(table, ())
        case _ if not column_count(relation):
            return relation
        case algebra.Select(source=source, predicate=predicate):
            return algebra.Select(source, predicate, ())
        case _:
            return algebra.Select(relation, Truth.TRUE, ())


def _once_each(relations: Iterable[Relation]) -> list[Relation]:
    return [relation for _, relation in sorted({repr(each): each for each in relations}.items())]


# Joins


def _inner(relation: algebra.Join) -> Placed:
    """Write a nest of inner joins in the order of what is joined; conditions as early as their columns are there."""
    sides, terms = _nest(relation)
    if any(isinstance(side, algebra.Join) for side in sides):
        left, right = _placed(relation.left), _placed(relation.right)
        places = (*left.places, *(len(left.places) + place for place in right.places))
        condition = None if relation.condition is None else Placed(relation, places).term(relation.condition)
        return Placed(replace(relation, left=left.relation, right=right.relation, condition=condition), places)
    made = [_placed(side) for side in sides]
    order = sorted(range(len(sides)), key=lambda at: (repr(made[at].relation), at))
    begins, width = {}, 0
    for at in order:
        begins[at], width = width, width + len(made[at].places)
    places = tuple(begins[at] + place for at, side in enumerate(made) for place in side.places)
    waiting = list(conjuncts(together(Placed(relation, places).term(term) for term in terms)))
    joined = made[order[0]].relation
    reach = len(made[order[0]].places)
    for at in order[1:]:
        reach += len(made[at].places)
        now = [term for term in waiting if max(t.columns_of(term), default=-1) < reach]
        waiting = [term for term in waiting if term not in now]
        joined = algebra.Join(joined, made[at].relation, JoinKind.INNER, together(now))
    return Placed(joined, places)


def _nest(relation: Relation) -> tuple[list[Relation], list[t.Term]]:
    if isinstance(relation, algebra.Join) and relation.kind is JoinKind.INNER:
        sides, terms = _nest(relation.left)
        return [*sides, relation.right], [*terms, *([relation.condition] if relation.condition is not None else [])]
    return [relation], []


def _outer(relation: algebra.Join) -> Placed:
    left, right = _placed(relation.left), _placed(relation.right)
    widths = len(left.places), len(right.places)
    kind = relation.kind
    nested = isinstance(relation.left, algebra.Join) or isinstance(relation.right, algebra.Join)
    swapped = kind is JoinKind.RIGHT or (kind is JoinKind.FULL and repr(right.relation) < repr(left.relation))
    if nested or not swapped:
        places = (*left.places, *(widths[0] + place for place in right.places))
        sides = left.relation, right.relation
    else:
        places = (*(widths[1] + place for place in left.places), *right.places)
        sides = right.relation, left.relation
        kind = JoinKind.LEFT if kind is JoinKind.RIGHT else kind
    condition = None if relation.condition is None else Placed(relation, places).term(relation.condition)
    marks = list(range(sum(widths), sum(widths) + kind.keeps_left + kind.keeps_right))
    if len(marks) == 2 and swapped and not nested:
        marks.reverse()
    return Placed(algebra.Join(*sides, kind, condition), (*places, *marks))


# Sets


def _distinct(relation: algebra.Distinct) -> Placed:
    """Write INTERSECT and EXCEPT in the order of their arms; all else as it is, its rows once each."""
    same = same_rows(column_count(relation))
    chain: list[algebra.Semi] = []
    source = relation.source
    while isinstance(source, algebra.Semi) and source.condition == same and same is not None:
        chain.append(source)
        source = source.source
    if not chain:
        below = _placed(relation.source)
        return Placed(algebra.Distinct(below.relation), below.places)
    within = _once_each([_fixed(source), *(_fixed(each.other) for each in chain if not each.negated)])
    made = within[0]
    for each in within[1:]:
        made = algebra.Semi(made, each, condition=canonical_term(same))  # type: ignore[arg-type]
    for each in _once_each(_fixed(each.other) for each in chain if each.negated):
        made = algebra.Semi(made, each, negated=True, condition=canonical_term(same))  # type: ignore[arg-type]
    return _as_it_is(algebra.Distinct(made))


def _arms(arms: Iterable[algebra.Arm]) -> list[algebra.Arm]:
    found: list[algebra.Arm] = []
    for arm in arms:
        if isinstance(arm.relation, algebra.UnionAll) and not any(arm.recodes):
            found += _arms(arm.relation.arms)
        else:
            found.append(arm)
    return found


def _union(relation: algebra.UnionAll) -> Placed:
    arms = [(_placed(arm.relation), arm.recodes) for arm in _arms(relation.arms)]
    arms.sort(key=lambda arm: (repr(arm[0].relation), arm[0].places, repr(arm[1])))
    width = column_count(relation)
    order = sorted(
        range(width), key=lambda place: [(made.places[place], repr(recodes[place])) for made, recodes in arms]
    )
    united = tuple(
        algebra.Arm(
            _arranged(made.relation, [made.places[place] for place in order]),
            tuple(recodes[place] for place in order),
        )
        for made, recodes in arms
    )
    return Placed(algebra.UnionAll(united), tuple(order.index(place) for place in range(width)))
