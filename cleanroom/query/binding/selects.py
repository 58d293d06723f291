"""SELECTs and set operations: which relation each is, personal or public, and what its columns are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.identifiers import fold
from cleanroom.query import algebra
from cleanroom.query.binding.aggregates import calls_in, calls_under
from cleanroom.query.binding.asking import MAX_RELATIONS, Asking, ReferenceCatalog, Unbound
from cleanroom.query.binding.grouping import PersonGroups
from cleanroom.query.binding.joins import Joiner, condition, conjuncts
from cleanroom.query.binding.labels import aliases_of, written_key
from cleanroom.query.binding.personal import Personal, Rows
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.scope import RowScope, UnitName
from cleanroom.query.binding.sets import set_operation
from cleanroom.query.binding.sources import Bound, Environment, Item, environment, item
from cleanroom.query.binding.subqueries import Subqueries
from cleanroom.query.binding.windows import PersonWindows
from cleanroom.query.normal import as_predicate
from cleanroom.query.terms.alike import alike
from cleanroom.query.terms.language import AllOf, Column, Flag, Term
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.universes import universe_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROWS_HINT: Final = ("ajoutez COUNT(DISTINCT person)", "add COUNT(DISTINCT person)")


@dataclass
class Selects:
    """Binds the relations of one question."""

    asking: Asking

    def relation(self, node: exp.Expr, around: Environment) -> Bound:
        """Bind a SELECT or a set operation.

        Raises:
            Unbound: it has no meaning; why is noted.
        """
        while isinstance(node, (exp.Subquery, exp.Paren)):
            node = node.this
        names = environment(self.asking, node, around)
        match node:
            case exp.Select():
                found = self.select(node, names)
            case exp.Union() | exp.Intersect() | exp.Except():
                found = set_operation(self, node, names)
            case _:
                self.asking.stop("not_admitted", node, what=type(node).__name__)
        if isinstance(found, Personal) and algebra.size(found.relation) > MAX_RELATIONS:
            self.asking.stop("too_many_relations", node, limit=MAX_RELATIONS)
        return found

    def select(self, node: exp.Select, names: Environment) -> Bound:
        """Bind a SELECT: rows of people, a release of them, or a public relation."""
        from cleanroom.query.binding.public_selects import numbers_alone, public_select
        from cleanroom.query.binding.releases import release

        if node.args.get("kind"):
            self.asking.stop("not_admitted", node, what=f"SELECT AS {node.args['kind']}")
        if node.args.get("from_") is None:
            return numbers_alone(self, node, names)
        items = self.items(node, names)
        if not any(isinstance(each.bound, Personal) for each in items):
            return public_select(self, node, items, names)
        rows, waiting, scope = self.joined(node, items, names)
        nested = self.subqueries(names)
        filters = self.where(rows, waiting, scope.labelled(aliases_of(node)), nested)
        if self.grouped_by_unit(node, scope):
            return self._grouped(node, rows, scope)
        if node.args.get("group") or node.args.get("having") or self.aggregates(node) or self._distinct(node, scope):
            return release(self, node, names, rows, scope, filters)
        return self._plain(node, rows, scope)

    def items(self, node: exp.Select, names: Environment) -> list[Item]:
        """Bind the relations of FROM, all of them, so that every reason is found."""
        from_ = node.args.get("from_")
        if from_ is None:
            self.asking.stop("row_output", node)
        found: list[Item] = []
        failed = False
        for relation, join in [(from_.this, None), *((join.this, join) for join in node.args.get("joins") or ())]:
            try:
                found.append(item(self.asking, relation, names, self.relation, join))
            except Unbound:
                failed = True
        if failed:
            raise Unbound
        labels = [(each.label, each.owner) for each in found]
        for place, label in enumerate(labels):
            if label in labels[:place]:
                hint = ("donnez un alias : … AS b", "give an alias: … AS b")
                self.asking.stop("duplicate_name", found[place].node, hint, name=label[0] or "(SELECT …)")
        return found

    def joined(
        self, node: exp.Select, items: list[Item], names: Environment, around: RowScope | None = None
    ) -> tuple[Rows, list[exp.Expr], RowScope]:
        """Join the relations of FROM; return the rows, the rest of WHERE, and the names."""
        first = items[0]
        if not isinstance(first.bound, Personal):
            self.asking.stop(
                "public_first" if isinstance(first.bound, ReferenceCatalog) else "release_in_personal",
                first.node,
                ("écrivez d'abord la table des personnes", "write the table of people first"),
            )
        nested = self.subqueries(names)

        def scope_of(rows: Rows) -> RowScope:
            return RowScope(self.asking, rows, around, nested.term)

        # A join's condition stands inside the subquery, where columns around it are not.
        joiner = Joiner(
            self.asking,
            Rows.of(first.bound, first.label, first.owner),
            lambda each: replace(scope_of(each), alone=True),
        )
        for each in items[1:]:
            joiner.join(each)
        rows = joiner.rows
        scope = scope_of(rows)
        where = node.args.get("where")
        waiting: list[exp.Expr] = [*joiner.later]
        present: list[Term] = []
        for part in conjuncts(where.this if where is not None else None):
            pair = joiner.pair(scope, part)
            if pair is not None:
                present.append(joiner.equal(*pair))
            else:
                waiting.append(part)
        joiner.finish()
        rows.relation = self.filtered(rows, present)
        return rows, waiting, scope

    def rows(self, node: exp.Select, names: Environment, *, around: RowScope) -> tuple[Rows, list[exp.Expr], RowScope]:
        """Bind FROM of a subquery inside a term, under the names that hold inside it."""
        items = self.items(node, names)
        if not isinstance(items[0].bound, Personal):
            self.asking.stop("release_in_personal", node, ("posez deux questions", "ask in two questions"))
        return self.joined(node, items, names, around)

    def subqueries(self, names: Environment) -> Subqueries:
        """Return what binds the subqueries in the terms of a SELECT, under the names that hold inside it."""
        return Subqueries(self, names)

    def where(self, rows: Rows, waiting: Sequence[exp.Expr], scope: RowScope, nested: Subqueries) -> list[Term]:
        """Apply what is left of WHERE; return its conditions on rows."""
        filters: list[Term] = []
        for each in waiting:
            if nested.filtered(scope, each):
                continue
            bound = condition(scope, each)
            if bound is not None:
                filters.append(bound.term)
        rows.relation = self.filtered(rows, filters)
        return filters

    def filtered(self, rows: Rows, terms: Sequence[Term]) -> algebra.Relation:
        """Return the rows for which all terms are true."""
        kept = [term for term in terms if term != Flag(value=True)]
        if not kept:
            return rows.relation
        universes = {place: universe_of(column.type) for place, column in enumerate(rows.columns)}
        predicate = as_predicate(kept[0] if len(kept) == 1 else AllOf(tuple(kept)), universes)
        return algebra.Select(rows.relation, predicate, tuple(range(len(rows.columns))))

    def aggregates(self, node: exp.Select) -> bool:
        """Return whether a SELECT calls aggregates over its rows."""
        clauses = [*node.expressions, node.args.get("having"), node.args.get("order")]
        return any(True for clause in clauses if clause is not None for _ in calls_in(clause))

    def grouped_by_unit(self, node: exp.Select, scope: RowScope) -> bool:
        """Return whether GROUP BY names the bare unit (S17)."""
        return any(unit is not None for _, unit in self._group(node, scope, quiet=True))

    def _distinct(self, node: exp.Select, scope: RowScope) -> bool:
        """Return whether a SELECT is DISTINCT values without the unit: a release of keys (S25)."""
        if not node.args.get("distinct") or any(each.find(exp.Window) for each in node.expressions):
            return False
        outputs = [out.this if isinstance(out, exp.Alias) else out for out in node.expressions]
        stars = any(isinstance(out, exp.Star) or isinstance(getattr(out, "this", None), exp.Star) for out in outputs)
        return not stars and all(scope.unit(out, quiet=True) is None for out in outputs)

    def grouping(
        self, rows: Rows, keys: list[Typed], scope: RowScope, written: Sequence[exp.Expr] = ()
    ) -> PersonGroups:
        """Return the groups of each person's rows by these keys."""
        return PersonGroups(self.asking, rows, keys, scope, written=tuple(written))

    def _group(self, node: exp.Select, scope: RowScope, *, quiet: bool) -> list[tuple[exp.Expr, UnitName | None]]:
        """Return the expressions of GROUP BY, ordinals and aliases written out, and which is the unit."""
        group = node.args.get("group")
        if group is None:
            return []
        if group.args.get("all"):
            plain = [out.this if isinstance(out, exp.Alias) else out for out in node.expressions]
            written = [each for each in plain if not any(True for _ in calls_in(each))]
        else:
            written = [written_key(each, node, scope) for each in group.expressions]
        return [(each, scope.unit(each, quiet=quiet)) for each in written if each is not None]

    def _grouped(self, node: exp.Select, rows: Rows, scope: RowScope) -> Personal:
        """Bind GROUP BY person: one row for each person and other keys."""
        self.no_order(node)
        group = node.args["group"]
        if any(isinstance(each, (exp.Rollup, exp.Cube, exp.GroupingSets)) for each in group.expressions):
            self.asking.stop("not_admitted", node, what="ROLLUP, CUBE, GROUPING SETS (person)")
        keys: list[Typed] = []
        written: list[exp.Expr] = []
        for each, unit in self._group(node, scope, quiet=True):
            if unit is not None:
                if unit.source is not None and unit.source.present is not None:
                    rows.relation = self.filtered(rows, [rows.present(unit.source)])
                continue
            bound = bind_scalar(each, scope)
            if isinstance(bound, Typed):
                keys.append(bound)
                written.append(each)
        groups = self.grouping(rows, keys, scope, written)
        for clause in (*node.expressions, node.args.get("having"), node.args.get("qualify")):
            # All aggregates first, so that the columns of windows stand behind theirs.
            for call in calls_under(clause) if clause is not None else ():
                groups.aggregate(call)
        self.stop_if_refused()
        over = groups.scope().labelled(aliases_of(node))
        grouped = Rows(groups.relation(), groups.columns(), rows.sources)
        having = node.args.get("having")
        held = condition(over, having.this) if having is not None else None
        if held is not None:
            grouped.relation = self.filtered(grouped, [held.term])
        windows = PersonWindows(self.asking, grouped)

        def instead(inside: RowScope, each: exp.Expr) -> Typed | Constant | bool | None:
            if isinstance(each, exp.Window):
                return windows.column(replace(inside, instead=groups.instead), each)
            return groups.instead(inside, each)

        outputs = self._outputs(node, replace(groups.scope(), instead=instead), scope)
        self._qualified(node, grouped, replace(groups.scope(), instead=instead))
        return self._finished(node, grouped, outputs)

    def _qualified(self, node: exp.Select, rows: Rows, scope: RowScope) -> None:
        """Keep the rows for which QUALIFY is true: of each person, by windows over that person's rows alone."""
        qualify = node.args.get("qualify")
        if qualify is not None:
            held = condition(scope.labelled(aliases_of(node)), qualify.this)
            if held is not None:
                rows.relation = self.filtered(rows, [held.term])

    def _plain(self, node: exp.Select, rows: Rows, scope: RowScope) -> Personal:
        """Bind a SELECT of rows of people, windows over each person's rows included."""
        self.no_order(node)
        windows = PersonWindows(self.asking, rows)

        def instead(inside: RowScope, each: exp.Expr) -> Typed | Constant | bool | None:
            if isinstance(each, exp.Window):
                return windows.column(replace(inside, instead=None), each)
            return False

        outputs = self._outputs(node, replace(scope, instead=instead), scope)
        self._qualified(node, rows, replace(scope, instead=instead))
        return self._finished(node, rows, outputs)

    def _outputs(self, node: exp.Select, scope: RowScope, names: RowScope) -> list[tuple[str, Typed | UnitName]]:
        """Bind a SELECT list: a label and a term for each output, or the unit."""
        found: list[tuple[str, Typed | UnitName]] = []
        labels: dict[str, exp.Expr] = {}
        plain = scope
        for each in node.expressions:
            inner = each.this if isinstance(each, exp.Alias) else each
            scope = plain.labelled(dict(labels))
            if isinstance(each, exp.Alias):
                labels.setdefault(fold(str(each.alias)), inner)
            if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
                found += self._star(inner, scope)
                continue
            label = fold(str(each.alias)) if isinstance(each, exp.Alias) else fold(str(inner.name))
            unit = names.unit(inner, quiet=True)
            if unit is not None:
                found.append((label, unit))
                continue
            bound = bind_scalar(inner, scope)
            typed = self._constant(each, bound) if isinstance(bound, Constant) else bound
            if typed is not None:
                found.append((label, typed))
        return found

    def _constant(self, node: exp.Expr, constant: Constant) -> Typed | None:
        """Return a constant as a column of one value."""
        made = alike([constant], self.asking.position(node))
        if isinstance(made, Refusal):
            self.asking.reasons.append(made)
            return None
        return Typed(made.terms[0], made.type)

    def _star(self, node: exp.Expr, scope: RowScope) -> list[tuple[str, Typed | UnitName]]:
        """Write `*` out: every column of the sources, and each unit once."""
        wanted = fold(str(node.table)) if isinstance(node, exp.Column) else ""
        sources = [source for source in scope.rows.sources if not wanted or source.label == wanted]
        if scope.instead is not None and not sources:
            self.asking.refuse("unknown_name", node, name=wanted)
        found: list[tuple[str, Typed | UnitName]] = []
        units: set[str] = set()
        for source in sources:
            if source.unit is not None and source.unit not in units:
                units.add(source.unit)
                found.append((source.unit, UnitName(source if wanted else None, outer=False)))
            for name, place in source.places.items():
                merged = () if wanted else scope.rows.merged.get(name, ())
                if not merged:
                    found.append((name, scope.rows.columns[place]))
                elif name not in units:
                    # USING makes one column of several: it stands where the first of them does.
                    units.add(name)
                    whole = scope.column(exp.column(name))
                    found += [(name, whole)] if whole is not None else []
        return found

    def _finished(self, node: exp.Select, rows: Rows, outputs: list[tuple[str, Typed | UnitName]]) -> Personal:
        """Choose the outputs of rows; DISTINCT keeps the unit beside them (S18)."""
        self.stop_if_refused()
        unit: str | None = None
        unit_at: int | None = None
        labels: list[str] = []
        columns: list[Typed] = []
        for place, (label, value) in enumerate(outputs):
            if isinstance(value, UnitName):
                if unit_at is not None:
                    self.asking.stop("unit_use", node, unit=label)
                if value.source is not None and value.source.present is not None:
                    hint = ("SELECT person … (sans préfixe)", "SELECT person … (without prefix)")
                    self.asking.stop("unit_may_be_absent", node, hint, unit=label)
                unit, unit_at = label, place
            else:
                labels.append(label)
                columns.append(value)
        every = [*labels, *([unit] if unit is not None else [])]
        for name in sorted({each for each in every if each and every.count(each) > 1}):
            self.asking.stop("ambiguous_name", node, name=name)
        relation = chosen(rows.relation, [column.term for column in columns])
        facts = tuple(replace(column, term=Column(at)) for at, column in enumerate(columns))
        if node.args.get("distinct"):
            if unit_at is None:
                self.asking.stop(
                    "distinct_without_unit", node, ("SELECT DISTINCT person, …", "SELECT DISTINCT person, …")
                )
            relation = algebra.Distinct(relation) if columns else algebra.Persons(relation)
        return Personal(relation, tuple(labels), facts, unit, unit_at)

    def no_order(self, node: exp.Expr) -> None:
        """Refuse what would sort or cut rows of people: which are first is decided by others' rows (DESIGN §3)."""
        for part, word in (("order", "ORDER BY"), ("limit", "LIMIT"), ("offset", "OFFSET")):
            if node.args.get(part) is not None:
                self.asking.refuse("picks_rows", node.args[part], what=word)

    def stop_if_refused(self) -> None:
        """Give this part up if anything was refused."""
        if self.asking.reasons:
            # Whoever reads these columns from outside would find them out of place.
            raise Unbound


def chosen(relation: algebra.Relation, terms: Sequence[Term]) -> algebra.Relation:
    """Return these terms of each row: as a choice of columns where they are nothing else."""
    places = [term.index for term in terms if isinstance(term, Column)]
    if len(places) == len(terms):
        return algebra.Select(relation, algebra.Truth.TRUE, tuple(places))
    return algebra.Project(relation, tuple(terms))
