"""Phone numbers in E.164, an extension behind them as RFC 3966 writes it: `+15145551234;ext=22`.

Which numbers there are changes every few weeks, and two members with libraries of different age must make one token.
So a number counts if it is *possible* (of a length that its country has), never only if it is *valid* (in a range
already assigned); what a library's age could still change is ruled out by one fixed version of it (ADR 0006).

A column's usual forms, North American and French, are read by regular expressions; the library reads the other
distinct values. Tests hold the two equal.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.client.normalise.characters import WHITE_SPACE
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import DEFAULT_REGION

if TYPE_CHECKING:
    from types import ModuleType

LIBRARY_VERSION: Final = "9.0.43"
"""The version of `phonenumbers` whose numbering plans are part of the normal form; it moves with an epoch only."""

# Marks of direction and joiners, which address books copy along with a number.
_INVISIBLE: Final = "".join(
    chr(code)
    for first, last in ((0xAD, 0xAD), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069), (0xFEFF, 0xFEFF))
    for code in range(first, last + 1)
)
_EDGE: Final = WHITE_SPACE + _INVISIBLE
_BLANK_RUST: Final = (
    r"\x20\x{00a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}"
    r"\x{00ad}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{feff}"
)
_SEPARATORS_RUST: Final = rf"[{_BLANK_RUST}().\-\x{{2010}}-\x{{2015}}\x{{2212}}]"
_EXTENSION_RUST: Final = (
    rf"\A([^A-Za-z#,;]*[0-9][^A-Za-z#,;]*)[,;{_BLANK_RUST}]*"
    r"(?:[Pp][Oo][Ss][Tt][Ee]|[Ee][Xx][Tt](?:[Nn]|[Ee][Nn][Ss][Ii][Oo][Nn])?|[Xx]|\#)"
    rf"[.:=\#{_BLANK_RUST}]*([0-9]{{1,7}})\z"
)
_WHOLE_FLOAT_RUST: Final = r"\A([0-9]{7,15})\.0\z"
_DIALLED_RUST: Final = r"\A\+?[0-9]{3,20}\z"
"""E.164 has 15 digits at most (§6.2.1), an international prefix and a trunk digit some more."""

_LONGEST: Final = 16
"""A `+` and E.164's 15 digits."""

_NORTH_AMERICA: Final = frozenset({"CA", "US"})
_NANP_RUST: Final = r"\A\+1[2-9][0-9]{2}[2-9][0-9]{6}\z"
"""NXX NXX XXXX: area code and exchange begin with 2 to 9 (the plan's fixed structure, no list of area codes)."""


