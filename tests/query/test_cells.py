"""Cells and their labels: the number of a cell and what the answer shows for it are one another's inverse."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import known_codes, stream

from cleanroom.query.cells import SurvivingKeys, decimal_of, key_values, set_sizes, shown_value
from cleanroom.query.row_cells import cells_of_rows
from cleanroom.query.statistics import CategoryKey, ListedKey, MonthKey, NumberKey, Shown, UnknownKey

if TYPE_CHECKING:
    from cleanroom.query.backend import PersonRows

HALF = Fraction(1, 2)
REGION = CategoryKey(0, ("nord", "sud"), nullable=True)
SEATS = NumberKey(1, -2, 1, HALF, nullable=True)
MONTH = MonthKey(2, 648, 14, nullable=False)
FLAG = CategoryKey(3, ("non", "oui"), nullable=False)
WORD = UnknownKey(4, nullable=True, shown=Shown.TEXT)
CODE = UnknownKey(5, True, Shown.NUMBER, Fraction(1, 4))


def code_of(key: Any, shown: Any) -> int | None:
    """Return the code of a label, each kind looked up in its own way; a day for a month."""
    if shown is None:
        return None
    match key:
        case CategoryKey(domain=domain):
            return domain.index(shown)
        case NumberKey(resolution=resolution):
            return int(Fraction(shown) / resolution)
        case MonthKey():
            assert shown.day == 1
            return (shown - date(1970, 1, 1)).days + 9
    raise AssertionError(key)


@pytest.mark.parametrize(
    ("keys", "sets"),
    [
        ((REGION,), ((0,),)),
        ((REGION, SEATS), ((0, 1),)),
        ((SEATS, REGION), ((0, 1), (0,), (1,), ())),
        ((MONTH, REGION, FLAG), ((0, 1, 2), (1,), (0, 2))),
        ((), ((),)),
    ],
)
def test_every_public_cell_has_its_own_label_and_rows_of_it_fall_there(keys: Any, sets: Any) -> None:
    sizes = set_sizes(keys, sets)
    assert sizes == tuple(math.prod(len(known_codes(keys[at])) + keys[at].nullable for at in chosen) for chosen in sets)
    seen = set()
    for number in range(sum(sizes)):
        values, place = key_values(keys, sets, None, number)
        assert place == next(at for at, end in enumerate(itertools.accumulate(sizes)) if number < end)
        assert all(values[at] is None for at in range(len(keys)) if at not in sets[place])
        seen.add((place, *values))
        row: list[int | None] = [None] * 4
        for at in sets[place]:
            row[keys[at].column] = code_of(keys[at], values[at])
        assert cells_of_rows(keys, sets, stream([[tuple(row)]], 4), None)[place].tolist() == [number]
    assert len(seen) == sum(sizes)
    with pytest.raises(IndexError):
        key_values(keys, sets, None, sum(sizes))


@pytest.mark.parametrize("keys", [(FLAG, REGION), (REGION, FLAG), (FLAG, REGION, SEATS), (SEATS, FLAG, REGION)])
def test_a_row_outside_one_key_is_in_no_cell(keys: Any) -> None:
    """Whatever its other keys say: and the place of NULL is no code that a row could bring."""
    sets = (tuple(range(len(keys))),)
    inside = {0: 1, 1: 0, 3: 1}
    outside = {0: (2, 3, -1, 2**40, -(2**40)), 1: (2, 4, -3, -4), 3: (2, -1, None, 7)}
    for broken, values in outside.items():
        for value in values if any(key.column == broken for key in keys) else ():
            row = {**inside, broken: value}
            stray = stream([[(row[0], row[1], None, row[3])]], 4)
            assert cells_of_rows(keys, sets, stray, None).tolist() == [[-1]]
    kept = stream([[(inside[0], inside[1], None, inside[3])]], 4)
    assert int(cells_of_rows(keys, sets, kept, None)[0, 0]) >= 0


def test_every_public_cell_of_a_surviving_key_is_shown_with_it() -> None:
    """Unknown keys, public ones among them, in any place; the block of a survivor holds all public cells (S26)."""
    surviving = SurvivingKeys((("web", None, "été"), (None, 5, -3)), (30, 31, 32))
    pairs = [("web", None), (None, Decimal("1.25")), ("été", Decimal("-0.75"))]
    for order in itertools.permutations((WORD, CODE, REGION)):
        unknown = [key for key in order if isinstance(key, UnknownKey)]
        columns = surviving.columns if unknown[0] is WORD else surviving.columns[::-1]
        sets = ((0, 1, 2),)
        shown = []
        for number in range(9):
            values, place = key_values(order, sets, SurvivingKeys(columns, surviving.counted), number)
            assert place == 0
            shown.append(tuple(values[order.index(key)] for key in (WORD, CODE, REGION)))
        assert shown == [(*pair, region) for pair in pairs for region in ("nord", "sud", None)]
        with pytest.raises(IndexError):
            key_values(order, sets, SurvivingKeys(columns, surviving.counted), 9)


def some_row(word: str | None, code: int | None, region: int | None) -> PersonRows:
    """Return one row whose words are numbered in an order of their own."""
    words = ("été", "web", "ailleurs")
    rows = stream([[(region, None, None, None, None if word is None else words.index(word), code)]], 6)
    return replace(rows, words={4: words})


def test_rows_fall_into_the_cells_of_the_key_that_survived() -> None:
    survived = [("web", None), (None, 5), ("été", -3), ("été", 5)]
    columns = tuple(zip(*survived, strict=True))
    for order in itertools.permutations((WORD, CODE, REGION)):
        mine = columns if order.index(WORD) < order.index(CODE) else columns[::-1]
        surviving = SurvivingKeys(mine, (30, 31, 32, 33))
        for block, pair in enumerate(survived):
            for region in (0, 1, None):
                cell = block * 3 + (2 if region is None else region)
                assert cells_of_rows(order, ((0, 1, 2),), some_row(*pair, region), surviving).tolist() == [[cell]]
        # Each value survived, this pair did not; a value that did not; a region that there is not.
        for word, code, region in (("web", 5, 0), (None, None, 0), ("ailleurs", 5, 0), ("été", 7, 0), ("web", None, 2)):
            assert cells_of_rows(order, ((0, 1, 2),), some_row(word, code, region), surviving).tolist() == [[-1]]
        nobody = SurvivingKeys(((), ()), ())
        assert cells_of_rows(order, ((0, 1, 2),), some_row("web", None, 0), nobody).tolist() == [[-1]]


def test_a_null_is_no_key_where_none_is_declared() -> None:
    strict = UnknownKey(4, nullable=False, shown=Shown.TEXT)
    surviving = SurvivingKeys((("web",),), (30,))
    assert cells_of_rows((strict,), ((0,),), some_row("web", 1, 0), surviving).tolist() == [[0]]
    assert cells_of_rows((strict,), ((0,),), some_row(None, 1, 0), surviving).tolist() == [[-1]]
    assert cells_of_rows((FLAG,), ((0,),), some_row("web", 1, 0), None).tolist() == [[-1]]


def test_unknown_keys_are_shown_as_what_they_are() -> None:
    assert shown_value(WORD, "web") == "web"
    assert shown_value(WORD, None) is None
    day = shown_value(UnknownKey(0, True, Shown.DATE), 19_724)
    assert (day, type(day)) == (date(2024, 1, 2), date)
    assert str(shown_value(CODE, 6)) == "1.5"
    with pytest.raises(TypeError):
        shown_value(CODE, 1.5)  # type: ignore[arg-type]


@given(st.integers(-(10**9), 10**9), st.sampled_from([1, 2, 4, 5, 8, 10, 20, 25, 50, 100, 125, 1_000]))
@settings(LIMITS, max_examples=150)
def test_a_number_that_ends_is_shown_exactly(steps: int, parts: int) -> None:
    value = Fraction(steps, parts)
    shown = decimal_of(value, Fraction(1, parts))
    assert Fraction(shown) == value
    places = -int(shown.as_tuple().exponent)
    # As few places as the number needs.
    assert places == next(count for count in range(20) if (value * 10**count).denominator == 1)


@pytest.mark.parametrize(
    ("value", "resolution", "shown"),
    [
        (Fraction(3, 2), Decimal("0.01"), "1.50"),
        (Fraction(-7), Decimal("0.1"), "-7.0"),
        (Fraction(7), Decimal(5), "5"),
        (Fraction(12), Decimal(1), "12"),
        (Fraction(1, 3), Fraction(1, 3), "0.3333333333333333333333333333"),
        (Fraction(-2, 3), Fraction(1, 3), "-0.6666666666666666666666666667"),
        (Fraction(1, 8), Fraction(1, 8), "0.125"),
        (Fraction(1, 16), Fraction(1, 16), "0.0625"),
    ],
)
def test_a_number_is_shown_with_the_places_of_its_resolution(value: Fraction, resolution: Any, shown: str) -> None:
    assert str(decimal_of(value, resolution)) == shown


LISTED = ListedKey(1, (-3, 0, 4), ("x", Decimal(2), True), nullable=True)
FEW_MONTHS = MonthKey(2, 648, 3, nullable=True)
DAY_OF_2024 = (date(2024, 1, 1) - date(1970, 1, 1)).days


def place_of(key: Any, code: int | None) -> int | None:
    """Look a row's code up among the values of a key; of a month the code is a day."""
    if code is not None and isinstance(key, MonthKey):
        day = date.fromordinal(date(1970, 1, 1).toordinal() + code)
        code = (day.year - 1970) * 12 + day.month - 1
    known: list[int | None] = [*known_codes(key), *([None] if key.nullable else [])]
    return known.index(code) if code in known else None


