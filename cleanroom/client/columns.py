"""Give whole columns their exact form: what `values` says of single values, on Polars.

What is written in the usual way is converted by the column; whatever else is left is handed, each distinct value once,
to the rule in `values`, so that unusual spellings cost time and never exactness.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, assert_never

import polars as pl

from cleanroom.catalog import Category, ColumnType, Date, Number, Text
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.client.values import ReasonKind, decimal_places, number_value, written_domain
from cleanroom.client.written import DateForm, DecimalMark, WrittenForm

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
            conformed = _date(values, kind, form if isinstance(form, DateForm) else None)
        case Number():
            mark = form if isinstance(form, DecimalMark) else None
            # What is no text writes a point.
            typed = values.dtype.is_numeric()
            conformed = _number(written_text(values), kind, DecimalMark.POINT if typed else mark)
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


def _date(values: pl.Series, kind: Date, form: DateForm | None) -> ConformedColumn:
    mixed = _nowhere(values)
    if values.dtype == pl.Date:
        days = values
        unreadable = _nowhere(values)
    elif isinstance(values.dtype, pl.Datetime):
        # A time of day or a zone: which day it was at the member's is not ours to guess.
        days = values.cast(pl.Date)
        zoned = values.dtype.time_zone is not None
        unreadable = values.is_not_null() if zoned else days.cast(values.dtype).ne_missing(values)
    else:
        text = written_text(values)
        read = form or DateForm.ISO
        usual = text.str.contains(rf"\A{read.pattern}\z")
        days = _kept(text, usual).str.to_date(read.value, strict=False)
        days = _kept(days, days >= date.min)  # Polars has a year 0
        unreadable = text.is_not_null() & days.is_null()
        if unreadable.any():
            other = text.str.contains(rf"\A(?:{'|'.join(each.pattern for each in DateForm)})\z") & ~usual
            mixed = other.fill_null(value=False)
            unreadable &= ~mixed
    outside = ((days < kind.first) | (days > kind.last)).fill_null(value=False) & ~unreadable
    return ConformedColumn(
        days,
        (
            (ReasonKind.NOT_A_DATE, unreadable),
            (ReasonKind.MIXED_DATES, mixed),
            (ReasonKind.OUT_OF_BOUNDS, outside),
        ),
    )


def _number(text: pl.Series, kind: Number, mark: DecimalMark | None) -> ConformedColumn:
    steps = _usual_steps(text, kind, mark)
    left = text.is_not_null() & steps.is_null()
    if not left.any():
        return ConformedColumn(steps, ())
    outcome = {value: number_value(value, kind, mark) for value in text.filter(left).unique()}
    exact = [result if isinstance(result, int) else None for result in outcome.values()]
    unusual = _kept(text, left).replace_strict(list(outcome), exact, default=None, return_dtype=pl.Int64)
    faults: list[tuple[ReasonKind, pl.Series]] = []
    for reason in (
        ReasonKind.NOT_A_NUMBER,
        ReasonKind.MIXED_MARKS,
        ReasonKind.OUT_OF_BOUNDS,
        ReasonKind.NOT_A_MULTIPLE,
    ):
        broken = [value for value, result in outcome.items() if result is reason]
        if broken:
            faults.append((reason, text.is_in(broken).fill_null(value=False)))
    return ConformedColumn(steps.zip_with(~left, unusual), tuple(faults))


def _usual_steps(text: pl.Series, kind: Number, mark: DecimalMark | None) -> pl.Series:
    """Convert digits with at most the resolution's decimals; null where anything is unusual or wrong."""
    places = decimal_places(kind)
    size = int(kind.resolution.scaleb(places))
    if places > _MOST_USUAL_PLACES or size > 10**_MOST_USUAL_PLACES:
        return _nothing(text, pl.Int64())
    fraction = rf"(?:[{mark.value}][0-9]{{1,{places}}})?" if places and mark is not None else ""
    usual = text.str.contains(rf"\A-?[0-9]{{1,{_USUAL_DIGITS - places}}}{fraction}\z")
    digits = _kept(text, usual)
    if mark is DecimalMark.COMMA:
        digits = digits.str.replace(",", ".", literal=True)
    units = digits.cast(pl.Decimal(_DECIMAL_DIGITS, places)).to_physical().cast(pl.Int64)
    exact = (units % size == 0) & (units >= kind.lower * size) & (units <= kind.upper * size)
    return _kept(units // size, exact)


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
