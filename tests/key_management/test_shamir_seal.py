"""Shares of the root key: any k recover it, fewer are refused, and damage is named."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from Crypto.Protocol.SecretSharing import Shamir
from hypothesis import given, settings
from hypothesis import strategies as st

from key_management import (
    DamagedShare,
    NotEnoughShares,
    SecretKey,
    Share,
    ShareError,
    SharesDoNotMatch,
    combine,
    parse_share,
    split,
)

ROOT = SecretKey.adopt(bytes(range(32)))
THREE_OF_FIVE = split(ROOT, 3, 5)


def altered(share: Share, at: int = 0, flip: int = 1) -> Share:
    value = bytearray(share.value.reveal_secret_bytes())
    value[at] ^= flip
    return dataclasses.replace(share, value=SecretKey.adopt(bytes(value)))


def test_every_three_of_five_recover_the_root_in_every_order() -> None:
    for shares in itertools.combinations(THREE_OF_FIVE, 3):
        assert combine(shares) == ROOT
    for shares in itertools.permutations(THREE_OF_FIVE[:3]):
        assert combine(shares) == ROOT
    assert combine(THREE_OF_FIVE) == ROOT


@settings(max_examples=10, deadline=None)
@given(data=st.data(), secret=st.binary(min_size=32, max_size=32))
def test_any_k_of_n_recover_the_root(data: st.DataObject, secret: bytes) -> None:
    count = data.draw(st.integers(2, 6))
    threshold = data.draw(st.integers(2, count))
    shares = split(SecretKey.adopt(secret), threshold, count)
    chosen = data.draw(st.permutations(shares))[:threshold]
    assert combine(parse_share(share.reveal_share_text()) for share in chosen).reveal_secret_bytes() == secret
    with pytest.raises(NotEnoughShares):
        combine(chosen[:-1])


def test_fewer_than_the_threshold_are_refused_with_the_numbers() -> None:
    for have in (1, 2):
        for shares in itertools.combinations(THREE_OF_FIVE, have):
            with pytest.raises(NotEnoughShares) as refusal:
                combine(shares)
            assert (refusal.value.have, refusal.value.need) == (have, 3)
    with pytest.raises(NotEnoughShares):
        combine(())


def test_the_library_alone_would_combine_two_of_three_to_a_wrong_value() -> None:
    """Keep the reason for the check value alive: if the library starts to refuse, this says so."""
    points = [(share.index, share.value.reveal_secret_bytes()[:16]) for share in THREE_OF_FIVE[:2]]
    assert Shamir.combine(points) != ROOT.reveal_secret_bytes()[:16]


def test_a_lowered_threshold_is_refused_by_the_check_value() -> None:
    lowered = [dataclasses.replace(share, threshold=2) for share in THREE_OF_FIVE[:2]]
    with pytest.raises(DamagedShare):
        combine(lowered)


def test_mixed_sets_are_refused() -> None:
    others = split(ROOT, 3, 5)
    with pytest.raises(SharesDoNotMatch, match="different sets"):
        combine([*THREE_OF_FIVE[:2], others[2]])
    with pytest.raises(SharesDoNotMatch, match="different sets"):
        combine([*THREE_OF_FIVE[:2], dataclasses.replace(THREE_OF_FIVE[2], count=6)])


def test_shares_of_one_half_each_from_two_sets_are_refused() -> None:
    """Matched halves: the low half of one split with the high half of another is no share."""
    other = {share.index: share.value.reveal_secret_bytes() for share in split(ROOT, 3, 5)}
    crossed = dataclasses.replace(
        THREE_OF_FIVE[0],
        value=SecretKey.adopt(THREE_OF_FIVE[0].value.reveal_secret_bytes()[:16] + other[1][16:]),
    )
    with pytest.raises(DamagedShare):
        combine([crossed, *THREE_OF_FIVE[1:3]])


def test_the_same_share_twice_is_refused() -> None:
    with pytest.raises(SharesDoNotMatch, match="share 2 was brought twice"):
        combine([THREE_OF_FIVE[0], THREE_OF_FIVE[1], THREE_OF_FIVE[1]])


def test_every_flipped_byte_of_a_value_is_refused() -> None:
    for at in range(32):
        with pytest.raises(DamagedShare) as refusal:
            combine([altered(THREE_OF_FIVE[0], at), *THREE_OF_FIVE[1:3]])
        assert refusal.value.indices == (1, 2, 3)


def test_a_damaged_spare_share_is_named() -> None:
    with pytest.raises(DamagedShare) as refusal:
        combine([*THREE_OF_FIVE[:3], altered(THREE_OF_FIVE[4])])
    assert refusal.value.indices == (5,)


def test_a_share_with_another_check_value_is_refused() -> None:
    with pytest.raises(DamagedShare, match="check values"):
        combine([*THREE_OF_FIVE[:2], dataclasses.replace(THREE_OF_FIVE[2], check=bytes(16))])
    with pytest.raises(DamagedShare):
        combine([dataclasses.replace(share, check=bytes(16)) for share in THREE_OF_FIVE])


def test_swapped_indices_are_refused() -> None:
    first, second, _, fourth = THREE_OF_FIVE[:4]  # not {1, 2, 3}: 1 + 2 = 3 makes all their weights 1
    with pytest.raises(DamagedShare):
        combine([dataclasses.replace(first, index=2), dataclasses.replace(second, index=1), fourth])


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 5), (0, 3), (4, 3), (2, 100), (-1, 2)])
def test_impossible_numbers_are_refused(threshold: int, count: int) -> None:
    with pytest.raises(ShareError):
        split(ROOT, threshold, count)


def test_a_share_does_not_print_its_value_and_its_check_is_not_the_root() -> None:
    share = THREE_OF_FIVE[0]
    assert "SecretKey(<hidden>)" in repr(share)
    for octets in (share.value.reveal_secret_bytes(), ROOT.reveal_secret_bytes()):
        assert octets.hex() not in repr(share)
        assert repr(octets)[2:-1] not in repr(share)


TEXT = THREE_OF_FIVE[1].reveal_share_text()


def test_text_reads_back_and_has_one_form() -> None:
    assert parse_share(TEXT) == THREE_OF_FIVE[1]
    assert parse_share(TEXT).reveal_share_text() == TEXT
    assert parse_share(TEXT.removesuffix("\n")) == THREE_OF_FIVE[1]
    assert len(TEXT.splitlines()) == 6


def test_every_flipped_character_of_the_text_is_refused() -> None:
    for at in range(len(TEXT) - 1):
        for flip in (0x01, 0x02, 0x20):
            with pytest.raises(DamagedShare):
                parse_share(TEXT[:at] + chr(ord(TEXT[at]) ^ flip) + TEXT[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT + "\n",
        " " + TEXT,
        TEXT.upper(),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("/v1", "/v2"),
        TEXT.replace("value ", "value  "),
        TEXT + TEXT,
        TEXT[: len(TEXT) // 2],
        "\n".join(TEXT.splitlines()[:-1]) + "\n",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(DamagedShare):
        parse_share(text)


def test_two_exchanged_groups_are_caught_and_the_share_named() -> None:
    lines = TEXT.splitlines()
    groups = lines[3].split(" ")
    groups[1], groups[2] = groups[2], groups[1]
    lines[3] = " ".join(groups)
    with pytest.raises(DamagedShare, match="share 2 was misread") as refusal:
        parse_share("\n".join(lines) + "\n")
    assert refusal.value.indices == (2,)


@given(text=st.text(max_size=80))
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    with pytest.raises(DamagedShare):
        parse_share(text)
