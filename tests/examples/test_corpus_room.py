"""The corpus' room builds, holds what `rows` says, and answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cleanroom
from examples.corpus import HOUSES, OBSERVATOIRE, PARTIES, PURPOSE, make_room, rows

ROOT = Path(__file__).parents[2]


def test_same_seed_same_rows() -> None:
    first, again, other = rows(persons=300), rows(persons=300), rows(persons=300, seed=1)
    assert all(first[party].equals(again[party]) for party in PARTIES)
    assert not any(first[party].equals(other[party]) for party in PARTIES)


def test_rows_overlap_as_people_do_and_leave_the_bounds_alone() -> None:
    tables = rows()
    people = {party: set(table["person"]) for party, table in tables.items()}
    assert len(set.union(*people.values())) == 4_000
    for party, house in HOUSES.items():
        assert 0.8 * house.share < len(people[party]) / 4_000 < 1.3 * house.share
        assert tables[party].group_by("person").len()["len"].max() <= 12
        assert 0 < tables[party]["region"].null_count() < 0.1 * tables[party].height
        for other in PARTIES:
            if other != party:
                shared = len(people[party] & people[other])
                assert 30 < shared < 0.9 * min(len(people[party]), len(people[other]))


def test_the_room_answers_near_the_truth(tmp_path: Path) -> None:
    tables = rows(persons=300)
    home = cleanroom.Home(tmp_path / "home")
    with make_room(tmp_path / "room", tables=tables, home=home) as room:
        answer = room.session(OBSERVATOIRE).query(
            "SELECT COUNT(*) AS n FROM tnm.visits",
            purpose=PURPOSE,
            epsilon=100_000,
        )
    assert abs(answer.table["n"][0] - tables["tnm"].height) < 2


def test_the_script_makes_the_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "corpus.py", tmp_path / "room", "--persons", "60"],
        env={"CLEANROOM_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "musee_x.visits" in done.stdout
    assert (tmp_path / "room" / "room.db").exists()
    assert list((tmp_path / "home" / "rooms").glob("*/root.key"))