@pytest.mark.parametrize("keys", [(LISTED,), (FEW_MONTHS,), (LISTED, FEW_MONTHS, REGION), (REGION, LISTED)])
@pytest.mark.parametrize("nullable", [True, False])
def test_many_rows_at_once_fall_where_their_keys_are_listed(keys: Any, nullable: bool) -> None:
    """Below, between and above what is listed; the days before and after a month's; NULL where it is a value or not."""
    keys = tuple(replace(key, nullable=nullable) for key in keys)
    regions = (0, 1, 2, -1, None)
    codes = (-(2**40), -4, -3, -2, -1, 0, 1, 3, 4, 5, 2**40, None)
    days = (DAY_OF_2024 - 1, DAY_OF_2024, DAY_OF_2024 + 30, DAY_OF_2024 + 31, DAY_OF_2024 + 90, DAY_OF_2024 + 91, None)
    rows = list(itertools.product(regions, codes, days))
    expected = []
    for row in rows:
        places = [place_of(key, row[key.column]) for key in keys]
        number = 0
        for key, place in zip(keys, places, strict=True):
            number = number * key.size + (place or 0)
        expected.append(-1 if None in places else number)
    everything = (tuple(range(len(keys))),)
    assert cells_of_rows(keys, everything, stream([rows], 3), None).tolist() == [expected]
    # A second set of the same keys begins after the first; no rows have no cells.
    assert cells_of_rows(keys, everything * 2, stream([rows], 3), None)[1].tolist() == [
        -1 if cell < 0 else cell + math.prod(key.size for key in keys) for cell in expected
    ]
    assert cells_of_rows(keys, everything, stream([[]], 3), None).tolist() == [[]]
    assert key_values(keys, everything, None, 0)[0][0] in {"x", "nord", date(2024, 1, 1)}


