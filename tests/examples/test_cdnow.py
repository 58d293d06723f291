"""The real purchases' example: on a synthetic file of the same format, and on the real one where it is at hand."""

from __future__ import annotations

import os
import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cleanroom.cli.arguments import build_parser
from cleanroom.cli.command_words import command_words
from cleanroom.errors import Language
from cleanroom.query import drawing
from examples import cdnow
from examples.story import Story

REAL = Path(
    os.environ.get("CLEANROOM_CDNOW", Path(__file__).parents[3] / "shared" / "data" / "cdnow" / "CDNOW_master.txt")
)
"""Named by the variable, or beside the checkout; the file is no part of the product."""


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the example an environment whose default home it must not touch."""
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "not-this-one"))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 1 500 customers, some of them far beyond every bound."""
    randomness = np.random.default_rng(7)
    lines = [" customer_id  date number_of_cds  dollar_value"]
    for person in range(1, 1501):
        heavy = person % 100 == 0
        for _ in range(60 if heavy else randomness.integers(1, 9)):
            day = np.datetime64("1997-01-01") + randomness.integers(546)
            cds, dollars = randomness.integers(1, 60 if heavy else 6), randomness.gamma(2, 300 if heavy else 18)
            lines.append(f" {person:05} {str(day).replace('-', '')} {cds:2} {dollars:7.2f}")
    path = tmp_path_factory.mktemp("cdnow") / "purchases.txt"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


@pytest.mark.parametrize(("language", "said"), [("fr", "vérités sur 59"), ("en", "truths of 59")])
def test_it_runs_in_both_languages(
    language: str,
    said: str,
    synthetic: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(Story, "command", lambda _, *shown: commands.extend(shown))
    kept = tmp_path / "kept"
    options = [str(synthetic), "--keep", str(kept), *(["--lang", "en"] if language == "en" else [])]
    assert cdnow.main(options) == 0
    told = capsys.readouterr().out
    assert said in told
    assert len(re.findall(r"^\d · ", told, re.MULTILINE)) == 4
    assert {"home", "room", *(f"{shop}.csv" for shop in cdnow.SHOPS)} == {path.name for path in kept.iterdir()}
    assert not (tmp_path / "not-this-one").exists()
    assert "@cdnow.example" in (kept / f"{cdnow.SHOPS[0]}.csv").read_text("utf-8")
    assert len(commands) == 6
    for each in commands:
        build_parser(Language.EN).parse_args(command_words(shlex.split(each)[1:]))
    with pytest.raises(SystemExit):
        cdnow.main(options)


def test_without_noise_the_answers_are_what_the_bounds_leave(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example's own account of the bounds and the room's agree to a few lattice steps."""
    figures: list[cdnow.Figure] = []
    monkeypatch.setattr(drawing, "add_noise", lambda values, **_: tuple(values))
    monkeypatch.setattr(cdnow, "conclude", lambda _story, _room, found: figures.extend(found))
    assert cdnow.main([str(synthetic), "--keep", str(tmp_path / "kept")]) == 0
    released = [each for each in figures if each.answer == each.answer]
    assert len(released) == len(figures) == 59
    assert sum(abs(each.bounded - each.truth) > 1 for each in released) > 30, "the bounds bind in this file"
    for each in released:
        assert each.answer == pytest.approx(each.bounded, rel=1e-3, abs=1e-2)


def test_a_truth_that_is_another_is_noticed(synthetic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cdnow.by_month

    def thrice(*arguments: object) -> pl.DataFrame:
        return real(*arguments).with_columns(pl.col("persons", "cds", "cents") * 3)  # type: ignore[arg-type]

    monkeypatch.setattr(cdnow, "by_month", thrice)
    assert cdnow.main([str(synthetic)]) == 1


@pytest.mark.parametrize(
    "line",
    [
        "00001 19970101 1",
        "00001 19960101 1 2.00",
        "00001 19970230 1 2.00",
        "00001 19970101 -1 2.00",
        "00001 19970101 1 2.005",
        "00001 19970101 1 NaN",
        "00001 19970101 1 Infinity",
        "x 19970101 1 2.00",
    ],
)
def test_a_broken_line_is_named(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.txt"
    path.write_text(f"00001 19970101 1 2.00\n{line}\n", encoding="ascii")
    with pytest.raises(SystemExit) as stopped:
        cdnow.main([str(path)])
    assert stopped.value.code == 2
    assert "ligne 2" in capsys.readouterr().err


def test_a_missing_or_empty_file_is_told(tmp_path: Path) -> None:
    for name in ("missing", "empty"):
        (tmp_path / "empty").touch()
        with pytest.raises(SystemExit) as stopped:
            cdnow.main([str(tmp_path / name), "--lang", "en"])
        assert stopped.value.code == 2


def test_the_split_is_known(synthetic: Path) -> None:
    """Nobody's purchases are lost or doubled, and a customer of both shops goes to them in turn."""
    purchases = cdnow.read_purchases(synthetic)
    assert purchases.height == len(synthetic.read_text("ascii").splitlines()) - 1
    for (_,), rows in purchases.group_by("id", maintain_order=True):
        shops = rows["shop"].to_list()
        assert len(set(shops)) == 1 or all(a != b for a, b in pairwise(shops))
    kinds = purchases.filter(pl.len().over("id") > 1).group_by("id").agg(pl.col("shop").n_unique())
    assert 0.4 < (kinds["shop"] == 2).mean() < 0.6  # type: ignore[operator]


def test_the_real_purchases(capsys: pytest.CaptureFixture[str]) -> None:
    if not REAL.exists():
        pytest.skip(f"THE REAL CDNOW PURCHASES WERE NOT TRIED: no file {REAL}; name it in CLEANROOM_CDNOW")
    assert cdnow.main([str(REAL)]) == 0
    assert "vérités sur 59" in capsys.readouterr().out
