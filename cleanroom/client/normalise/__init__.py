"""Bring identifiers into one form, so that two members make one token of one person (docs/spec/token.md).

Each rule exists twice: as plain Python, one value at a time, which is the definition; and on Polars columns, which is
what runs. Tests hold the two equal.
"""

from __future__ import annotations

from typing import Final, assert_never

import polars as pl

from cleanroom.client.normalise.characters import WHITE_SPACE
from cleanroom.client.normalise.email import email_column, normalise_email
from cleanroom.client.normalise.opaque import normalise_opaque, opaque_column
from cleanroom.client.normalise.phone import normalise_phone, phone_column
from cleanroom.identifiers import DEFAULT_REGION, IdentifierKind

__all__ = ["WHITE_SPACE", "identifier_text", "is_blank", "normalise", "normalise_column"]

_WHOLE_FLOATS: Final = 2.0**53
"""Up to here each whole number is one float; beyond, several customers would be one."""


def normalise(kind: IdentifierKind, value: str, region: str | None = None) -> str | None:
    """Return one identifier in the form that its token is made from, or None if it is not of its kind.

    Args:
        region: for phones, where a number without a country's code is dialled; None for Canada.
    """
    match kind:
        case IdentifierKind.EMAIL:
            return normalise_email(value)
        case IdentifierKind.PHONE:
            return normalise_phone(value, region or DEFAULT_REGION)
        case IdentifierKind.OPAQUE:
            return normalise_opaque(value)
        case _:
            assert_never(kind)


def normalise_column(kind: IdentifierKind, values: pl.Series, region: str | None = None) -> pl.Series:
    """Do what `normalise` does to a whole String column; null stays null."""
    match kind:
        case IdentifierKind.EMAIL:
            return email_column(values)
        case IdentifierKind.PHONE:
            return phone_column(values, region or DEFAULT_REGION)
        case IdentifierKind.OPAQUE:
            return opaque_column(values)
        case _:
            assert_never(kind)


def identifier_text(values: pl.Series) -> pl.Series:
    """Return a source's column of identifiers as text.

    A column of numbers with gaps arrives as floats: whole ones are written as the integers that they were, NaN as null.
    """
    if not values.dtype.is_float():
        return values.cast(pl.String)
    whole = (values == values.round(0)) & (values.abs() < _WHOLE_FLOATS)
    return (
        values.fill_nan(None)
        .cast(pl.String)
        .zip_with(~whole.fill_null(value=False), values.set(~whole, None).cast(pl.Int64).cast(pl.String))
    )


def is_blank(values: pl.Series) -> pl.Series:
    """Tell for each value whether there is nothing in it: null, or white space only."""
    return values.is_null() | (values.str.strip_chars(WHITE_SPACE) == "").fill_null(value=True)