@pytest.mark.parametrize("nullable", [True, False])
def test_many_rows_at_once_fall_into_the_block_of_their_key(nullable: bool) -> None:
    """Keys that survived in no order, and rows of every pair of values, survivors or not."""
    word, code, number = (
        UnknownKey(0, nullable=nullable, shown=Shown.TEXT),
        UnknownKey(1, nullable, Shown.NUMBER),
        UnknownKey(2, nullable, Shown.DATE),
    )
    words = ("été", "ailleurs", "web", "a")
    pairs = [("web", 9), ("été", -3), (None, 5), ("web", None), ("a", 5), ("été", 9)]
    survived = [pair for pair in pairs if nullable or None not in pair]
    rows = list(itertools.product((0, 1, 2, 3, None), (-4, -3, 4, 5, 6, 9, 10, None), (2,)))
    said = [(None if word is None else words[word], code) for word, code, _ in rows]
    expected = [survived.index(pair) if pair in survived else -1 for pair in said]
    surviving = SurvivingKeys(tuple(zip(*survived, strict=True)), (30,) * len(survived))
    slice_of = replace(stream([rows], 3), words={0: words})
    assert cells_of_rows((word, code), ((0, 1),), slice_of, surviving).tolist() == [expected]
    swapped = SurvivingKeys(surviving.columns[::-1], surviving.counted)
    assert cells_of_rows((code, word), ((0, 1),), slice_of, swapped).tolist() == [expected]
    third = SurvivingKeys((*surviving.columns, (2,) * len(survived)), surviving.counted)
    assert cells_of_rows((word, code, number), ((0, 1, 2),), slice_of, third).tolist() == [expected]
    # A slice without any text, and survivors that are all NULL.
    wordless = replace(stream([[(None, 9, 2), (None, 5, 2), (None, None, 2)]], 3), words={0: ()})
    alone = [survived.index((None, 5)) if nullable else -1]
    assert cells_of_rows((word, code), ((0, 1),), wordless, surviving).tolist() == [[-1, *alone, -1]]
    if nullable:
        nothing = SurvivingKeys(((None,), (None,)), (30,))
        assert cells_of_rows((word, code), ((0, 1),), wordless, nothing).tolist() == [[-1, -1, 0]]


