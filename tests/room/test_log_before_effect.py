"""The log comes before the effect, at every door; and whoever takes one append away is noticed.

`doors.DOORS` says what each door appends and which effects wait for which entry. Each call of `Journal.append` in the
room's source is then left out in turn: some door's row must no longer hold. So is each wait: an entry appended after
its effect, or in a transaction that is not durable yet, is noticed too.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from door_scenes import judge, tried
from doors import DOORS

import cleanroom.room
from cleanroom.cli.command import _PLACES as PLACES
from cleanroom.room import charge, log_reading
from cleanroom.room.journal import Journal

if TYPE_CHECKING:
    from room_samples import Place

ROOM = Path(cleanroom.room.__file__).parent

COMMANDS: dict[str, tuple[str, ...]] = {
    "init": ("init, party add, declare, upload of the first",),
    "party add": ("party add",),
    "party key": ("party key",),
    "declare": ("declare",),
    "upload": ("upload", "upload --replace", "upload refused"),
    "upload --resume": ("upload",),
    "uploads": ("uploads", "a forged request"),
    "withdraw": ("withdraw",),
    "erase": ("erase", "erase, the disk full"),
    "erase --take": ("erase", "erase, the disk full"),
    "facts": ("facts",),
    "intake": ("upload", "upload refused", "declare signed at home", "a forged declaration"),
    "catalog": ("catalog",),
    "reference add": ("reference add, show",),
    "reference list": ("reference list",),
    "reference show": ("reference add, show",),
    "budget": ("budget",),
    "query": (
        "query",
        "query answered already",
        "query that adds precision",
        "query that fails",
        "query that a crash cut short, at the next opening",
        "query refused",
    ),
    "preview": ("preview", "preview refused"),
    "check": ("check",),
    "log": ("log", "log --as"),
    "log read": ("log", "log --as"),
    "log export": ("log export", "log export --details"),
    "log mandate give": ("log mandate give",),
    "log mandate list": ("log mandate list", "log mandate list --as"),
    "log mandate take": ("log mandate give", "log mandate withdraw"),
    "log mandate withdraw": ("log mandate withdraw",),
    "log register access": ("log register access",),
    "log retention": ("log retention",),
    "log watch": ("log watch",),
    "log witnesses": ("log witnesses",),
    "log cosign": ("log cosign, a witness silent",),
    "backup": ("backup",),
    "restore": ("restore",),
}
"""The doors that a command goes through."""

SILENT = {
    "declare --package": "at the member's: signs; its intake is entered",
    "party new": "at the party's: makes a key of its own",
    "linkage ask": "at the member's: signs, for another member",
    "linkage give": "at the member's: seals its own key to another member",
    "linkage take": "at the member's: keeps what another member sealed to it",
    "declare --draft": "reads the member's own file, and signs nothing",
    "declare --preset": "prints what the package ships",
    "upload --facts": "at the member's: makes a package; its intake is entered",
    "opt-out": "at the member's: its own list",
    "erase --facts": "at the member's: signs; its taking is entered",
    "log mandate sign": "at the party's: signs; its taking is entered",
    "log key": "at the party's: makes a key of its own",
    "log verify": "shows no details; anybody may verify, without a key and without writing",
    "log verify --balances": "opens charges to add them up, and shows sums only",
    "log register check": "reads the public part",
    "log serve": "serves the public part, and what an export, which was entered, has sealed; without a key",
    "log witness": "a member's own, which writes its own state before it answers",
}
"""Commands that enter nothing, and why."""


def sites() -> dict[tuple[str, int], str]:
    """Return every call of `….append(connection, EventType…)` and of `erase_expired` of a journal, by file and line."""
    found = {}
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = ast.unparse(node.func.value)
            if node.func.attr in {"append", "erase_expired"} and owner.split(".")[-1] == "journal":
                found[path.name, node.lineno] = f"{path.name}: {ast.unparse(node.args[1])}"
    return found


SITES = sites()


def site_of(frame: Any) -> tuple[str, int] | None:
    """Return the site that a call comes from: its lines reach from the call's first to where it is now."""
    name, line = Path(frame.f_code.co_filename).name, frame.f_lineno
    lines = [at for file, at in SITES if file == name and at <= line]
    return (name, max(lines)) if lines else None


@pytest.fixture(scope="module")
def through(template: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], list[str]]:
    """Go through every door once; return which doors each site is on."""
    on: dict[tuple[str, int], list[str]] = defaultdict(list)

    def noting(whole: Any, door: str) -> Any:
        def noted(self: Journal, *arguments: Any, **rest: Any) -> Any:
            site = site_of(sys._getframe(1))
            if site is not None:
                on[site].append(door)
            return whole(self, *arguments, **rest)

        return noted

    for name, door in DOORS.items():
        with pytest.MonkeyPatch.context() as patch:
            for method in ("append", "erase_expired"):
                patch.setattr(Journal, method, noting(getattr(Journal, method), name))
            scene = tried(door, template, tmp_path_factory.mktemp("door"))
        assert list(judge(door, scene)) == [], name
    return on


def test_every_door_enters_what_the_table_says_before_its_effects(
    through: dict[tuple[str, int], list[str]],
) -> None:
    assert set(through) <= set(SITES)


def test_every_append_is_on_some_door(through: dict[tuple[str, int], list[str]]) -> None:
    assert {SITES[site] for site in set(SITES) - set(through)} == set()


@pytest.mark.parametrize("site", SITES, ids=SITES.values())
def test_an_append_left_out_is_noticed(
    site: tuple[str, int],
    through: dict[tuple[str, int], list[str]],
    template: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = DOORS[through[site][0]]

    def without(name: str) -> None:
        whole = getattr(Journal, name)

        def append(self: Journal, connection: Any, *arguments: Any, **rest: Any) -> int:
            if site_of(sys._getframe(1)) == site:
                return self.log.size(connection) - 1
            return whole(self, connection, *arguments, **rest)  # type: ignore[no-any-return]

        monkeypatch.setattr(Journal, name, append)

    without("append")
    without("erase_expired")
    try:
        noticed = list(judge(door, tried(door, template, tmp_path)))
    except Exception as error:  # the room itself noticed
        noticed = [repr(error)]
    assert noticed, f"{SITES[site]} can be taken away unnoticed"


def test_keys_opened_before_their_entry_are_noticed(
    template: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = charge.open_data_keys

    def early(connection: Any, keyring: Any, journal: Any, charged: Any, *, at: int) -> Any:
        for upload in charged.uploads:
            keyring.open(connection, charge.KeyId(charge.KeyKind.DATA, upload.upload))
        return whole(connection, keyring, journal, charged, at=at)

    monkeypatch.setattr("cleanroom.room.question.open_data_keys", early)
    scene = tried(DOORS["query"], template, tmp_path)
    assert any("a data key is opened before key.used was durable" in each for each in judge(DOORS["query"], scene))


def test_details_opened_before_their_reading_is_durable_are_noticed(
    template: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = log_reading.enter_reading

    def late(room: Any, *arguments: Any, **rest: Any) -> Any:
        room.journal.details(room.connection, 0)
        return whole(room, *arguments, **rest)

    monkeypatch.setattr(log_reading, "enter_reading", late)
    scene = tried(DOORS["log"], template, tmp_path)
    assert any("details are opened before log.read was durable" in each for each in judge(DOORS["log"], scene))


def test_every_command_has_its_doors() -> None:
    assert set(PLACES) == set(COMMANDS) | set(SILENT)
    assert {door for doors in COMMANDS.values() for door in doors} == set(DOORS)
