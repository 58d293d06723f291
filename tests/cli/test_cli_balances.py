"""What `log verify --balances` says of noise: too little of it is named, what older entries leave out is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from test_cli_budget import copied

from cleanroom.room import charge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from cli_room import Cooperative

    from cleanroom.query.plan import Plan
    from cleanroom.room.stored_releases import DueRelease

BOTH = (
    "SELECT a.region, COUNT(*) AS n FROM theatre_fleuve.visits AS a JOIN nuits_claires.visits USING (person)"
    " GROUP BY a.region"
)


def asks(own: Cooperative, patch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]) -> None:
    """Ask a question whose entry says something else of what is drawn."""
    whole = charge.release_details

    def changed(release: Plan, each: DueRelease) -> dict[str, object]:
        said = whole(release, each)
        change(said)
        return said

    with patch.context() as broken:
        broken.setattr(charge, "release_details", changed)
        purpose = ("--as", "theatre_fleuve", "--purpose", "audience_overlap")
        asked = own("query", own.room, *purpose, "--epsilon", "0.3", "--max-rows", "auto", BOTH)
        assert asked.code == 0, asked.err


def said(own: Cooperative, lang: str) -> tuple[int, str, str]:
    ran = own("log", "verify", own.room, "--balances", lang=lang)
    return ran.code, " ".join(ran.out.split()), " ".join(ran.err.split())


def test_a_choice_with_less_noise_than_was_charged_is_named(
    room: Cooperative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copied(room, tmp_path)
    asks(own, monkeypatch, lambda entry: entry["auto"].__setitem__(2, (float.fromhex(entry["auto"][2]) / 2).hex()))
    code, out, err = said(own, "en")
    assert code == 4
    assert "costs nuits_claires.visits less than the noise drawn asks for, in steps of 1e-12: " in err
    assert "the choice of a bound: " in err
    assert "[charge_unsound]" in err
    assert "Each balance" not in out
    code, _, err = said(own, "fr")
    assert code == 4
    assert "coûte à nuits_claires.visits moins que le bruit tiré n'exige, en pas de 1e-12 : " in err
    assert "choix d'une borne : " in err


def test_what_older_entries_leave_out_is_said(
    room: Cooperative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copied(room, tmp_path)

    def of_before(entry: dict[str, Any]) -> None:
        for later in ("tables", "numbers", "signed", "quantiles", "auto_counts", "auto_noise"):
            del entry[later]

    asks(own, monkeypatch, of_before)
    code, out, _ = said(own, "en")
    assert code == 0
    assert "Not held against its cost, since it was not recorded then: the choice of a bound (1 question, entry" in out
    assert "what the tables pay (1 question, entry" in out
    assert "or cost an account less than the noise that its entry records" in out
    code, out, _ = said(own, "fr")
    assert code == 0
    assert "Non confronté au coût, faute d'être consigné alors : choix d'une borne (1 question, entrée" in out
