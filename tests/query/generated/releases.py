"""Whole questions: one release or several, with keys, grouping sets and statistics, and what is said over them."""

# ruff: noqa: S608 - questions are what is written here
from __future__ import annotations

from typing import TYPE_CHECKING

from generated.kinds import Cat, Day, Flag, Num, Words
from generated.selects import Selects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from generated.expressions import Scope
    from generated.relations import From
    from generated.values import Question
    from rooms import Catalogs

    from cleanroom.query.binding.asking import ReferenceCatalog

MOST_CELLS = 300
"""Cells of a generated release, as its keys were written to have; what is derived may come to more."""


class Questions(Selects):
    """Writes whole questions."""

    def question(self) -> Question:
        """Write one."""
        depth = self.rng.choice((0, 1, 1, 1, 2, 2))
        match self.rng.choice(("one", "one", "one", "one", "one", "one", "over", "ratio", "pair", "united")):
            case "over":
                body = self._over(depth)
            case "ratio":
                body = f"SELECT {self._ratio(depth)}"
            case "pair":
                body = self._pair(depth)
            case "united":
                arms = [f"SELECT '{name}' AS maison, COUNT(*) AS n {self.from_(depth).text}" for name in ("a", "b")]
                body = " UNION ALL ".join(arms)
            case _:
                body = self.release(self.from_(depth))
        names = ", ".join(f"{name} AS ({made.sql})" for name, made in self.with_names)
        return self.finished(f"WITH {names} {body}" if names else body, plain=self.plain and self.chance(0.7))

    # One release

    def release(self, inner: From) -> str:
        """Write one release."""
        rng = self.rng
        keys = self.keys(inner.scope)
        outputs = [f"{key} AS g{place}" for place, key in enumerate(keys)]
        statistics = [self.statistic(inner) for _ in range(rng.choice((1, 1, 2, 3)))]
        outputs += [f"{each} AS v{place}" for place, each in enumerate(statistics)]
        if self.chance(0.15):
            outputs.append(f"{self.statistic(inner, counts=True)} + 1 AS more")
        grouped = self._group_by(keys)
        if any(word in grouped for word in ("ROLLUP", "CUBE", "SETS")) and self.chance(0.4):
            outputs.append(f"GROUPING({keys[0]}) AS ensemble")
        if self.chance(0.1):
            rng.shuffle(outputs)
            grouped = grouped if not keys else f" GROUP BY {', '.join(keys)}"
            outputs = [each for each in outputs if not each.startswith("GROUPING")]
        sql = f"SELECT {', '.join(outputs)} {inner.text}{grouped}"
        if keys and self.chance(0.15):
            sql += f" HAVING {self.statistic(inner, counts=True)} {rng.choice(('>=', '<'))} {rng.choice((1, 2, 4))}"
        return sql

    def keys(self, scope: Scope) -> list[str]:
        """Write keys whose cells are public, or are thresholded."""
        cells = 1
        found: list[str] = []
        for _ in range(self.rng.choice((0, 0, 1, 1, 1, 2, 2))):
            made = self._key(scope)
            if made is not None and made[0] not in found and cells * made[1] <= MOST_CELLS:
                found.append(made[0])
                cells *= made[1]
        return found

    def _key(self, scope: Scope) -> tuple[str, int] | None:
        """Write one key; return it with the number of its cells."""
        rng = self.rng
        category, number, day = self.column(scope, Cat), self.column(scope, Num), self.column(scope, Day)
        words, flag = self.column(scope, Words), self.column(scope, Flag)
        match rng.choice(
            ("category", "category", "category", "number", "capped", "steps", "month", "part", "labels", "condition",
             "words", "words", "coalesce", "flag", "text")
        ):  # fmt: skip
            case "category" if category is not None:
                return category[0], 5
            case "coalesce" if category is not None:
                return f"COALESCE({category[0]}, 'aucune')", 5
            case "number" if number is not None and isinstance(number[1], Num) and self._short(number[1]):
                return number[0], 30
            case "capped" if number is not None and isinstance(number[1], Num) and number[1].lower >= -10:
                if not number[1].digits and number[1].reach < 10**5:
                    return f"LEAST({number[0]}, {rng.choice((2, 5))})", 16
            case "steps" if number is not None and isinstance(number[1], Num) and number[1].reach < 1_000:
                return f"FLOOR({number[0]} / 50) * 50", 30
            case "month" if day is not None:
                return f"date_trunc('{rng.choice(('month', 'month', 'quarter'))}', {day[0]})", 20
            case "part" if day is not None:
                name, cells = rng.choice((("year", 3), ("dayofweek", 8), ("quarter", 5)))
                return f"{name}({day[0]})", cells
            case "labels":
                item = self.condition(scope, 1)
                if "." in item and "person" not in item:
                    return f"CASE WHEN {item} THEN 'a' WHEN {self.condition(scope, 0)} THEN 'b' END", 3
            case "condition":
                item = self.condition(scope, 0)
                if "." in item:
                    return f"({item})", 3
            case "flag" if flag is not None:
                return flag[0], 3
            case "words" if words is not None:
                return words[0], 5
            case "text" if words is not None:
                return f"LOWER({words[0]})", 5
        return None

    @staticmethod
    def _short(kind: Num) -> bool:
        return not kind.digits and not kind.approximate and kind.upper - kind.lower < 30

    def _group_by(self, keys: list[str]) -> str:
        if not keys:
            return ""
        names = [self.rng.choice((key, f"g{place}", str(place + 1))) for place, key in enumerate(keys)]
        if self.chance(0.25):
            bare = ", ".join(keys)
            options = [f"ROLLUP ({bare})", f"CUBE ({bare})", f"GROUPING SETS (({bare}), ())"]
            if len(keys) > 1:
                options.append(f"GROUPING SETS (({keys[0]}), ({keys[1]}), ())")
            return f" GROUP BY {self.rng.choice(options)}"
        if self.chance(0.1):
            return " GROUP BY ALL"
        return f" GROUP BY {', '.join(names)}"

    def statistic(self, inner: From, *, counts: bool = False) -> str:
        """Write a statistic of people."""
        rng = self.rng
        where = f" FILTER (WHERE {self._filter(inner)})" if self.chance(0.2) else ""
        name = rng.choice(("rows", "persons", "persons", "count", "if", "sum", "sum", "avg", "var", "quantile"))
        if counts or name in {"rows", "persons", "count", "if"}:
            return self._count(inner, name, where, sole=counts)
        item, kind = self.measure(inner.scope)
        if "." not in item or not isinstance(kind, Num) or kind.reach > 10**6:
            return self._count(inner, "rows", where)
        match name:
            case "sum":
                return f"SUM({item}){where}"
            case "avg":
                return f"AVG({item}){where}"
            case "var" if kind.reach < 10**4:
                called = rng.choice(("VAR_POP", "VAR_SAMP", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "STDDEV"))
                return f"{called}({item}){where}"
            case "quantile" if not kind.approximate and kind.reach < 10**4:
                if self.chance(0.4):
                    return f"MEDIAN({item}){where}"
                share = rng.choice(("0.25", "0.5", "0.9"))
                if self.chance(0.3):
                    return f"PERCENTILE_DISC({share}) WITHIN GROUP (ORDER BY {item}){where}"
                return f"QUANTILE_{rng.choice(('CONT', 'DISC'))}({item}, {share}){where}"
        return f"SUM({item}){where}"

    def measure(self, scope: Scope) -> tuple[str, object]:
        """Write what is added up; means of floating point too."""
        if self.plain and self.chance(0.3):
            inexact = [
                (f"{source.alias}.{name}", kind)
                for source in scope
                for name, kind in source.columns.items()
                if isinstance(kind, Num) and kind.approximate
            ]
            if inexact:
                return self.rng.choice(inexact)
        return self.number(scope, self.rng.choice((0, 0, 1, 2)))

    def _filter(self, inner: From) -> str:
        if self.relations < 8 and self.chance(0.25):
            return self.about_person(inner.scope, inner.unit)
        return self.condition(inner.scope, 1)

    def _count(self, inner: From, name: str, where: str, *, sole: bool = False) -> str:
        if name == "persons":
            unit = inner.unit
            absent = [source.person for source in inner.scope if source.unit and source.absent]
            if absent and self.chance(0.4):
                unit = self.rng.choice(absent)
            return f"COUNT({self.rng.choice(('DISTINCT ', 'DISTINCT ', ''))}{unit}){where}"
        if name == "count":
            item, _ = self.expression(inner.scope, self.rng.choice((Num, Cat, Day, Words)), self.rng.choice((0, 0, 1)))
            if "." in item:
                return f"COUNT({item}){where}"
        # Over no rows at all plain SQL's COUNT_IF is NULL, and so is an expression over it.
        if name == "if" and not where and not (sole and self.plain):
            return f"COUNT_IF({self.condition(inner.scope, 1)})"
        return f"COUNT(*){where}"

    # Several releases, and SQL over them

    def _over(self, depth: int) -> str:
        inner = self.from_(depth)
        key = self._key(inner.scope)
        if key is None:
            return self.release(inner)
        body = f"SELECT {key[0]} AS g, {self.statistic(inner, counts=True)} AS n {inner.text} GROUP BY g"
        outputs = self.rng.choice(
            ("g, n", "g, n, RANK() OVER (ORDER BY n DESC) AS place", "g, n * 2 AS double", "MAX(n) AS most",
             "g, SUM(n) OVER (ORDER BY g) AS so_far")
        )  # fmt: skip
        where = f" WHERE n {self.rng.choice(('>=', '<'))} {self.rng.choice((1, 3))}" if self.chance(0.4) else ""
        return f"SELECT {outputs} FROM ({body}) AS t{where}"

    def _ratio(self, depth: int) -> str:
        inner = self.from_(depth)
        top, bottom = self.statistic(inner, counts=True), self.statistic(inner, counts=True)
        return f"{top} * 1.0 / NULLIF({bottom}, 0) AS part {inner.text}"

    def _pair(self, depth: int) -> str:
        arms = []
        for _ in range(2):
            inner = self.from_(depth)
            category = self.column(inner.scope, Cat)
            if category is None:
                arms = []
                break
            arms.append(
                f"(SELECT {category[0]} AS g, {self.statistic(inner, counts=True)} AS n {inner.text} GROUP BY 1)"
            )
        if not arms:
            arms = [f"(SELECT 1 AS g, {self.statistic(inner, counts=True)} AS n {inner.text})" for inner in
                    (self.from_(depth), self.from_(depth))]  # fmt: skip
            return f"SELECT a.n - b.n AS gap FROM {arms[0]} AS a, {arms[1]} AS b"
        return f"SELECT a.g, a.n AS one, b.n AS other FROM {arms[0]} AS a JOIN {arms[1]} AS b ON a.g = b.g"


def generated(rng: Random, made: Catalogs, public: Sequence[ReferenceCatalog] = (), *, plain: bool = False) -> Question:
    """Write a well-typed question about `made`.

    Args:
        public: the room's public tables.
        plain: only what plain SQL computes alike.
    """
    return Questions(rng, made, public, plain=plain).question()
