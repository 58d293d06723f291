"""Compare errors with other libraries' at equal true epsilon: the same data, one run; `docs/accuracy.md` is its report.

Each peer runs in a virtual environment of its own, made from its pinned requirements (`bench/peers/*.txt`) under
`bench/data/peers`, and asks the same eight questions with the bounds that its users would give: ten rows of a person,
two regions. A peer that does not install is skipped aloud. An error is the mean over cells of the absolute difference
from the whole truth, no bound applied: what bounds cut off counts like noise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from decimal import Decimal
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from bench.data import ROOT
from bench.measure import load
from bench.utility_data import sales
from bench.utility_house import PURE, ROLLED, SQL, TABLE, Asked, added_up, house, questions_of, released
from bench.utility_report import Measured, render
from bench.utility_shapes import measure as measure_shapes
from cleanroom.query.precision import Auto

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.utility_data import Sales
    from cleanroom.identifiers import TableName

HERE: Final = Path(__file__).parent / "peers"
REPORT: Final = Path(__file__).parent.parent / "docs" / "accuracy.md"
PEERS: Final = {
    "smartnoise": "smartnoise.py",
    "opendp": "opendp_context.py",
    "qrlew": "qrlew.py",
    "tumult": "tumult.py",
}

SLOWER: Final = {"tumult": 12, "smartnoise": 4}
"""Spark takes up to minutes a question; what errs by chance most, its script asks more often all the same."""


def asked_with_auto(name: str, sql: str, table: TableName) -> Asked:
    """Return a question with the bound chosen that matters for it: a person's total, their cells, else their rows."""
    if name == "Q4":
        return Asked(sql, max_sum=Auto.AUTO, table=table)
    if name in {"Q3", "Q8"}:
        return Asked(sql, max_groups=Auto.AUTO, table=table)
    return Asked(sql, max_rows=Auto.AUTO, table=table)


ROOM: Final = {
    # The defaults of the table: ten rows, two cells in full.
    "defaults": {name: Asked(sql) for name, sql in SQL.items()},
    "auto": {name: asked_with_auto(name, sql, TABLE) for name, sql in SQL.items()},
    # The same bounds as the defaults, in L1.
    "pure": {name: Asked(sql, table=PURE) for name, sql in questions_of(PURE).items()},
    "pure, auto": {name: asked_with_auto(name, sql, PURE) for name, sql in questions_of(PURE).items()},
}
ADDED_UP: Final = (
    # With neither bound binding much, and with the table's defaults.
    ("300 rows, ten cells in full", Asked(ROLLED, max_rows=300, max_groups=10)),
    ("ten rows, two cells in full", Asked(ROLLED)),
)
SETS: Final = ("the total", "17 totals by region", "136 cells by region and discipline")
TRIED: Final = (
    ("Q3", "one region in full", Asked(SQL["Q3"], max_groups=1)),
    ("Q3", "two", Asked(SQL["Q3"], max_groups=2)),
    ("Q3", "four", Asked(SQL["Q3"], max_groups=4)),
    ("Q3", "`max_groups` auto", Asked(SQL["Q3"], max_groups=Auto.AUTO)),
    ("Q4", "ten rows, two disciplines in full: totals to 2 500", Asked(SQL["Q4"])),
    ("Q4", "four disciplines", Asked(SQL["Q4"], max_groups=4)),
    ("Q4", "totals to 1 000", Asked(SQL["Q4"], max_sum=Decimal(1000))),
    ("Q4", "totals to 300", Asked(SQL["Q4"], max_sum=Decimal(300))),
    ("Q4", "`max_sum` auto", Asked(SQL["Q4"], max_sum=Auto.AUTO)),
    ("Q5", "ten rows, two cells in full", Asked(SQL["Q5"])),
    ("Q5", "ten rows, ten cells", Asked(SQL["Q5"], max_groups=10)),
    ("Q5", "three rows", Asked(SQL["Q5"], max_rows=3)),
    ("Q5", "one row", Asked(SQL["Q5"], max_rows=1)),
    ("Q5", "`max_rows` auto", Asked(SQL["Q5"], max_rows=Auto.AUTO)),
    ("Q6", "ten rows", Asked(SQL["Q6"])),
    ("Q6", "one row", Asked(SQL["Q6"], max_rows=1)),
    ("Q6", "forty rows", Asked(SQL["Q6"], max_rows=40)),
    ("Q6", "`max_rows` auto", Asked(SQL["Q6"], max_rows=Auto.AUTO)),
    ("Q6", "pure, one row", Asked(questions_of(PURE)["Q6"], max_rows=1, table=PURE)),
)


def error(cells: Mapping[str, float | None], truth: Mapping[str, float]) -> float:
    """Return the mean absolute error over the true cells; a cell that is not answered is 0."""
    return fmean(abs((cells.get(key) or 0.0) - value) for key, value in truth.items())


