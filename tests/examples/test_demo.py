"""The demonstration tells the same story in both languages, and does not call a failure a success."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import cleanroom
from audit_log import Finding, Verdict
from cleanroom.cli.arguments import build_parser
from cleanroom.cli.command_words import command_words
from cleanroom.errors import Bilingual, Language
from cleanroom.room import logbook
from examples import demo
from examples.demo_questions import Stage, ask_for_an_overlap, ask_for_the_sector, be_refused
from examples.season import Season
from examples.story import Story, fewest_plausible

SMALL = ["--persons", "400"]


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the demonstration an environment whose default home it must not touch."""
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "not-this-one"))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Play the first chapters once."""
    directory = tmp_path_factory.mktemp("demo")
    story, home = Story(Language.EN), cleanroom.Home(directory / "home")
    season = demo.prologue(story, 400)
    files = season.write(directory / "members")
    with cleanroom.Room.create(directory / "room", home=home) as room:
        stage = Stage(story, season, directory, files, room, home)
        demo.found_a_room(stage)
        demo.hand_in(stage)
        yield stage


@pytest.fixture
def stage(played: Stage, tmp_path: Path) -> Stage:
    """Give the stage with a clean record, and a directory of its own for what the chapter writes."""
    return replace(played, story=Story(Language.EN), directory=tmp_path)


@pytest.mark.parametrize(("language", "end"), [("fr", "11 vérifications sur 11 tiennent"), ("en", "11 of 11 checks")])
def test_every_check_holds(language: str, end: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    options = [*SMALL, "--keep", str(kept), *(["--lang", "en"] if language == "en" else [])]  # French by default
    assert demo.main(options) == 0
    told = capsys.readouterr().out
    assert end in told
    assert len(re.findall(r"^\d · ", told, re.MULTILINE)) == 8
    for code in ("row_output", "cohort_too_close", "epsilon_over_limit"):
        assert f"[{code}]" in told
    assert not (tmp_path / "not-this-one").exists()
    assert {"home", "room", "members", "export"} <= {path.name for path in kept.iterdir()}
    with pytest.raises(SystemExit):
        demo.main(options)


def test_a_failed_check_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    monkeypatch.setattr(Story, "command", lambda _, *shown: commands.extend(shown))
    monkeypatch.setattr(logbook, "verify", disagreeable)
    assert demo.main(SMALL) == 1
    # Each `$ cleanroom …` that was shown is one that the command takes.
    shown = [each for each in commands if each.startswith("cleanroom ")]
    assert len(shown) > 12
    parser = build_parser(Language.EN)
    for each in shown:
        parser.parse_args(command_words(shlex.split(each)[1:]))


def disagreeable(*_: object, **__: object) -> logbook.Verification:
    return logbook.Verification(Verdict(Finding.ROOT_DIFFERS, "checkpoint"), "", first_time=False)


def test_verification_that_always_agrees_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        logbook,
        "verify",
        lambda *_, **__: logbook.Verification(Verdict(Finding.VERIFIED), "", first_time=False, reconciled=True),
    )
    demo.verify_the_log(stage, 8)
    assert stage.story.failed == ["the falsification was not found"]


def test_state_that_the_log_contradicts_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "contradictions", lambda *_: (Bilingual("autre budget", "another budget"),))
    demo.verify_the_log(stage, 8)
    assert len(stage.story.failed) == 1


def test_a_damaged_partition_is_noticed(stage: Stage, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stage.room.path, copy)
    partition = next(copy.rglob("*.parquet"))
    content = bytearray(partition.read_bytes())
    content[len(content) // 2] ^= 1
    partition.write_bytes(content)
    with cleanroom.Room.open(copy, home=stage.home) as room:
        demo.verify_the_log(replace(stage, room=room, home=cleanroom.Home(tmp_path / "other")), 8)
    assert len(stage.story.failed) == 1


def test_a_falsification_left_out_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "falsify", lambda export, copy, *_, **__: shutil.copytree(export, copy))
    demo.verify_the_log(stage, 8)
    assert stage.story.failed == ["the falsification was not found"]


def test_a_question_that_is_not_refused_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanroom.Session, "query", lambda *_, **__: None)
    be_refused(stage)
    assert len(stage.story.failed) == 3


def test_plaintext_in_the_room_is_noticed(stage: Stage) -> None:
    left = stage.room.path / "export.tmp"
    left.write_text("anne.roy.FICTIF12@gmail.com", encoding="utf-8")
    try:
        demo.search_the_disk(stage)
    finally:
        left.unlink()
    assert len(stage.story.failed) == 1


def test_a_key_in_the_room_is_noticed(stage: Stage) -> None:
    left = stage.room.path / "key.tmp"
    shutil.copyfile(next(stage.home.path.rglob("root.key")), left)
    try:
        demo.search_the_disk(stage)
    finally:
        left.unlink()
    assert len(stage.story.failed) == 1


def test_a_truth_that_is_another_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times as many tickets: no number of tickets lies within its margin."""
    real = Season.sector_totals
    monkeypatch.setattr(
        Season,
        "sector_totals",
        lambda season, *by: real(season, *by).with_columns(pl.col("tickets", "amount_cents") * 1000),
    )
    ask_for_the_sector(stage)
    assert stage.story.failed


def test_a_right_answer_is_no_failure(stage: Stage) -> None:
    ask_for_an_overlap(stage)
    assert not stage.story.failed


def test_fewest_plausible_rejects_what_is_wrong_and_nothing_else() -> None:
    # P(Binomial(n, 0.93) < k) <= 1e-9 < P(Binomial(n, 0.93) < k + 1), by hand for n = 8: 0.07^8 = 5.8e-10.
    assert fewest_plausible(8) == 1
    assert fewest_plausible(7) == 0
    # Numbers noised as told hold 95 %; a margin that holds 80 % is out of the question at 1 000.
    assert 800 < fewest_plausible(1_000) < 930
