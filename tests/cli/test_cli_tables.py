"""The life of a table through the command: replace, correct, resume, uploads, facts, withdraw."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from cli_room import Cooperative

from cleanroom.errors import Bilingual, Fault
from cleanroom.room import hand_in

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "nuits_claires"
TABLE = f"{OWNER}.visits"


@pytest.fixture
def mine(room: Cooperative, tmp_path: Path) -> Cooperative:
    """Copy the room and its keys, since these tests change them."""
    shutil.copytree(room.room, tmp_path / "room")
    shutil.copytree(room.home, tmp_path / "home")
    return Cooperative(tmp_path / "room", tmp_path / "home", room.files, {})


def listed(mine: Cooperative, *arguments: object) -> dict[str, list[dict[str, object]]]:
    ran = mine("uploads", mine.room, "--as", OWNER, *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    found: dict[str, list[dict[str, object]]] = json.loads(ran.out)
    return found


def rows(mine: Cooperative) -> Path:
    return mine.files / f"{OWNER}.visits.csv"


def test_replace_correct_and_what_uploads_shows(mine: Cooperative) -> None:
    (first,) = listed(mine)["uploads"]
    assert (first["version"], first["act"], first["state"], first["proven"]) == (1, "append", "current", "yes")
    corrected = mine("upload", mine.room, TABLE, rows(mine), "--correct", first["upload"], lang="en")
    assert corrected.code == 0, corrected.err
    assert "version of the table: 2" in corrected.out
    assert "uploads replaced: 1; their keys are destroyed" in corrected.out
    replaced = mine("upload", mine.room, TABLE, rows(mine), "--replace")
    assert "dépôts remplacés : 1" in replaced.out
    found = listed(mine, TABLE)["uploads"]
    assert [(each["version"], each["act"], each["state"], each["retired_by"]) for each in found] == [
        (1, "append", "gone", 2),
        (2, "correct", "gone", 3),
        (3, "replace", "current", None),
    ]
    index = re.search(r"log entry: (\d+)", corrected.out)
    assert index is not None
    assert found[1]["log_index"] == int(index[1])
    assert str(found[1]["receipt"]).endswith(f"receipts/{index[1]}.tlog-proof")
    shown = mine("uploads", mine.room, "--as", OWNER)
    assert all(str(each["upload"]) in shown.out and str(each["digest"]) in shown.out for each in found)
    assert "clé détruite" in shown.out
    written = mine("uploads", mine.room, "--as", OWNER, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(written.raw.decode())))
    assert [line["upload"] for line in lines] == [each["upload"] for each in found]
    assert mine("log", "verify", mine.room).code == 0


def test_others_see_nothing_of_it(mine: Cooperative) -> None:
    for party in ("theatre_fleuve", "observatoire"):
        for table in (TABLE, f"{OWNER}.none"):
            ran = mine("uploads", mine.room, "--as", party, table)
            assert (ran.code, ran.out) == (0, "Aucun dépôt.\n")
    assert listed(mine, "theatre_fleuve.visits") == {"uploads": [], "waiting": []}


def test_an_upload_is_named_by_its_id(mine: Cooperative) -> None:
    ran = mine("upload", mine.room, TABLE, rows(mine), "--correct", "first", lang="en")
    assert (ran.code, "32 hexadecimal digits" in ran.err) == (2, True)
    ran = mine("upload", mine.room, TABLE, rows(mine), "--correct", "0" * 32, lang="en")
    assert (ran.code, "[no_such_upload]" in ran.err) == (1, True)
    assert mine("upload", mine.room, TABLE, rows(mine), "--correct", "0" * 32, "--replace").code == 2
    assert listed(mine)["waiting"] == []


def test_a_failed_hand_in_waits_is_shown_and_resumed(mine: Cooperative, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise Fault(Bilingual("occupée", "busy"), code="storage_failed")

    with monkeypatch.context() as patch:
        patch.setattr(hand_in, "_record", busy)
        assert mine("upload", mine.room, TABLE, rows(mine)).code == 1
    (left,) = listed(mine)["waiting"]
    assert (left["table"], left["act"]) == (TABLE, "append")
    shown = mine("uploads", mine.room, "--as", OWNER, lang="en")
    assert f"waits (cleanroom upload ROOM --resume): {TABLE}" in shown.out
    blocked = mine("upload", mine.room, TABLE, rows(mine), "--replace", lang="en")
    assert (blocked.code, "[upload_waiting]" in blocked.err) == (2, True)
    resumed = mine("upload", "--resume", mine.room, lang="en")
    assert resumed.code == 0
    assert f"upload: {left['upload']}" in resumed.out
    assert "version of the table: 2" in resumed.out
    assert listed(mine)["waiting"] == []
    again = mine("upload", mine.room, "--resume", lang="en")
    assert (again.code, again.out) == (0, "Nothing waits.\n")


def test_withdraw_and_declare_anew(mine: Cooperative) -> None:
    stranger = mine("withdraw", mine.room, TABLE, "--as", "theatre_fleuve", lang="en")
    assert (stranger.code, "[unknown_table]" in stranger.err) == (2, True)
    before = mine("budget", mine.room).out
    ran = mine("withdraw", mine.room, TABLE, "--as", OWNER, lang="en")
    assert ran.code == 0, ran.err
    assert "version of the table: 2" in ran.out
    assert "keys destroyed, files removed; what was spent stays spent" in ran.out
    assert not list((mine.room / "partitions" / OWNER).rglob("*.parquet"))
    assert mine("budget", mine.room).out == before
    assert TABLE not in mine("catalog", mine.room, "--as", OWNER).out
    gone = mine("upload", mine.room, TABLE, rows(mine), lang="en")
    assert (gone.code, "[unknown_table]" in gone.err) == (2, True)
    assert mine("declare", mine.room, mine.files / f"{TABLE}.yaml").code == 0
    assert "version of the table: 3" in mine("upload", mine.room, TABLE, rows(mine), lang="en").out
    assert mine("log", "verify", mine.room).code == 0


def test_facts_and_a_package_from_home(mine: Cooperative, tmp_path: Path) -> None:
    written = mine("facts", mine.room, TABLE, lang="en")
    assert written.code == 0
    assert written.raw.startswith(b"cleanroom/facts/v1\n{")
    key = re.search(r"[0-9a-f]{64}", written.err)
    assert key is not None
    facts, package = tmp_path / "nuits.facts", tmp_path / "nuits.package"
    facts.write_bytes(written.raw)
    made = ("upload", "--facts", facts, TABLE, rows(mine))
    assert mine(*made, lang="en").code == 2
    unknown = mine(*made, "--package", package, lang="en")
    assert (unknown.code, "[operator_unknown]" in unknown.err, package.exists()) == (2, True, False)
    known = mine(*made, "--package", package, "--operator-key", key[0], "--replace", lang="en")
    assert known.code == 0, known.err
    assert "cleanroom intake" in known.out
    assert mine(*made, "--dry-run").code == 0
    other = mine("upload", "--facts", facts, "theatre_fleuve.visits", rows(mine), "--dry-run", lang="en")
    assert (other.code, "[unknown_table]" in other.err) == (2, True)
    taken = mine("intake", mine.room, package, lang="en")
    assert taken.code == 0, taken.err
    assert "uploads replaced: 1" in taken.out
    assert "handed in before" in mine("intake", mine.room, package, lang="en").out
