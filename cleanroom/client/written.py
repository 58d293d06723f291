"""Find out in which form a text column's dates or numbers are written: one form per column, never a guess per value.

The first value that shows a thing decides it for its column; `values` then refuses those that are written otherwise.
So a column read in parts has the same form as one read whole.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.catalog import Category, Date, Number, Text
from cleanroom.client.day_forms import TIME_PATTERN, DateForm, MomentForm
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.client.number_forms import (
    BLANKS,
    BOTH_MARKS_PATTERN,
    CURRENCY_PATTERN,
    CURRENCY_SIGNS,
    MARKED_PATTERN,
    NUMBER_PATTERN,
    DecimalMark,
    NumberForm,
    bare_number,
)

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType, TableCatalog

__all__ = ["DateForm", "DecimalMark", "MomentForm", "NumberForm", "WrittenForm", "written_form", "written_forms"]

WrittenForm = DateForm | MomentForm | NumberForm

_FEW: Final = 256
_NUMBER: Final = re.compile(NUMBER_PATTERN, re.ASCII)
_ACCOUNTING: Final = (*CURRENCY_SIGNS, "(", "\N{MINUS SIGN}")


def written_forms(frame: pl.DataFrame, catalog: TableCatalog) -> dict[str, WrittenForm]:
    """Return the form of each declared column of text that has dates or numbers."""
    found = {column.name: written_form(frame[column.name], column.type) for column in catalog.columns}
    return {name: form for name, form in found.items() if form is not None}


def written_form(values: pl.Series, kind: ColumnType, so_far: WrittenForm | None = None) -> WrittenForm | None:
    """Return the form that a column has shown; None if its values have none, or nothing is written.

    Args:
        so_far: what the values before these have shown, or what the owner says of the column.
    """
    if isinstance(values.dtype, pl.Datetime) and isinstance(kind, Date):
        day = so_far if isinstance(so_far, DateForm) else DateForm.ISO
        timed = values.dtype.time_zone is None and (values != values.dt.truncate("1d")).any()
        return MomentForm(day) if timed else so_far
    if not (values.dtype == pl.String or isinstance(values.dtype, pl.Categorical | pl.Enum)):
        return so_far
    text = values.cast(pl.String)
    match kind:
        case Date():
            return _date_form(text, so_far)
        case Number():
            return _number_form(text, so_far if isinstance(so_far, NumberForm) else NumberForm())
        case Category() | Text():
            return None


def _date_form(text: pl.Series, so_far: WrittenForm | None) -> WrittenForm | None:
    if isinstance(so_far, MomentForm):
        return so_far
    form = so_far if isinstance(so_far, DateForm) else _first_date_form(text)
    if form is None:
        return None
    timed = text.filter(text.str.contains_any(["T", ":", "h"]).fill_null(value=False))
    read = rf"\A[{WHITE_SPACE}]*{form.pattern}{TIME_PATTERN}[{WHITE_SPACE}]*\z"
    return MomentForm(form) if not timed.is_empty() and timed.str.contains(read).any() else form


def _first_date_form(text: pl.Series) -> DateForm | None:
    known = [form for form in DateForm if form.found_out]
    shapes = "|".join(form.pattern for form in known)
    shape = _first(text, rf"(?:{shapes})(?:{TIME_PATTERN})?", signs=["-", "/", ".", " ", "\u00a0", "\u202f"])
    if shape is None:
        return None
    return next(form for form in known if re.fullmatch(rf"{form.pattern}(?:{TIME_PATTERN})?", shape, re.ASCII))


def _number_form(text: pl.Series, so_far: NumberForm) -> NumberForm | None:
    form = so_far
    if not form.seen:
        currency = _first_currency(text)
        if currency is not None:
            form = replace(form, seen=True, currency=currency or None)
    if form.currency is not None and (form.mark is None or form.grouped is None):
        text = text.str.replace_all(rf"{BLANKS}{CURRENCY_PATTERN}{BLANKS}|[()]", "")
    if form.mark is None:
        marked = _first(text, rf"[(]?(?:{MARKED_PATTERN}|{BOTH_MARKS_PATTERN})[)]?", signs=[".", ","])
        if marked is not None:
            form = replace(form, mark=DecimalMark(next(letter for letter in reversed(marked) if letter in ".,")))
    if form.grouped is None and form.mark is not None:
        form = replace(form, grouped=_first_grouped(text, form.mark))
    return None if form == NumberForm() else form


def _first_currency(text: pl.Series) -> str | None:
    """Return the first number's currency, "" where it has none; None where there is no number."""
    whole = rf"\A[{WHITE_SPACE}]*(?:{NUMBER_PATTERN}|{BOTH_MARKS_PATTERN})[{WHITE_SPACE}]*\z"
    for part in (text.head(_FEW), text):
        plain = part.str.contains(whole).fill_null(value=False)
        around = part.str.contains_any(list(_ACCOUNTING)).fill_null(value=False) & ~plain
        start = plain.arg_max() if plain.any() else None
        for place in around.arg_true():
            if start is not None and place > start:
                break
            bare = bare_number(str(part[place]).strip(WHITE_SPACE))
            if _NUMBER.fullmatch(bare.text) or re.fullmatch(BOTH_MARKS_PATTERN, bare.text, re.ASCII):
                return bare.currency or ""
        if start is not None:
            return ""
    return None


def _first_grouped(text: pl.Series, mark: DecimalMark) -> bool | None:
    """Tell whether the first value with the other mark is without doubt; None where no value has it."""
    other = text.filter(text.str.contains(mark.other, literal=True).fill_null(value=False))
    # What is no number at all decides nothing: before the mark was known, it was not looked at either.
    value = _first(other, rf"[(]?(?:{MARKED_PATTERN}|{BOTH_MARKS_PATTERN})[)]?", signs=[mark.other])
    if value is None:
        return None
    both = re.fullmatch(BOTH_MARKS_PATTERN, value.removeprefix("(").removesuffix(")"), re.ASCII) is not None
    return both and value.rfind(mark.value) > value.rfind(mark.other)


def _first(text: pl.Series, pattern: str, *, signs: list[str]) -> str | None:
    """Return the first value that is of a pattern, without the white space around it.

    Args:
        signs: of which such a value has at least one.
    """
    whole = rf"\A[{WHITE_SPACE}]*(?:{pattern})[{WHITE_SPACE}]*\z"
    for part in (text.head(_FEW), text):
        # Most columns without a form are whole numbers: to look for a sign is much faster than for a pattern.
        signed = part.filter(part.str.contains_any(signs).fill_null(value=False))
        found = signed.filter(signed.str.contains(whole))
        if not found.is_empty():
            return str(found[0]).strip(WHITE_SPACE)
    return None
