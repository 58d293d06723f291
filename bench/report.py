"""Write what was found as Markdown: tables, profile, and the notes of whoever measured."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from bench.aims import aims_section
from bench.data import MEMBERS, MOST_ROWS, bench_data
from bench.house import MAX_GROUPS, MAX_ROWS
from bench.log_report import log_section
from bench.measure import Series
from bench.scale_report import scale_section
from bench.stages import TICK
from bench.versus_report import versus_section

if TYPE_CHECKING:
    from bench.run import Asked, Found, Sized

NOTES: Final = Path(__file__).parent / "notes.md"
LIBRARIES: Final = ("duckdb", "pyarrow", "polars", "polars-hash", "numpy", "numba", "opendp", "sqlglot", "cryptography")
SHOWN_SHARE: Final = 0.02
MANY_ROWS: Final = 1_000_000


def render(found: Found, before: str = "") -> str:
    """Return the whole report.

    Args:
        before: the report until now: sections that were not measured are kept from it.
    """
    parts = [
        _head(found),
        *(_questions(found, each) for each in found.sized),
        aims_section(found.sized[-1]) if found.sized else "",
        versus_section(found) if found.versus else _kept(before, "Beside other libraries"),
        scale_section(found) if found.linear else _kept(before, "Scale"),
        _uploads(found) if found.uploads else _kept(before, "Upload"),
        _small(found) if found.durable and found.admission else _kept(before, "Admission, charges, log"),
        log_section(found.log) if found.log else _kept(before, "The log"),
        _profile(found) if found.profile else _kept(before, "Profile"),
    ]
    if NOTES.exists():
        parts.append(NOTES.read_text("utf-8"))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _kept(before: str, title: str) -> str:
    """Return a section of an earlier report."""
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", before, re.MULTILINE | re.DOTALL)
    when = re.search(r"^Written by .* on (\d{4}-\d\d-\d\d)", before, re.MULTILINE)
    if found is None:
        return ""
    section = found[0]
    if when is not None and "not measured again" not in section and "measured by itself" not in section:
        head, rest = section.split("\n", 1)
        section = f"{head}\n\nOf {when[1]}; not measured again since.\n{rest}"
    return section


def render_uploads(found: Found) -> str:
    """Return the section on uploads, measured by itself."""
    title, rest = _uploads(found).split("\n", 1)
    when = f"{datetime.now(tz=UTC):%Y-%m-%d}"
    return (
        f"{title}\n\nThis section was measured by itself (`python -m bench --uploads --write`), {when}; load before "
        f"{found.load_before}, after {found.load_after}.\n{rest}"
    )


def _head(found: Found) -> str:
    plan = found.plan
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"""# Performance

Written by `make bench BENCH=--write` on {datetime.now(tz=UTC):%Y-%m-%d}; compare CPU-seconds and ratios of one run.

