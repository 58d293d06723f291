"""Rooms, parties, tables and uploads through the command; each exit code."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_room import Cooperative, Runner

from audit_log import Verifier, verify_receipt
from cleanroom.cli import budgets
from cleanroom.room import Home, Room


def test_what_making_a_room_says(room: Cooperative) -> None:
    said = room.said["init"].out
    assert re.search(r"Salle r-[0-9a-f]{16} créée", said)
    assert "root.key" in said
    assert "audience_overlap" in said
    assert not any("key" in path.name for path in room.room.rglob("*") if path.name != "log.vkey")


def test_what_an_upload_says(room: Cooperative) -> None:
    said = room.said["upload theatre_fleuve"].out
    lines = (room.files / "theatre_fleuve.visits.csv").read_text().count("\n") - 1
    assert f"theatre_fleuve.visits : {lines:,} lignes".replace(",", "\u202f") in said
    assert "commentaire" in said
    assert "sans identifiant utilisable) : 0" in said
    assert "version de la table : 1" in said
    assert "entrée du journal : 4" in said


def test_the_receipt_of_an_upload_proves_itself(room: Cooperative) -> None:
    said = room.said["upload theatre_fleuve"].out
    receipt = Path(re.search(r"reçu : (\S+)", said)[1])  # type: ignore[index]
    assert receipt.parent.name == "receipts"
    assert receipt.is_relative_to(room.home)
    with closing(sqlite3.connect(f"file:{room.room / 'room.db'}?mode=ro", uri=True)) as connection:
        (leaf,) = connection.execute("SELECT leaf FROM audit_entry WHERE idx = 4").fetchone()
    verifier = Verifier.from_vkey((room.room / "log.vkey").read_text().strip())
    index, _ = verify_receipt(receipt.read_bytes(), leaf, verifier)
    assert index == 4


def test_shares_settings_keys_and_packages(run_in: Runner, room: Cooperative, tmp_path: Path) -> None:
    """One room by the rarer options: shares, settings, a party's own key, a package carried by hand."""
    settings = tmp_path / "given.yaml"
    settings.write_text(
        "purposes: [audience_overlap, sector_statistics]\nbudget: {epsilon: 3, delta: 1e-6, window: never}\n"
    )
    where = tmp_path / "room"
    made = run_in("init", where, "--settings", settings, "--shares", "2/3", lang="en_CA.UTF-8")
    assert made.code == 0
    assert "3, of which 2 open the room" in made.out
    assert len(list((tmp_path / "home").rglob("*.share"))) == 3
    home = Home(tmp_path / "elsewhere")
    public = home.make_signing_key("x").public_bytes_raw().hex()  # type: ignore[arg-type]
    added = run_in("party", "add", where, "auditrice", "--role", "auditor", "--key", public)
    assert added.code == 0
    assert "clé de signature" not in added.out
    again = run_in("party", "add", where, "auditrice", "--role", "auditor", "--key", public, lang="en")
    assert (again.code, "exists already" in again.err) == (2, True)
    assert run_in("party", "add", where, "b", "--role", "member", "--key", "zz").code == 2

    assert run_in("party", "add", where, "salle_grange", "--role", "member").code == 0
    assert run_in("declare", where, room.files / "salle_grange.visits.yaml").code == 0
    package = tmp_path / "sortie.package"
    kept = run_in("upload", where, "Salle_Grange.visits", room.files / "salle_grange.visits.csv", "--package", package)
    assert (kept.code, package.exists(), "reçu" in kept.out) == (0, True, False)
    first, second = run_in("intake", where, package), run_in("intake", where, package, lang="en")
    assert (first.code, second.code) == (0, 0)
    assert "handed in before" in second.out
    assert re.findall(r"\d+\.tlog-proof", first.out) == re.findall(r"\d+\.tlog-proof", second.out)

    package.write_bytes(package.read_bytes()[:-1] + b"x")
    assert run_in("intake", where, package).code in {1, 4}
    assert run_in("declare", where, settings).code == 2


