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


# Made at home, taken by the operator


@pytest.fixture
def apart(mine: Cooperative, tmp_path: Path) -> tuple[Cooperative, Cooperative, Path, str]:
    """A member's machine without root key, the operator's without the member's keys, facts, and the operator's key."""
    written = mine("facts", mine.room, TABLE)
    key = re.search(r"[0-9a-f]{64}", written.err)
    assert key is not None
    facts = tmp_path / "visits.facts"
    facts.write_bytes(written.raw)
    home = Cooperative(tmp_path / "no room", tmp_path / "member", mine.files, {})
    shutil.copytree(mine.home / "parties" / OWNER, home.home / "parties" / OWNER)
    (linkage,) = mine.home.glob("rooms/*/linkage")
    shutil.copytree(linkage, home.home / linkage.relative_to(mine.home))
    shutil.rmtree(linkage)
    shutil.rmtree(mine.home / "parties" / OWNER)
    return home, mine, facts, key[0]


Apart = tuple[Cooperative, Cooperative, Path, str]


def test_an_order_is_signed_at_home_and_taken_once(apart: Apart, tmp_path: Path) -> None:
    home, room, facts, key = apart
    (tmp_path / "who.csv").write_text(f"courriel\n{somebody(room)}\n")
    path = tmp_path / "demande.order"
    made = ("erase", "--facts", facts, "--as", OWNER, "--ground", "qc-28", "--from", tmp_path / "who.csv")
    unknown = home(*made, "--order", path, lang="en")
    assert (unknown.code, "[operator_unknown]" in unknown.err, path.exists()) == (2, True, False)
    for lang, words in (("fr", "Rien n'est encore effacé"), ("en", "Nothing is erased yet")):
        signed = home(*made, "--order", path, "--operator-key", key, lang=lang)
        assert (signed.code, words in signed.out) == (0, True), signed.err
    content = path.read_bytes()
    assert somebody(room).encode() not in content
    assert path.stat().st_mode & 0o077 == 0
    assert list(home.home.glob("rooms/*/erased/*"))
    taken = room("erase", "--take", room.room, path, lang="en")
    assert taken.code == 0, taken.err
    assert "written anew, version 1 → 2" in taken.out
    again = room("erase", room.room, "--take", path, lang="en")
    assert (again.code, "[request_repeated]" in again.err) == (4, True)
    stale = home(*made, "--order", path)
    assert stale.code == 0
    moved = room("erase", "--take", room.room, path, lang="en")
    assert (moved.code, "[table_moved_on]" in moved.err) == (4, True)
    assert room("log", "verify", room.room).code == 0


def test_an_order_that_is_none_or_was_altered_is_refused(apart: Apart, tmp_path: Path) -> None:
    home, room, facts, key = apart
    path = tmp_path / "demande.order"
    made = ("erase", "--facts", facts, "--as", OWNER, "--ground", "qc-28", "--order", path, "--operator-key", key)
    assert home(*made, ABSENT).code == 0
    content = path.read_bytes()
    label, request, sealed, _ = content.split(b"\n")
    forms = (b"", content[:-1], content + b"\n", b"x" + content, b"\n".join([label, request, b"zz", b""]))
    for wrong, code in (
        *((each, "no_erasure_order") for each in forms),
        (b"\n".join([label, b"{}", sealed, b""]), "no_signed_request"),
        (content.replace(b"qc-28", b"qc-23"), "request_not_signed"),
        (b"\n".join([label, request, b"00" + sealed[2:], b""]), "erasure_list_refused"),
        (b"\n".join([label, request, sealed[:64], b""]), "erasure_list_refused"),
    ):
        path.write_bytes(wrong)
        ran = room("erase", "--take", room.room, path, lang="en")
        assert (ran.code in {2, 4}, f"[{code}]" in ran.err) == (True, True), (code, ran.err)
    assert "dataset.erased" not in room("log", room.room, "--format", "csv").out
    path.write_bytes(content)
    assert room("erase", "--take", room.room, path).code == 0


def test_at_home_each_table_has_its_facts(apart: Apart, tmp_path: Path) -> None:
    home, room, facts, key = apart
    path = tmp_path / "demande.order"
    made = ("--as", OWNER, "--ground", "qc-28", "--order", path)
    twice = home("erase", "--facts", facts, "--facts", facts, *made, "--operator-key", key, ABSENT)
    assert (twice.code, "[invalid_facts]" in twice.err) == (2, True)
    other = home("erase", "--facts", facts, "--as", "nuits_claires", "--ground", "qc-28", "--order", path, ABSENT)
    assert (other.code, path.exists()) == (2, False)
    second = (room.files / f"{TABLE}.yaml").read_text().replace(TABLE, f"{OWNER}.abonnes")
    (tmp_path / "second.yaml").write_text(second)
    shutil.copytree(home.home / "parties" / OWNER, room.home / "parties" / OWNER)
    assert room("declare", room.room, tmp_path / "second.yaml").code == 0
    assert home("erase", "--facts", facts, *made, "--operator-key", key, ABSENT).code == 0
    lacking = room("erase", "--take", room.room, path, lang="en")
    assert (lacking.code, "[table_moved_on]" in lacking.err) == (4, True)
    (tmp_path / "second.facts").write_bytes(room("facts", room.room, f"{OWNER}.abonnes").raw)
    assert home("erase", "--facts", facts, "--facts", tmp_path / "second.facts", *made, ABSENT).code == 0
    taken = room("erase", "--take", room.room, path, lang="en")
    assert taken.code == 0, taken.err
    assert f"{OWNER}.abonnes: written anew, version 0 → 1" in taken.out