def _python(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\x\{([0-9a-f]{4})\}", r"\\u\1", pattern).replace(r"\z", r"\Z"))


_SEPARATORS: Final = _python(_SEPARATORS_RUST)
_EXTENSION: Final = _python(_EXTENSION_RUST)
_WHOLE_FLOAT: Final = _python(_WHOLE_FLOAT_RUST)
_DIALLED: Final = _python(_DIALLED_RUST)
_NANP: Final = _python(_NANP_RUST)


def normalise_phone(value: str, region: str = DEFAULT_REGION) -> str | None:
    """Return a phone number in E.164, with its extension, or None for what is not one number.

    Args:
        region: the country in which a number without a country's code is dialled, as two capital letters.

    Raises:
        UsageError: another version of `phonenumbers` is installed than the normal form is defined by.
    """
    text = _WHOLE_FLOAT.sub(r"\1", value.strip(_EDGE))
    found = _EXTENSION.match(text)
    main, extension = (found[1], found[2]) if found is not None else (text, None)
    dialled = _SEPARATORS.sub("", main)
    number = _e164(dialled, region) if _DIALLED.match(dialled) is not None else None
    return number if number is None or extension is None else f"{number};ext={extension}"


def phone_column(values: pl.Series, region: str = DEFAULT_REGION) -> pl.Series:
    """Do what `normalise_phone` does to a whole String column; null stays null.

    Only the distinct values that no usual form fits are read one by one.

    Raises:
        UsageError: as `normalise_phone`.
    """
    trimmed = values.rename("value").str.strip_chars(_EDGE)
    dialled = trimmed.str.replace_all(_SEPARATORS_RUST, "")
    known = _usual_forms(dialled, region)
    # `514555123.0` is a float of nine digits, not a number of ten.
    left = (known.is_null() | trimmed.str.ends_with(".0")) & values.is_not_null()
    if left.any():
        known = known.scatter(left.arg_true(), _unusual(trimmed.filter(left), region))
    return known.rename(values.name)


def _usual_forms(dialled: pl.Series, region: str) -> pl.Series:
    """Return E.164 for what is certain without the library; null for the rest."""
    trunk = r"(?:\+?1)?" if region in _NORTH_AMERICA else r"\+1"
    french = r"(?:\+33|0)" if region == "FR" else r"\+33"
    text = pl.col("value")
    one = text.str.extract(rf"\A{trunk}([2-9][0-9]{{2}}[2-9][0-9]{{6}})\z")
    thirty_three = text.str.extract(rf"\A{french}([1-9][0-9]{{8}})\z")
    number = (
        pl.when(one.is_not_null())
        .then(pl.lit("+1") + one)
        .when(thirty_three.is_not_null())
        .then(pl.lit("+33") + thirty_three)
    )
    return (
        dialled.rename("value")
        .to_frame()
        .select(number.alias("value"))
        .select(pl.when(text.is_in(_ONE_DIGIT).not_()).then(text))
        .to_series()
    )


def _unusual(trimmed: pl.Series, region: str) -> pl.Series:
    """Return the normal forms of trimmed values, the library reading each distinct number once."""
    text, main = pl.col("value"), pl.col("main")
    parts = (
        trimmed.to_frame()
        .select(text.str.replace(_WHOLE_FLOAT_RUST, "$1"))
        .with_columns(
            text.str.extract(_EXTENSION_RUST, 1).fill_null(text).alias("main"),
            text.str.extract(_EXTENSION_RUST, 2).alias("extension"),
        )
        .select(main.str.replace_all(_SEPARATORS_RUST, ""), "extension")
        .select(pl.when(main.str.contains(_DIALLED_RUST)).then(main), "extension")
    )
    usual = _usual_forms(parts["main"], region)
    distinct = parts["main"].filter(usual.is_null()).drop_nulls().unique()
    read = pl.Series("read", [_e164(each, region) for each in distinct.to_list()], dtype=pl.String)
    number = pl.coalesce("usual", "read")
    return (
        parts.with_columns(usual.alias("usual"))
        .join(pl.DataFrame([distinct, read]), on="main", how="left", maintain_order="left")
        .select(pl.when(pl.col("extension").is_null()).then(number).otherwise(number + ";ext=" + pl.col("extension")))
        .to_series()
    )


def _e164(dialled: str, region: str) -> str | None:
    """Return E.164 of `+` and digits, by the library; None for what no country's numbers are like."""
    library = _library()
    try:
        number = library.parse(dialled, region)
    except library.NumberParseException:
        return None
    # Not `is_possible_number`: that also takes what can be dialled within one town only.
    if library.is_possible_number_with_reason(number) != library.ValidationResult.IS_POSSIBLE:
        return None
    written: str = library.format_number(number, library.PhoneNumberFormat.E164)
    if len(written) > _LONGEST or (number.country_code == 1 and _NANP.match(written) is None):
        return None
    # `+358 00…`: one trunk zero was taken off and another left. Read again it would be a third person's number.
    again = library.parse(written, None)
    if library.format_number(again, library.PhoneNumberFormat.E164) != written:
        return None
    # 222 222-2222: what is typed where a number must be given, by many.
    return None if len(set(library.national_significant_number(number))) == 1 else written


_ONE_DIGIT: Final = [f"+1{each * 10}" for each in "23456789"] + [f"+33{each * 9}" for each in "123456789"]


@cache
def _library() -> ModuleType:
    import phonenumbers

    if phonenumbers.__version__ != LIBRARY_VERSION:
        raise UsageError(
            Bilingual(
                f"phonenumbers {phonenumbers.__version__} est installé ; les jetons des téléphones se font avec "
                f"{LIBRARY_VERSION}, la même version chez tous les membres",
                f"phonenumbers {phonenumbers.__version__} is installed; tokens of phones are made with "
                f"{LIBRARY_VERSION}, the same version at every member",
            ),
            code="wrong_phone_library",
        )
    return phonenumbers
