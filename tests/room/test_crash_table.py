"""The crash table of docs/operators.md, row by row: a real process, stopped at its real system calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crash_table
import pytest
import syscalls
from room_samples import LATE, MEMBER, Place, audit, kinds, partition_files, visits

from audit_log import EventType
from cleanroom.client import LinkageKey
from cleanroom.client.normalise import normalise_email
from cleanroom.errors import CleanroomError, InvalidUpload, NotVerified
from cleanroom.identifiers import Epoch, Role
from cleanroom.partition.intent import Intent, Replace
from cleanroom.partition.package import MAGIC, read_package
from cleanroom.room import Home, Room, intake, member_facts, registry, sending, upload
from examples.season import make_season
from key_management import SecretKey

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TABLE = visits(LATE)

watched = pytest.mark.skipif(
    not syscalls.available(), reason="this machine lets no process be watched (seccomp user notification, Linux 5.5)"
)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a room with one member, one table and one upload, and a package that would replace it."""
    directory = tmp_path_factory.mktemp("small")
    place = Place(directory / "room", Home(directory / "home"), directory / "in")
    make_season(persons=60, seed=7).write(place.inputs)
    with Room.create(place.path, home=place.home) as room:
        room.add_party(LATE, Role.MEMBER)
        room.declare(place.yaml(LATE))
        _, receipt = upload(room, TABLE, place.csv(LATE))
        assert receipt is not None
        (directory / "first.upload").write_text(receipt.upload)
        pack(room, place, directory / "replace.package", Replace())
        written = [line.split(",")[0] for line in place.csv(LATE).read_text("utf-8").splitlines()[1:]]
        who = next(each for each in written if normalise_email(each) is not None)
        stay = receipt.rows - sum(normalise_email(each) == normalise_email(who) for each in written)
        (directory / "who").write_text(who)
        (directory / "rows").write_text(str(stay))
    return directory


def pack(room: Room, place: Place, to: Path, intent: Intent | None = None) -> Path:
    sending.pack(room.home, member_facts.facts_in(room, TABLE), place.csv(LATE), to, intent)
    return to


def driven(small: Path, action: str, fault: str, which: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, HERE / "crash_driver.py", small, action, fault, which],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def require_right(points: list[dict[str, Any]]) -> set[tuple[bool, ...]]:
    wrong = [f"{point['at']} {point['call']}\n{point['err']}\n{point['wrong']}" for point in points if point["wrong"]]
    assert not wrong, "\n\n".join(wrong)
    return {tuple(point["found"]) for point in points}


SHORT = [("replace", "KILL"), ("replace", "FULL"), ("intake", "KILL"), ("intake", "FULL"), ("withdraw", "KILL")]
SHORT += [("erase", "KILL"), ("erase", "FULL")]
LONG = [
    (action, fault)
    for action in ("upload", "replace", "correct", "intake", "withdraw", "erase")
    for fault in ("KILL", "FULL")
]


@watched
@pytest.mark.parametrize(("action", "fault"), SHORT)
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(action: str, fault: str, small: Path) -> None:
    points = driven(small, action, fault, "runs")
    found = require_right(points)
    known = {each for row in crash_table.ROWS for each in row.found}
    assert found <= known
    if fault == "KILL":
        assert all(point["code"] is None for point in points)
        calls = {point["call"].split()[0] for point in points}
        assert calls >= {"pwrite64", "fdatasync", "write", "fsync", "rename"}, calls
    if (action, fault) == ("replace", "KILL"):
        # Each row that speaks of a kill is seen, or the guide would speak of what does not happen.
        assert found | {(True, False, True)} == known


@watched
def test_a_torn_write_is_as_none(small: Path) -> None:
    points = driven(small, "replace", "TEAR", "runs")
    assert len(points) > 10
    require_right(points)


@watched
@pytest.mark.soak
@pytest.mark.parametrize(("action", "fault"), LONG)
def test_every_single_call(action: str, fault: str, small: Path) -> None:
    require_right(driven(small, action, fault, "every"))


def test_the_guide_has_this_table() -> None:
    guide = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert "\n".join(crash_table.lines()) in guide
    for row in crash_table.ROWS:
        assert row.tests, row.happens
        for path, name in (test.split("::") for test in row.tests):
            assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


# At once


def at_once(*actions: Callable[[], object]) -> list[object]:
    gate = threading.Barrier(len(actions))
    outcomes: list[object] = [None] * len(actions)

    def run(number: int, action: Callable[[], object]) -> None:
        gate.wait()
        try:
            outcomes[number] = action()
        except CleanroomError as error:
            outcomes[number] = error.code

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def sent(place: Place, party: str, rows: Path, intent: Intent | None = None) -> Any:
    return sending.upload_to(place.path, place.home, visits(party), rows, intent=intent)[1]


