"""Run the benchmarks and print the report; with `--write`, make it `docs/performance.md` and the plot beside it."""

from __future__ import annotations

import argparse
import pickle
import re
from pathlib import Path
from typing import Final

from bench.data import ROOT
from bench.report import render, render_uploads
from bench.run import Found, Plan, prepare, run, run_uploads
from bench.scale_report import PLOT, plot

REPORT: Final = Path(__file__).parent.parent / "docs" / "performance.md"
LAST: Final = ROOT / "last-run.pickle"
QUICK_ROWS: Final = 20_000
SECTIONS: Final = ("questions", "scale", "peers", "charges", "log", "uploads")
_SECTION: Final = re.compile(r"^## Upload\n.*?(?=^## )", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks beside raw DuckDB and peers.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000], help="rows of each member")
    parser.add_argument("--peer-sizes", type=int, nargs="*", default=[1_000_000, 10_000_000], help="rows for peers")
    parser.add_argument("--large", type=int, default=10_000_000, help="rows of the large uploads")
    parser.add_argument("--seed", type=int, default=2025)
    parser.add_argument("--repeat", type=int, default=5, help="measured runs of each question, after one to warm up")
    parser.add_argument("--seconds", type=int, default=45, help="that a peer is given for a question")
    parser.add_argument("--environments", type=Path, default=ROOT / "peers", help="where peers are installed")
    parser.add_argument("--without", nargs="+", choices=SECTIONS, default=[], help="sections kept as they are")
    parser.add_argument("--onto", action="store_true", help="keep the last run's sections, measure the others")
    parser.add_argument("--quick", action="store_true", help=f"everything once after a warm-up, at {QUICK_ROWS} rows")
    parser.add_argument("--prepare", action="store_true", help="write data, make the peers' environments; no more")
    parser.add_argument("--again", action="store_true", help="report the last run again")
    parser.add_argument("--uploads", action="store_true", help="uploads only; with --write, replace that section")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    plan = _plan(arguments)
    if arguments.prepare:
        prepare(plan)
        return
    before = REPORT.read_text("utf-8")
    found = None
    if arguments.uploads:
        text = render_uploads(run_uploads(plan))
        whole = _SECTION.sub(lambda _: f"{text}\n\n", before)
    else:
        earlier = _last() if arguments.again or arguments.onto else None
        found = earlier if earlier is not None and arguments.again else run(plan, _save, earlier)
        text = whole = render(found, before)
    print(text)
    if arguments.write:
        REPORT.write_text(whole, "utf-8")
        if found is not None and found.linear:
            REPORT.with_name(PLOT).write_text(plot(found.linear), "utf-8")


def _save(found: Found) -> None:
    LAST.write_bytes(pickle.dumps(found))


def _last() -> Found:
    found: Found = pickle.loads(LAST.read_bytes())  # noqa: S301 - what this program wrote
    return found


def _plan(arguments: argparse.Namespace) -> Plan:
    common = {
        "seed": arguments.seed,
        "seconds": arguments.seconds,
        "environments": arguments.environments.absolute(),
        "without": tuple(arguments.without),
    }
    if arguments.quick:
        return Plan(
            sizes=(QUICK_ROWS, 2 * QUICK_ROWS),
            repeat=1,
            uploads=1,
            large=2 * QUICK_ROWS,
            durable=4,
            log=QUICK_ROWS,
            append_seconds=0.5,
            fresh_processes=False,
            members=6,
            persons=QUICK_ROWS,
            member_rows=2 * QUICK_ROWS,
            linear=(1, 2),
            part=QUICK_ROWS,
            peers=(QUICK_ROWS, 2 * QUICK_ROWS) if arguments.peer_sizes else (),
            **common,
        )
    first = arguments.sizes[0]
    return Plan(
        sizes=tuple(arguments.sizes),
        repeat=arguments.repeat,
        large=max(1, arguments.large // first) * first,
        peers=tuple(arguments.peer_sizes),
        **common,
    )


if __name__ == "__main__":
    main()
