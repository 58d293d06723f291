"""Write what the room, raw DuckDB and the peers took for the same questions as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.utility_report import ASKED
from bench.utility_report import NAMES as LIBRARIES

if TYPE_CHECKING:
    from bench.run import Found
    from bench.versus import Took, Versus

NAMES: Final = {
    **LIBRARIES,
    "smartnoise": f"{LIBRARIES['smartnoise']} on DuckDB",
    "psi": "openmined-psi 2.0.6 (no noise)",
}
AIM: Final = 10.0
"""How many times a peer's CPU time the room aims to be below."""


def versus_section(found: Found) -> str:
    """Return the section on peers."""
    parts = [
        "## Beside other libraries",
        (
            "One table of sales (seed as above; as in [accuracy](accuracy.md)), the same rows for everybody: plain "
            "Parquet with 64 hexadecimal digits a person, in no order, for the peers and raw DuckDB; the room its own "
            "encrypted upload, through `session.query` with everything. ε 1, δ 1e-7. Each peer in its own environment "
            "(`bench/peers`), its bounds as its users would give them: ten rows of a person, two regions. Seconds are "
            "CPU of all processes and threads, *wall* in brackets; MiB at most while the question ran. The room and "
            f"raw DuckDB: fastest of some warm runs; peers: the faster of two at {found.versus[0].rows:,} rows, one "
            "run at more. Loading into a peer (Spark's cache, Qrlew's table) is not counted. *× room*: the peer's CPU "
            "over the room's; raw DuckDB has no privacy, and its sums no cap on rows."
        ),
        (
            "smartnoise-sql reads no DuckDB: here it does, through its reader of SQLite and a shim, since the SQLite "
            "that it fills from a frame is slower. What a peer answers need not be right: how far off it is, is in "
            "[accuracy](accuracy.md)."
        ),
    ]
    for each in found.versus:
        parts += [f"### {each.rows:,} rows", _table(each), _summary(each), _reasons(each, found.plan.seconds)]
    return "\n\n".join(part for part in parts if part)


def _table(found: Versus) -> str:
    peers = [name for name in NAMES if any(who == name for who, _ in (*found.took, *found.why_not))]
    head = " | ".join(f"{NAMES[name]} | × room" for name in peers)
    lines = [
        f"| question | room | MiB | raw DuckDB | {head} |",
        "|---|---|---|---|" + "---|---|" * len(peers),
    ]
    for question, (words, _) in ASKED.items():
        room = found.took["room", question]
        cells = []
        for name in peers:
            took = found.took.get((name, question))
            cells.append("– | –" if took is None else f"{_seconds(took)}, {took.peak:.0f} MiB | {_ratio(took, room)}")
        lines.append(
            f"| {question} {words} | **{room.cpu:.3f}** ({room.wall:.2f}) | {room.peak:.0f} "
            f"| {_seconds(found.took['raw', question])} | {' | '.join(cells)} |"
        )
    capped = found.took["raw", "Q4 capped"]
    lines.append(f"| Q4, a cap of ten rows | | | {_seconds(capped)} |" + " | |" * len(peers))
    return "\n".join(lines)


def _seconds(took: Took) -> str:
    about = "≈ " if took.factor > 1 else ""
    return f"{about}{took.cpu:.2f} ({took.wall:.1f})"


def _ratio(took: Took, room: Took) -> str:
    return f"{took.cpu / room.cpu:.1f}"


def _summary(found: Versus) -> str:
    """Say how far the room is ahead, and name where it is less than aimed at."""
    pairs = [
        (took.cpu / found.took["room", question].cpu, name, question)
        for (name, question), took in found.took.items()
        if name in NAMES
    ]
    if not pairs:
        return ""
    short = [f"{NAMES[name]} on {question} ({ratio:.1f} ×)" for ratio, name, question in sorted(pairs) if ratio < AIM]
    said = f"Of {len(pairs)} answers of peers the room is ahead by {AIM:.0f} × or more on {len(pairs) - len(short)}"
    return f"{said}." if not short else f"{said}; by less on: {'; '.join(short)}."


def _reasons(found: Versus, seconds: int) -> str:
    """Say why there is no number, questions with one reason together."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for (name, question), why in found.why_not.items():
        grouped.setdefault((name, why), []).append(question)
    lines = [f"- {NAMES[name]}, {', '.join(questions)}: {why}" for (name, why), questions in grouped.items()]
    if any(took.factor > 1 for took in found.took.values()):
        factor = max(took.factor for took in found.took.values())
        lines.append(
            f"- ≈: measured on 20,000 persons a side and multiplied by {factor:.1f}, since the protocol costs the same "
            "for each person; both parties' work."
        )
    return f"Not answered, or not in {seconds} s a question:\n\n" + "\n".join(lines) if lines else ""
