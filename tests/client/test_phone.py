"""Phone numbers: the rules by example, the quick way equal to the library, and nothing that depends on its age."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from pathlib import Path

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.client.normalise import normalise, normalise_column, phone
from cleanroom.errors import UsageError
from cleanroom.identifiers import IdentifierKind

ROOT = Path(__file__).parents[2]
PHONE = IdentifierKind.PHONE
NANP = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")
REGIONS = ("CA", "US", "FR", "BE", "DE", "IT", "BS")


def by_library(written: str, region: str) -> str | None:
    """Read a number as it is written, separators and all, by the library and the specification's conditions."""
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    one_digit = len(set(phonenumbers.national_significant_number(number))) == 1
    unstable = phonenumbers.parse(e164, None) != number
    wrong = reason != phonenumbers.ValidationResult.IS_POSSIBLE or one_digit or unstable or len(e164) > 16
    return None if wrong or (number.country_code == 1 and not NANP.fullmatch(e164)) else e164


def column(values: list[str | None], region: str) -> list[str | None]:
    return normalise_column(PHONE, pl.Series("telephone", values, dtype=pl.String), region).to_list()


@pytest.mark.parametrize(
    ("region", "written", "expected"),
    [
        ("CA", "514 555-1234", "+15145551234"),
        ("CA", "(514) 555-1234", "+15145551234"),
        ("CA", "1-514-555-1234", "+15145551234"),
        ("CA", "+1 514.555.1234", "+15145551234"),
        ("CA", "(+1) 514 555 1234", "+15145551234"),
        ("CA", "5145551234", "+15145551234"),
        ("CA", "5145551234.0", "+15145551234"),  # a column of numbers with gaps, written as text
        ("CA", "514555123.0", None),
        ("CA", "\u202d514\u00a0555\u20111234\u202c", "+15145551234"),  # from an address book
        ("CA", "\t514\u202f555\u20131234 \n", "+15145551234"),
        ("CA", "011 33 6 12 34 56 78", "+33612345678"),
        ("CA", "+33 (0)6 12 34 56 78", "+33612345678"),
        ("CA", "+49 30 901820", "+4930901820"),
        ("CA", "06 12 34 56 78", None),  # a French number without its country at a Québec organisation
        ("FR", "06 12 34 56 78", "+33612345678"),
        ("FR", "06.12.34.56.78", "+33612345678"),
        ("FR", "0033 6 12 34 56 78", "+33612345678"),
        ("FR", "612345678", "+33612345678"),  # a spreadsheet took the 0
        ("FR", "514 555-1234", None),
        ("FR", "+1 514 555-1234", "+15145551234"),
        ("IT", "06 698 12345", "+390669812345"),  # a 0 that stays
        ("CA", "514-555-1234 poste 22", "+15145551234;ext=22"),
        ("CA", "514-555-1234 POSTE: 022", "+15145551234;ext=022"),
        ("CA", "514-555-1234 x22", "+15145551234;ext=22"),
        ("CA", "514-555-1234, ext. 22", "+15145551234;ext=22"),
        ("CA", "514-555-1234 #22", "+15145551234;ext=22"),
        ("CA", "+1-514-555-1234;ext=22", "+15145551234;ext=22"),  # RFC 3966
        ("CA", "+33 1 23 45 67 89 poste 5", "+33123456789;ext=5"),
        ("CA", "514-555-1234 poste", None),
        ("CA", "514-555-1234 poste 12345678", None),
        ("CA", "514 555-1234 / 418 555-9876", None),  # two people, or one twice: nobody's to say
        ("CA", "514 555-1234, 418 555-9876", None),
        ("CA", "514 555-1234 ou 418 555-9876", None),
        ("CA", "514 555-1234\n418 555-9876", None),
        ("CA", "514 555-1234 418 555-9876", None),
        ("CA", "514 555-1234 (cell)", None),
        ("CA", "1-800-FLOWERS", None),
        ("CA", "555-1234", None),
        ("CA", "310-1234", None),
        ("CA", "911", None),
        ("CA", "114 555-1234", None),
        ("CA", "514 155-1234", None),
        ("CA", "000-000-0000", None),
        ("CA", "222 222-2222", None),
        ("CA", "+33 1 11 11 11 11", None),
        ("CA", "+1 514 555-12345", None),
        ("CA", "+999 123 456 789", None),
        ("CA", "+358 00 295577", None),  # a trunk zero too many: +358 0295577 would be read as +358 295577
        ("DE", "10000000000000", None),  # longer than E.164
        ("CA", "", None),
        ("CA", "n/a", None),
        ("CA", "\u0665\u0661\u0664 555 1234", None),  # other scripts' digits
    ],
)
def test_phone(region: str, written: str, expected: str | None) -> None:
    assert normalise(PHONE, written, region) == expected
    assert column([written], region) == [expected]


def test_a_number_counts_although_its_area_code_is_new_to_the_library() -> None:
    """What is valid depends on the library's age; what is possible does not, for these two countries."""
    unassigned = [f"{area}-555-0199" for area in range(200, 1000)]
    valid = [phonenumbers.is_valid_number(phonenumbers.parse(each, "CA")) for each in unassigned]
    assert not all(valid)
    assert None not in column(unassigned, "CA")


