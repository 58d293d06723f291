"""Paths, widths and bundles of c2sp.org/tlog-tiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_log import MalformedTile
from audit_log.tiles import (
    Tile,
    bundle_path,
    bundles_of,
    complete_root,
    encode_bundle,
    parse_bundle,
    split_hashes,
    tiles_of,
    width_at,
)


def test_paths_of_the_specification():
    assert Tile(0, 1234067).path() == "tile/0/x001/x234/067"
    assert Tile(0, 273, 112).path() == "tile/0/273.p/112"
    assert Tile(1, 5).path() == "tile/1/005"
    assert bundle_path(1000, 7) == "tile/entries/x001/000.p/7"


def test_tiles_of_the_specifications_size():
    tiles = list(tiles_of(70_000))
    assert len([tile for tile in tiles if tile.level == 0 and tile.width == 256]) == 273
    assert [tile for tile in tiles if tile.width < 256 or tile.level > 1] == [
        Tile(0, 273, 112),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == list(bundles_of(0)) == []


@given(st.integers(0, 10**6))
def test_tiles_cover_each_level_once(size):
    tiles = list(tiles_of(size))
    for level in range(4):
        assert sum(tile.width for tile in tiles if tile.level == level) == size // 256**level
    assert sum(width for _, width in bundles_of(size)) == size
    assert all(width_at(tile.level, tile.number, size) == tile.width for tile in tiles)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_are_read_as_written(entries):
    bundle = encode_bundle(entries)
    assert list(parse_bundle(bundle, len(entries))) == entries
    for wrong in (bundle + b"\0", bundle[:-1]):
        with pytest.raises(MalformedTile):
            parse_bundle(wrong, len(entries))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Tile(-1, 0),
        lambda: Tile(0, -1),
        lambda: Tile(0, 0, 0),
        lambda: Tile(0, 0, 257),
        lambda: Tile(8, 0),
        lambda: bundle_path(0, 257),
        lambda: encode_bundle([]),
        lambda: encode_bundle([b"x" * 65536]),
        lambda: split_hashes(b""),
        lambda: split_hashes(b"x" * 33),
        lambda: split_hashes(b"x" * 32 * 257),
        lambda: complete_root([b"x" * 32] * 3),
    ],
)
def test_what_is_no_tile_is_refused(call):
    with pytest.raises(MalformedTile):
        call()
