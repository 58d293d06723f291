"""A charge is never less than the loss, and a scale is the least that keeps every charge within what was asked."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.accounting.account import ROOM, AccountId, Charge, combined
from cleanroom.accounting.accountant import (
    MAX_NORM,
    Draw,
    Reach,
    ReleaseNorm,
    VectorShape,
    charges,
    charges_of,
    least_scale,
    scale_for,
)
from cleanroom.accounting.privacy_loss import STEPS_PER_RHO, InvalidPrivacyParameter, Rho
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import TableName

TNM, FRANCOS, OSM = (TableName.parse(name) for name in ("tnm.visits", "francos.visits", "osm.sales"))

norms = st.integers(1, MAX_NORM) | st.integers(1, 10**6)
shapes = st.sampled_from(VectorShape)
scales = st.floats(min_value=1e-3, max_value=1e25, allow_nan=False).map(Fraction)
tables = st.sets(st.sampled_from([TNM, FRANCOS, OSM]), min_size=1)
rhos = st.integers(1, 10**18).map(Rho) | st.integers(1, 10**11).map(Rho)


def diameter(release: ReleaseNorm) -> int:
    return {
        VectorShape.ONE_NON_NEGATIVE: 1,
        VectorShape.NON_NEGATIVE: 2,
        VectorShape.SIGNED: 4,
    }[release.shape] * release.norm**2


@settings(deadline=None)
@given(st.integers(1, 10**9), shapes, st.fractions(min_value=10**6, max_value=10**12), tables)
def test_charges_are_never_less_than_the_loss_nor_a_step_more(
    norm: int, shape: VectorShape, scale: Fraction, read: set[TableName]
) -> None:
    release = ReleaseNorm(norm, shape)
    room, *owners = charges(release, scale=scale, tables=read)
    loss = Fraction(norm**2) / (2 * scale**2)
    assert room.account == ROOM
    assert 0 <= room.rho.as_fraction() - loss < Fraction(1, STEPS_PER_RHO)
    assert [charge.account.table for charge in owners] == sorted(read)
    if len(read) > 1:
        loss = Fraction(diameter(release)) / (2 * scale**2)
    assert all(0 <= charge.rho.as_fraction() - loss < Fraction(1, STEPS_PER_RHO) for charge in owners)


@settings(deadline=None)
@given(norms, shapes, rhos, st.booleans())
def test_scale_for_keeps_every_charge_within_rho_and_no_smaller_scale_does(
    norm: int, shape: VectorShape, rho: Rho, tables_alone: bool
) -> None:
    scale = scale_for(norm=norm, shape=shape, tables_alone=tables_alone, rho=rho)
    release, read = ReleaseNorm(norm, shape), {TNM} if tables_alone else {TNM, FRANCOS}
    assert max(charge.rho for charge in charges(release, scale=Fraction(scale), tables=read)) <= rho
    smaller = Fraction(math.nextafter(scale, 0.0))
    assert Fraction(release.norm**2 if tables_alone else diameter(release)) / (2 * smaller**2) > rho.as_fraction()


@pytest.mark.parametrize("root", [1, 3, 2**20, Fraction(1, 4), Fraction(5, 8)])
def test_a_scale_that_is_a_root_exactly_is_found_exactly(root: Fraction) -> None:
    # M/2s² ≤ rho at M = 2: s² ≥ 1/rho.
    assert least_scale(Reach(2, 2), tables_alone=True, rho=1 / Fraction(root) ** 2) == float(root)


coordinates = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=6)


@settings(deadline=None)
@given(coordinates, shapes)
def test_no_two_vectors_of_a_shape_lie_further_apart_than_its_diameter(
    pairs: list[tuple[int, int]], shape: VectorShape
) -> None:
    match shape:
        case VectorShape.ONE_NON_NEGATIVE:
            pairs = [(abs(pairs[0][0]), abs(pairs[0][1]))]
        case VectorShape.NON_NEGATIVE:
            pairs = [(abs(a), abs(b)) for a, b in pairs]
        case VectorShape.SIGNED:
            pass
    norm = max(1, *(math.isqrt(sum(pair[side] ** 2 for pair in pairs)) + 1 for side in (0, 1)))
    assert sum((a - b) ** 2 for a, b in pairs) <= ReleaseNorm(norm, shape).squared_diameter


def test_the_diameters_are_reached() -> None:
    """S2: removing p's francos rows moves p from one cell to another, at L2 distance sqrt 2; a sign flips at 2."""
    assert ReleaseNorm(7, VectorShape.ONE_NON_NEGATIVE).squared_diameter == (7 - 0) ** 2
    assert ReleaseNorm(7, VectorShape.NON_NEGATIVE).squared_diameter == (7 - 0) ** 2 + (0 - 7) ** 2
    assert ReleaseNorm(7, VectorShape.SIGNED).squared_diameter == (7 - -7) ** 2