def test_north_american_numbers_in_their_usual_forms_are_the_librarys() -> None:
    """Each area code and each exchange, in every form of writing, plus each digit where a number may begin."""
    forms = ("{}{}{}", "{} {}-{}", "({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "({}){}{}", "{} {} {}")
    prefixes = ("", "1", "1-", "1 ", "+1", "+1 ", "+1-", "0", "+", "11", "+11")
    places = [(f"{area:03}", "555", "1234") for area in range(1000)]
    places += [("514", f"{exchange:03}", "0000") for exchange in range(1000)]
    for number, (prefix, form) in enumerate(product(prefixes, forms)):
        # Each form sees a fresh tenth of the places, and all see those about the edges.
        edges = ("199", "555", "1234"), ("200", "200", "0000"), ("999", "199", "9999")
        some = [*places[number % 10 :: 10], *edges]
        written = [prefix + form.format(*place) for place in some]
        for region in ("CA", "US", "FR"):
            assert column(written, region) == [by_library(each, region) for each in written], (prefix, form, region)


def test_french_numbers_in_their_usual_forms_are_the_librarys() -> None:
    forms = ("{}{}{}{}{}", "{} {} {} {} {}", "{}.{}.{}.{}.{}", "{}-{}-{}-{}-{}")
    prefixes = ("0", "+33", "+33 ", "+33 (0)", "0033", "+330", "33", "", "00", "+0")
    places = [(f"{first}", "12", "34", f"{middle:02}", "78") for first in range(10) for middle in range(0, 100, 9)]
    for prefix, form in product(prefixes, forms):
        written = [prefix + form.format(*place) for place in places]
        for region in ("CA", "FR", "BE"):
            assert column(written, region) == [by_library(each, region) for each in written], (prefix, form, region)


@pytest.mark.soak
def test_every_area_code_and_exchange_is_the_librarys() -> None:
    for area in range(1000):
        written = [f"{area:03}{exchange:03}4567" for exchange in range(1000)]
        assert column(written, "CA") == [by_library(each, "CA") for each in written]


def test_every_country_is_read_as_it_writes_itself_and_as_others_write_it() -> None:
    formats = phonenumbers.PhoneNumberFormat
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number(region)
        if number is None:
            continue
        e164 = phonenumbers.format_number(number, formats.E164)
        abroad, at_home = (
            phonenumbers.format_number(number, each) for each in (formats.INTERNATIONAL, formats.NATIONAL)
        )
        assert column([e164, abroad], "CA") == [e164] * 2, region
        assert column([e164, abroad, at_home], region) == [e164] * 3, region


DIGITS = st.text("0123456789", min_size=1, max_size=6)
BETWEEN = st.sampled_from(["", " ", "-", ".", ") ", " (", "\u00a0", "\u2011", "\u202a", "/", "x", ",", "\n", "  "])
PIECES = st.lists(st.tuples(DIGITS, BETWEEN), min_size=1, max_size=5).map(lambda parts: "".join(map("".join, parts)))
STARTS = st.sampled_from(["", "+", "+1", "1", "+33", "0", "011", "00", "+39", "(", " ", "tel ", "\u200e+"])
ENDS = st.sampled_from(["", "", " poste 12", "x3", " ext 004", ";ext=9", ".0", " ", "#", "\u202c"])
WRITTEN = st.builds("".join, st.tuples(STARTS, PIECES, ENDS))


@settings(deadline=None)
@given(st.lists(st.none() | WRITTEN | st.text(max_size=8), min_size=1, max_size=6), st.sampled_from(REGIONS))
def test_columns_of_phones_follow_the_rule_of_one(values: list[str | None], region: str) -> None:
    expected = [None if value is None else normalise(PHONE, value, region) for value in values]
    assert column(values, region) == expected
    for value in filter(None, expected):
        assert re.fullmatch(r"\+[1-9][0-9]{5,14}(;ext=[0-9]{1,7})?", value)
        # The normal form names the same person wherever it is read.
        assert {normalise(PHONE, value, each) for each in REGIONS} == {value}


@settings(deadline=None)
@given(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "+", "1", "+1 ", "0", "+33 ", "011 "]),
            st.text("0123456789 -.()", min_size=4, max_size=18),
        ),
    ),
    st.sampled_from(REGIONS),
)
def test_what_the_library_knows_as_separators_changes_nothing(written: str, region: str) -> None:
    """Ours leaves separators out before the library reads; the library would have left them out itself."""
    if written.endswith(".0"):
        return
    assert column([written], region) == [by_library(written, region)]


def test_the_library_reads_only_what_is_unusual_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = phone._e164

    def counted(dialled: str, region: str) -> str | None:
        read.append(dialled)
        return whole(dialled, region)

    monkeypatch.setattr(phone, "_e164", counted)
    usual = [f"(514) 555-{number:04}" for number in range(5000)] + [f"514 555-1234 poste {n}" for n in range(99)]
    unusual = ["+49 30 901820", "+49 (30) 901820", "+32 2 123 45 67", "n/a", "555"] * 1000
    found = column(usual + unusual, "CA")
    assert sorted(read) == ["+3221234567", "+4930901820", "555"]
    assert found[-5:] == ["+4930901820", "+4930901820", "+3221234567", None, None]


def test_one_version_of_the_library_makes_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"phonenumbers=={phone.LIBRARY_VERSION}" in project["dependencies"]
    phone._library.cache_clear()
    monkeypatch.setattr(phonenumbers, "__version__", "9.9.9")
    with pytest.raises(UsageError) as caught:
        column(["+49 30 901820"], "CA")
    assert caught.value.code == "wrong_phone_library"
    assert "9.9.9" in caught.value.message.fr
    phone._library.cache_clear()
