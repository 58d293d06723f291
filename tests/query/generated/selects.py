"""SELECTs of people's rows: projections, DISTINCT, aggregates of each person, windows over each person's rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from generated.kinds import Cat, Day, Flag, Kind, Num, Words
from generated.relations import Made, Relations

if TYPE_CHECKING:
    from generated.expressions import Scope, Typed

FRAMES = (
    "",
    "",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
    "ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING",
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
)


class Selects(Relations):
    """Writes SELECTs."""

    def any_select(self, depth: int) -> Made:
        """Write a SELECT or a set operation of people's rows, without parentheses."""
        match self.rng.choice(
            ("rows", "rows", "distinct", "groups", "groups", "groups", "windows", "windows", "sets", "sets")
        ):
            case "rows":
                return self.rows(depth)
            case "distinct":
                return self.rows(depth, distinct=True)
            case "groups":
                return self.groups(depth)
            case "windows":
                return self.windows(depth)
        return self.set_operation(depth)

    def rows(self, depth: int, *, distinct: bool = False) -> Made:
        """Write a projection."""
        inner = self.from_(depth)
        likes = [
            self.rng.choice((Num, Num, Cat, Cat, Day, Words, Flag)) for _ in range(self.rng.choice((0, 1, 2, 3, 4)))
        ]
        outputs = [self.expression(inner.scope, like, self.rng.choice((0, 0, 1, 2))) for like in likes]
        if self.relations < 8 and self.chance(0.2):
            if self.chance(0.5):
                outputs.append((f"({self.about_person(inner.scope, inner.unit)})", Flag()))
            else:
                outputs.append((f"LEAST({self.scalar(inner.scope, bare=True)}, 3)", Num(-5, 3, 2, 38)))
        listed, columns = labelled(outputs, "c")
        select = "SELECT DISTINCT" if distinct else "SELECT"
        return Made(f"{select} {', '.join([f'{inner.unit} AS person', *listed])} {inner.text}", "person", columns)

    # Aggregates of each person

    def groups(self, depth: int) -> Made:
        """Write GROUP BY person."""
        rng = self.rng
        inner = self.from_(depth)
        likes = [rng.choice((Cat, Num, Day, Words, Flag)) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
        keys = [self.expression(inner.scope, like, rng.choice((0, 0, 1))) for like in likes]
        keys = [each for each in keys if any(f"{source.alias}." in each[0] for source in inner.scope)]
        aggregates = [self.aggregate(inner.scope) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        listed_keys, key_columns = labelled(keys, "k")
        listed, columns = labelled(aggregates, "a")
        outputs = ", ".join([f"{inner.unit} AS person", *listed_keys, *listed])
        taken = {name for source in inner.scope for name in source.columns}
        names = [sql if f"k{at}" in taken else rng.choice((sql, f"k{at}")) for at, (sql, _) in enumerate(keys)]
        grouped = [inner.unit, *names]
        having = ""
        if self.chance(0.4):
            held = [self._held(inner.scope) for _ in range(rng.choice((1, 1, 2)))]
            having = f" HAVING {rng.choice((' AND ', ' OR ')).join(held)}"
        sql = f"SELECT {outputs} {inner.text} GROUP BY {', '.join(grouped)}{having}"
        return Made(sql, "person", {**key_columns, **columns})

    def aggregate(self, scope: Scope) -> Typed:
        """Write an aggregate of a person's rows, or an expression over some."""
        sql, kind = self._aggregate(scope)
        if not isinstance(kind, Num) or kind.approximate or kind.reach > 10**6 or kind.width > 30:
            return sql, kind
        match self.rng.choice(("bare", "bare", "bare", "least", "coalesce", "labels", "plus")):
            case "least":
                return f"LEAST({sql}, 4)", replace(kind, lower=min(kind.lower, 4), upper=4, digits=kind.digits)
            case "coalesce":
                return f"COALESCE({sql}, 0)", replace(kind, lower=min(kind.lower, 0), upper=max(kind.upper, 0))
            case "labels":
                return f"CASE WHEN {sql} > 2 THEN 'oui' ELSE 'non' END", Cat(("oui", "non"))
            case "plus":
                return f"({sql} + COUNT(*))", replace(
                    kind, lower=kind.lower, upper=kind.upper + 20, width=kind.width + 3
                )
        return sql, kind

    def _aggregate(self, scope: Scope) -> Typed:
        rng = self.rng
        where = f" FILTER (WHERE {self.condition(scope, 1)})" if self.chance(0.15) else ""
        names = (
            "rows",
            "rows",
            "count",
            "distinct",
            "sum",
            "sum",
            "avg",
            "min",
            "max",
            "some",
            "every",
            "first",
            "arg",
        )
        name = rng.choice(names[:-1] if self.plain else names)
        if name == "rows":
            return f"COUNT(*){where}", Num(0, 20, 0, 19)
        if name in {"some", "every"}:
            item = self.condition(scope, 1)
            return (
                f"BOOL_{'OR' if name == 'some' else 'AND'}({item}){where}" if "." in item else "(COUNT(*) > 1)",
                Flag(),
            )
        if name == "first":
            return self._first(scope, where)
        if name in {"count", "distinct"}:
            item, _ = self.expression(scope, rng.choice((Num, Cat, Day, Words)), rng.choice((0, 0, 1)))
            if "." not in item:
                return f"COUNT(*){where}", Num(0, 20, 0, 19)
            return f"COUNT({'DISTINCT ' if name == 'distinct' else ''}{item}){where}", Num(0, 20, 0, 19)
        like = Day if name in {"min", "max"} and self.chance(0.4) else Num
        item, kind = self.expression(scope, like, rng.choice((0, 0, 1)))
        if "." not in item:
            return f"COUNT(*){where}", Num(0, 20, 0, 19)
        if name in {"min", "max"}:
            return f"{name.upper()}({item}){where}", kind
        assert isinstance(kind, Num)
        if name == "arg":
            by, _ = self.expression(scope, rng.choice((Num, Day)), 0)
            return f"arg_{rng.choice(('min', 'max'))}({item}, {by}){where}", kind
        if name == "avg":
            return f"AVG({item}){where}", replace(kind, approximate=True)
        if kind.reach > 10**6:
            return f"COUNT({item}){where}", Num(0, 20, 0, 19)
        return f"SUM({item}){where}", replace(
            kind, lower=min(0, 20 * kind.lower), upper=max(0, 20 * kind.upper), width=38
        )

    def _first(self, scope: Scope, where: str) -> Typed:
        item, kind = self.expression(scope, self.rng.choice((Num, Cat, Day)), 0)
        if "." not in item:
            return f"COUNT(*){where}", Num(0, 20, 0, 19)
        return f"{self.rng.choice(('FIRST', 'LAST'))}({item} ORDER BY {self._order(scope)}){where}", kind

    def _held(self, scope: Scope) -> str:
        sql, kind = self._aggregate(scope)
        match kind:
            case Flag():
                return sql
            case Num(approximate=True):
                # No mean of a few numbers of two decimals is this one.
                return f"{sql} {self.rng.choice(('<', '>='))} {(kind.lower + kind.upper) // 2}.0037"
            case Num():
                return f"{sql} {self.rng.choice(('>=', '>', '=', '<>', '<'))} {self.rng.choice((0, 1, 2, 3, 10))}"
            case Day() | Cat():
                return f"{sql} {self.rng.choice(('=', '<>'))} {self.literal(kind)}"
        return "COUNT(*) >= 1"

    def _order(self, scope: Scope) -> str:
        """Write ORDER BY; in plain questions by every column, so that rows that tie are equal."""
        whole = self.columns_of_all(scope)
        chosen = self.rng.sample(whole, len(whole) if self.plain else min(len(whole), self.rng.choice((1, 1, 2))))
        if not chosen:
            return "1"
        ends = ("", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST")
        return ", ".join(f"{column}{self.rng.choice(ends)}" for column in chosen)

    @staticmethod
    def columns_of_all(scope: Scope) -> list[str]:
        """Return every column, those of floating point too."""
        return [f"{source.alias}.{name}" for source in scope for name in source.columns]

    # Windows

    def windows(self, depth: int) -> Made:
        """Write windows over each person's rows."""
        rng = self.rng
        inner = self.from_(depth, most=1 if self.plain else 3)
        if not self.columns_of_all(inner.scope):
            return self.groups(depth)
        outputs = [self.expression(inner.scope, rng.choice((Num, Cat, Day)), 0) for _ in range(rng.choice((0, 1, 2)))]
        listed, columns = labelled(outputs, "c")
        made = [self._window(inner.scope, inner.unit) for _ in range(rng.choice((1, 1, 2)))]
        listed_windows, window_columns = labelled(made, "v")
        sql = f"SELECT {', '.join([f'{inner.unit} AS person', *listed, *listed_windows])} {inner.text}"
        if self.chance(0.25):
            number = f"ROW_NUMBER() OVER (PARTITION BY {inner.unit} ORDER BY {self._order(inner.scope)})"
            sql += f" QUALIFY {number} {rng.choice(('<= 2', '= 1', '> 1'))}"
        return Made(sql, "person", {**columns, **window_columns})

    def _window(self, scope: Scope, unit: str) -> Typed:
        rng = self.rng
        by = ""
        if self.chance(0.35):
            item, _ = self.expression(scope, rng.choice((Cat, Num, Words)), 0)
            by = f", {item}" if "." in item else ""
        order = f" ORDER BY {self._order(scope)}"
        frame = f" {rng.choice(FRAMES)}".rstrip()
        measured = self.column(scope, Num, Day)
        if measured is not None and self.chance(0.25) and getattr(measured[1], "reach", 0) < 10**6:
            # Values at a distance: rows that tie are in or out together.
            order = f" ORDER BY {measured[0]}{rng.choice(('', ' DESC'))}"
            frame = f" RANGE BETWEEN {rng.choice(('2 PRECEDING', 'CURRENT ROW'))} AND {rng.choice((1, 3))} FOLLOWING"
            return (
                f"{rng.choice(('COUNT(*)', f'COUNT({measured[0]})'))} OVER (PARTITION BY {unit}{by}{order}{frame})",
                Num(0, 20, 0, 19),
            )
        over = f"(PARTITION BY {unit}{by}{order}{frame})"
        unframed = f"(PARTITION BY {unit}{by}{order})"
        name = rng.choice(
            ("number", "number", "rank", "lag", "lag", "first", "last", "sum", "sum", "count", "min", "max", "avg")
        )
        if name == "number":
            return f"ROW_NUMBER() OVER {unframed}", Num(1, 20, 0, 19)
        if name == "rank":
            return f"{rng.choice(('RANK', 'DENSE_RANK'))}() OVER {unframed}", Num(1, 20, 0, 19)
        like = rng.choice((Num, Num, Cat, Day)) if name in {"lag", "first", "last"} else Num
        item, kind = self.expression(scope, like, rng.choice((0, 0, 1)))
        if "." not in item or (name in {"sum", "avg"} and isinstance(kind, Num) and kind.reach > 10**6):
            return f"COUNT(*) OVER {over}", Num(0, 20, 0, 19)
        if name == "lag":
            offset = rng.choice(("", ", 1", ", 2"))
            return f"{rng.choice(('LAG', 'LEAD'))}({item}{offset}) OVER {unframed}", kind
        if name in {"first", "last"}:
            called = f"NTH_VALUE({item}, 2)" if self.chance(0.2) else f"{name.upper()}_VALUE({item})"
            return f"{called} OVER {over}", kind
        if name == "count":
            return f"COUNT({rng.choice((item, '*'))}) OVER {over}", Num(0, 20, 0, 19)
        bare = f"(PARTITION BY {unit}{by})"
        over = rng.choice((over, over, bare))
        assert isinstance(kind, Num)
        if name == "avg":
            return f"AVG({item}) OVER {over}", replace(kind, approximate=True)
        if name == "sum":
            ends = {"lower": min(0, 20 * kind.lower), "upper": max(0, 20 * kind.upper)}
            return f"SUM({item}) OVER {over}", replace(kind, **ends, width=38)
        return f"{name.upper()}({item}) OVER {over}", kind


def labelled(outputs: list[Typed], prefix: str) -> tuple[list[str], dict[str, Kind]]:
    """Return outputs with labels, and the columns that they become."""
    listed = [f"{sql} AS {prefix}{place}" for place, (sql, _) in enumerate(outputs)]
    return listed, {f"{prefix}{place}": kind for place, (_, kind) in enumerate(outputs)}
