"""Functions of days and texts: from their spellings to typed terms."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.query.binding.written import INTERVAL_UNITS, written
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import arithmetic, casting, dates, day_labels, texts
from cleanroom.query.terms.language import DatePart, DateUnit
from cleanroom.query.terms.operands import unfit
from cleanroom.query.terms.resolutions import number
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import DateType, NumberType

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.query.binding.scalar_scope import ScalarScope
    from cleanroom.query.terms.operands import Operand

    Bind = Callable[[exp.Expr], Operand | None]
    """Binds an argument; None if it is refused, with the reason noted."""

Bound = Typed | Constant

PARTS: Final[dict[str, DatePart]] = {
    "year": DatePart.YEAR, "years": DatePart.YEAR, "isoyear": DatePart.ISO_YEAR,
    "quarter": DatePart.QUARTER, "quarters": DatePart.QUARTER,
    "month": DatePart.MONTH, "months": DatePart.MONTH, "mon": DatePart.MONTH,
    "week": DatePart.WEEK, "weeks": DatePart.WEEK, "weekofyear": DatePart.WEEK,
    "day": DatePart.DAY, "days": DatePart.DAY, "dayofmonth": DatePart.DAY,
    "dow": DatePart.DAY_OF_WEEK, "dayofweek": DatePart.DAY_OF_WEEK, "weekday": DatePart.DAY_OF_WEEK,
    "isodow": DatePart.ISO_DAY_OF_WEEK, "doy": DatePart.DAY_OF_YEAR, "dayofyear": DatePart.DAY_OF_YEAR,
}  # fmt: skip
"""Parts of a day, in DuckDB's spellings."""

UNITS: Final[dict[str, DateUnit | None]] = {
    "day": None, "days": None,
    "week": DateUnit.WEEK, "weeks": DateUnit.WEEK,
    "month": DateUnit.MONTH, "months": DateUnit.MONTH, "mon": DateUnit.MONTH,
    "quarter": DateUnit.QUARTER, "quarters": DateUnit.QUARTER,
    "year": DateUnit.YEAR, "years": DateUnit.YEAR,
}  # fmt: skip
"""What days are cut to and counted in; None for the day itself."""

_PART_OF: Final[dict[type[exp.Expr], DatePart]] = {
    exp.Year: DatePart.YEAR,
    exp.Quarter: DatePart.QUARTER,
    exp.Month: DatePart.MONTH,
    exp.Week: DatePart.WEEK,
    exp.WeekOfYear: DatePart.WEEK,
    exp.Day: DatePart.DAY,
    exp.DayOfMonth: DatePart.DAY,
    exp.DayOfWeek: DatePart.DAY_OF_WEEK,
    exp.DayOfWeekIso: DatePart.ISO_DAY_OF_WEEK,
    exp.DayOfYear: DatePart.DAY_OF_YEAR,
}
_NAMED_FORMAT: Final[dict[type[exp.Expr], str]] = {exp.Dayname: "%A", exp.Monthname: "%B"}
_SPANS: Final = {"to_weeks": "week", "to_months": "month", "to_quarters": "quarter", "to_years": "year"}
_IN_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_IN_DAYS: Final = {"day": 1, "week": 7}
_ONE_TEXT: Final[dict[type[exp.Expr], Callable[[Operand], Typed | Refusal]]] = {
    exp.Lower: texts.lower,
    exp.Upper: texts.upper,
    exp.Length: texts.length,
}
_PLACES: Final[dict[type[exp.Expr], texts.Place]] = {
    exp.StartsWith: texts.Place.START,
    exp.EndsWith: texts.Place.END,
    exp.Contains: texts.Place.ANYWHERE,
}
_UNIT_HINT: Final = (
    "une unité entre apostrophes : 'day', 'week', 'month', 'quarter' ou 'year'",
    "a unit in quotes: 'day', 'week', 'month', 'quarter' or 'year'",
)

FUNCTIONS: Final = frozenset(
    {*_PART_OF, *_NAMED_FORMAT, *_ONE_TEXT, *_PLACES, exp.Extract, exp.Anonymous, exp.TimestampTrunc, exp.DateTrunc}
    | {exp.DateDiff, exp.DateAdd, exp.LastDay, exp.TimeToStr, exp.Trim, exp.Substring, exp.Left, exp.Right}
    | {exp.StrPosition, exp.Replace, exp.DPipe, exp.Concat, exp.Like, exp.ILike}
)
"""Node classes that `function` binds."""


