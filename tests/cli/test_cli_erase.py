"""`cleanroom erase`, as a member's marketing lead and its auditor meet it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from cli_room import Cooperative

from audit_log import Verifier, verify_receipt
from cleanroom.identifiers import ErasureGround

OWNER = "theatre_fleuve"
TABLE = f"{OWNER}.visits"
ABSENT = "personne.nulle.part@courriel.example"
QUESTION = (
    "SELECT theatre_fleuve.visits.region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits"
    " JOIN nuits_claires.visits USING (person) GROUP BY 1"
)


@pytest.fixture
def mine(room: Cooperative, tmp_path: Path) -> Cooperative:
    shutil.copytree(room.room, tmp_path / "room")
    shutil.copytree(room.home, tmp_path / "home")
    return Cooperative(tmp_path / "room", tmp_path / "home", room.files, {})


def somebody(mine: Cooperative, number: int = 0) -> str:
    with (mine.files / f"{OWNER}.visits.csv").open(encoding="utf-8") as file:
        return list(dict.fromkeys(row["courriel"] for row in csv.DictReader(file)))[number]


def erase(mine: Cooperative, *arguments: object, lang: str = "en") -> tuple[int, str, str]:
    ran = mine("erase", mine.room, *arguments, lang=lang)
    return ran.code, ran.out, ran.err


def ask(mine: Cooperative) -> str:
    """Ask the overlap; return what the accounts say of it."""
    asked = ("--as", OWNER, "--purpose", "audience_overlap", "--epsilon", "0.2", QUESTION)
    before = mine("budget", mine.room).out
    ran = mine("query", mine.room, *asked)
    assert ran.code == 0, ran.err
    return "free" if mine("budget", mine.room).out == before else "charged"


def test_what_is_said_and_kept_is_the_same_whether_they_were_there(mine: Cooperative, tmp_path: Path) -> None:
    other = Cooperative(tmp_path / "other" / "room", tmp_path / "other" / "home", mine.files, {})
    shutil.copytree(mine.room, other.room)
    shutil.copytree(mine.home, other.home)
    for lang in ("fr", "en"):
        said = []
        for each, who in ((mine, somebody(mine)), (other, ABSENT)):
            code, out, err = erase(each, "--as", OWNER, "--ground", "qc-28", who, lang=lang)
            assert (code, err) == (0, "")
            assert who not in out
            said.append(out.replace(str(each.home), "HOME"))
        assert said[0] == said[1]
        assert ("réécrite" if lang == "fr" else "written anew") in said[0]
    shown = [each("uploads", each.room, "--as", OWNER, "--format", "json").out for each in (mine, other)]
    rows = [json.loads(each)["uploads"] for each in shown]
    # Row counts are the owner's (S13): its own list of uploads tells it.
    assert rows[0][-1]["rows"] < rows[1][-1]["rows"] == rows[0][0]["rows"]
    for each in (mine, other):
        assert each("log", "verify", each.room, "--balances").code == 0


def test_the_certificate_proves_itself_with_the_logs_key_alone(mine: Cooperative) -> None:
    code, out, _ = erase(mine, "--as", OWNER, "--ground", "gdpr-17-1-b", somebody(mine))
    assert code == 0
    path = re.search(r"certificate: (.+)$", out, re.MULTILINE)
    receipt = re.search(r"receipt: (.+)$", out, re.MULTILINE)
    assert path is not None
    assert receipt is not None
    said = json.loads(Path(path[1]).read_text("utf-8"))
    log = Verifier.from_vkey(said["log_key"])
    index, _checkpoint = verify_receipt(said["receipt"].encode(), said["leaf"].encode(), log)
    assert index == said["entry"]
    leaf = json.loads(said["leaf"])
    assert (leaf["type"], leaf["legal"], leaf["outcome"]) == ("dataset.erased", "gdpr-17-1-b", "ok")
    assert said["tables"] == [{"table": TABLE, "version_before": 1, "version": 2}]
    assert set(said["says"]) == {"fr", "en"}


def test_a_batch_from_a_file_and_an_old_answer_costs_again(mine: Cooperative, tmp_path: Path) -> None:
    assert [ask(mine), ask(mine)] == ["charged", "free"]
    requests = tmp_path / "demandes.csv"
    requests.write_text(f"no;courriel;reçue\n1;{somebody(mine, 1)};2026-11-02\n2;{ABSENT};2026-11-03\n", "utf-8")
    code, out, err = erase(mine, "--as", OWNER, "--from", requests, "--ground", "qc-ccq-40")
    assert (code, err) == (0, "")
    assert "to ask again costs again" in out
    assert [ask(mine), ask(mine)] == ["charged", "free"]
    shown = mine("log", mine.room, "--as", OWNER, "--event", "dataset.erased", lang="fr")
    assert "données effacées" in shown.out
    assert "qc-ccq-40" in shown.out
    watched = mine("log", "watch", mine.room, "--as", OWNER, lang="en")
    assert re.search(r"data erased \(done\) · by theatre_fleuve · qc-ccq-40", watched.out)
    assert re.search(r"keys opened \(done\) · by theatre_fleuve · erase", watched.out)
    assert mine("log", "verify", mine.room, "--balances").code == 0


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no identifier": (["--as", OWNER, "--ground", "qc-28", "pas un courriel"], 1, "invalid_identifiers"),
    "one of several": (["--as", OWNER, "--ground", "qc-28", ABSENT, "x"], 1, "invalid_identifiers"),
    "nobody": (["--as", OWNER, "--ground", "qc-28"], 2, "usage"),
    "both ways": (["--as", OWNER, "--ground", "qc-28", ABSENT, "--from", "file.csv"], 2, "usage"),
    "no such file": (["--as", OWNER, "--ground", "qc-28", "--from", "missing.csv"], 2, "no_source"),
    "no ground": (["--as", OWNER, ABSENT], 2, "usage"),
    "another ground": (["--as", OWNER, "--ground", "because", ABSENT], 2, "usage"),
    "no member": (["--as", "observatoire", "--ground", "qc-28", ABSENT], 2, "unknown_table"),
    "nobody of the room": (["--as", "personne", "--ground", "qc-28", ABSENT], 2, "unknown_party"),
    "another kind": (["--as", OWNER, "--ground", "qc-28", "--kind", "phone", "514 555-1234"], 2, "unknown_kind"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_both_languages_and_changes_nothing(wrong: str, mine: Cooperative) -> None:
    arguments, expected, named = WRONG[wrong]
    said = set()
    for lang in ("fr", "en"):
        code, out, err = erase(mine, *arguments, lang=lang)
        assert (code, out) == (expected, "")
        assert named == "usage" or f"[{named}]" in err
        said.add(err)
    assert len(said) == 2
    (held,) = json.loads(mine("uploads", mine.room, "--as", OWNER, "--format", "json").out)["uploads"]
    assert (held["version"], held["state"]) == (1, "current")
    assert "dataset.erased" not in mine("log", mine.room, "--format", "csv").out


def test_an_empty_file_names_nobody(mine: Cooperative, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("courriel\n")
    code, _, err = erase(mine, "--as", OWNER, "--ground", "qc-28", "--from", tmp_path / "none.csv")
    assert (code, "[nobody]" in err) == (2, True)


def test_the_help_names_every_ground(mine: Cooperative) -> None:
    for lang in ("fr", "en"):
        shown = mine("erase", "--help", lang=lang).out
        assert all(ground in shown for ground in ErasureGround)


def test_a_later_upload_says_who_comes_back(mine: Cooperative) -> None:
    assert erase(mine, "--as", OWNER, "--ground", "qc-8", somebody(mine))[0] == 0
    again = mine("upload", mine.room, TABLE, mine.files / f"{OWNER}.visits.csv", lang="en")
    assert again.code == 0
    assert "of people whose erasure you asked for" in again.err
    other = mine("upload", mine.room, "nuits_claires.visits", mine.files / "nuits_claires.visits.csv", lang="en")
    assert "of people whose erasure you asked for" not in other.err
