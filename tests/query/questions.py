"""Questions of joins, unions, intersections and row-wise conditions, drawn from a source of choices (see `rooms`)."""

# ruff: noqa: S608 - questions are what is tested here, one a line
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from generated.values import Question, Values
from rooms import COLUMNS, Catalogs

from cleanroom.catalog import Category, Date, Number, Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from cleanroom.catalog import ColumnType


@dataclass(frozen=True)
class _Source:
    sql: str
    unit: str | None
    columns: dict[str, ColumnType]
    alias: str = ""


class _Writer(Values):
    """Writes one question about some tables."""

    def __init__(self, rng: Random, made: Catalogs, *, plain: bool) -> None:
        super().__init__(rng)
        self.catalogs = made
        self.plain = plain
        self.nested = 0

    # Values

    def literal(self, kind: ColumnType) -> str:
        rng = self.rng
        match kind:
            case Category(domain=domain):
                return self.value(rng.choice((*domain, *domain, "ailleurs")))
            case Text():
                return self.value(rng.choice(("web", "guichet", "l'été")))
            case Date(first=first, last=last):
                return self.value(rng.choice((first, last, date(2024, 2, 1), date(2024, 1, 31), date(1999, 1, 1))))
            case Number(lower=lower, upper=upper, resolution=resolution):
                middle = (lower + upper) // 2
                steps = rng.choice((lower, upper, middle, middle + 1, lower - 1, upper + 1))
                return self.value(steps * resolution + rng.choice((0, 0, Decimal("0.004"))))
        raise AssertionError(kind)

    # Relations

    def source(self, depth: int) -> _Source:
        shape = self.rng.choice(("table",) * 3 + ("select", "union", "union", "intersect")) if depth else "table"
        match shape:
            case "table":
                table = self.rng.choice(sorted(self.catalogs))
                catalog = self.catalogs[table]
                written = str(table).upper() if self.rng.random() < 0.1 else str(table)
                return _Source(written, catalog.unit.name, {each.name: each.type for each in catalog.columns})
            case "select":
                select, columns = self.select(depth - 1)
                return _Source(f"({select})", "person", columns)
            case "union":
                names = self.rng.sample(COLUMNS, self.rng.randrange(0, 5))
                arms = [self.select(depth - 1, names) for _ in range(self.rng.choice((2, 2, 3)))]
                columns = {name: _hull([arm[1][name] for arm in arms]) for name in names}
                return _Source("(" + " UNION ALL ".join(arm[0] for arm in arms) + ")", "person", columns)
            case _:
                arms = [self.select(depth - 1, []) for _ in range(self.rng.choice((2, 2, 3)))]
                return _Source("(" + " INTERSECT ".join(arm[0] for arm in arms) + ")", "person", {})

    def select(self, depth: int, names: Sequence[str] | None = None) -> tuple[str, dict[str, ColumnType]]:
        """Write a SELECT of the person and some columns, called `person` and by their names."""
        text, sources, conditions = self.from_(depth if names is None else 0)
        found = {name: (source, kind) for source in sources for name, kind in source.columns.items()}
        if names is None:
            names = [name for name in found if self.rng.random() < 0.6]
        listed = [f"{sources[0].alias}.{sources[0].unit} AS person"]
        listed += [f"{found[name][0].alias}.{name} AS {name}" for name in names]
        conditions += self.conditions(sources)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(listed)} FROM {text}{where}", {name: found[name][1] for name in names}

    def from_(self, depth: int) -> tuple[str, list[_Source], list[str]]:
        rng = self.rng
        sources = [
            replace(self.source(depth), alias=self.alias())
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3)) if depth or rng.random() < 0.3 else 1)
        ]
        text = f"{sources[0].sql} AS {sources[0].alias}"
        using = len({source.unit for source in sources}) == 1 and rng.random() < 0.4
        conditions: list[str] = []
        comma = False
        for place, source in enumerate(sources[1:], start=1):
            if using:
                text += f" JOIN {source.sql} AS {source.alias} USING ({source.unit})"
                continue
            other = rng.choice(sources[:place])
            same = f"{other.alias}.{other.unit} = {source.alias}.{source.unit}"
            comma = comma or rng.random() < 0.3
            if comma:
                text += f", {source.sql} AS {source.alias}"
                conditions.append(same)
            else:
                extra = self.compare(sources[: place + 1]) if rng.random() < 0.4 else None
                text += f" INNER JOIN {source.sql} AS {source.alias} ON {same}" + (f" AND {extra}" if extra else "")
        return text, sources, conditions

    # Conditions

    def conditions(self, sources: list[_Source]) -> list[str]:
        rng = self.rng
        found = [self.condition(sources, 2) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
        if self.nested < 2 and rng.random() < 0.2:
            self.nested += 1
            arms = [self.select(0, [])[0] for _ in range(rng.choice((1, 1, 2)))]
            found.append(f"{sources[0].alias}.{sources[0].unit} IN ({' INTERSECT '.join(arms)})")
            self.nested -= 1
        return [each for each in found if each]

    def condition(self, sources: list[_Source], depth: int) -> str:
        rng = self.rng
        shape = rng.choice(("one", "one", "one", "not", "and", "or")) if depth else "one"
        match shape:
            case "not":
                return f"NOT ({self.condition(sources, depth - 1)})"
            case "and" | "or":
                items = [self.condition(sources, depth - 1) for _ in range(rng.choice((2, 2, 3)))]
                return "(" + f" {shape.upper()} ".join(items) + ")"
        if rng.random() < 0.2:
            compared = self.compare(sources)
            if compared:
                return compared
        found = [(source.alias, name, kind) for source in sources for name, kind in source.columns.items()]
        if not found:
            return rng.choice(("TRUE", "TRUE", f"{sources[0].alias}.{sources[0].unit} IS NOT NULL"))
        alias, name, kind = rng.choice(found)
        column = f"{alias}.{name}"
        shape = rng.choice(("compare", "compare", "between", "in", "null", "constant"))
        if shape == "between" and isinstance(kind, (Date, Number)):
            return f"{column} BETWEEN {self.literal(kind)} AND {self.literal(kind)}"
        if shape == "in":
            listed = [self.literal(kind) for _ in range(rng.randrange(1, 4))] + (["NULL"] if rng.random() < 0.2 else [])
            return f"{column} {rng.choice(('IN', 'NOT IN'))} ({', '.join(listed)})"
        if shape == "null":
            return f"{column} IS {rng.choice(('', 'NOT '))}NULL"
        if shape == "constant" and rng.random() < 0.3:
            return rng.choice(("TRUE", "TRUE", "FALSE", "NULL"))
        operators = ("=", "<>", "!=") if isinstance(kind, (Category, Text)) else ("=", "<>", "<", "<=", ">", ">=")
        sides = (column, self.literal(kind) if rng.random() < 0.95 else "NULL")
        left, right = sides if rng.random() < 0.7 else sides[::-1]
        return f"{left} {rng.choice(operators)} {right}"

    def compare(self, sources: list[_Source]) -> str | None:
        """Compare two columns, dates with dates and numbers with numbers of the same step."""
        rng = self.rng
        found = [(source.alias, name) for source in sources for name in source.columns]
        for names in rng.sample((("bought", "played"), ("seats",), ("amount",)), 3):
            sides = [f"{alias}.{name}" for alias, name in found if name in names]
            if len(sides) > 1:
                one, other = rng.sample(sides, 2)
                return f"{one} {rng.choice(('=', '<>', '<', '<=', '>', '>='))} {other}"
        return None

    # The release

    def question(self) -> Question:
        rng = self.rng
        text, sources, conditions = self.from_(rng.choice((0, 1, 1, 2)))
        conditions += self.conditions(sources)
        found = [(source.alias, name, kind) for source in sources for name, kind in source.columns.items()]
        keys: list[str] = []
        for alias, name, kind in rng.sample(found, min(len(found), rng.choice((0, 1, 1, 2)))):
            column = f"{alias}.{name}"
            match kind:
                case Category():
                    keys.append(column)
                case Number(lower=lower, upper=upper) if upper - lower < 30:
                    keys.append(column)
                case Date():
                    keys.append(f"date_trunc('month', {column})")
        measures = [f"{alias}.{name}" for alias, name, kind in found if isinstance(kind, Number)]
        unit = rng.choice([f"{source.alias}.{source.unit}" for source in sources])
        statistics = ["COUNT(*)", f"COUNT(DISTINCT {unit})"]
        statistics += [f"{rng.choice(('SUM', 'AVG'))}({measure})" for measure in measures]
        chosen = rng.sample(statistics, rng.randrange(1, min(3, len(statistics)) + 1))
        outputs = [f"{key} AS k{place}" for place, key in enumerate(keys)]
        outputs += [f"{statistic} AS v{place}" for place, statistic in enumerate(chosen)]
        grouped = [rng.choice((key, f"k{place}", str(place + 1))) for place, key in enumerate(keys)]
        sql = f"SELECT {', '.join(outputs)} FROM {text}"
        sql += f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql += f" GROUP BY {', '.join(grouped)}" if grouped else ""
        return self.finished(sql, plain=self.plain)


def _hull(kinds: list[ColumnType]) -> ColumnType:
    """Return a type whose literals are of use for a union's column."""
    first = kinds[0]
    match first:
        case Category():
            domain = dict.fromkeys(value for kind in kinds for value in getattr(kind, "domain", ()))
            return Category(tuple(domain), nullable=True)
        case Number():
            return replace(
                first,
                lower=min(getattr(kind, "lower", 0) for kind in kinds),
                upper=max(getattr(kind, "upper", 0) for kind in kinds),
            )
        case Date():
            return Date(
                min(getattr(kind, "first", first.first) for kind in kinds),
                max(getattr(kind, "last", first.last) for kind in kinds),
                nullable=True,
            )
    return first


def question(rng: Random, made: Catalogs, *, plain: bool = False) -> Question:
    """Write a well-typed question about `made`.

    Args:
        plain: with every value written out, none as a parameter.
    """
    return _Writer(rng, made, plain=plain).question()