def function(node: exp.Expr, bind: Bind, scope: ScalarScope) -> Bound | Refusal | None:
    """Bind a function of days or texts; None if an argument is refused."""
    kind = type(node)
    if isinstance(node, (exp.Anonymous, exp.Extract, exp.TimestampTrunc, exp.DateTrunc, exp.DateDiff)):
        return _with_unit(node, bind, scope)
    if isinstance(node, exp.DateAdd):
        return _date_add(node, bind, scope)
    if isinstance(node, exp.Concat):
        return _concat(node, bind)
    first = bind(node.this)
    if first is None:
        return None
    if kind in _PART_OF:
        return dates.part_of(_PART_OF[kind], first)
    if kind in _NAMED_FORMAT:
        return day_labels.label(first, _NAMED_FORMAT[kind])
    if kind in _ONE_TEXT:
        return _ONE_TEXT[kind](first)
    if isinstance(node, exp.LastDay):
        return dates.last_of_month(first)
    if isinstance(node, exp.Trim):
        side = str(node.args.get("position") or "BOTH")
        return texts.trim(first, left=side != "TRAILING", right=side != "LEADING")
    return _with_constants(node, first, bind)


def _with_constants(node: exp.Expr, first: Operand, bind: Bind) -> Bound | Refusal | None:
    """Bind a function whose arguments after the first are constants."""
    rest: dict[str, Operand] = {}
    for name in ("expression", "format", "start", "length", "replacement", "substr"):
        argument = node.args.get(name)
        if isinstance(argument, exp.Expr):
            bound = bind(argument)
            if bound is None:
                return None
            rest[name] = bound
    kind = type(node)
    if isinstance(node, exp.TimeToStr):
        return day_labels.label(first, texts.constant_text(rest["format"]))
    if kind in _PLACES:
        return texts.found(first, rest["expression"], _PLACES[kind])
    if isinstance(node, (exp.Like, exp.ILike)):
        return texts.like(first, rest["expression"], ignore_case=isinstance(node, exp.ILike))
    if isinstance(node, exp.DPipe):
        one, other = _as_words(first), _as_words(rest["expression"])
        if isinstance(one, Refusal) or isinstance(other, Refusal):
            return one if isinstance(one, Refusal) else other
        return texts.concatenated(one, other)
    if isinstance(node, exp.StrPosition):
        return texts.position(first, rest["substr"])
    if isinstance(node, exp.Replace):
        return _replaced(first, rest)
    numbers = {name: _whole(value) for name, value in rest.items()}
    wrong = next((rest[name] for name, whole in numbers.items() if whole is None), None)
    if wrong is not None:
        hint = ("un nombre entier constant", "a constant whole number")
        return unfit(node.sql_names()[0] if isinstance(node, exp.Func) else kind.__name__, wrong, hint=hint)
    if isinstance(node, exp.Left):
        return texts.left(first, numbers["expression"] or 0)
    if isinstance(node, exp.Right):
        return texts.right(first, numbers["expression"] or 0)
    return texts.substring(first, _or_first(numbers.get("start")), numbers.get("length"))


def _as_words(value: Operand) -> Operand | Refusal:
    """Return a number or a day as the text that it is joined as; others as they are."""
    number_or_day = isinstance(value, Typed) and isinstance(value.type, (NumberType, DateType))
    if number_or_day or (isinstance(value, Constant) and not isinstance(value.value, (str, bool, type(None)))):
        return casting.cast(value, casting.Target.VARCHAR, position=value.position)
    return value


def _or_first(start: int | None) -> int:
    return 1 if start is None else start


def _replaced(first: Operand, rest: dict[str, Operand]) -> Bound | Refusal | None:
    old, new = texts.constant_text(rest["expression"]), texts.constant_text(rest["replacement"])
    if old is None or new is None:
        return unfit("replace", rest["expression" if old is None else "replacement"], hint=("'a'", "'a'"))
    return texts.replaced(first, old, new)


def _whole(value: Operand) -> int | None:
    """Return a constant whole number, or None."""
    found = number(value)
    constant = found.constant if found is not None else None
    return int(constant) if constant is not None and constant.denominator == 1 else None


def _concat(node: exp.Concat, bind: Bind) -> Bound | Refusal | None:
    """Bind `concat`, which reads NULL as the empty text."""
    whole: Typed | None = None
    for argument in node.expressions:
        bound = bind(argument)
        if bound is None:
            return None
        words = _as_words(bound)
        made = words if isinstance(words, Refusal) else texts.present(words)
        if isinstance(made, Typed) and whole is not None:
            made = texts.concatenated(whole, made)
        if not isinstance(made, Typed):
            return made
        whole = made
    return whole