- Machine: {_processor()}, {_cores()} cores, {_memory():.0f} GiB; {platform.system()} {platform.release()}, \
Python {platform.python_version()}.
- Versions: {versions}.
- Load (1, 5, 15 minutes) before {found.load_before}, after {found.load_after}, the bench itself included.
- Data: seed {plan.seed}; {" ".join(_data(each.rows, plan.seed) for each in found.sized)}
- {"Each question in a process of its own" if plan.fresh_processes else "All questions in one process, being quick"} \
(one run to warm up, then {plan.repeat} measured), raw DuckDB likewise, right before and after \
it: without privacy, it is the limit that everybody is held against."""


def _data(size: int, seed: int) -> str:
    data = bench_data(size, seed)
    counts = {}
    for member in MEMBERS:
        frame = pl.read_parquet(data.parquet(member, "hex"), columns=["u"])
        counts[member] = frame.group_by("u").len()
    rows = counts[MEMBERS[0]]["len"].to_numpy()
    shared = counts[MEMBERS[0]].join(counts[MEMBERS[1]], on="u", how="semi").height
    p50, p90, p99 = np.percentile(rows, [50, 90, 99])
    return (
        f"two members of {size:,} rows and {len(rows):,} persons each, {shared:,} of them in both; rows a "
        f"person: mean {rows.mean():.2f}, median {p50:.0f}, 90 % {p90:.0f}, 99 % {p99:.0f}, at most {rows.max()} "
        f"(cut at {MOST_ROWS}); {np.mean(rows > MAX_ROWS):.1%} of persons above {MAX_ROWS}."
    )


def _questions(found: Found, sized: Sized) -> str:
    if sized is not found.sized[0]:
        tables = _tables(sized)
        return "\n\n".join([f"## Questions of {sized.rows:,} rows", *tables])
    lines = [
        f"## Questions of {sized.rows:,} rows",
        (
            "Through `session.query` with everything: signature, gate, charge, keys, decryption, slices, bounds, "
            f"noise, log, answer; epsilon 1, {MAX_ROWS} rows a person and cell, {MAX_GROUPS} groups, threshold 20. "
            "Raw DuckDB: two threads, everything warm, plain Parquet, the same question without privacy. Medians. The "
            "room's wall time is without the wait for the next tick, on which answers leave (S42)."
        ),
        (
            "*First*: the first question of a process (loads libraries' caches). *Error*: mean relative error over the "
            "released cells of all runs, against the whole truth; *noise alone*: against the answer with the same "
            "bounds and no noise, so the difference is what the bounds cut off. *Equal*: numbers found equal to raw "
            "DuckDB's by assertion, with bounds that never bind. The capped question of raw DuckDB runs once, cold."
        ),
    ]
    return "\n\n".join([*lines, *_tables(sized)])


def _tables(sized: Sized) -> list[str]:
    lines = [
        (
            "| question | room, CPU s | min–max | wall s | raw UUID, CPU s | raw hex, CPU s | room ÷ UUID | room ÷ hex"
            " | room ÷ raw with a 10-row cap |\n|---|---|---|---|---|---|---|---|---|"
        ),
    ]
    table = []
    for asked in sized.asked:
        room, uuid, text = asked.room.median_cpu, asked.uuid.median_cpu, asked.hex.median_cpu
        capped = "–" if asked.capped is None else f"{room / asked.capped.median_cpu:.2f}"
        table.append(
            f"| {asked.question.title} | **{room:.3f}** | {_span(asked.room.cpu)} | {_wall(asked.room)} | {uuid:.3f} "
            f"| {text:.3f} | {room / uuid:.2f} | {room / text:.2f} | {capped} |"
        )
    lines[-1] += "\n" + "\n".join(table)
    lines.append(
        "| question | first, CPU s | peak MiB: room | raw UUID | raw hex | error | noise alone | equal |\n"
        "|---|---|---|---|---|---|---|---|\n" + "\n".join(_second(asked) for asked in sized.asked)
    )
    lines.append(
        f"An idle process with the room open holds {sized.idle[0]:.0f} MiB, one with raw DuckDB {sized.idle[1]:.0f}."
    )
    return lines


def _second(asked: Asked) -> str:
    room, uuid, text = asked.peak
    return (
        f"| {asked.question.title} | {asked.first:.2f} | {room:.0f} | {uuid:.0f} | {text:.0f} "
        f"| {_percent(asked.error)} | {_percent(asked.noise)} | {asked.compared} |"
    )


def _uploads(found: Found) -> str:
    up = found.uploads
    series, rows = Series.read(up["series"]), found.plan.rows
    megabytes = up["csv_bytes"] / 1e6
    rates, normalised = _rates(up["hashing"]), _rates(up["normalising"])
    return f"""## Upload

