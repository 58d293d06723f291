"""Say which aims for the largest size are met: ratios of CPU time in the room to raw DuckDB's, of the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.run import Asked, Sized

AIMS: Final = (
    ("persons", "raw UUID", 0.5),
    ("persons_by_region", "raw UUID", 0.15),
    ("persons_filtered", "raw UUID", 0.3),
    ("overlap", "raw UUID", 0.6),
    ("overlap_by_region", "raw UUID", 0.6),
    ("overlap_in_by_region", "raw UUID", 0.6),
    ("sum", "raw with a 10-row cap", 0.05),
    ("sum", "raw UUID, no cap", 5.0),
    ("mean", "raw with a 10-row cap", 0.05),
    ("mean", "raw UUID, no cap", 5.0),
)


def aims_section(sized: Sized) -> str:
    """Return the table of aims."""
    by_id = {asked.question.id: asked for asked in sized.asked}
    lines = []
    for name, against, aim in AIMS:
        found = _ratio(by_id[name], capped="cap" in against and "no cap" not in against)
        met = "–" if found is None else "yes" if found <= aim else f"no: {found / aim:.2f} times the aim"
        shown = "–" if found is None else f"{found:.2f}"
        lines.append(f"| {by_id[name].question.title} | {against} | {aim:g} | {shown} | {met} |")
    return (
        f"## Aims at {sized.rows:,} rows\n\nCPU time in the room, decryption and all, over raw DuckDB's.\n\n"
        "| question | against | aim | found | met |\n|---|---|---|---|---|\n" + "\n".join(lines)
    )


def _ratio(asked: Asked, *, capped: bool) -> float | None:
    raw = asked.capped if capped else asked.uuid
    return None if raw is None else asked.room.median_cpu / raw.median_cpu
