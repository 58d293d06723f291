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
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.binding.joins import conjuncts
from cleanroom.query.binding.personal import Personal
from cleanroom.query.binding.public_columns import label_of, reference_rows, release_columns
from cleanroom.query.binding.public_constants import Bound, constant
from cleanroom.query.binding.public_terms import PublicScope, PublicSource
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, PublicColumn, PublicRelation, PublicSelect, Ref, ReleaseTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanroom.query.binding.personal import Release
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment, Item

MOST_LIMIT: Final = 1_000_000
MOST_COLUMNS: Final = 1_000


def over_release(
    selects: Selects, node: exp.Select, release: Release, number: int, replaced: Mapping[int, int]
) -> PublicRelation:
    """Bind what a SELECT of aggregates says beyond them, over its released table.

    Args:
        replaced: for nodes that are keys or aggregates, by identity, the released column that stands for them.
    """
    table = ReleaseTable(number, release_columns(release.keys, release.outputs, number))
    scope = PublicScope(selects.asking, [PublicSource("", "", table.columns, 0)], replaced, windows=False)
    outputs, columns = _outputs(selects, node, scope)
    shown = {replaced[id(each)] for out in node.expressions for each in out.walk() if id(each) in replaced}
    if not any(table.columns[place].behind for place in shown):
        hint = ("ajoutez COUNT(DISTINCT person)", "add COUNT(DISTINCT person)")
        selects.asking.stop("row_output", node, hint)
    aliased = replace(scope, aliases=_aliases(node))
    having = node.args.get("having")
    held = aliased.of_kind(having.this, Kind.TRUTH) if having is not None else None
    return _select(selects, node, table, held, outputs, columns, aliased)


def public_select(selects: Selects, node: exp.Select, items: list[Item], names: Environment) -> PublicRelation:
    """Bind a SELECT whose relations are all public."""
    joined = _joined(selects, items)
    sources = _sources(items)
    once = not isinstance(joined, p.PublicJoin)
    scope = PublicScope(selects.asking, sources, once=once)
    where = node.args.get("where")
    held = scope.of_kind(where.this, Kind.TRUTH) if where is not None else None
    group = node.args.get("group")
    grouped = group is not None or _folds(node)
    if not grouped:
        outputs, columns = _outputs(selects, node, scope)
        if node.args.get("having"):
            selects.asking.stop("not_admitted", node, what="HAVING")
        return _select(selects, node, joined, held, outputs, columns, replace(scope, aliases=_aliases(node)))
    return _Grouped(selects, node, scope, joined).bound(held)


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

    def bound(self, held: Bound | None) -> PublicRelation:
        """Compute the keys beside the rows, then group by them."""
        keys = self.keys()
        rows = self.scope.columns
        terms = [*(Ref(place) for place in range(len(rows))), *(term for term, _ in keys)]
        columns = [*rows, *(replace(column, name="", label="") for _, column in keys)]
        where = held[0] if held is not None else None
        inner = PublicSelect(self.source, where, None, None, tuple(terms), tuple(columns))
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

        scope = replace(self.scope, sources=wide, folds=True, windows=False, instead=instead)
        # The argument of an aggregate looks at rows, not at groups.
        scope = _FoldingScope(**{name: getattr(scope, name) for name in scope.__dataclass_fields__})
        outputs, shown = _outputs(self.selects, self.node, scope)
        aliased = replace(scope, aliases=_aliases(self.node))
        having = self.node.args.get("having")
        wanted = aliased.of_kind(having.this, Kind.TRUTH) if having is not None else None
        return _select(self.selects, self.node, inner, None, outputs, shown, aliased, groups, wanted)

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
        plain = PublicScope(self.asking, self.sources, folds=True, windows=False, once=self.once)
        return plain.fold(node, window)