def _with_unit(node: exp.Expr, bind: Bind, scope: ScalarScope) -> Bound | Refusal | None:
    """Bind a function whose unit is looked up in the text: sqlglot takes any word for one."""
    if isinstance(node, exp.Anonymous):
        return _named(node, bind, scope)
    if isinstance(node, exp.Extract):
        part = PARTS.get(str(node.this.this).lower()) if isinstance(node.this, (exp.Var, exp.Literal)) else None
        day = bind(node.expression)
        if day is None:
            return None
        return _no_unit("extract", day) if part is None else dates.part_of(part, day)
    unit = _written_unit(node, scope)
    if isinstance(node, exp.DateDiff):
        # sqlglot's `this` is what is counted to, the last argument as written.
        start, end = bind(node.expression), bind(node.this)
        if start is None or end is None:
            return None
        return _no_unit("date_diff", start) if unit is None else dates.difference(UNITS[unit], start, end)
    day = bind(node.this)
    if day is None:
        return None
    if unit is None:
        return _no_unit("date_trunc", day)
    cut = UNITS[unit]
    return dates.same_day(day) if cut is None else dates.start_of(cut, day)


def _written_unit(node: exp.Expr, scope: ScalarScope) -> str | None:
    start = node.meta.get("start")
    call = None if start is None else written(scope.text).calls.get(int(start))
    unit = (call.first or "").lower() if call is not None else ""
    return unit if unit in UNITS else None


def _no_unit(name: str, value: Operand) -> Refusal:
    return refusal("not_admitted", value.position, hint=_UNIT_HINT, what=name)


def _named(node: exp.Anonymous, bind: Bind, scope: ScalarScope) -> Bound | Refusal | None:
    name = str(node.this).lower()
    arguments = [bind(each) for each in node.expressions if not isinstance(each, exp.Star)]
    values = [each for each in arguments if each is not None]
    if len(values) < len(node.expressions):
        return None
    if name in {"date_part", "datepart"}:
        start = node.meta.get("start")
        call = None if start is None else written(scope.text).calls.get(int(start))
        part = PARTS.get((call.first or "").lower()) if call is not None else None
        return _no_unit("date_part", values[1]) if part is None else dates.part_of(part, values[1])
    if name in {"isoyear", "weekday"}:
        return dates.part_of(PARTS[name], values[0])
    if name == "yearweek":
        year, week = dates.part_of(DatePart.ISO_YEAR, values[0]), dates.part_of(DatePart.WEEK, values[0])
        hundred = year if isinstance(year, Refusal) else arithmetic.times(year, Constant(Decimal(100)))
        if isinstance(hundred, Refusal) or isinstance(week, Refusal):
            return hundred if isinstance(hundred, Refusal) else week
        return arithmetic.plus(hundred, week)
    if name in {"prefix", "suffix"}:
        return texts.found(values[0], values[1], texts.Place.START if name == "prefix" else texts.Place.END)
    return refusal("not_admitted", scope.position(node), what=name.upper()[:40])


def _date_add(node: exp.DateAdd, bind: Bind, scope: ScalarScope) -> Bound | Refusal | None:
    day = bind(node.this)
    if day is None:
        return None
    if is_span(node.expression):
        span = span_of(node.expression, bind, scope)
        return span if span is None or not isinstance(span, dates.Span) else dates.add_span(day, span)
    days = bind(node.expression)
    return None if days is None else dates.add_days(day, days)


def is_span(node: exp.Expr) -> bool:
    """Return whether a node is an interval: INTERVAL …, to_days(…) and the like."""
    while isinstance(node, exp.Paren):
        node = node.this
    named = isinstance(node, exp.Anonymous) and str(node.this).lower() in _SPANS
    return named or isinstance(node, (exp.Interval, exp.ToDays))


def span_of(node: exp.Expr, bind: Bind, scope: ScalarScope) -> dates.Span | Refusal | None:
    """Read an interval: a constant whole number of a unit of days or months."""
    while isinstance(node, exp.Paren):
        node = node.this
    hint = ("INTERVAL 30 DAY", "INTERVAL 30 DAY")
    wrong = refusal("not_admitted", scope.position(node), hint=hint, what="INTERVAL")
    if isinstance(node, exp.Interval):
        named = node.args.get("unit")
        unit = str(named.this).lower() if isinstance(named, exp.Var) else ""
        if unit not in INTERVAL_UNITS or not written(scope.text).plain_intervals:
            return wrong
        unit = unit.removesuffix("s")
        count = node.this
    else:
        unit = "day" if isinstance(node, exp.ToDays) else _SPANS[str(node.this).lower()]
        count = node.this if isinstance(node, exp.ToDays) else node.expressions[0]
    value = bind(count)
    if value is None:
        return None
    if isinstance(node, exp.Interval) and isinstance(value, Constant) and isinstance(value.value, str):
        value = Constant(Decimal(value.value)) if value.value.lstrip("-").isdecimal() else value
    many = _whole(value)
    if many is None:
        return wrong
    if abs(many) > dates.LONGEST_SPAN:
        return refusal("date_range", scope.position(node))
    if unit in _IN_MONTHS:
        return dates.Span(many * _IN_MONTHS[unit], 0)
    return dates.Span(0, many * _IN_DAYS[unit])
