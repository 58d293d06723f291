"""Identifiers in one form: UID2's published examples, and the column rule equal to the rule of one value."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.client.normalise import WHITE_SPACE, is_blank, normalise, normalise_column
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
    assert is_blank(pl.Series(values)).to_list() == [value is None for value in expected]


def test_opaque_identifiers_keep_their_case() -> None:
    assert normalise(IdentifierKind.OPAQUE, "\u00a0AbÉ-12 ") == "AbÉ-12"
    assert normalise(IdentifierKind.OPAQUE, WHITE_SPACE) is None


def test_null_stays_null() -> None:
    for kind in IdentifierKind:
        assert normalise_column(kind, pl.Series([None, "a@b.ca"], dtype=pl.String)).to_list() == [None, "a@b.ca"]
    assert is_blank(pl.Series([None, "", "x"], dtype=pl.String)).to_list() == [True, True, False]