CSV of {rows:,} rows ({megabytes:.0f} MB) → normalise → token → sort → encrypt → sign → hand in (intake verifies every \
row group): CPU {_three(series.cpu)} s, wall {_three(series.wall)} s (min, median, max of {len(series.cpu)}, after one \
to warm up), {rows / series.median_wall:,.0f} rows a second of wall, {rows / series.median_cpu:,.0f} of CPU; peak \
{up["peak"]:.0f} MiB, {up["idle"]:.0f} before.

{_stages(up["stages"])}

| tokens, M a second | of CPU | of wall |
|---|---|---|
{rates}

| normal forms, M a second | of CPU | of wall |
|---|---|---|
{normalised}

The stages are measured in turn; an upload runs reading, checking and tokenising at the same time, and sorts a range \
while it writes the one before.

### Many rows

Each in a process of its own, once, from the files to the receipt, intake included; the peak is of the whole \
process.{_growth(found.large)}

| source | rows | wall s | CPU s | rows a second of wall | peak MiB | before MiB |
|---|---|---|---|---|---|---|
{_large(found.large)}"""


def _rates(found: dict[str, Any]) -> str:
    return "\n".join(
        f"| {name} | {count / each.median_cpu / 1e6:.2f} | {count / each.median_wall / 1e6:.2f} |"
        for name, count, each in ((name, count, Series.read(each)) for name, (count, each) in found.items())
    )


def _large(large: dict[str, Any]) -> str:
    return "\n".join(
        f"| {form} | {each['rows']:,} | {each['wall']:.1f} | {each['cpu']:.1f} | {each['rows'] / each['wall']:,.0f} "
        f"| {each['peak']:.0f} | {each['idle']:.0f} |"
        for form, each in large.items()
    )


def _growth(large: dict[str, Any]) -> str:
    """Say how much memory each further row takes, from the first two uploads, if they differ by many rows."""
    few, many = list(large.values())[:2]
    more = many["rows"] - few["rows"]
    if more < MANY_ROWS:
        return ""
    held = (many["peak"] - few["peak"]) * (1 << 20) / more
    return f" What grows with the rows is a token and the columns' codes: {held:.0f} bytes a row here."


def _longest(texts: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines of the slowest of the longest texts that is admitted, of the slowest refused, and of all."""
    read = {name: Series.read(each["series"]) for name, each in texts.items()}
    ranked = sorted(read, key=lambda name: -read[name].median_cpu)
    rows = []
    for admitted, title in ((True, "slowest admitted"), (False, "slowest refused")):
        name = next((each for each in ranked if texts[each]["admitted"] is admitted), None)
        if name is not None:
            cpu = _three([1000 * each for each in read[name].cpu])
            what = f"{title} of {len(texts)} longest texts: {name} ({texts[name]['characters']:,} characters)"
            rows.append(f"| {what} | {cpu} | {1000 * read[name].median_wall:.1f} |")
    middle = [1000 * each.median_cpu for each in read.values()]
    rows.append(f"| all of them, the middle run of each | {_three(middle)} | |")
    return rows


