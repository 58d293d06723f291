"""Relations whose rows belong to people: FROM, joins of every kind, WHERE, subqueries in conditions, set operations."""

# ruff: noqa: S608 - questions are what is written here
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from generated.expressions import Expressions, Scope, Source, Typed
from generated.kinds import Cat, Day, Flag, Kind, Num, Words, hull, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from rooms import Catalogs

    from cleanroom.query.binding.asking import ReferenceCatalog

MOST_RELATIONS = 14
"""Relations of one question, so that persons' rows multiply within reason."""


@dataclass(frozen=True)
class Made:
    """A relation: what stands in FROM, its unit's name, its columns."""

    sql: str
    unit: str
    columns: dict[str, Kind]


@dataclass(frozen=True)
class From:
    """FROM and WHERE of a SELECT.

    Args:
        unit: how the person is named in it.
    """

    sql: str
    scope: Scope
    conditions: tuple[str, ...]
    unit: str

    @property
    def text(self) -> str:
        """Both clauses."""
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        return f"FROM {self.sql}{where}"


class Relations(Expressions):
    """Writes FROM, WHERE and set operations; `any_select` is of the classes above it.

    Args:
        made: the room's tables.
        public: its public tables.
    """

    def __init__(
        self, rng: Random, made: Catalogs, public: Sequence[ReferenceCatalog] = (), *, plain: bool = False
    ) -> None:
        super().__init__(rng, plain=plain)
        self.catalogs = made
        self.public = public
        self.with_names: list[tuple[str, Made]] = []
        self.relations = 0

    def any_select(self, depth: int) -> Made:
        """Write a SELECT or a set operation of people's rows, without parentheses."""
        raise NotImplementedError

    # FROM

    def relation(self, depth: int) -> Made:
        """Write a relation of FROM."""
        self.relations += 1
        if depth <= 0 or self.relations > MOST_RELATIONS or self.chance(0.45):
            return self.table()
        if self.with_names and self.chance(0.3):
            name, found = self.rng.choice(self.with_names)
            return replace(found, sql=name)
        found = self.any_select(depth - 1)
        if self.chance(0.2):
            name = f"w{len(self.with_names)}"
            self.with_names.append((name, found))
            return replace(found, sql=name)
        return replace(found, sql=f"({found.sql})")

    def table(self) -> Made:
        """Choose a member's table."""
        table = self.rng.choice(sorted(self.catalogs))
        catalog = self.catalogs[table]
        columns = {each.name: kind_of(each.type) for each in catalog.columns}
        return Made(str(table), catalog.unit.name, columns)

    def source(self, depth: int) -> tuple[Made, Source]:
        """Write a relation of FROM and give it an alias."""
        made = self.relation(depth)
        return made, Source(self.alias(), made.unit, made.columns)

    def from_(self, depth: int, most: int = 3) -> From:
        """Write FROM and WHERE."""
        rng = self.rng
        found = [self.source(depth) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)[: 3 + most]))][:most]
        first_made, first = found[0]
        text = f"{first_made.sql} AS {first.alias}"
        scope: Scope = [first]
        conditions: list[str] = []
        using = len({source.unit for _, source in found}) == 1 and self.chance(0.45)
        comma = False
        for made, source in found[1:]:
            written = f"{made.sql} AS {source.alias}"
            if not using and (comma or self.chance(0.15)) and not any(each.absent for each in scope):
                comma = True
                text += f", {written}"
                conditions.append(f"{rng.choice(scope).person} = {source.person}")
                scope = [*scope, source]
            else:
                text, scope = self._joined(text, scope, written, source, using=using)
        if self.public and self.chance(0.15):
            text, scope = self._public(text, scope)
        unit = self._unit(scope, using=using)
        conditions += self.where(scope, unit)
        return From(text, scope, tuple(conditions), unit)

    def _joined(self, text: str, scope: Scope, written: str, source: Source, *, using: bool) -> tuple[str, Scope]:
        kind = self.rng.choice(("JOIN", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN",
                                "SEMI JOIN", "ANTI JOIN"))  # fmt: skip
        if kind in {"FULL JOIN", "RIGHT JOIN"} and not using and (self.plain or not self._same_unit([*scope, source])):
            kind = "LEFT JOIN"
        if using:
            shared = sorted(source.columns.items() & scope[0].columns.items(), key=str) if len(scope) == 1 else []
            if shared and self.chance(0.25):
                on = f"USING ({source.unit}, {self.rng.choice(shared)[0]})"
            else:
                on = f"USING ({source.unit})"
        else:
            other = self.rng.choice([each for each in scope if each.unit])
            sides = [other.person, source.person]
            self.rng.shuffle(sides)
            extra = f" AND {self._across(scope, source)}" if self.chance(0.5) else ""
            on = f"ON {' = '.join(sides)}{extra}"
        text = f"{text} {kind} {written} {on}"
        match kind:
            case "LEFT JOIN":
                return text, [*scope, replace(source, absent=True)]
            case "RIGHT JOIN":
                return text, [*(replace(each, absent=True) for each in scope), source]
            case "FULL JOIN":
                return text, [replace(each, absent=True) for each in (*scope, source)]
            case "SEMI JOIN" | "ANTI JOIN":
                return text, scope
        return text, [*scope, source]

    def _across(self, scope: Scope, source: Source) -> str:
        """Write a condition of ON."""
        compared = self.compared(scope, [source]) if self.chance(0.7) else None
        return compared or self.condition([*scope, source] if self.chance(0.5) else [source], 1)

    def _public(self, text: str, scope: Scope) -> tuple[str, Scope]:
        """Join a public table from its right, on anything but the person (S19)."""
        table = self.rng.choice(self.public)
        source = Source(self.alias(), None, {name: public_kind(kind) for name, kind in table.columns})
        name, kind = self.rng.choice(sorted(source.columns.items()))
        mine = self.column(scope, type(kind))
        if mine is None:
            return text, scope
        extra = f" AND {self.condition([*scope, source], 1)}" if self.chance(0.3) else ""
        left = self.chance(0.5)
        text += f" {'LEFT ' if left else ''}JOIN public.{table.name} AS {source.alias}"
        how = self.rng.choice(("=", "=", "=", "<=")) if isinstance(kind, Num) else "="
        return f"{text} ON {mine[0]} {how} {source.alias}.{name}{extra}", [*scope, source]

    @staticmethod
    def _same_unit(scope: Scope) -> bool:
        return len({source.unit for source in scope if source.unit}) == 1

    def _unit(self, scope: Scope, *, using: bool) -> str:
        """Return how the person is named: by a source that every row has, else by the one name of all."""
        present = [source for source in scope if source.unit and not source.absent]
        if not present or (using and self.chance(0.5)):
            return str(next(source.unit for source in scope if source.unit))
        return self.rng.choice(present).person

    # WHERE

    def where(self, scope: Scope, unit: str) -> list[str]:
        """Write the conjuncts of WHERE, subqueries among them."""
        found = [self.condition(scope, 2) for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2)))]
        while self.relations < MOST_RELATIONS and self.chance(0.22):
            found.append(self.about_person(scope, unit))
        return found

    def about_person(self, scope: Scope, unit: str) -> str:
        """Write a condition that asks for other rows of the same person."""
        match self.rng.choice(("in", "in", "value", "value", "exists", "exists", "exists", "scalar", "either", "not")):
            case "value":
                return self._value_in(scope) or self.membership(unit)
            case "in":
                return self._of_absent(scope) or self.membership(unit)
            case "exists":
                return self.exists(scope)
            case "scalar":
                return self.scalar(scope)
            case "either":
                inner = self.rng.choice((self.exists(scope), self.membership(unit)))
                return f"({self.condition(scope, 1)} OR {inner})"
        return f"NOT ({self.membership(unit)})"

    def _value_in(self, scope: Scope) -> str | None:
        """Write [NOT] IN of a value, among those of the same person's rows elsewhere."""
        made, source = self.source(1)
        like = self.rng.choice((Num, Cat, Day))
        mine, theirs = self.column(scope, like), self.column([source], like)
        if mine is None or theirs is None:
            return None
        conditions = [f"{source.person} = {self._outer(scope)}"]
        if self.chance(0.3):
            conditions.append(self.condition([source], 1))
        word = self.rng.choice(("IN", "NOT IN"))
        inner = f"SELECT {theirs[0]} FROM {made.sql} AS {source.alias} WHERE {' AND '.join(conditions)}"
        return f"{mine[0]} {word} ({inner})"

    def _of_absent(self, scope: Scope) -> str | None:
        """Write [NOT] IN of a person that an outer join may have left out; nothing is IN that is not there."""
        absent = [source.person for source in scope if source.unit and source.absent]
        if not absent or self.chance(0.5):
            return None
        # Of a whole table: of no rows at all, plain SQL would know that nobody is in it.
        table = self.table()
        member = f"{self.rng.choice(absent)} IN (SELECT {table.unit} AS person FROM {table.sql})"
        form = self.rng.choice(("{}", "NOT ({})", "({} OR FALSE)", "(NOT ({}) OR FALSE)", "(({}) IS NULL)"))
        return form.format(member)

    def membership(self, unit: str) -> str:
        """Write [NOT] IN (SELECT person …)."""
        return f"{unit} {self.rng.choice(('IN', 'NOT IN'))} ({self.persons()})"

    def persons(self) -> str:
        """Write a SELECT of persons alone."""
        arms = []
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            self.relations += 1
            inner = self.from_(0 if self.relations > 6 else 1, most=2)
            grouped = ""
            if self.chance(0.3):
                grouped = f" GROUP BY {inner.unit} HAVING COUNT(*) >= {self.rng.choice((1, 2, 3))}"
            arms.append(f"SELECT {inner.unit} AS person {inner.text}{grouped}")
        return self._chained(arms, ("INTERSECT", "EXCEPT", "UNION", "UNION ALL"))

    def _chained(self, arms: list[str], words: tuple[str, ...]) -> str:
        """Join arms by set operations, each of its own kind; INTERSECT binds closer than the others."""
        text = arms[0]
        for arm in arms[1:]:
            text = f"{text} {self.rng.choice(words)} {arm}"
        return text

    def exists(self, scope: Scope) -> str:
        """Write [NOT] EXISTS, tied to the person, with conditions of its own and across."""
        made, source = self.source(1)
        conditions = [f"{source.person} = {self._outer(scope)}"]
        if self.chance(0.6):
            compared = self.compared(scope, [source])
            conditions += [compared] if compared else []
        if self.chance(0.4):
            conditions.append(self.condition([source], 1))
        if self.chance(0.1) and self.relations < MOST_RELATIONS:
            conditions.append(self.exists([source]))
        self.rng.shuffle(conditions)
        negated = self.rng.choice(("", "NOT "))
        return f"{negated}EXISTS (SELECT 1 FROM {made.sql} AS {source.alias} WHERE {' AND '.join(conditions)})"

    def scalar(self, scope: Scope, *, bare: bool = False) -> str:
        """Compare an aggregate of the same person's rows with something of the row (S21).

        Args:
            bare: the aggregate alone.
        """
        made, source = self.source(1)
        number = self.column([source], Num)
        functions = ["COUNT(*)", "CASE WHEN COUNT(*) = 0 THEN 3 ELSE 1 END"]
        if number:
            functions += [f"{name}({number[0]})" for name in ("SUM", "MAX", "MIN", "COUNT")]
            functions += [f"COALESCE(MAX({number[0]}), 2)", f"MIN({number[0]}) + COUNT(*)"]
        called = self.rng.choice(functions)
        conditions = [f"{source.person} = {self._outer(scope)}"]
        if self.chance(0.4):
            conditions.append(self.condition([source], 1))
        inner = f"(SELECT {called} FROM {made.sql} AS {source.alias} WHERE {' AND '.join(conditions)})"
        if bare:
            return inner
        if self.chance(0.3):
            inner = f"COALESCE({inner}, 1)"
        mine = self.column(scope, Num)
        other = mine[0] if mine and self.chance(0.5) else str(self.rng.choice((0, 1, 2, 5)))
        return f"{inner} {self.rng.choice(('=', '<>', '<', '>='))} {other}"

    def _outer(self, scope: Scope) -> str:
        people = [source for source in scope if source.unit]
        present = [source for source in people if not source.absent]
        return self.rng.choice(present if present and (self.plain or self.chance(0.7)) else people).person

    # Set operations

    def set_operation(self, depth: int) -> Made:
        """Write a UNION [ALL], INTERSECT or EXCEPT of SELECTs of the same shape."""
        word = self.rng.choice(("UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT"))
        likes = [self.rng.choice((Num, Cat, Cat, Day, Words, Flag)) for _ in range(self.rng.choice((0, 1, 1, 2, 2, 3)))]
        if word in {"INTERSECT", "EXCEPT"}:
            likes = likes[:1]
        names = [f"x{place}" for place in range(len(likes))]
        kinds: list[list[Kind]] = []
        arms: list[str] = []
        for _ in range(self.rng.choice((2, 2, 2, 3))):
            inner = self.from_(depth if self.chance(0.4) else 0, most=2)
            outputs = [self._arm_output(inner.scope, like) for like in likes]
            kinds.append([kind for _, kind in outputs])
            listed = [
                f"{inner.unit} AS person",
                *(f"{sql} AS {name}" for (sql, _), name in zip(outputs, names, strict=True)),
            ]
            arms.append(f"SELECT {', '.join(listed)} {inner.text}")
        columns = {name: hull([arm[place] for arm in kinds]) for place, name in enumerate(names)}
        mixed = ("UNION ALL", "UNION", "INTERSECT", "EXCEPT") if len(likes) < 2 and self.chance(0.3) else (word,)
        return Made(self._chained(arms, mixed), "person", columns)

    def _arm_output(self, scope: Scope, like: type[Kind]) -> Typed:
        sql, kind = self.expression(scope, like, 1 if self.chance(0.3) else 0)
        # A text with a domain and one without make no common type.
        return (sql, kind) if isinstance(kind, like) else ("'web'", like())


def public_kind(kind: object) -> Kind:
    """Return the kind of a public column."""
    from cleanroom.catalog import day_of
    from cleanroom.query.terms.types import CategoryType, DateType, NumberType

    match kind:
        case CategoryType(domain=domain):
            return Cat(domain)
        case NumberType(lower=lower, upper=upper):
            return Num(lower, upper, 0, 19)
        case DateType(lower=lower, upper=upper):
            return Day(day_of(lower), day_of(upper))
    return Words()
