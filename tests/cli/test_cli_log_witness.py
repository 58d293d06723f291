"""Members' witnesses as real processes: they cosign a log that grows and refuse one that was rolled back, rewritten or
shown twice; what the room does when they keep silent."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_room import Cooperative, Ran, run

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("theatre_fleuve", "nuits_claires", "guichet_nord")
OVERLAP = "SELECT COUNT(DISTINCT person) FROM theatre_fleuve.visits JOIN nuits_claires.visits USING (person)"


@contextmanager
def process(home: Path, *arguments: object) -> Iterator[str]:
    """Run a server of the command until it is no longer needed; yield its URL."""
    started = subprocess.Popen(
        [sys.executable, "-m", "cleanroom.cli", "--lang", "en", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"CLEANROOM_HOME": str(home), "PATH": ""},
        text=True,
    )
    assert started.stdout is not None
    assert started.stderr is not None
    try:
        for line in started.stdout:
            if "listening" in line:
                yield line.split()[1]
                return
        pytest.fail(started.stderr.read())
    finally:
        started.kill()
        started.wait()
        started.stdout.close()
        started.stderr.close()


@dataclass
class Scene:
    """A room of its own, its operator's home, and the members' machines."""

    room: Path
    operator: Path
    place: Path
    keys: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: object, home: Path | None = None) -> Ran:
        return run(home or self.operator, *arguments, lang="en")

    def home(self, name: str) -> Path:
        return self.place / "homes" / name

    def policy(self, urls: dict[str, str], quorum: str = "2") -> Path:
        lines = [f"witness {name} {self.keys[name]} {url}".rstrip() for name, url in urls.items()]
        path = self.place / "policy"
        path.write_text("\n".join([*lines, f"group members {quorum} {' '.join(urls)}", "quorum members", ""]))
        return path

    def listening(self, name: str) -> contextmanager:  # type: ignore[valid-type]
        return process(self.home(name), "log", "witness", "--as", name, "--listen", "127.0.0.1:0")

    def forget(self) -> None:
        """What an operator who restores a backup does to its own memory."""
        for kept in (self.operator / "rooms").glob("*/checkpoint"):
            kept.unlink()
        for directory in (self.operator / "rooms").glob("*/verified"):
            shutil.rmtree(directory)


@pytest.fixture
def scene(room: Cooperative, tmp_path: Path) -> Scene:
    made = Scene(tmp_path / "room", tmp_path / "operator", tmp_path)
    shutil.copytree(room.room, made.room)
    shutil.copytree(room.home, made.operator)
    for name in NAMES:
        ran = made("log", "witness", "--as", name, "--new", "--log", made.room / "log.vkey", home=made.home(name))
        assert ran.code == 0, ran.err
        made.keys[name] = ran.out.split(f"witness {name} ")[1].split()[0]
    return made


def copy_room(scene: Scene, name: str) -> Path:
    """Copy the database as a backup would."""
    with closing(sqlite3.connect(scene.room / "room.db")) as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with closing(sqlite3.connect(scene.place / name)) as target:
            source.backup(target)
    return scene.place / name


def restore(scene: Scene, backup: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (scene.room / f"room.db{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, scene.room / "room.db")
    scene.forget()


def test_a_room_is_witnessed_and_cannot_go_back(scene: Scene) -> None:
    first, second, third = NAMES
    with scene.listening(first) as one, scene.listening(second) as two, scene.listening(third) as three:
        policy = scene.policy({first: one, second: two, third: three})
        assert scene("log", "witnesses", scene.room, "--policy", policy).code == 0
        asked = scene("log", "cosign", scene.room)
        assert (asked.code, "cosigned by a quorum" in asked.out) == (0, True)
        backup = copy_room(scene, "backup.db")

        # What is exported, and every receipt, bears the cosignatures; an auditor demands them.
        answered = scene(
            *("query", scene.room, "--as", first, "--purpose", "audience_overlap", "--epsilon", "0.2", OVERLAP)
        )
        assert answered.code == 0, answered.err
        newest = max(
            next((scene.operator / "rooms").glob("*/receipts")).glob("*.tlog-proof"),
            key=lambda path: int(path.name.split(".")[0]),
        )
        assert newest.read_text().count("\u2014 cleanroom/witness/") == 3
        assert scene("log", "export", scene.room, scene.place / "log").code == 0
        assert (scene.place / "log" / "checkpoint").read_text().count("\u2014 cleanroom/witness/") == 3
        auditor = scene.home("auditor")
        vkey = shutil.copy(scene.room / "log.vkey", scene.place / "given.vkey")
        verify = ("log", "verify", scene.place / "log", "--vkey", vkey, "--policy", policy, "--receipt", newest)
        verified = scene(*verify, home=auditor)
        assert verified.code == 0, verified.err
        assert verified.out.count("cosigned by cleanroom/witness/") == 3
        assert scene("log", "verify", scene.room, "--policy", policy).code == 0

        present = copy_room(scene, "present.db")
        # Rolled back: the witnesses have cosigned more.
        restore(scene, backup)
        back = scene("log", "cosign", scene.room)
        assert (back.code, back.err.count("[witness_ahead]")) == (4, 3)
        # Rewritten: grown again, past what they saw, with another past.
        for _ in range(12):
            assert scene("budget", scene.room).code == 0
        rewritten = scene("log", "cosign", scene.room)
        assert (rewritten.code, rewritten.err.count("[witness_inconsistent]")) == (4, 3)
        ran = scene("log", "read", scene.room, "--event", "witness.failed", "--format", "json")
        assert {each["details"]["why"] for each in json.loads(ran.out)} == {"ahead", "inconsistent"}
        scene("log", "export", scene.room, scene.place / "other")
        assert "[quorum-missing]" in scene(*verify[:2], scene.place / "other", *verify[3:7], home=auditor).err
        # A split view: another log of the very size that they cosigned.
        restore(scene, present)
        assert scene("budget", scene.room).code == 0
        assert scene("log", "cosign", scene.room).code == 0
        restore(scene, present)
        assert scene("catalog", scene.room, "--as", first).code == 0
        split = scene("log", "cosign", scene.room)
        assert (split.code, split.err.count("[witness_inconsistent]")) == (4, 3)
    for name in NAMES:
        with closing(sqlite3.connect(scene.home(name) / "parties" / name / "witness" / "witness.db")) as connection:
            assert connection.execute("SELECT count(*) FROM conflict").fetchone()[0] == 3


def test_a_witness_that_is_down_stops_nothing_and_is_said(scene: Scene) -> None:
    first, second, third = NAMES
    with scene.listening(first) as one:
        with scene.listening(second) as two:
            policy = scene.policy({first: one, second: two, third: "http://127.0.0.1:9/none"})
            assert scene("log", "witnesses", scene.room, "--policy", policy, "--limit", "5").code == 0
            asked = scene("log", "cosign", scene.room)
            assert (asked.code, "quorum" in asked.out) == (0, True)
            assert "[witness_unreachable]" in asked.err
            # Told once, not at each attempt.
            scene("log", "cosign", scene.room)
            read = ("log", "read", scene.room, "--format", "json", "--event")
            assert len(json.loads(scene(*read, "witness.failed").out)) == 1
        # Two of three are down: no quorum. The room answers on; receipts and exports say what they bear.
        ask = ("query", scene.room, "--as", first, "--purpose", "audience_overlap", "--epsilon", "0.1", OVERLAP)
        assert scene(*ask).code == 0
        alone = scene("log", "cosign", scene.room)
        assert (alone.code, "no quorum" in alone.out) == (1, True)
        vkey = shutil.copy(scene.room / "log.vkey", scene.place / "given.vkey")
        scene("log", "export", scene.room, scene.place / "newest")
        scene("log", "export", scene.room, scene.place / "cosigned", "--cosigned")
        for name, code in (("newest", 4), ("cosigned", 0)):
            verify = ("log", "verify", scene.place / name, "--vkey", vkey, "--policy", policy)
            assert scene(*verify, home=scene.home(name)).code == code
        # Past the members' limit questions are refused before anything is charged; reading goes on.
        with closing(sqlite3.connect(scene.room / "room.db")) as connection:
            connection.execute("UPDATE witness_policy SET quorum_at = quorum_at - 6 * 3600")
            connection.commit()
        spent = scene("budget", scene.room).out
        refused = scene(*ask)
        assert (refused.code, "[witnesses_silent]" in refused.err) == (1, True)
        assert scene("budget", scene.room).out == spent
        *_, entry = json.loads(scene(*read, "query.refused").out)  # the room copied may hold earlier ones
        assert entry["details"]["reasons"] == ["witnesses_silent"]
        # Back, and the next question asks them first.
        with scene.listening(second) as two:
            policy = scene.policy({first: one, second: two, third: "http://127.0.0.1:9/none"})
            assert scene("log", "witnesses", scene.room, "--policy", policy, "--limit", "5").code == 0
            assert scene(*ask).code == 0
            assert len(json.loads(scene(*read, "witness.returned").out)) == 1
            shown = scene("log", "witnesses", scene.room).out
            assert ("does not answer" in shown, "has cosigned" in shown) == (True, True)


def test_a_member_without_an_address_goes_and_reads(scene: Scene) -> None:
    first, second, _ = NAMES
    assert scene("log", "witnesses", scene.room, "--policy", scene.policy({first: "", second: ""})).code == 0
    with process(scene.home("server"), "log", "serve", scene.room, "--listen", "127.0.0.1:0") as url:
        for name in (first, second):
            ran = scene("log", "witness", "--as", name, "--follow", url, home=scene.home(name))
            assert ran.code == 0, ran.err
            assert "Cosigned and handed in." in ran.out
        auditor = scene.home("auditor")
        vkey = shutil.copy(scene.room / "log.vkey", scene.place / "given.vkey")
        assert scene("budget", scene.room).code == 0  # one entry more than they have seen
        verified = scene("log", "verify", url, "--vkey", vkey, "--policy", scene.place / "policy", home=auditor)
        assert verified.code == 0, verified.err
        assert verified.out.count("cosigned by") == 2
        assert "those after are not yet" in verified.out
        # The server holds no key, and serves nothing else.
        assert not scene.home("server").exists()
        # Rolled back under their eyes: nothing is cosigned, and exit code 4.
        backup = copy_room(scene, "backup.db")
        assert scene("budget", scene.room).code == 0
        assert scene("log", "witness", "--as", first, "--follow", url, home=scene.home(first)).code == 0
    restore(scene, backup)
    with process(scene.home("server"), "log", "serve", scene.room, "--listen", "127.0.0.1:0") as url:
        back = scene("log", "witness", "--as", first, "--follow", url, home=scene.home(first))
        assert (back.code, "[rolled-back]" in back.err) == (4, True)


def test_a_witness_is_made_once_and_knows_its_logs_by_key(scene: Scene) -> None:
    home, name = scene.home(NAMES[0]), NAMES[0]
    again = scene("log", "witness", "--as", name, "--new", home=home)
    assert (again.code, "[witness_exists]" in again.err) == (2, True)
    assert "[no_witness]" in scene("log", "witness", "--as", "nobody", home=home).err
    other = scene.place / "other.vkey"
    shutil.copytree(home, scene.place / "lost")
    (scene.place / "lost" / "parties" / name / "witness" / "witness.db").unlink()
    lost = scene("log", "witness", "--as", name, home=scene.place / "lost")
    assert (lost.code, "[witness_state]" in lost.err) == (1, True)
    assert scene("init", scene.place / "second").code == 0
    shutil.copy(scene.place / "second" / "log.vkey", other)
    with process(scene.home("server"), "log", "serve", scene.place / "second", "--listen", "127.0.0.1:0") as url:
        unknown = scene("log", "witness", "--as", name, "--follow", url, home=home)
        assert (unknown.code, "[no_log]" in unknown.err) == (2, True)


@pytest.mark.parametrize(
    "content",
    [b"", b"quorum none\n", b"witness a x\nquorum a\n", "é\n".encode("latin-1")],
)
def test_a_policy_that_demands_nobody_is_refused(scene: Scene, content: bytes) -> None:
    (scene.place / "policy").write_bytes(content)
    ran = scene("log", "witnesses", scene.room, "--policy", scene.place / "policy")
    assert (ran.code, "[invalid_policy]" in ran.err) == (2, True)
    assert "no witnesses" in scene("log", "witnesses", scene.room).out