def test_three_unknown_keys_are_shown_each_in_its_place() -> None:
    keys = tuple(UnknownKey(at, nullable=True, shown=Shown.TEXT) for at in range(3))
    surviving = SurvivingKeys((("a", "b"), ("c", "d"), ("e", None)), (30, 31))
    assert [key_values(keys, ((0, 1, 2),), surviving, at)[0] for at in range(2)] == [["a", "c", "e"], ["b", "d", None]]


@pytest.mark.parametrize("parts", [2**28, 5**28, 10**28, 2**20 * 5**25])
def test_a_number_that_ends_late_is_shown_to_its_end(parts: int) -> None:
    for value in (Fraction(parts - 1, parts), Fraction(-7, parts), Fraction(10**27)):
        assert Fraction(decimal_of(value, Fraction(1, parts))) == value


def of_numbers(*shown: Shown) -> tuple[UnknownKey, ...]:
    return tuple(UnknownKey(at, nullable=True, shown=each) for at, each in enumerate(shown))


def test_a_listed_key_may_hold_nothing_but_null() -> None:
    key = ListedKey(0, (), (), nullable=True)
    assert cells_of_rows((key,), ((0,),), stream([[(-1,), (0,), (1,), (None,)]], 1), None).tolist() == [[-1, -1, -1, 0]]


def test_one_word_or_one_number_may_be_all_that_survived() -> None:
    word, number = of_numbers(Shown.TEXT, Shown.NUMBER)
    rows = replace(stream([[(0, 4), (0, 5), (0, 6), (None, 5), (None, None)]], 2), words={0: ("web",)})
    surviving = SurvivingKeys((("web", None), (5, 5)), (30, 30))
    assert cells_of_rows((word, number), ((0, 1),), rows, surviving).tolist() == [[-1, 0, -1, 1, -1]]
    # Where none but NULL survived of a key, another value of it is nobody's neighbour.
    surviving = SurvivingKeys((("été", "web"), (None, None)), (30, 30))
    rows = replace(stream([[(1, None), (0, None), (1, 7), (0, 7)]], 2), words={0: ("web", "été")})
    assert cells_of_rows((word, number), ((0, 1),), rows, surviving).tolist() == [[0, 1, -1, -1]]


def test_combinations_of_many_values_are_told_apart_beyond_what_a_float_holds() -> None:
    """Ten thousand values of four keys each: 10^16 combinations, of which neighbours are one apart."""
    count = 10_000
    keys = of_numbers(*[Shown.NUMBER] * 4)
    surviving = SurvivingKeys((tuple(range(count)),) * 4, (30,) * count)
    last = [(at, at, at, at - off) for at in range(count - 50, count) for off in (0, 1)]
    expected = [at if at == near else -1 for *_, at, near in last]
    assert cells_of_rows(keys, ((0, 1, 2, 3),), stream([last], 4), surviving).tolist() == [expected]


def test_many_keys_of_many_values_do_not_run_past_63_bits() -> None:
    """65 536 combinations of four keys: numbered in one go, (65533, 5, 65533, 1) would be (0, 0, 0, 0) and 2^64."""
    keys = tuple(UnknownKey(at, True, Shown.NUMBER) for at in range(4))
    survived = tuple(range(1 << 16))
    surviving = SurvivingKeys((survived,) * 4, (40,) * len(survived))
    rows = [(0, 0, 0, 0), (65533, 5, 65533, 1), (9, 9, 9, 9), (65535,) * 4, (9, 9, 9, None)]
    found = cells_of_rows(keys, ((0, 1, 2, 3),), stream([[row] for row in rows], 4), surviving)
    assert found.tolist() == [[0, -1, 9, 65535, -1]]