def measure_room(found: Measured, data: Sales) -> None:
    """Ask the room."""
    truth = data.truth()
    with tempfile.TemporaryDirectory() as directory, house(Path(directory), data) as room:
        for how, questions in ROOM.items():
            for name, asked in questions.items():
                # A choice of bounds reads the rows each time, noise does not.
                runs = released(room, asked, found.runs * (1 if "auto" in how else 10))
                found.errors["room", how, name] = [error(cells, truth[name]) for cells in runs]
        for name, words, asked in TRIED:
            runs = released(room, asked, found.runs)
            found.tried.append((name, words, fmean(error(cells, truth[name]) for cells in runs)))
        for words, asked in ADDED_UP:
            by_set = [
                [(error(drawn, part), error(adjusted, part)) for part in parts_of(data.rolled())]
                for drawn, adjusted in added_up(room, asked, found.runs)
            ]
            for which, each in zip(SETS, zip(*by_set, strict=True), strict=True):
                drawn, adjusted = (fmean(pair[place] for pair in each) for place in (0, 1))
                found.added_up.append((words, which, drawn, adjusted))


def parts_of(truth: Mapping[str, float]) -> list[dict[str, float]]:
    """Return the cells of a ROLLUP of two keys by grouping set: the total, by the first key, by both."""
    missing = [key.split("/").count("None") for key in truth]
    return [
        {key: value for (key, value), there in zip(truth.items(), missing, strict=True) if there == count}
        for count in (2, 1, 0)
    ]


def environment(name: str, under: Path) -> Path | None:
    """Return the Python of a peer's environment, made if it is not there; None if it does not install."""
    place = under / name
    python = place / "bin" / "python"
    if not python.exists():
        print(f"making the environment of {name}", flush=True)
        venv.create(place, with_pip=True)
        made = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", HERE / f"{name}.txt"],
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            print(f"!!! {name} DOES NOT INSTALL AND IS SKIPPED: {made.stderr.strip()[-300:]}", flush=True)
            return None
    return python


def measure_peer(found: Measured, data: Sales, name: str, under: Path, runs: int, seconds: int) -> None:
    """Ask a peer; what it has said when its time is up counts."""
    python = environment(name, under)
    if python is None:
        found.skipped[name] = "does not install"
        return
    truth = data.truth()
    with tempfile.TemporaryDirectory() as directory:
        said = Path(directory) / "said.jsonl"
        with said.open("wb") as out, (Path(directory) / "log").open("wb") as log:
            try:
                subprocess.run(
                    [python, HERE / PEERS[name], data.parquet.resolve(), str(runs)],
                    check=False,
                    cwd=directory,
                    stdout=out,
                    stderr=log,
                    timeout=seconds,
                    env={**os.environ, "RUST_BACKTRACE": "0", "PYTHONPATH": ""},
                )
            except subprocess.TimeoutExpired:
                print(f"!!! {name} WAS NOT DONE AFTER {seconds} SECONDS", flush=True)
                found.skipped[name] = f"not done after {seconds} s: what it had answered by then"
        for line in said.read_text("utf-8").splitlines():
            told = json.loads(line)
            if "cells" in told:
                key = (name, told["variant"], told["q"])
                found.errors.setdefault(key, []).append(error(told["cells"], truth[told["q"]]))
                if told["pure"]:
                    found.pure.add(key[:2])
            else:
                found.refused[name, told["q"]] = told["unsupported"].splitlines()[0][:80]
    if not any(who == name for who, _, _ in found.errors):
        print(f"!!! {name} ANSWERED NOTHING", flush=True)
        found.skipped.setdefault(name, "answered nothing")


def main() -> None:
    """Read the command line, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m bench.utility", description="Errors beside other libraries'.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=2026, help="`auto` was settled on 2025")
    parser.add_argument("--runs", type=int, default=20, help="releases of each of the room's questions")
    parser.add_argument("--peer-runs", type=int, default=12, help="fewer of those that take minutes")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=sorted(PEERS))
    parser.add_argument("--environments", type=Path, default=ROOT / "peers", help="where peers are installed")
    parser.add_argument("--seconds", type=int, default=1800, help="that a peer is given")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md")
    arguments = parser.parse_args()
    data = sales(arguments.rows, arguments.seed)
    found = Measured(arguments.rows, arguments.runs, load(), arguments.seed)
    measure_room(found, data)
    found.shapes = list(zip(measure_shapes(pure=False), measure_shapes(pure=True), strict=True))
    for name in arguments.peers:
        runs = -(-arguments.peer_runs // SLOWER.get(name, 1))
        measure_peer(found, data, name, arguments.environments, runs, arguments.seconds)
    for name in sorted(set(PEERS) - set(arguments.peers)):
        found.skipped[name] = "not asked"
    text = render(found)
    sys.stdout.write(text)
    if arguments.write:
        REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