def public_set(
    selects: Selects, node: exp.Union | exp.Intersect | exp.Except, arms: list[PublicRelation]
) -> PublicRelation:
    """Bind a set operation over public relations; the names are the first arm's."""
    word = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}[type(node)]
    if not node.args.get("distinct"):
        word = f"{word} ALL"
    if word not in {kind.value for kind in p.PublicSetKind}:
        selects.asking.stop("not_admitted", node, what=word)
    first = arms[0].columns
    for arm in arms[1:]:
        if [column.kind for column in arm.columns] != [column.kind for column in first]:
            selects.asking.stop("union_types", node, number=1)
    columns = tuple(
        replace(column, behind=frozenset().union(*(arm.columns[place].behind for arm in arms)))
        for place, column in enumerate(first)
    )
    united = p.PublicSet(p.PublicSetKind(word), tuple(arms), columns)
    if not any(node.args.get(part) for part in ("order", "limit", "offset")):
        return united
    scope = PublicScope(selects.asking, [PublicSource("", "", columns, 0)])
    outputs = tuple(Ref(place) for place in range(len(columns)))
    return _select(selects, node, united, None, outputs, columns, scope)


def _joined(selects: Selects, items: Sequence[Item]) -> PublicRelation:
    left = _relation(selects, items[0])
    for at, item in enumerate(items[1:], start=1):
        right = _relation(selects, item)
        node = item.join
        if node is None:
            continue
        side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
        if node.args.get("method") or kind not in {"", "INNER", "OUTER", "CROSS"}:
            selects.asking.stop("not_admitted", node, what=f"{kind} JOIN")
        scope = PublicScope(selects.asking, _sources(items[: at + 1]))
        held: p.PublicTerm = p.Value(value=True, kind=Kind.TRUTH)
        parts: list[Bound] = []
        for each in node.args.get("using") or ():
            equal = exp.EQ(
                this=exp.column(each.name, items[at - 1].label or None),
                expression=exp.column(each.name, item.label or None),
            )
            bound = scope.of_kind(equal, Kind.TRUTH)
            parts += [bound] if bound is not None else []
        for each in conjuncts(node.args.get("on")):
            bound = scope.of_kind(each, Kind.TRUTH)
            parts += [bound] if bound is not None else []
        if parts:
            held = parts[0][0] if len(parts) == 1 else scope.made(p.Op.AND, parts, Kind.TRUTH)[0]
        columns = (*left.columns, *right.columns)
        left = p.PublicJoin(left, right, p.PublicJoinKind[side or "INNER"], held, columns)
    return left


def _relation(selects: Selects, item: Item) -> PublicRelation:
    if isinstance(item.bound, ReferenceCatalog):
        return reference_rows(item.bound)
    if isinstance(item.bound, Personal):
        selects.asking.stop("release_in_personal", item.node)
    return item.bound


def _sources(items: Sequence[Item]) -> list[PublicSource]:
    found: list[PublicSource] = []
    first = 0
    for item in items:
        columns = (
            reference_rows(item.bound).columns
            if isinstance(item.bound, ReferenceCatalog)
            else ()
            if isinstance(item.bound, Personal)
            else item.bound.columns
        )
        found.append(PublicSource(item.label, item.owner, columns, first))
        first += len(columns)
    return found


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
    for each in node.expressions:
        inner = _bare(each)
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            wanted = fold(str(inner.table)) if isinstance(inner, exp.Column) else ""
            for source in scope.sources:
                if not wanted or source.label == wanted:
                    terms += [Ref(source.first + at) for at in range(len(source.columns))]
                    columns += source.columns
            if len(columns) > MOST_COLUMNS:
                # `*, *` of `*, *` of … doubles at every step.
                selects.asking.stop("too_many_columns", node, limit=MOST_COLUMNS)
            continue
        bound = scope.bind(inner)
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


def _select(
    selects: Selects,
    node: exp.Expr,
    source: PublicRelation,
    where: Bound | None,
    outputs: tuple[p.PublicTerm, ...],
    columns: tuple[PublicColumn, ...],
    scope: PublicScope,
    groups: tuple[Ref, ...] | None = None,
    having: Bound | None = None,
) -> PublicSelect:
    """Put a SELECT together, with its ORDER BY, LIMIT and OFFSET."""
    distinct = isinstance(node, exp.Select) and bool(node.args.get("distinct"))
    order = _order(selects, node, outputs, columns, scope, distinct=distinct)
    selects.stop_if_refused()
    return PublicSelect(
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
