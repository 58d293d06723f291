"""SELECTs over released and public tables: post-processing, which costs nothing (DESIGN §3).

A released table is a value of the question's own plan, priced before anything is read; what is said here about it
cannot fail, and cannot flow back among rows of people (S24).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.identifiers import fold
from cleanroom.query.binding.aggregates import calls_in
from cleanroom.query.binding.public_columns import label_of, release_columns
from cleanroom.query.binding.public_constants import Bound, constant, constant_of
from cleanroom.query.binding.public_joins import joined_rows, sources_of
from cleanroom.query.binding.public_numbers import PublicNumbers, has_a_row
from cleanroom.query.binding.public_terms import PublicScope, PublicSource
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, PublicColumn, PublicRelation, PublicSelect, Ref, ReleaseTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.query.binding.personal import Release
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment, Item

MOST_LIMIT: Final = 1_000_000
MOST_COLUMNS: Final = 1_000


def over_release(
    selects: Selects,
    node: exp.Select,
    names: Environment,
    release: Release,
    number: int,
    replaced: Mapping[int, int],
    *,
    counted: int | None,
) -> PublicRelation:
    """Bind what a SELECT of aggregates says beyond them, over its released table.

    Args:
        replaced: for nodes that are keys or aggregates, by identity, the released column that stands for them.
        counted: the persons of each cell, where the text asks for keys alone; those of less than one are left out, as
            plain SQL leaves out keys that nobody has (S25).
    """
    table = ReleaseTable(number, release_columns(release.keys, release.outputs, number))
    numbers = PublicNumbers(selects, names, len(table.columns))
    scope = PublicScope(selects.asking, [PublicSource("", "", table.columns, 0)], replaced, numbers=numbers.number)
    outputs, columns = _outputs(selects, node, scope)
    aliased = replace(scope, aliases=_aliases(node))
    having = node.args.get("having")
    held = replace(aliased, windows=False).of_kind(having.this, Kind.TRUTH) if having is not None else None
    if counted is not None:
        one = constant_of(Decimal(1), Kind.NUMBER)
        there = scope.made(p.Op.LESS_OR_EQUAL, [one, (Ref(counted), table.columns[counted])], Kind.TRUTH)
        held = there if held is None else scope.made(p.Op.AND, [there, held], Kind.TRUTH)
    distinct = counted is not None and node.args.get("group") is None
    return selected(selects, node, table, held, outputs, columns, aliased, numbers=numbers, distinct=distinct or None)


def public_select(selects: Selects, node: exp.Select, items: list[Item], names: Environment) -> PublicRelation:
    """Bind a SELECT whose relations are all public."""
    joined, merged = joined_rows(selects, items)
    sources = sources_of(items)
    once = not isinstance(joined, p.PublicJoin)
    numbers = PublicNumbers(selects, names, len(joined.columns))
    scope = PublicScope(selects.asking, sources, once=once, merged=merged, numbers=numbers.number)
    where = node.args.get("where")
    held = scope.of_kind(where.this, Kind.TRUTH) if where is not None else None
    group = node.args.get("group")
    grouped = group is not None or _folds(node)
    if not grouped:
        outputs, columns = _outputs(selects, node, scope)
        if node.args.get("having"):
            selects.asking.stop("not_admitted", node, what="HAVING")
        aliased = replace(scope, aliases=_aliases(node))
        return selected(selects, node, joined, held, outputs, columns, aliased, numbers=numbers)
    return _Grouped(selects, node, scope, joined, numbers).bound(held)


def numbers_alone(selects: Selects, node: exp.Select, names: Environment) -> PublicRelation:
    """Bind a SELECT without FROM: one row of numbers, each of a release of its own."""
    numbers = PublicNumbers(selects, names, 0)
    scope = PublicScope(selects.asking, [], numbers=numbers.number)
    outputs, columns = _outputs(selects, node, scope)
    if not numbers.found or not all(has_a_row(selects, each) for each in numbers.found):
        selects.asking.stop("row_output", node)
    if any(node.args.get(part) for part in ("where", "group", "having", "qualify")):
        selects.asking.stop("not_admitted", node, what="SELECT")
    return selected(selects, node, None, None, outputs, columns, scope, numbers=numbers)


def _folds(node: exp.Select) -> bool:
    clauses = [*node.expressions, node.args.get("having"), node.args.get("order")]
    return any(True for clause in clauses if clause is not None for _ in calls_in(clause))


@dataclass
class _Grouped:
    """A SELECT with GROUP BY, or with aggregates, over public rows."""

    selects: Selects
    node: exp.Select
    scope: PublicScope
    source: PublicRelation
    numbers: PublicNumbers

    def bound(self, held: Bound | None) -> PublicRelation:
        """Compute the keys beside the rows, then group by them."""
        keys = self.keys()
        source = self.numbers.joined(self.source)
        rows = list(source.columns)
        terms = [*(Ref(place) for place in range(len(rows))), *(term for term, _ in keys)]
        columns = [*rows, *(replace(column, name="", label="") for _, column in keys)]
        where = held[0] if held is not None else None
        inner = PublicSelect(source, where, None, None, tuple(terms), tuple(columns))
        wide = [*self.scope.sources, PublicSource("\0", "\0", tuple(columns[len(rows) :]), len(rows))]
        groups = tuple(Ref(len(rows) + place) for place in range(len(keys)))

        def instead(node: exp.Expr) -> Bound | None:
            noted = len(self.selects.asking.reasons)
            if any(True for _ in calls_in(node)) or isinstance(node, (exp.Window, exp.Literal)):
                return None
            found = self.scope.bind(node)
            del self.selects.asking.reasons[noted:]
            for place, (term, column) in enumerate(keys):
                if found is not None and found[0] == term:
                    return Ref(len(rows) + place), column
            if isinstance(node, exp.Column):
                self.selects.asking.refuse("not_grouped", node, name=str(node.name)[:80])
                return p.Value(None, Kind.NUMBER), PublicColumn("", "", Kind.NUMBER)
            return None

        # What looks at groups sees keys and aggregates; a number of another relation is neither.
        scope = replace(self.scope, sources=wide, folds=True, windows=False, instead=instead, numbers=None)
        # The argument of an aggregate looks at rows, not at groups.
        scope = _FoldingScope(**{name: getattr(scope, name) for name in scope.__dataclass_fields__})
        outputs, shown = _outputs(self.selects, self.node, scope)
        aliased = replace(scope, aliases=_aliases(self.node))
        having = self.node.args.get("having")
        wanted = aliased.of_kind(having.this, Kind.TRUTH) if having is not None else None
        if self.node.args.get("qualify"):
            hint = ("… FROM (SELECT … GROUP BY …) AS t QUALIFY …", "… FROM (SELECT … GROUP BY …) AS t QUALIFY …")
            self.selects.asking.stop("not_admitted", self.node.args["qualify"], hint, what="QUALIFY")
        return selected(self.selects, self.node, inner, None, outputs, shown, aliased, groups, wanted)

    def keys(self) -> list[Bound]:
        """Bind GROUP BY over public rows: plain keys only."""
        group = self.node.args.get("group")
        if group is None:
            return []
        plain = list(group.expressions)
        if group.args.get("all"):
            plain = [_bare(out) for out in self.node.expressions if not any(True for _ in calls_in(out))]
        if any(isinstance(each, (exp.Rollup, exp.Cube, exp.GroupingSets)) for each in plain):
            self.selects.asking.stop("not_admitted", group, what="ROLLUP, CUBE, GROUPING SETS")
        found: list[Bound] = []
        for each in plain:
            written = self.written(each)
            bound = self.scope.bind(written) if written is not None else None
            if bound is not None and all(bound[0] != term for term, _ in found):
                found.append(bound)
        return found

    def written(self, each: exp.Expr) -> exp.Expr | None:
        """Return what an ordinal or an alias stands for."""
        if isinstance(each, exp.Literal) and not each.is_string:
            return _ordinal(self.selects, self.node, each)
        if isinstance(each, exp.Column) and not each.table:
            name = fold(str(each.name))
            if not any(column.name == name for column in self.scope.columns) and name in _aliases(self.node):
                return _aliases(self.node)[name]
        return each


class _FoldingScope(PublicScope):
    """Names over groups; the arguments of aggregates are bound over the rows below, without `instead`."""

    def fold(self, node: exp.Expr, window: p.PublicWindow | None) -> Bound | None:
        plain = PublicScope(self.asking, self.sources, folds=True, windows=False, once=self.once, merged=self.merged)
        return plain.fold(node, window)


def _bare(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Alias) else node


def _aliases(node: exp.Select) -> dict[str, exp.Expr]:
    return {fold(str(out.alias)): out.this for out in node.expressions if isinstance(out, exp.Alias)}


def _outputs(
    selects: Selects, node: exp.Select, scope: PublicScope
) -> tuple[tuple[p.PublicTerm, ...], tuple[PublicColumn, ...]]:
    """Bind a SELECT list; `*` is every column."""
    terms: list[p.PublicTerm] = []
    columns: list[PublicColumn] = []
    shown: set[str] = set()
    before: dict[str, exp.Expr] = {}
    for each in node.expressions:
        inner = _bare(each)
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            wanted = fold(str(inner.table)) if isinstance(inner, exp.Column) else ""
            for source in scope.sources:
                for at, column in enumerate(source.columns):
                    whole = None if wanted else scope.merged.get(column.name)
                    if (wanted and source.label != wanted) or (whole is not None and column.name in shown):
                        continue
                    shown.add(column.name)
                    terms.append(whole[0] if whole is not None else Ref(source.first + at))
                    columns.append(replace(column, behind=whole[1].behind) if whole is not None else column)
            if len(columns) > MOST_COLUMNS:
                # `*, *` of `*, *` of … doubles at every step.
                selects.asking.stop("too_many_columns", node, limit=MOST_COLUMNS)
            continue
        bound = replace(scope, aliases=dict(before)).bind(inner)
        if isinstance(each, exp.Alias):
            before.setdefault(fold(str(each.alias)), inner)
        if bound is None:
            continue
        terms.append(bound[0])
        label = label_of(selects.asking, each)
        columns.append(replace(bound[1], name=fold(label), label=label))
    selects.stop_if_refused()
    return tuple(terms), tuple(columns)


def _ordinal(selects: Selects, node: exp.Expr, each: exp.Expr) -> exp.Expr | None:
    written = str(each.this)
    ordinal = int(written) if written.isdigit() and len(written) < 5 else 0
    if not 1 <= ordinal <= len(node.expressions):
        selects.asking.refuse("unknown_name", each, name=written[:20])
        return None
    return _bare(node.expressions[ordinal - 1])


def selected(
    selects: Selects,
    node: exp.Expr,
    source: PublicRelation | None,
    where: Bound | None,
    outputs: tuple[p.PublicTerm, ...],
    columns: tuple[PublicColumn, ...],
    scope: PublicScope,
    groups: tuple[Ref, ...] | None = None,
    having: Bound | None = None,
    *,
    numbers: PublicNumbers | None = None,
    distinct: bool | None = None,
) -> PublicSelect:
    """Put a SELECT together, with its QUALIFY, ORDER BY, LIMIT and OFFSET.

    Args:
        numbers: the subqueries that its terms use.
        distinct: whether equal rows are one; None for what the text says.
    """
    if distinct is None:
        distinct = isinstance(node, exp.Select) and bool(node.args.get("distinct"))
    order = _order(selects, node, outputs, columns, scope, distinct=distinct)
    qualify = node.args.get("qualify")
    qualified = scope.of_kind(qualify.this, Kind.TRUTH) if qualify is not None else None
    selects.stop_if_refused()
    if numbers is not None:
        source = numbers.joined(source)
    if source is None:
        selects.asking.stop("row_output", node)
    found = PublicSelect(
        source,
        where[0] if where is not None else None,
        groups,
        having[0] if having is not None else None,
        outputs,
        columns,
        distinct,
        order,
        _number(selects, node, "limit"),
        _number(selects, node, "offset") or 0,
    )
    return found if qualified is None else _qualified(found, qualified[0])


def _qualified(found: PublicSelect, condition: p.PublicTerm) -> PublicSelect:
    """Return the rows for which QUALIFY is true: after windows, before rows are put in order and cut."""
    width = len(found.outputs)
    orders = () if found.distinct else tuple(each.term for each in found.order)
    hidden = [PublicColumn("", "", Kind.TRUTH), *(PublicColumn("", "", Kind.NUMBER) for _ in orders)]
    inner = replace(
        found,
        outputs=(*found.outputs, condition, *orders),
        columns=(*found.columns, *hidden),
        distinct=False,
        order=(),
        limit=None,
        offset=0,
    )
    order = found.order
    if not found.distinct:
        order = tuple(replace(each, term=Ref(width + 1 + at)) for at, each in enumerate(found.order))
    return PublicSelect(
        inner,
        Ref(width),
        None,
        None,
        tuple(Ref(place) for place in range(width)),
        found.columns,
        found.distinct,
        order,
        found.limit,
        found.offset,
    )


def _order(
    selects: Selects,
    node: exp.Expr,
    outputs: tuple[p.PublicTerm, ...],
    columns: tuple[PublicColumn, ...],
    scope: PublicScope,
    *,
    distinct: bool,
) -> tuple[p.PublicOrder, ...]:
    clause = node.args.get("order")
    found: list[p.PublicOrder] = []
    for each in clause.expressions if clause is not None else ():
        down, nulls = bool(each.args.get("desc")), bool(each.args.get("nulls_first"))
        if isinstance(each.this, exp.Var) and str(each.this.this).upper() == "ALL":
            terms = list(range(len(outputs)))
            found += [p.PublicOrder(Ref(at) if distinct else outputs[at], down, nulls) for at in terms]
            continue
        place = _output_place(selects, node, each.this, columns)
        if place is None:
            bound = scope.bind(each.this)
            if bound is None:
                continue
            same = [at for at, term in enumerate(outputs) if term == bound[0]]
            if distinct and not same:
                selects.asking.refuse("not_admitted", each, what="ORDER BY (DISTINCT)")
                continue
            found.append(p.PublicOrder(Ref(same[0]) if distinct else bound[0], down, nulls))
        else:
            found.append(p.PublicOrder(Ref(place) if distinct else outputs[place], down, nulls))
    return tuple(found)


def _output_place(selects: Selects, node: exp.Expr, each: exp.Expr, columns: tuple[PublicColumn, ...]) -> int | None:
    """Return which output an ordinal or a label of ORDER BY is, or None."""
    if isinstance(each, exp.Literal) and not each.is_string:
        written = str(each.this)
        ordinal = int(written) if written.isdigit() and len(written) < 5 else 0
        if not 1 <= ordinal <= len(columns):
            selects.asking.stop("unknown_name", each, name=written[:20])
        return ordinal - 1
    if isinstance(each, exp.Column) and not each.table:
        name = fold(str(each.name))
        same = [at for at, column in enumerate(columns) if column.name == name]
        return same[0] if len(same) == 1 else None
    return None


def _number(selects: Selects, node: exp.Expr, part: str) -> int | None:
    clause = node.args.get(part)
    if clause is None:
        return None
    found = constant(selects.asking, clause.expression) if isinstance(clause.expression, exp.Expr) else None
    value = found[0].value if found is not None and isinstance(found[0], p.Value) else None
    if not isinstance(value, Decimal) or value != int(value) or not 0 <= value <= MOST_LIMIT:
        selects.asking.stop("not_admitted", clause, what=part.upper())
    return int(value)
