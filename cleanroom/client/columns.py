"""Give whole columns their exact form: what `values` says of single values, on Polars.

What is written in the usual way is converted by the column; whatever else is left is handed, each distinct value once,
to the rule in `values`, so that unusual spellings cost time and never exactness.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, assert_never

import polars as pl

from cleanroom.catalog import Category, ColumnType, Date, Number, Text
from cleanroom.client.day_forms import TIME_PATTERN, DateForm, MomentForm
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.client.number_forms import BLANKS, DecimalMark, NumberForm, is_of_unit
from cleanroom.client.values import ReasonKind, date_value, decimal_places, number_value, written_domain
from cleanroom.client.written import WrittenForm

_USUAL_DIGITS: Final = 15
_MOST_USUAL_PLACES: Final = 9
_DECIMAL_DIGITS: Final = 38

Faults = tuple[tuple[ReasonKind, pl.Series], ...]
"""For each reason, a Boolean column: which rows it holds for."""


@dataclass(frozen=True, slots=True)
class ConformedColumn:
    """A column in its storage type; where `faults` says so, it is null."""

    values: pl.Series
    faults: Faults


def conform_column(values: pl.Series, kind: ColumnType, form: WrittenForm | None) -> ConformedColumn:
    """Convert a column to its storage type: Enum of the domain, String, Date, or Int64 in steps of the resolution.

    Args:
        form: how dates or decimals of text are written, from `written_form` of the whole source; None where none is.
    """
    if values.dtype.is_nested() or values.dtype in {pl.Binary, pl.Object, pl.Time, pl.Duration}:
        return ConformedColumn(_nothing(values, _storage(kind)), ((ReasonKind.NOT_READABLE, values.is_not_null()),))
    match kind:
        case Category():
            conformed = _category(written_text(values), kind)
        case Text():
            conformed = ConformedColumn(written_text(values), ())
        case Date():
            conformed = _date(values, kind, None if isinstance(form, NumberForm) else form)
        case Number():
            known = form if isinstance(form, NumberForm) else NumberForm()
            # What is no text writes a point.
            typed = values.dtype.is_numeric()
            conformed = _number(written_text(values), kind, NumberForm(DecimalMark.POINT) if typed else known)
        case _:
            assert_never(kind)
    if kind.nullable:
        return conformed
    absent = written_text(values).is_null()
    return ConformedColumn(conformed.values, ((ReasonKind.MISSING, absent), *conformed.faults))


def written_text(values: pl.Series) -> pl.Series:
    """Return values as they are written, in NFC, without white space around; nothing at all and NaN are null."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.dtype.is_numeric() or values.dtype in {pl.Date, pl.Boolean}:
        return values.cast(pl.String)
    text = values.cast(pl.String)
    if not bool((text.str.len_bytes() == text.str.len_chars()).all()):
        text = text.str.normalize("NFC")
    text = text.str.strip_chars(WHITE_SPACE)
    return _kept(text, text != "")


def _category(text: pl.Series, kind: Category) -> ConformedColumn:
    names = written_domain(kind)
    found = text.cast(pl.Enum(names), strict=False)
    wrong = text.is_not_null() & found.is_null()
    if names != kind.domain:
        found = found.cast(pl.String).replace_strict(names, kind.domain, return_dtype=pl.Enum(kind.domain))
    return ConformedColumn(found, ((ReasonKind.NOT_IN_DOMAIN, wrong),))


def _date(values: pl.Series, kind: Date, form: DateForm | MomentForm | None) -> ConformedColumn:
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        days = values.cast(pl.Date)
        # In a zone: which day it was at the member's is not ours to guess.
        zoned = isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None
        wrong = {ReasonKind.ZONED_TIME: values.is_not_null()} if zoned else {}
    else:
        text = written_text(values)
        days = _usual_days(text, form)
        left = text.is_not_null() & days.is_null()
        wrong = {}
        if left.any():
            days, wrong = _unusual_days(text, left, days, kind, form)
    outside = ((days < kind.first) | (days > kind.last)).fill_null(value=False)
    for found in wrong.values():
        outside &= ~found
    return ConformedColumn(days, (*wrong.items(), (ReasonKind.OUT_OF_BOUNDS, outside)))


def _usual_days(text: pl.Series, form: DateForm | MomentForm | None) -> pl.Series:
    """Convert days of digits; null where anything is unusual or wrong."""
    day = form.day if isinstance(form, MomentForm) else form
    if day is None or day is DateForm.NAMED or "%-" in day.value:
        return _nothing(text, pl.Date())
    if isinstance(form, MomentForm):
        text = text.str.extract(rf"\A({day.pattern})(?:{TIME_PATTERN})?\z")
    days = _kept(text, text.str.contains(rf"\A{day.pattern}\z")).str.to_date(day.value, strict=False)
    return _kept(days, days >= date.min)  # Polars has a year 0


