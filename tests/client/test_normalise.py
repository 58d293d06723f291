"""Identifiers in one form: UID2's published examples, and the column rule equal to the rule of one value."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.client.normalise import WHITE_SPACE, identifier_text, is_blank, normalise, normalise_column
from cleanroom.identifiers import IdentifierKind

# Unassigned characters may normalise differently in another version of Unicode than Python 3.11's.
ASSIGNED = st.characters(exclude_categories=["Cs", "Cn"])
NEAR_EMAIL = st.text(
    st.sampled_from('aAbZİKéÉ@@..++ \t\u00a0\u2003\u200b\u0301\u0331\x00;"(<gmailcom-_0') | ASSIGNED, max_size=12
)
EMAILS = st.builds(
    "".join, st.tuples(NEAR_EMAIL, st.sampled_from(["", "@gmail.com", "@GMAIL.com", "@x.ca"]), NEAR_EMAIL)
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("jane.doe@gmail.com", "janedoe@gmail.com"),  # UID2's own examples
        ("JANESaoirse@gmail.com", "janesaoirse@gmail.com"),
        ("JaneSaoirse+UID2@Gmail.com", "janesaoirse@gmail.com"),
        ("  user@example.com \n", "user@example.com"),
        ("user+name@example.com", "user+name@example.com"),
        ("first.last@Example.COM", "first.last@example.com"),
        ("j.d@googlemail.com", "j.d@googlemail.com"),  # no other published rule
        ("e\u0301lise@exemple.ca", "élise@exemple.ca"),
        ("\u00c9lise@exemple.ca", "Élise@exemple.ca"),  # ASCII letters only
        ("H\u0331x@exemple.ca", "\u1e96x@exemple.ca"),  # composes in lower case only
        ("+x@gmail.com", None),
        ("...@gmail.com", None),
        ("", None),
        ("n/a", None),
        ("a@b", None),
        ("a@b.", None),
        ("a@.ca", None),
        ("a@b@c.ca", None),
        ("a b@c.ca", None),
        ("a@c.ca;b@c.ca", None),
        ("Jean <j@c.ca>", None),
        ("a\x00@c.ca", None),
        ("a\u200b@c.ca", None),
        ("x" * 249 + "@c.ca", "x" * 249 + "@c.ca"),
        ("x" * 250 + "@c.ca", None),
    ],
)
def test_email(written: str, expected: str | None) -> None:
    assert normalise(IdentifierKind.EMAIL, written) == expected
    # With and without a neighbour that takes the column off its path for ASCII.
    for column in ([written], [written, "é"]):
        assert normalise_column(IdentifierKind.EMAIL, pl.Series(column))[0] == expected


@settings(deadline=None)
@given(st.lists(EMAILS, min_size=1, max_size=4))
def test_columns_of_emails_follow_the_rule_of_one(values: list[str]) -> None:
    expected = [normalise(IdentifierKind.EMAIL, value) for value in values]
    assert normalise_column(IdentifierKind.EMAIL, pl.Series(values)).to_list() == expected
    for value in filter(None, expected):
        assert normalise(IdentifierKind.EMAIL, value) == value
        assert unicodedata.is_normalized("NFC", value)


@settings(deadline=None)
@given(st.lists(st.text(ASSIGNED, max_size=8) | NEAR_EMAIL, min_size=1, max_size=4))
def test_columns_of_opaque_identifiers_follow_the_rule_of_one(values: list[str]) -> None:
    expected = [normalise(IdentifierKind.OPAQUE, value) for value in values]
    assert normalise_column(IdentifierKind.OPAQUE, pl.Series(values)).to_list() == expected
    assert is_blank(pl.Series(values)).to_list() == [not value.strip(WHITE_SPACE) for value in values]


SPOILT = st.sampled_from(
    ["123.0", "00123", "1,00", "1.2E+11", "12E5", "1E+05", "NaN", "nan ", "NULL", "N/A", "#N/A", "éna"]
)


@settings(deadline=None)
@given(st.lists(SPOILT | st.text("0123456789.,eE+naNlLuU/#", max_size=9), min_size=1, max_size=5))
def test_columns_of_spoilt_numbers_follow_the_rule_of_one(values: list[str]) -> None:
    expected = [normalise(IdentifierKind.OPAQUE, value) for value in values]
    assert normalise_column(IdentifierKind.OPAQUE, pl.Series(values)).to_list() == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("00123", "00123"),  # another customer than 123
        ("123", "123"),
        (" 123\u00a0", "123"),
        ("abc-12", "abc-12"),  # another than ABC-12
        ("ABC-12", "ABC-12"),
        ("e\u0301-1", "é-1"),
        ("12E5", "12E5"),
        ("0", "0"),
        ("Nathalie", "Nathalie"),
        ("1.5", "1.5"),
        ("123.0", None),  # 123 at a member whose software did not make it a fraction
        ("123,00", None),
        ("1.23457E+11", None),  # a million customers look so
        ("1E+05", None),
        ("NaN", None),
        ("null", None),
        ("None", None),
        ("<NA>", None),
        ("#N/A", None),
        ("\\N", None),
    ],
)
def test_opaque(written: str, expected: str | None) -> None:
    assert normalise(IdentifierKind.OPAQUE, written) == expected
    for column in ([written], [written, "é"]):
        assert normalise_column(IdentifierKind.OPAQUE, pl.Series(column))[0] == expected


def test_numbers_of_a_source_are_written_as_the_integers_that_they_were() -> None:
    floats = pl.Series([123.0, 15145551234.0, float("nan"), None, 1.5, -7.0, 2.0**53, float("inf")])
    written = ["123", "15145551234", None, None, "1.5", "-7"]
    assert identifier_text(floats).to_list()[:6] == written
    # Too large to be one number only, and so nobody.
    large = normalise_column(IdentifierKind.OPAQUE, identifier_text(floats)).to_list()[6:]
    assert identifier_text(pl.Series([7, None])).to_list() == ["7", None]
    assert identifier_text(pl.Series(["007", None])).to_list() == ["007", None]
    assert large[0] is None


def test_opaque_identifiers_keep_their_case() -> None:
    assert normalise(IdentifierKind.OPAQUE, "\u00a0AbÉ-12 ") == "AbÉ-12"
    assert normalise(IdentifierKind.OPAQUE, WHITE_SPACE) is None


def test_null_stays_null() -> None:
    for kind in IdentifierKind:
        known = {IdentifierKind.PHONE: "+15145551234"}.get(kind, "a@b.ca")
        assert normalise_column(kind, pl.Series([None, known], dtype=pl.String)).to_list() == [None, known]
    assert is_blank(pl.Series([None, "", "x"], dtype=pl.String)).to_list() == [True, True, False]
