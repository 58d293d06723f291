"""The demonstration tells the same story in both languages, and does not call a failure a success."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from audit_log import Finding, Verdict
from cleanroom import Refused, Session
from cleanroom.room import logbook
from examples import demo, demo_questions
from examples.season import Season
from examples.story import fewest_plausible

SMALL = ["--persons", "400"]


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the demonstration an environment whose default home it must not touch."""
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "not-this-one"))


@pytest.mark.parametrize(("language", "end"), [("fr", "10 vérifications sur 10 tiennent"), ("en", "10 of 10 checks")])
def test_every_check_holds(language: str, end: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert demo.main([*SMALL, "--lang", language]) == 0
    told = capsys.readouterr().out
    assert end in told
    assert len(re.findall(r"^\d · ", told, re.MULTILINE)) == 8
    for code in ("row_output", "cohort_too_close", "epsilon_over_limit"):
        assert f"[{code}]" in told
    assert not (tmp_path / "not-this-one").exists()


def test_french_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(SMALL) == 0
    assert "La salle blanche" in capsys.readouterr().out


def test_a_kept_room_is_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert demo.main([*SMALL, "--keep", str(kept)]) == 0
    assert str(kept) in capsys.readouterr().out
    assert {"home", "room", "members", "export"} <= {path.name for path in kept.iterdir()}
    with pytest.raises(SystemExit):
        demo.main([*SMALL, "--keep", str(kept)])


def test_verification_that_always_agrees_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = logbook.verify

    def agreeable(*arguments: object, **options: object) -> logbook.Verification:
        found = real(*arguments, **options)  # type: ignore[arg-type]
        return logbook.Verification(Verdict(Finding.VERIFIED), found.vkey, found.first_time)

    monkeypatch.setattr(logbook, "verify", agreeable)
    assert demo.main(SMALL) == 1


def test_a_log_that_does_not_verify_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def disagreeable(*_: object, **__: object) -> logbook.Verification:
        return logbook.Verification(Verdict(Finding.ROOT_DIFFERS, "checkpoint"), "", first_time=False)

    monkeypatch.setattr(logbook, "verify", disagreeable)
    assert demo.main(SMALL) == 1


def test_a_falsification_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "falsify", lambda export, copy, entry, *, of: demo.shutil.copytree(export, copy))
    assert demo.main(SMALL) == 1


def test_a_question_that_is_not_refused_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Session.query

    def lenient(session: Session, sql: str, **options: object) -> object:
        try:
            return real(session, sql, **options)  # type: ignore[arg-type]
        except Refused:
            return None

    monkeypatch.setattr(Session, "query", lenient)
    assert demo.main(SMALL) == 1


def test_plaintext_in_the_room_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = demo.search_the_disk

    def careless(stage: demo_questions.Stage) -> None:
        (stage.room.path / "export.tmp").write_text("anne.roy.fictif12@gmail.com", encoding="utf-8")
        real(stage)

    monkeypatch.setattr(demo, "search_the_disk", careless)
    assert demo.main(SMALL) == 1


def test_a_truth_that_is_another_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times as many tickets: no number of tickets lies within its margin."""
    real = Season.sector_totals
    monkeypatch.setattr(
        Season,
        "sector_totals",
        lambda season, *by: real(season, *by).with_columns(pl.col("tickets", "amount_cents") * 1000),
    )
    assert demo.main(SMALL) == 1


def test_fewest_plausible_rejects_what_is_wrong_and_nothing_else() -> None:
    # P(Binomial(n, 0.93) < k) <= 1e-9 < P(Binomial(n, 0.93) < k + 1), by hand for n = 8: 0.07^8 = 5.8e-10.
    assert fewest_plausible(8) == 1
    assert fewest_plausible(7) == 0
    # Numbers noised as told hold 95 %; a margin that holds 80 % is out of the question at 1 000.
    assert 800 < fewest_plausible(1_000) < 930