def _unusual_days(
    text: pl.Series, left: pl.Series, days: pl.Series, kind: Date, form: DateForm | MomentForm | None
) -> tuple[pl.Series, dict[ReasonKind, pl.Series]]:
    """Hand each distinct value that is left to the rule of one; months by name, a digit for a day, what is wrong."""
    found: dict[str, date] = {}
    broken: dict[ReasonKind, list[str]] = {}
    everywhere = Date(date.min, date.max, nullable=True)
    for value in text.filter(left).unique():
        outcome = date_value(value, everywhere, form)
        if isinstance(outcome, ReasonKind):
            broken.setdefault(outcome, []).append(value)
        else:
            found[value] = outcome
    if found:
        unusual = _kept(text, left).replace_strict(
            list(found), list(found.values()), default=None, return_dtype=pl.Date
        )
        days = days.zip_with(~left, unusual)
    return days, {reason: text.is_in(values).fill_null(value=False) for reason, values in broken.items()}


def _number(text: pl.Series, kind: Number, form: NumberForm) -> ConformedColumn:
    steps = _usual_steps(text, kind, form)
    left = text.is_not_null() & steps.is_null()
    if not left.any():
        return ConformedColumn(steps, ())
    outcome = {value: number_value(value, kind, form) for value in text.filter(left).unique()}
    exact = [result if isinstance(result, int) else None for result in outcome.values()]
    unusual = _kept(text, left).replace_strict(list(outcome), exact, default=None, return_dtype=pl.Int64)
    broken: dict[ReasonKind, list[str]] = {}
    for value, result in outcome.items():
        if isinstance(result, ReasonKind):
            broken.setdefault(result, []).append(value)
    # In the enumeration's order, so that messages do not depend on which value came first.
    faults = [(reason, text.is_in(broken[reason]).fill_null(value=False)) for reason in ReasonKind if reason in broken]
    return ConformedColumn(steps.zip_with(~left, unusual), tuple(faults))


def _usual_steps(text: pl.Series, kind: Number, form: NumberForm) -> pl.Series:
    """Convert digits with at most the resolution's decimals; null where anything is unusual or wrong."""
    places = decimal_places(kind)
    size = int(kind.resolution.scaleb(places))
    if places > _MOST_USUAL_PLACES or size > 10**_MOST_USUAL_PLACES:
        return _nothing(text, pl.Int64())
    mark = form.mark
    if form.currency is not None:
        text = _without_currency(text, form.currency, kind)
    fraction = rf"(?:[{mark.value}][0-9]{{1,{places}}})?" if places and mark is not None else ""
    usual = text.str.contains(rf"\A-?[0-9]{{1,{_USUAL_DIGITS - places}}}{fraction}\z")
    digits = _kept(text, usual)
    if mark is DecimalMark.COMMA:
        digits = digits.str.replace(",", ".", literal=True)
    units = digits.cast(pl.Decimal(_DECIMAL_DIGITS, places)).to_physical().cast(pl.Int64)
    exact = (units % size == 0) & (units >= kind.lower * size) & (units <= kind.upper * size)
    return _kept(units // size, exact)


def _without_currency(text: pl.Series, currency: str, kind: Number) -> pl.Series:
    """Take the column's currency off where it stands once, before or after all digits; null elsewhere."""
    if not is_of_unit(currency, kind.unit):
        return _nothing(text, pl.String())
    sign = BLANKS.join(re.escape(letter) if letter == "$" else letter for letter in currency)
    return text.str.extract(rf"\A(?:{sign}{BLANKS})?([-0-9.,]+)(?:{BLANKS}{sign})?\z").zip_with(
        text.str.count_matches(sign) == 1, _nothing(text, pl.String())
    )


def _kept(values: pl.Series, where: pl.Series) -> pl.Series:
    """Return values where `where` is true, and null elsewhere."""
    return values.zip_with(where.fill_null(value=False), _nothing(values, values.dtype))


def _nothing(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(values.name, [None], dtype=dtype).new_from_index(0, len(values))


def _nowhere(values: pl.Series) -> pl.Series:
    return pl.Series(values.name, [False], dtype=pl.Boolean).new_from_index(0, len(values))


def _storage(kind: ColumnType) -> pl.DataType:
    match kind:
        case Category():
            return pl.Enum(kind.domain)
        case Text():
            return pl.String()
        case Date():
            return pl.Date()
        case Number():
            return pl.Int64()
        case _:
            assert_never(kind)
