"""Run the benchmarks and print the report; with `--write`, make it `docs/performance.md`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from bench.report import render, render_uploads
from bench.run import Plan, run, run_uploads

REPORT: Final = Path(__file__).parent.parent / "docs" / "performance.md"
QUICK_ROWS: Final = 20_000
_SECTION: Final = re.compile(r"^## Upload\n.*?(?=^## )", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks beside raw DuckDB.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each of the two members")
    parser.add_argument("--large", type=int, default=10_000_000, help="rows of the large uploads")
    parser.add_argument("--seed", type=int, default=2025)
    parser.add_argument("--repeat", type=int, default=5, help="measured runs of each question, after one to warm up")
    parser.add_argument("--quick", action="store_true", help=f"everything once after a warm-up, at {QUICK_ROWS} rows")
    parser.add_argument("--uploads", action="store_true", help="uploads only; with --write, replace that section")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    plan = (
        Plan(
            rows=QUICK_ROWS,
            seed=arguments.seed,
            repeat=1,
            uploads=1,
            large=2 * QUICK_ROWS,
            durable=4,
            log=QUICK_ROWS,
            append_seconds=0.5,
            fresh_processes=False,
            profiled=("sector",),
        )
        if arguments.quick
        else Plan(
            rows=arguments.rows,
            seed=arguments.seed,
            repeat=arguments.repeat,
            large=max(1, arguments.large // arguments.rows) * arguments.rows,
        )
    )
    if arguments.uploads:
        text = render_uploads(run_uploads(plan))
        whole = _SECTION.sub(lambda _: f"{text}\n\n", REPORT.read_text("utf-8"))
    else:
        text = whole = render(run(plan))
    print(text)
    if arguments.write:
        REPORT.write_text(whole, "utf-8")


if __name__ == "__main__":
    main()
