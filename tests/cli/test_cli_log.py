"""The log through the command: read, export, verify, and what a changed copy gives away."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cli_room import Cooperative

from audit_log import EventType
from cleanroom.cli.log_words import EVENTS


def test_every_event_has_words() -> None:
    assert set(EVENTS) == set(EventType)
    assert all(words.fr and words.en and words.fr != words.en for words in EVENTS.values())


def test_table_and_json_show_the_same_entries(room: Cooperative) -> None:
    read = json.loads(room("log", room.room, "--format", "json").out)
    table = room("log", room.room).out.splitlines()[2:]
    assert [line.split()[0] for line in table][:-1] == [str(entry["index"]) for entry in read]
    assert (read[4]["type"], read[4]["actor"], read[4]["parties"]) == (
        "dataset.uploaded",
        "theatre_fleuve",
        ["theatre_fleuve"],
    )
    assert "données déposées" in table[4]
    assert "theatre_fleuve.visits, v1" in table[4]
    assert "data handed in" in room("log", room.room, lang="en").out


def test_filters(room: Cooperative) -> None:
    one = json.loads(room("log", room.room, "--party", "Nuits_claires", "--format", "json").out)
    assert one
    assert all(entry["actor"] == "nuits_claires" or "nuits_claires" in entry["parties"] for entry in one)
    whole = json.loads(room("log", room.room, "--format", "json", "--since", "2020-01-01").out)
    assert whole[0]["index"] == 0
    moment = whole[0]["time"]
    assert json.loads(room("log", room.room, "--format", "json", "--since", moment).out)[0]["index"] == 0
    assert json.loads(room("log", room.room, "--format", "json", "--since", "9999-01-01").out) == []
    assert room("log", room.room, "--since", whole[0]["t"]).code == 0
    assert room("log", room.room, "--since", "hier").code == 2
    assert room("log", room.room, "--party", "nobody").code == 2


def test_verify_and_export(room: Cooperative, tmp_path: Path) -> None:
    assert "Tout concorde" in room("log", "verify", room.room).out
    exported = room("log", "export", room.room, tmp_path / "log")
    assert exported.code == 0
    verified = room("log", "verify", tmp_path / "log", lang="en")
    assert verified.code == 0
    assert "Everything agrees" in verified.out
    assert room("log", "export", room.room, tmp_path / "log").code == 0  # an export is carried on
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "checkpoint").write_text("another log")
    assert room("log", "export", room.room, tmp_path / "other").code != 0


def test_a_stranger_is_told_where_the_key_came_from(room: Cooperative, tmp_path: Path) -> None:
    room("log", "export", room.room, tmp_path / "log")
    stranger = Cooperative(room.room, tmp_path / "home", room.files, {})
    given = shutil.copy(room.room / "log.vkey", tmp_path / "given.vkey")
    trusting = stranger("log", "verify", tmp_path / "log", "--vkey", given, lang="en")
    assert (trusting.code, "first time" in trusting.out) == (0, False)
    shutil.rmtree(tmp_path / "home")
    assert "first time" in stranger("log", "verify", tmp_path / "log", lang="en").out


def test_a_changed_export_exits_4_and_names_the_place(room: Cooperative, tmp_path: Path) -> None:
    room("log", "export", room.room, tmp_path / "log")
    bundle = next(path for path in sorted((tmp_path / "log" / "tile" / "entries").rglob("*")) if path.is_file())
    content = bytearray(bundle.read_bytes())
    content[700] ^= 1
    bundle.chmod(0o600)
    bundle.write_bytes(content)
    for lang in ("fr", "en"):
        ran = room("log", "verify", tmp_path / "log", "--lang", lang)
        assert (ran.code, ran.out) == (4, "")
        assert "tile/entries" in ran.err


def test_a_changed_room_exits_4_and_names_the_place(room: Cooperative, tmp_path: Path) -> None:
    copy = tmp_path / "room"
    shutil.copytree(room.room, copy)
    with closing(sqlite3.connect(copy / "room.db")) as connection:
        connection.execute("DROP TRIGGER audit_entry_keeps")
        connection.execute("UPDATE audit_entry SET leaf = CAST(replace(leaf, 'ok', 'OK') AS BLOB) WHERE idx = 1")
        connection.commit()
    ran = room("log", "verify", copy, lang="en")
    assert ran.code == 4
    assert "audit_entry" in ran.err


def test_a_changed_partition_exits_4(room: Cooperative, tmp_path: Path) -> None:
    copy = tmp_path / "room"
    shutil.copytree(room.room, copy)
    partition = max(
        (path for path in (copy / "partitions").rglob("*") if path.is_file()), key=lambda at: at.stat().st_size
    )
    partition.chmod(0o600)
    partition.write_bytes(partition.read_bytes()[:-1])
    ran = room("log", "verify", copy, lang="en")
    assert ran.code == 4
    assert "partition_damaged" in ran.err


def test_neither_a_room_nor_a_log(room: Cooperative, tmp_path: Path) -> None:
    assert room("log", "verify", tmp_path).code == 2


@pytest.mark.filterwarnings("ignore")
def test_a_reader_that_goes_away_is_no_error(room: Cooperative) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cleanroom.cli", "log", str(room.room), "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"CLEANROOM_HOME": str(room.home), "PATH": ""},
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        err = process.stderr.read()
    assert process.wait() == 141
    assert err == b""


def test_balances_are_recomputed_and_an_edited_one_is_shown(room: Cooperative, tmp_path: Path) -> None:
    said = room("log", "verify", room.room, "--balances", lang="en")
    assert said.code == 0, said.err
    assert "recomputed from the log alone" in said.out
    assert all(line.endswith("yes") for line in said.out.splitlines() if ".visits" in line)
    assert "recalculé du journal seul" in room("log", "verify", room.room, "--balances").out
    copy = tmp_path / "copy"
    shutil.copytree(room.room, copy)
    with closing(sqlite3.connect(copy / "room.db", isolation_level=None)) as connection:
        connection.execute("UPDATE ledger_account SET rho_max = rho_max * 2 WHERE account = 'guichet_nord.visits'")
    found = room("log", "verify", copy, "--balances", lang="en")
    assert found.code == 4
    assert "the balance of guichet_nord.visits is not the one that the log gives [balance_contradicts_log]" in found.err
    assert [line.split()[0] for line in found.out.splitlines() if line.endswith("NO")] == ["guichet_nord.visits"]
