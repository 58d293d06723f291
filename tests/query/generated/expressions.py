"""Scalar expressions over the sources of a FROM clause: every admitted family of functions, by the kind wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from generated.kinds import Cat, Day, Flag, Kind, Num, Words
from generated.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

COMPUTED = frozenset(f"{letter}{place}" for letter in "av" for place in range(4))
"""What aggregates and windows are called."""

FAR = 10**6
"""Numbers beyond this are not multiplied any further."""


@dataclass(frozen=True)
class Source:
    """A relation of a FROM clause.

    Args:
        unit: the name of its unit; None for a public table.
        absent: whether an outer join may leave it out of a row.
    """

    alias: str
    unit: str | None
    columns: dict[str, Kind]
    absent: bool = False

    @property
    def person(self) -> str:
        """The unit as text."""
        return f"{self.alias}.{self.unit}"


Scope = list[Source]
Typed = tuple[str, Kind]


class Expressions(Values):
    """Writes expressions.

    Args:
        plain: only what plain SQL computes alike: nothing that depends on the order of ties or on floating point.
    """

    def __init__(self, rng: Random, *, plain: bool) -> None:
        super().__init__(rng)
        self.plain = plain

    def chance(self, share: float) -> bool:
        """Return True in so many of the cases."""
        return self.rng.random() < share

    # Literals

    def literal(self, kind: Kind) -> str:
        """Return a value that such an expression may well be compared with."""
        pick = self.rng.choice
        match kind:
            case Cat(domain=domain):
                return self.value(pick((*domain, *domain, "ailleurs")))
            case Words():
                return self.value(pick(("web", "guichet", "l'été")))
            case Day(first=first, last=last):
                return self.value(pick((first, last, date(2024, 2, 1), date(2024, 1, 31), date(2024, 2, 29))))
            case Num(lower=lower, upper=upper, digits=digits):
                middle = (lower + upper) // 2
                whole = pick((lower, upper, middle, middle + 1, lower - 1, upper + 1, 0, 2))
                return self.value(whole + pick((Decimal(0), Decimal(0), Decimal("0.25"))) if digits else whole)
            case Flag():
                return pick(("TRUE", "FALSE"))

    # Columns

    def columns(self, scope: Scope, *kinds: type[Kind]) -> list[Typed]:
        """Return the columns of these kinds; in plain questions none that is approximate."""
        return [
            (f"{source.alias}.{name}", kind)
            for source in scope
            for name, kind in source.columns.items()
            if isinstance(kind, kinds) and not (self.plain and isinstance(kind, Num) and kind.approximate)
        ]

    def column(self, scope: Scope, *kinds: type[Kind]) -> Typed | None:
        """Return a column, or None if there is none of these kinds."""
        found = self.columns(scope, *kinds)
        computed = [each for each in found if each[0].split(".")[1] in COMPUTED]
        if computed and self.chance(0.5):
            # What nothing looks at is pruned: aggregates and windows are looked at more often than their number.
            found = computed
        return self.rng.choice(found) if found else None

    # Expressions by kind

    def expression(self, scope: Scope, like: type[Kind], depth: int) -> Typed:
        """Write an expression of a kind; a literal where the scope offers nothing."""
        makers: dict[type[Kind], Callable[[Scope, int], Typed]] = {
            Num: self.number,
            Cat: self.category,
            Words: self.text,
            Day: self.day,
            Flag: self.flag,
        }
        return makers[like](scope, depth)

    def number(self, scope: Scope, depth: int) -> Typed:
        """Write a number."""
        if depth <= 0 or self.chance(0.3):
            return self.column(scope, Num) or (str(self.rng.choice((0, 1, 3))), Num(0, 3))
        shape = self.rng.choice(
            ("plus", "plus", "times", "minus", "one", "one", "scaled", "least", "case", "coalesce", "nullif", "part",
             "days", "length", "ratio", "mod", "round", "cast")
        )  # fmt: skip
        match shape:
            case "part" | "days":
                return self._of_days(scope, shape)
            case "length":
                text, _ = self.text(scope, 0)
                return f"LENGTH({text})", Num(0, 20, 0, 19)
            case "case":
                return self._case(scope, Num, depth)
        item, kind = self.number(scope, depth - 1)
        assert isinstance(kind, Num)
        match shape:
            case "plus" | "minus" | "times":
                return self._paired(shape, (item, kind), self.number(scope, depth - 1))
            case "one":
                name = self.rng.choice(("-", "ABS", "FLOOR", "CEIL", "SIGN"))
                digits = 0 if name in {"FLOOR", "CEIL", "SIGN"} else kind.digits
                ends = (-1, 1) if name == "SIGN" else (-kind.reach - 1, kind.reach + 1)
                return f"{name}({item})", Num(*ends, digits, kind.width, kind.approximate)
            case "scaled" if kind.reach < FAR and kind.width < 28:
                by = self.rng.choice((2, 3, -1, 10))
                ends = sorted((kind.lower * by, kind.upper * by))
                return f"({item} * {by})", replace(kind, lower=ends[0], upper=ends[1], width=kind.width + 10)
            case "least":
                name, literal = self.rng.choice(("LEAST", "GREATEST")), self.literal(kind)
                listed = [item, literal]
                other, theirs = self.number(scope, 0)
                if isinstance(theirs, Num) and self.chance(0.4):
                    listed.append(other)
                    kind = Num(
                        min(kind.lower, theirs.lower),
                        max(kind.upper, theirs.upper),
                        max(kind.digits, theirs.digits),
                        38,
                    )
                return f"{name}({', '.join(listed)})", replace(kind, digits=max(kind.digits, 2), width=kind.width + 3)
            case "coalesce":
                return f"COALESCE({item}, {self.literal(kind)})", replace(kind, width=kind.width + 3)
            case "nullif":
                return f"NULLIF({item}, {self.literal(kind)})", kind
            case "mod" if not kind.digits:
                name = self.rng.choice(("%", "//"))
                by = self.rng.choice((2, 3, 7))
                return f"({item} {name} {by})", Num(-kind.reach, kind.reach, 0, kind.width, kind.approximate)
            case "round" if kind.digits:
                return f"ROUND({item}, {self.rng.choice((0, 1))})", replace(kind, upper=kind.upper + 1)
            case "cast" if kind.reach < FAR:
                return f"CAST({item} AS INTEGER)", Num(kind.lower - 1, kind.upper + 1, 0, 10, kind.approximate)
            case "ratio" if not self.plain and kind.reach < FAR:
                other, _ = self.number(scope, 0)
                return f"({item} / NULLIF({other}, 0))", Num(-kind.reach, kind.reach, 2, 38, approximate=True)
        return item, kind

    def _paired(self, shape: str, one: Typed, other: Typed) -> Typed:
        (a, mine), (b, theirs) = one, other
        assert isinstance(mine, Num)
        assert isinstance(theirs, Num)
        approximate = mine.approximate or theirs.approximate
        if max(mine.reach, theirs.reach) > FAR:
            return one
        if shape == "times":
            if mine.width + theirs.width > 36 or (mine.digits and theirs.digits):
                return one
            reach = mine.reach * theirs.reach
            return f"({a} * {b})", Num(
                -reach, reach, mine.digits + theirs.digits, mine.width + theirs.width, approximate
            )
        width = max(mine.width, theirs.width) + 3
        if width > 36:
            return one
        sign = "+" if shape == "plus" else "-"
        reach = mine.reach + theirs.reach
        return f"({a} {sign} {b})", Num(-reach, reach, max(mine.digits, theirs.digits), width, approximate)

    def _of_days(self, scope: Scope, shape: str) -> Typed:
        day, _ = self.day(scope, 1)
        if shape == "days":
            other, _ = self.day(scope, 0)
            return f"date_diff('day', {day}, {other})", Num(-900, 900, 0, 19)
        name, ends = self.rng.choice(
            (("month", (1, 12)), ("year", (2023, 2025)), ("dayofweek", (0, 6)), ("quarter", (1, 4)), ("day", (1, 31)))
        )
        if self.chance(0.2):
            return f"extract('isodow' FROM {day})", Num(1, 7, 0, 19)
        return f"{name}({day})", Num(*ends, 0, 19)

    def _case(self, scope: Scope, like: type[Kind], depth: int) -> Typed:
        item, kind = self.expression(scope, like, depth - 1)
        other = self.literal(kind) if self.chance(0.5) else "NULL"
        written = f"CASE WHEN {self.condition(scope, 1)} THEN {item} ELSE {other} END"
        return written, replace(kind, digits=max(kind.digits, 2)) if isinstance(kind, Num) else kind

    def category(self, scope: Scope, depth: int) -> Typed:
        """Write a text with a domain."""
        if depth > 0:
            match self.rng.choice(("column", "column", "labels", "coalesce", "nullif", "month", "case")):
                case "labels":
                    return f"CASE WHEN {self.condition(scope, 1)} THEN 'oui' ELSE 'non' END", Cat(("oui", "non"))
                case "coalesce":
                    item, kind = self.category(scope, 0)
                    assert isinstance(kind, Cat)
                    return f"COALESCE({item}, 'aucune')", Cat((*kind.domain, "aucune"))
                case "nullif":
                    item, kind = self.category(scope, 0)
                    return f"NULLIF({item}, {self.literal(kind)})", kind
                case "month":
                    day, _ = self.day(scope, 0)
                    return f"strftime({day}, '%Y-%m')", Cat(("2024-01", "2024-02"))
                case "case":
                    return self._case(scope, Cat, depth)
        return self.column(scope, Cat) or ("'oui'", Cat(("oui",)))

    def text(self, scope: Scope, depth: int) -> Typed:
        """Write any text; a function of one with a domain has one too."""
        if depth <= 0:
            return self.column(scope, Words) or self.column(scope, Cat) or ("'web'", Words())
        item, kind = self.text(scope, depth - 1)
        match self.rng.choice(("lower", "upper", "trim", "part", "joined", "column")):
            case "lower":
                return f"LOWER({item})", kind
            case "upper":
                return f"UPPER({item})", kind
            case "trim":
                return f"TRIM({item})", kind
            case "part":
                return f"SUBSTR({item}, 1, {self.rng.choice((1, 3))})", kind
            case "joined" if isinstance(kind, Cat):
                return f"({item} || 'x')", kind
        return item, kind

    def day(self, scope: Scope, depth: int) -> Typed:
        """Write a date."""
        found = self.column(scope, Day)
        if found is None:
            return "DATE '2024-02-01'", Day(date(2024, 2, 1), date(2024, 2, 1))
        item, kind = found
        if depth <= 0:
            return found
        assert isinstance(kind, Day)
        match self.rng.choice(("column", "column", "interval", "days", "month", "last", "least", "coalesce", "case")):
            case "interval":
                span = self.rng.choice((("1 MONTH", 31), ("30 DAY", 30), ("1 WEEK", 7), ("1 YEAR", 366)))
                return f"({item} + INTERVAL {span[0]})", replace(kind, last=kind.last + timedelta(days=span[1]))
            case "days":
                return f"({item} - {self.rng.choice((1, 10))})", kind
            case "month":
                return f"date_trunc('{self.rng.choice(('month', 'week', 'quarter'))}', {item})", kind
            case "last":
                return f"last_day({item})", kind
            case "least":
                return f"{self.rng.choice(('LEAST', 'GREATEST'))}({item}, {self.literal(kind)})", kind
            case "coalesce":
                return f"COALESCE({item}, {self.literal(kind)})", kind
            case "case":
                return self._case(scope, Day, 1)
        return item, kind

    def flag(self, scope: Scope, depth: int) -> Typed:
        """Write a condition as a value."""
        return f"({self.condition(scope, depth)})", Flag()

    # Conditions

    def condition(self, scope: Scope, depth: int) -> str:
        """Write a condition without subqueries."""
        rng = self.rng
        if depth > 0:
            match rng.choice(("one", "one", "one", "one", "not", "and", "or", "is")):
                case "not":
                    return f"NOT ({self.condition(scope, depth - 1)})"
                case "and" | "or" as joint:
                    items = [self.condition(scope, depth - 1) for _ in range(rng.choice((2, 2, 3)))]
                    return "(" + f" {joint.upper()} ".join(items) + ")"
                case "is":
                    tested = rng.choice(("IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NULL"))
                    return f"(({self.condition(scope, depth - 1)}) {tested})"
        absent = [source for source in scope if source.absent and source.unit]
        if absent and self.chance(0.15):
            return f"{rng.choice(absent).person} IS {rng.choice(('', 'NOT '))}NULL"
        if self.chance(0.25):
            compared = self.compared(scope, scope)
            if compared:
                return compared
        return self._simple(scope, depth)

    def compared(self, mine: Scope, theirs: Scope) -> str | None:
        """Compare two columns of the same kind, one of each scope."""
        rng = self.rng
        for kinds in rng.sample(((Day,), (Num,), (Cat,), (Words,)), 4):
            a, b = self.column(mine, *kinds), self.column(theirs, *kinds)
            if a is None or b is None or (a == b and len(self.columns(theirs, *kinds)) > 1 and self.chance(0.9)):
                continue
            if kinds == (Day,) and self.chance(0.3):
                return f"{b[0]} BETWEEN {a[0]} AND {a[0]} + INTERVAL {rng.choice((7, 30))} DAY"
            if self.chance(0.1):
                return f"{a[0]} IS {rng.choice(('', 'NOT '))}DISTINCT FROM {b[0]}"
            operators = ("=", "<>") if kinds in {(Cat,), (Words,)} else ("=", "<>", "<", "<=", ">", ">=")
            return f"{a[0]} {rng.choice(operators)} {b[0]}"
        return None

    def _simple(self, scope: Scope, depth: int) -> str:
        rng = self.rng
        like = rng.choice((Num, Num, Cat, Cat, Words, Day, Day, Flag))
        if like is Flag:
            found = self.column(scope, Flag)
            return found[0] if found else rng.choice(("TRUE", "TRUE", "FALSE"))
        if not self.columns(scope, *((Words, Cat) if like is Words else (like,))):
            return "TRUE"
        item, kind = self.expression(scope, like, depth if self.chance(0.4) else 0)
        match rng.choice(("compare", "compare", "compare", "between", "in", "null", "like")):
            case "between" if like in {Num, Day}:
                return f"{item} BETWEEN {self.literal(kind)} AND {self.literal(kind)}"
            case "in":
                listed = [self.literal(kind) for _ in range(rng.randrange(1, 4))]
                listed += ["NULL"] if self.chance(0.15) else []
                return f"{item} {rng.choice(('IN', 'NOT IN'))} ({', '.join(listed)})"
            case "null":
                return f"{item} IS {rng.choice(('', 'NOT '))}NULL"
            case "like" if like in {Cat, Words}:
                pattern = rng.choice(("'n%'", "'%a%'", "'w_b'", "'%'"))
                return f"{item} {rng.choice(('LIKE', 'ILIKE', 'NOT LIKE'))} {pattern}"
        operators = ("=", "<>", "!=") if like in {Cat, Words} else ("=", "<>", "<", "<=", ">", ">=")
        sides = (item, self.literal(kind))
        left, right = sides if self.chance(0.8) else sides[::-1]
        return f"{left} {rng.choice(operators)} {right}"