def handed_in(place: Place, package: Path) -> Any:
    with place.open() as room:
        return intake(room, package)


@pytest.mark.parametrize("what", ["one table", "two tables", "one package", "two replacements"])
def test_two_uploads_at_once(what: str, place: Place, tmp_path: Path) -> None:
    packages: list[Path] = []
    with place.open() as room:
        upload(room, TABLE, place.csv(LATE))
        packages = [pack(room, place, tmp_path / f"{number}.package", Replace()) for number in range(2)]
        before = len(registry.uploads(room.connection))
    other = tmp_path / "other.csv"
    other.write_bytes(place.csv(LATE).read_bytes())
    match what:
        case "one table":
            taken = at_once(lambda: sent(place, LATE, place.csv(LATE)), lambda: sent(place, LATE, other))
            assert sorted(each.number for each in taken) == [2, 3]  # type: ignore[attr-defined]
        case "two tables":
            taken = at_once(lambda: sent(place, LATE, other), lambda: sent(place, MEMBER, place.csv(MEMBER)))
            assert [each.number for each in taken] == [2, 2]  # type: ignore[attr-defined]
        case "one package":
            taken = at_once(lambda: handed_in(place, packages[0]), lambda: handed_in(place, packages[0]))
            assert sorted(each.repeated for each in taken) == [False, True]  # type: ignore[attr-defined]
            assert len({each.receipt.index for each in taken}) == 1  # type: ignore[attr-defined]
        case _:
            taken = at_once(*(lambda package=package: handed_in(place, package) for package in packages))
            assert taken.count("table_moved_on") == 1
    audit(place)
    with place.open() as room:
        now = len(registry.uploads(room.connection))
        assert now - before == {"one table": 2, "two tables": 2}.get(what, 0)
        assert partition_files(place) == {f"{each.upload}.parquet" for each in registry.uploads(room.connection)}
        assert sending.Outbox.of(room.home, room.room_id).paths() == ()


# Packages that are not what they should be


def test_a_package_cut_at_any_boundary_is_refused(room: Room, place: Place, tmp_path: Path) -> None:
    package = pack(room, place, tmp_path / "a.package")
    content, parts = package.read_bytes(), read_package(package)
    manifest_end = len(MAGIC) + 160 + len(parts.manifest.encode())
    ends = [0, len(MAGIC), len(MAGIC) + 160, manifest_end, manifest_end + len(parts.sealed_key)]
    ends += [parts.table_file_offset, len(content) - parts.manifest.file.footer_bytes, len(content)]
    files, records = partition_files(place), registry.uploads(room.connection)
    cut = tmp_path / "cut.package"
    for length in sorted({end + step for end in ends for step in (-1, 0, 1)} - {-1, len(content), len(content) + 1}):
        cut.write_bytes(content[:length])
        with pytest.raises((InvalidUpload, NotVerified)) as caught:
            intake(room, cut)
        assert caught.value.message.fr != caught.value.message.en
        assert kinds(room)[-1] is EventType.UPLOAD_REFUSED
        assert (partition_files(place), registry.uploads(room.connection)) == (files, records)
    assert intake(room, package).number == 1
    audit(place)


def test_a_package_of_another_epoch_or_table_is_refused(room: Room, place: Place, tmp_path: Path) -> None:
    from cleanroom.client import prepare

    facts = member_facts.facts_in(room, TABLE)
    old = LinkageKey(room.room_id, Epoch("0"), SecretKey.generate())
    prepare(
        place.csv(LATE),
        facts.catalog,
        replace(facts.room, epoch=Epoch("0")),
        room.home.signing_key(TABLE.owner),
        old,
        tmp_path / "epoch.package",
    )
    undeclared = replace(facts.catalog, table=replace(TABLE, name="ventes"))
    prepare(
        place.csv(LATE),
        undeclared,
        facts.room,
        room.home.signing_key(TABLE.owner),
        sending.linkage_key_of(room.home, facts),
        tmp_path / "table.package",
    )
    for name, code in (("epoch", "mismatched_upload"), ("table", "unknown_table")):
        with pytest.raises(InvalidUpload) as caught:
            intake(room, tmp_path / f"{name}.package")
        assert caught.value.code == code
    assert registry.uploads(room.connection, TABLE) == ()
    audit(place)
