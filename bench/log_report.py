"""Write what was found of the log as Markdown."""

from __future__ import annotations

from typing import Any

from bench.log_stages import GROUP, OUTSIDE
from bench.measure import Series


def log_section(found: dict[str, Any]) -> str:
    """Return the section on the log."""
    rows = "\n".join(
        f"| {each['writers']} | {each['row']:.0f} | {each['rows']:.0f} | **{each['log']:.0f}** | {each['group']:.1f} "
        f"| {1e6 * each['log_cpu']:.0f} | {each['log'] / each['row']:.1f} | {each['log'] / each['rows']:.1f} "
        f"| {_sync(each)} |"
        for each in found["appends"]
    )
    stages = "\n".join(f"| {stage} | {1e6 * seconds:.1f} |" for stage, seconds in found["stages"])
    held = sum(seconds for stage, seconds in found["stages"] if stage not in OUTSIDE)
    large = found["large"]
    entries = large["entries"]
    proofs, checks = Series.read(large["proofs"]), Series.read(large["checks"])
    lines = "\n".join(
        f"| {title} | {cpu:.2f} | {wall:.2f} |"
        for title, (cpu, wall) in (
            (f"make a log of {entries:,} entries (leaves and tree)", large["built"]),
            ("export it", large["exported"]),
            ("verify the export: every entry, every tile, the root, the signature", large["full"]),
            (f"export {large['new_entries']:,} entries more", large["exported_more"]),
            ("verify what is new", large["new"]),
        )
    )
    top = "; ".join(f"`{function}` {seconds:.2f}" for function, seconds in large["functions"])
    return f"""## The log

Entries a second of so many threads, each waiting until its own is durable and under a signed checkpoint; beside plain \
SQLite on the same disk in turns with it, WAL and `synchronous=FULL`, a connection for each thread, a commit for each \
insert: of one row as long as a leaf, and of the three rows that an entry brings. An entry of the log is sealed \
(AES-256-GCM), hashed into the tree and signed for (Ed25519) besides.

| threads | plain, one row | plain, three rows | log | entries a group | CPU µs an entry | ÷ one row | ÷ three rows \
| one sync, ms |
|---|---|---|---|---|---|---|---|---|
{rows}

What sharing a commit is worth is what a commit costs: the column on the right says what the disk took for one page \
(min, mean, max of the turns). The more it takes, the more there is to share; where it takes a tenth of a millisecond \
there is next to nothing, and the log is bound by the processor: each entry is sealed, hashed and inserted whatever \
its neighbours do. Stage by stage, in groups of {GROUP}, CPU µs an entry:

| stage | µs |
|---|---|
{stages}

Checking, sealing, hashing and handing over hold the interpreter, which runs one thread at a time: together \
{1e6 * held:.0f} µs, so no more than {1 / held:,.0f} entries a second in one process, whatever the disk. Five times \
the rate of plain inserts is out of reach where 64 threads make more than {1 / held / 5:,.0f} of those a second.

| {entries:,} entries | CPU s | wall s |
|---|---|---|
{lines}

A proof from a cold start (open the database, verify the head, receipt of {large["proof_bytes"]} bytes): \
{1000 * proofs.median_wall:.1f} ms, {1000 * max(proofs.wall):.1f} at most; to verify it \
{1000 * checks.median_wall:.2f} ms. Verification by function (cProfile, own seconds, which doubles them): {top}."""


def _sync(each: dict[str, Any]) -> str:
    times = each["rounds"]["sync"]
    return f"{1000 * min(times):.2f}, {1000 * each['sync']:.2f}, {1000 * max(times):.2f}"