def _small(found: Found) -> str:
    admission, durable = found.admission, found.durable
    rows = []
    for title, name in (
        ("rulebook from the database", "rulebook"),
        ("ordinary question (overlap by region)", "ordinary"),
    ):
        series = Series.read(admission[name])
        rows.append(f"| {title} | {_three([1000 * each for each in series.cpu])} | {1000 * series.median_wall:.1f} |")
    rows += _longest(admission["longest"])
    count, entries = durable["count"], durable["log_entries"]
    rates = []
    for title, name, times in (
        ("questions to a table of 50 rows, the wait for the tick not counted", "questions", count),
        ("previews", "previews", count),
        ("log entries, each its own durable transaction", "log_each", entries),
        ("log entries in one transaction", "log_together", entries),
    ):
        cpu, wall = durable[name]
        rates.append(f"| {title} | {times / wall:.0f} | {1000 * wall / times:.2f} | {1000 * cpu / times:.2f} |")
    charged = [
        f"| {each['writers']} | **{each['count'] / each['took'][1]:.0f}** "
        f"| {1000 * each['took'][0] / each['count']:.2f} |"
        for each in durable["charges"]
    ]
    return f"""## Admission, charges, log

Admission alone (parse to priced plan; no data, no keys), the rulebook included:

| what | CPU ms: min, median, max | wall ms |
|---|---|---|
{chr(10).join(rows)}

One process, one after another, {count} questions and {entries} entries:

| what | a second | wall ms each | CPU ms each |
|---|---|---|---|
{chr(10).join(rates)}

Each question makes three durable transactions (charge, keys, release), each with its log entry. With the wait for \
the tick, one session asks {count / (durable["questions"][1] + durable["waited"]):.1f} questions a second.

The charge alone (request taken, what is stored looked up, reservation on every account, log entry, checkpoint, in \
one durable transaction), from so many threads of one process, each with the room open for itself:

| threads | charges a second | CPU ms each |
|---|---|---|
{chr(10).join(charged)}

What a question costs whatever its data, by stage:

{_stages(durable["stages"], unit=1000)}"""


def _profile(found: Found) -> str:
    parts = [
        "## Profile",
        (
            f"At {found.sized[-1].rows:,} rows a member. CPU seconds of each stage by itself (perf counters around the "
            "stage, mean of the runs)."
        ),
    ]
    titles = {asked.question.id: asked.question.title for asked in found.sized[-1].asked}
    for name, stages in found.profile.items():
        top = "; ".join(f"`{function}` {seconds:.3f}" for function, seconds in stages["functions"][:6])
        parts += [f"### {titles[name]}", _stages(stages), f"By function (cProfile, own CPU seconds): {top}."]
    together: dict[str, float] = {}
    for stages in found.profile.values():
        for stage, seconds in stages["cpu"].items():
            together[stage] = together.get(stage, 0.0) + seconds
    ranked = sorted(together, key=lambda stage: -together[stage])
    share = together[ranked[0]] / sum(together.values())
    parts.append(
        f"Over these questions the next bottleneck is **{ranked[0]}** ({share:.0%} of the CPU time), then {ranked[1]} "
        f"and {ranked[2]}."
    )
    missing = sorted({door for stages in found.profile.values() for door in stages["missing"]})
    if missing:
        parts.append(f"Not measured, since the code no longer has it: {', '.join(missing)}.")
    return "\n\n".join(parts)


def _stages(stages: dict[str, Any], *, unit: int = 1) -> str:
    total_cpu = sum(stages["cpu"].values())
    total_wall = sum(wall for stage, wall in stages["wall"].items() if stage != TICK[0])
    ranked = sorted(stages["cpu"].items(), key=lambda pair: -pair[1])
    shown = [(stage, cpu) for stage, cpu in ranked if cpu >= SHOWN_SHARE * total_cpu]
    lines = [
        f"| {stage} | {unit * cpu:.3f} | {cpu / total_cpu:.0%} | {unit * stages['wall'][stage]:.3f} |"
        for stage, cpu in shown
    ]
    what = "ms" if unit == 1000 else "s"
    return (
        f"| stage | CPU {what} | share | wall {what} |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + f"\n| all | {unit * total_cpu:.3f} | | {unit * total_wall:.3f} |"
    )


def _three(values: tuple[float, ...] | list[float]) -> str:
    return f"{min(values):.2f}, {statistics.median(values):.2f}, {max(values):.2f}"


def _span(values: tuple[float, ...]) -> str:
    return f"{min(values):.3f}–{max(values):.3f}"


def _wall(series: Series) -> str:
    return f"{series.median_wall:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.3g} %"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cores() -> int:
    return Path("/proc/cpuinfo").read_text("ascii", "replace").count("processor\t")


def _memory() -> float:
    line = Path("/proc/meminfo").read_text("ascii").splitlines()[0]
    return int(line.split()[1]) / (1 << 20)