def test_an_overlap_costs_its_tables_twice_what_it_costs_the_room() -> None:
    room, *owners = charges(ReleaseNorm(3, VectorShape.NON_NEGATIVE), scale=Fraction(30), tables={TNM, FRANCOS})
    assert room == Charge(ROOM, Rho.at_least(Fraction(1, 200)))
    assert owners == [Charge(AccountId(table), Rho.at_least(Fraction(1, 100))) for table in (FRANCOS, TNM)]


def test_a_table_read_alone_costs_what_the_room_pays() -> None:
    assert [charge.rho for charge in charges(ReleaseNorm(3, VectorShape.SIGNED), scale=Fraction(30), tables={TNM})] == [
        Rho.at_least(Fraction(1, 200))
    ] * 2


@pytest.mark.parametrize("norm", [0, -1, True, 1.0, MAX_NORM + 1, "1"])
def test_a_norm_is_a_positive_whole_number(norm: object) -> None:
    with pytest.raises(InvalidPrivacyParameter):
        ReleaseNorm(norm, VectorShape.SIGNED)  # type: ignore[arg-type]


def test_what_cannot_be_charged_is_refused() -> None:
    release = ReleaseNorm(1, VectorShape.SIGNED)
    with pytest.raises(InvalidPrivacyParameter):
        scale_for(norm=1, shape=VectorShape.SIGNED, tables_alone=True, rho=Rho(0))
    with pytest.raises(InvalidPrivacyParameter):
        charges(release, scale=Fraction(0), tables={TNM})
    with pytest.raises(InvariantBroken):
        charges(release, scale=Fraction(1), tables=set())
    with pytest.raises(InvalidPrivacyParameter):
        Charge(ROOM, Rho(0))
    with pytest.raises(InvalidPrivacyParameter):
        Charge(ROOM, Rho(1), Fraction(-1, 10))
    with pytest.raises(InvalidPrivacyParameter):
        Charge(ROOM, Rho(1), Fraction(1))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, TNM, FRANCOS]), st.integers(1, 10**9), st.integers(0, 9))))
def test_releases_of_one_question_add_up_by_account(entries: list[tuple[TableName | None, int, int]]) -> None:
    listed = [Charge(AccountId(table), Rho(pico), Fraction(delta, 10**9)) for table, pico, delta in entries]
    summed = combined(listed)
    assert [str(charge.account) for charge in summed] == sorted(
        {str(charge.account) for charge in listed}, key=lambda text: (text != "room", text)
    )
    for charge in summed:
        own = [entry for entry in listed if entry.account == charge.account]
        assert charge.rho == Rho.total(entry.rho for entry in own)
        assert charge.delta_threshold == sum(entry.delta_threshold for entry in own)


@pytest.mark.parametrize("text", ["room", "tnm.visits"])
def test_accounts_are_written_and_read(text: str) -> None:
    assert str(AccountId.parse(text)) == text


def test_a_reach_in_one_table_is_never_below_the_reach_everywhere() -> None:
    assert Reach(2, 2).largest(tables_alone=True) == 2
    assert (Reach(2, 5).largest(tables_alone=True), Reach(2, 5).largest(tables_alone=False)) == (2, 5)
    for everywhere, in_one_table in ((0, 0), (0, 1), (-1, 5), (3, 2)):
        with pytest.raises(InvariantBroken):
            Reach(everywhere, in_one_table)


def test_nothing_is_charged_for_no_draw_or_no_table() -> None:
    draw = Draw(Reach(1, 2), Fraction(3))
    table = TableName.parse("tnm.visits")
    assert len(charges_of((draw,), {table})) == 2
    for draws, tables in (((), {table}), ((draw,), set()), ((), set())):
        with pytest.raises(InvariantBroken):
            charges_of(draws, tables)


def test_norms_end_at_2_to_the_62() -> None:
    assert ReleaseNorm(2**62, VectorShape.SIGNED).squared_norm == 2**124
    for norm in (2**62 + 1, 0, -1):
        with pytest.raises(InvalidPrivacyParameter) as caught:
            ReleaseNorm(norm, VectorShape.SIGNED)
        assert caught.value.message.fr.startswith("une norme")
        assert caught.value.message.en.startswith("a norm")
    for scale in (Fraction(0), Fraction(-1)):
        with pytest.raises(InvalidPrivacyParameter) as caught:
            Draw(Reach(1, 1), scale)
        assert "bruit" in caught.value.message.fr
        assert "noise" in caught.value.message.en
    with pytest.raises(InvalidPrivacyParameter) as caught:
        least_scale(Reach(1, 1), tables_alone=True, rho=Fraction(0))
    assert "petit" in caught.value.message.fr
    assert "small" in caught.value.message.en
