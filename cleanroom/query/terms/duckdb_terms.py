"""Print a term as SQL for DuckDB: columns by number, constants as bound parameters, nothing that a person typed.

What is printed cannot fail on any row, whatever 64-bit codes and texts its columns hold: sums and products are made in
HUGEINT and come back with TRY_CAST, divisions are made in 64 bits (in HUGEINT they take ten times as long), divisors
are constants above 0 or pass NULLIF, days pass DECIMAL(7, 0), places in lists are clamped. No floating-point number
occurs. Each part of a term is printed once, so the text is no longer than the term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from cleanroom.errors import InvariantBroken
from cleanroom.query.terms import language as t
from cleanroom.query.terms.evaluate import floor_multiple
from cleanroom.query.terms.types import LONGEST_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

Parameter = int | str | tuple[int | None, ...] | tuple[str, ...]
"""A value to bind: a number, a text, or a list of either."""

PRINTED_TERMS: Final = frozenset(
    {
        exp.Abs, exp.Add, exp.And, exp.ArrayContains, exp.ArrayPosition, exp.Boolean, exp.Case, exp.Cast,
        exp.Column, exp.DataType, exp.DataTypeParam, exp.EQ, exp.Extract, exp.Greatest, exp.Identifier, exp.If, exp.In,
        exp.IntDiv, exp.Interval, exp.Is, exp.LT, exp.LTE, exp.Least, exp.Length, exp.Like, exp.Literal, exp.Lower,
        exp.Mod, exp.Mul, exp.Not, exp.Null, exp.Nullif, exp.Or, exp.Paren, exp.Placeholder, exp.Sign, exp.Sub,
        exp.Substring, exp.TimestampTrunc, exp.Trim, exp.TryCast, exp.Upper, exp.Var,
    }
)  # fmt: skip
"""Node classes that a printed term may hold, when sqlglot reads it again."""

PRINTED_FUNCTIONS: Final = frozenset({"LIST_EXTRACT"})
"""Functions that sqlglot has no class for and a printed term may hold. (It would rewrite what stands in `x[…]`.)"""

_LONGEST_LIST: Final = 32
"""Values that IN lists one by one; more are bound as one list."""

_LIMIT: Final = 1 << 62


def placeholder(value: Parameter) -> str:
    """Return what stands in SQL for a bound value.

    Raises:
        InvariantBroken: a number beyond 62 bits, which no proof allows.
    """
    if isinstance(value, tuple):
        whole = [each for each in value if not isinstance(each, str)]
        _within(*whole)
        return "CAST(? AS BIGINT[])" if whole else "CAST(? AS VARCHAR[])"
    if isinstance(value, str):
        return "CAST(? AS VARCHAR)"
    _within(value)
    return "CAST(? AS BIGINT)"


def may_print(node: exp.Expr) -> bool:
    """Return whether a printed term may hold a node that sqlglot has read."""
    if isinstance(node, exp.Anonymous):
        return node.name in PRINTED_FUNCTIONS
    return type(node) in PRINTED_TERMS


def printed(
    term: t.Term, bind: Callable[[Parameter], str], column: Callable[[int], str] = lambda index: f't."c{index}"'
) -> str:
    """Return a term as SQL, in brackets where it needs them.

    Args:
        bind: keeps a value for the next placeholder and returns `placeholder(value)`; called in the order of the text.
        column: how a column is named.
    """
    return _Printer(bind, column).sql(term)


def _within(*numbers: int | None) -> None:
    if any(number is not None and abs(number) >= _LIMIT for number in numbers):
        raise InvariantBroken("a literal beyond 62 bits")


@dataclass(frozen=True, slots=True)
class _Printer:
    bind: Callable[[Parameter], str]
    column: Callable[[int], str]

    def sql(self, term: t.Term) -> str:
        match term:
            case t.Column(index=index):
                return self.column(index)
            case t.Integer(value=value) | t.Word(value=value):
                return self.bind(value)
            case t.Flag(value=flag):
                return f"CAST({'NULL' if flag is None else str(flag).upper()} AS BOOLEAN)"
            case t.Nothing(text=text):
                return f"CAST(NULL AS {'VARCHAR' if text else 'BIGINT'})"
            case t.Plus(left=left, right=right):
                return self.exact("+", left, right)
            case t.Minus(left=left, right=right):
                return self.exact("-", left, right)
            case t.Times(left=left, right=right):
                return self.exact("*", left, right)
            case t.FloorDivide(item=item, divisor=divisor):
                return self.floor_divide(item, divisor)
            case t.Quotient(left=left, right=right, scale=scale):
                _within(2 * scale)
                # Twice the quotient, cut towards 0, and then its half: rounding a decimal's cast is half away from 0.
                above = f"CAST({self.sql(left)} AS HUGEINT) * {self.bind(2 * scale)}"
                twice = f"CAST(TRY_CAST({above} AS DECIMAL(17, 0)) AS BIGINT)"
                cut = f"{twice} // NULLIF({self.sql(right)}, {self.bind(0)})"
                return f"CAST(CAST({cut} AS DECIMAL(17, 0)) * CAST(0.5 AS DECIMAL(1, 1)) AS BIGINT)"
            case t.Remainder(item=item, divisor=divisor):
                _positive(divisor)
                return f"({self.sql(item)} % {self.bind(divisor)})"
            case t.Absolute(item=item):
                return f"TRY_CAST(ABS(CAST({self.sql(item)} AS HUGEINT)) AS BIGINT)"
            case t.Sign(item=item):
                return f"CAST(SIGN({self.sql(item)}) AS BIGINT)"
            case t.Least(items=items):
                return f"LEAST({', '.join(self.sql(item) for item in items)})"
            case t.Greatest(items=items):
                return f"GREATEST({', '.join(self.sql(item) for item in items)})"
            case t.Choice(branches=branches, otherwise=otherwise):
                cases = " ".join(f"WHEN {self.sql(when)} THEN {self.sql(then)}" for when, then in branches)
                return f"(CASE {cases} ELSE {self.sql(otherwise)} END)" if cases else self.sql(otherwise)
            case t.LookUp(item=item, first=first, values=values):
                return self.look_up(item, first, values)
            case t.PartOf(part=part, day=day):
                # The part of a day that is known to be NULL would be a DOUBLE.
                return f"CAST(EXTRACT({part.value} FROM {self.day(day)}) AS BIGINT)"
            case t.StartOf(unit=unit, day=day):
                return _number(f"DATE_TRUNC('{unit.value}', {self.day(day)})")
            case t.AddMonths(day=day, months=months):
                return _number(f"{self.day(day)} + INTERVAL (CAST({self.bind(_months(months))} AS INTEGER)) MONTH")
            case t.PlaceOf() | t.Lower() | t.Upper() | t.Trim() | t.Substring() | t.Length() | t.Like():
                return self.of_text(term)
            case t.Compared(comparing=comparing, left=left, right=right):
                return f"({self.sql(left)} {comparing.value} {self.sql(right)})"
            case t.OneOf(item=item, values=values):
                if len(values) > _LONGEST_LIST:
                    return f"LIST_CONTAINS({self.bind(values)}, {self.sql(item)})"
                return f"({self.sql(item)} IN ({', '.join(self.bind(value) for value in values)}))"
            case t.Missing(item=item):
                return f"({self.sql(item)} IS NULL)"
            case t.AllOf(items=items):
                return f"({' AND '.join(self.sql(item) for item in items)})"
            case t.AnyOf(items=items):
                return f"({' OR '.join(self.sql(item) for item in items)})"
            case t.Opposite(item=item):
                return f"(NOT {self.sql(item)})"
        assert_never(term)

    def exact(self, operator: str, left: t.Term, right: t.Term) -> str:
        """Print a sum, a difference or a product of 64-bit numbers: below 2^127, so HUGEINT holds it (S23)."""
        wide = f"CAST({self.sql(left)} AS HUGEINT) {operator} CAST({self.sql(right)} AS HUGEINT)"
        return f"TRY_CAST({wide} AS BIGINT)"

    def floor_divide(self, item: t.Term, divisor: int) -> str:
        """Print a division that rounds down: moved by a multiple of the divisor to where cutting rounds down."""
        _positive(divisor)
        if divisor == 1:
            return self.sql(item)
        multiple = floor_multiple(divisor)
        moved = f"TRY_CAST(CAST({self.sql(item)} AS HUGEINT) + CAST({multiple} AS HUGEINT) AS UBIGINT)"
        quotient = f"CAST({moved} // CAST({self.bind(divisor)} AS UBIGINT) AS BIGINT)"
        return f"({quotient} - CAST({multiple // divisor} AS BIGINT))"

    def look_up(self, item: t.Term, first: int, values: tuple[int | None, ...]) -> str:
        # Places count from 1; 0 and what lies beyond the list are NULL, and NULL becomes 0.
        found = self.bind(values)
        least = f"GREATEST({self.sql(item)}, {self.bind(first - 1)})"
        return f"LIST_EXTRACT({found}, LEAST({least}, {self.bind(first + len(values))}) - {self.bind(first - 1)})"

    def day(self, term: t.Term) -> str:
        """Print the day of a code; a code of more than seven digits is no day, but NULL."""
        code = f"TRY_CAST({self.sql(term)} AS DECIMAL(7, 0))"
        return f"(CAST('1970-01-01' AS DATE) + CAST({code} AS INTEGER))"

    def of_text(self, term: _TextTerm) -> str:
        match term:
            case t.PlaceOf(text=text, words=words):
                return f"(CAST(ARRAY_POSITION({self.bind(words)}, {self.sql(text)}) AS BIGINT) - {self.bind(1)})"
            case t.Lower(text=text):
                return f"LOWER({self.sql(text)})"
            case t.Upper(text=text):
                return f"UPPER({self.sql(text)})"
            case t.Trim(text=text):
                return f"TRIM({self.sql(text)})"
            case t.Substring(text=text, start=start, length=length):
                # Characters before the first are counted, but are none; DuckDB would count from the end.
                body, first = self.sql(text), self.bind(max(1, start))
                if length is None:
                    return f"SUBSTRING({body}, {first})"
                return f"SUBSTRING({body}, {first}, {self.bind(max(0, length - max(0, 1 - start)))})"
            case t.Length(text=text):
                return f"LENGTH({self.short(text)})"
            case t.Like(text=text, pattern=pattern, ignore_case=False):
                return f"({self.short(text)} LIKE {self.bind(pattern)})"
            case t.Like(text=text, pattern=pattern):
                return f"(LOWER({self.short(text)}) LIKE LOWER({self.bind(pattern)}))"
        assert_never(term)

    def short(self, text: t.Term) -> str:
        """Print as much of a text as is looked at."""
        return f"SUBSTRING({self.sql(text)}, {self.bind(1)}, {self.bind(LONGEST_TEXT)})"


_TextTerm = t.PlaceOf | t.Lower | t.Upper | t.Trim | t.Substring | t.Length | t.Like


def _positive(divisor: int) -> None:
    _within(divisor)
    if divisor < 1:
        raise InvariantBroken("a divisor that is not above 0")


def _months(months: int) -> int:
    if abs(months) > 120_000:
        raise InvariantBroken("more than 10 000 years of months")
    return months


def _number(day: str) -> str:
    """Print the code of a day."""
    return f"(CAST({day} AS DATE) - CAST('1970-01-01' AS DATE))"