def test_a_room_is_made_once(room: Cooperative) -> None:
    again = room("init", room.room)
    assert again.code == 2
    assert again.err == f"cleanroom: {room.room} existe et n'est pas vide [room_exists]\n"
    assert again.out == ""


def test_catalog(room: Cooperative) -> None:
    french, english = (room("catalog", room.room, "--as", "Observatoire", "--lang", lang).out for lang in ("fr", "en"))
    for shown in (french, english):
        assert "sector_statistics" in shown
        assert "audience_overlap" not in shown
        assert "theatre_fleuve.visits" in shown
    assert "grouper par discipline, purchased:month, region" in " ".join(french.split())
    assert "at least 3 other organisations" in " ".join(english.split())


def test_budget(room: Cooperative) -> None:
    french, english = room("budget", room.room).out, room("budget", room.room, lang="en").out
    assert re.search(r"toute la salle +20 +1e-06 +pour toujours", french)
    assert re.search(r"whole room +20 +1e-06 +for life", english)
    assert "nuits_claires.visits" in french


def test_a_missing_room_is_a_fault(run_in: Runner, tmp_path: Path) -> None:
    ran = run_in("budget", tmp_path / "nowhere", lang="en")
    assert ran.code == 1
    assert "no room here" in ran.err
    assert "room_missing" in ran.err


def test_an_unknown_party_is_a_usage_error(room: Cooperative) -> None:
    ran = room("catalog", room.room, "--as", "personne")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown_party" in ran.err


def test_a_missing_signing_key_is_a_fault(room: Cooperative, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(room.home, home)
    shutil.rmtree(home / "parties" / "theatre_fleuve")
    elsewhere = Cooperative(room.room, home, room.files, {})
    ran = elsewhere("catalog", room.room, "--as", "theatre_fleuve", lang="en")
    assert ran.code == 1
    assert "signing_key_missing" in ran.err


def test_a_file_that_breaks_the_declaration_is_refused_whole(room: Cooperative, tmp_path: Path) -> None:
    sales = (room.files / "guichet_nord.visits.csv").read_text().replace(",web,", ",\x1b[31mweb,", 1)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(sales)
    ran = room("upload", room.room, "guichet_nord.visits", wrong)
    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "channel" in ran.err
    assert room("upload", room.room, "guichet_nord.visits", tmp_path / "none.csv").code == 2


def test_what_nobody_foresaw_says_nothing_of_it(room: Cooperative, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ValueError("row 7: alice@example.org")

    monkeypatch.setattr(budgets, "budget", broken)
    first, second = room("budget", room.room), room("budget", room.room, lang="en")
    assert first.code == 1
    assert "alice" not in first.err + first.out
    assert first.err.count("\n") == 1
    code = re.search(r"\[internal_[0-9a-f]{8}\]", first.err)
    assert code is not None
    assert code[0] in second.err


def test_debugging_shows_the_trace(run_in: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ValueError("why")

    monkeypatch.setattr(budgets, "budget", broken)
    with pytest.raises(ValueError, match="why"):
        run_in("budget", tmp_path, debug=True)


def test_an_interrupt_is_130(run_in: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(budgets, "budget", interrupted)
    ran = run_in("budget", tmp_path)
    assert (ran.code, ran.err.strip()) == (130, "interrompu")


def test_a_receipt_that_cannot_be_kept_loses_no_upload(room: Cooperative, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(room.home, home)
    with Room.open(room.room, home=Home(home)) as opened:
        receipts = home / "rooms" / opened.room_id / "receipts"
    shutil.rmtree(receipts)
    receipts.write_text("a file where a directory should be")
    ran = Cooperative(room.room, home, room.files, {})(
        "upload", room.room, "guichet_nord.visits", room.files / "guichet_nord.visits.csv", lang="en"
    )
    assert ran.code == 0
    assert "version of the table: 2" in ran.out
    assert "could not be kept" in ran.err
