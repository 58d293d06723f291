"""Write what was found of rooms that grow, as Markdown and as a plot (SVG)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bench.scale import matrix_question
from bench.stages import TICK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.run import Found

PLOT: Final = "performance-rows.svg"
SMALL_MEMORY: Final = "128MiB"
"""That a question is given to see what the setting does."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 720, 400, 60, 46, 16, 16
_COLOURS: Final = ("#1b6ca8", "#c2410c", "#2f7d32")
_SHOWN_STAGES: Final = 8


def scale_section(found: Found) -> str:
    """Return the section on rooms that grow."""
    plan, members = found.plan, found.members
    pairs = plan.members * (plan.members - 1) // 2
    sector, matrix, single = (
        members[name] for name in ("sector totals", "matrix of overlaps", "one overlap by itself")
    )
    each = sum(single["wall"]) / len(single["wall"])
    return f"""## Scale

### {plan.members} members

{plan.persons:,} persons in {plan.member_rows:,} rows, each person at a home member, most at others too; handed in by \
{plan.members} uploads in {members["filled"]["wall"]:.0f} s of wall ({members["filled"]["cpu"]:.0f} s of CPU). Wall \
time without the wait for the tick; the first sector question of the process beside the second.

| question | wall s | CPU s | peak MiB |
|---|---|---|---|
| totals of tickets and amounts by discipline × month, {plan.members} members: first, second | \
{", ".join(f"{value:.1f}" for value in sector["wall"])} | {", ".join(f"{value:.1f}" for value in sector["cpu"])} | \
{sector["peak"]:.0f} |
| visitors that each two members share, {pairs:,} pairs in one question | **{matrix["wall"][0]:.1f}** | \
{matrix["cpu"][0]:.1f} | {matrix["peak"]:.0f} |
| one pair by itself, mean of {len(single["wall"])} | {each:.2f} | {sum(single["cpu"]) / len(single["cpu"]):.2f} | \
{single["peak"]:.0f} |

{pairs:,} questions of one pair each would take {pairs * each / 60:.0f} minutes by this figure, more with the wait for \
the tick, and a charge each. The matrix is one question ({matrix["characters"]:,} characters): a join of the union of \
all tables with itself, grouped by the two houses. All {plan.members**2:,} couples of houses are cells of the answer: \
those that are no pair hold noise only, and `HAVING a.house < b.house` leaves them out at no cost. Somebody at m \
members is in m(m − 1)/2 pairs, and `max_groups_contributed` says how many count, at the price of any other key (S31). \
It needs rules that admit overlaps and sector questions without `min_parties`, since it tells members apart.

```sql
{_short_matrix()}
```

Where the time of the sector totals goes:

{_stages(sector["stages"])}

Of the matrix:

{_stages(matrix["stages"])}

### Rows

The same questions of tables of {", ".join(f"{rows / 1e6:g}" for rows in found.linear)} million rows; *met in another \
table*: a semi-join with the smallest one. Fastest of three, warm.

| rows | upload, wall s | peak MiB | {" | ".join(f"{name}: CPU s | wall s" for name in _names(found.linear))} | \
peak MiB |
|---|---|---|{"---|---|" * len(_names(found.linear))}---|
{_rows(found.linear)}

{_growth(found.linear)}

![CPU seconds by rows]({PLOT})

### Memory

`$CLEANROOM_MEMORY` is what a question is given, 2 GiB if not set: slices are made of so many rows that two fit (2 \
KiB a row), one being read while the other is added up, and the engine gets no more. Of each upload the token range \
last read is kept decoded, 131,072 rows on the mean (524,288 at most, of large tables), so memory grows with the \
number of tables, hardly with their rows. The most that a process held in this section, libraries and all, was \
{_most(found):.0f} MiB.

{_small_memory(found.small_memory, found.linear)}"""


def _short_matrix() -> str:
    """Return the matrix of three members as somebody would write it."""
    text = matrix_question(3).replace(" UNION ALL ", "\n  UNION ALL ")
    return text.replace(") SELECT", ")\nSELECT").replace(" FROM s AS a", "\nFROM s AS a").replace(" WHERE", "\nWHERE")


def _small_memory(small: dict[str, Any], linear: Mapping[int, dict[str, Any]]) -> str:
    rows = small["rows"]
    lines = [
        f"| {name} | {linear[rows]['asked'][name]['cpu']:.2f} | {linear[rows]['asked'][name]['peak']:.0f} "
        f"| {small[name]['cpu']:.2f} | {small[name]['peak']:.0f} |"
        for name in _names(linear)
    ]
    head = f"| {rows:,} rows | 2 GiB: CPU s | peak MiB | {SMALL_MEMORY}: CPU s | peak MiB |\n|---|---|---|---|---|\n"
    return head + "\n".join(lines)


def plot(linear: Mapping[int, dict[str, Any]]) -> str:
    """Return CPU seconds by rows as an SVG."""
    names = _names(linear)
    most_rows = max(linear)
    most = max(each["asked"][name]["cpu"] for each in linear.values() for name in names)

    def x(rows: float) -> float:
        return _LEFT + rows / most_rows * (_WIDTH - _LEFT - _RIGHT)

    def y(cpu: float) -> float:
        return _HEIGHT - _BOTTOM - cpu / most * (_HEIGHT - _BOTTOM - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"',
        ' font-size="12" fill="#222" role="img" aria-label="CPU seconds of questions by rows of the table">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" fill="none" stroke="#444"/>',
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">million rows</text>',
        f'<text transform="translate(14 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">CPU seconds</text>',
    ]
    for rows in linear:
        parts.append(f'<text x="{x(rows):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{rows / 1e6:g}</text>')
    for step in range(1, 5):
        level = most * step / 4
        parts.append(f'<path d="M{_LEFT} {y(level):.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level:.2f}</text>')
    for place, (name, colour) in enumerate(zip(names, _COLOURS, strict=True)):
        points = [(x(rows), y(each["asked"][name]["cpu"])) for rows, each in linear.items()]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in points]
        parts.append(f'<text x="{_LEFT + 16}" y="{_TOP + 16 + 18 * place}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _names(linear: Mapping[int, dict[str, Any]]) -> list[str]:
    return list(next(iter(linear.values()))["asked"])


def _rows(linear: Mapping[int, dict[str, Any]]) -> str:
    lines = []
    for rows, each in linear.items():
        asked = each["asked"]
        took = " | ".join(f"{asked[name]['cpu']:.2f} | {asked[name]['wall']:.2f}" for name in asked)
        peak = max(value["peak"] for value in asked.values())
        lines.append(
            f"| {rows:,} | {each['upload']['wall']:.1f} | {each['upload']['peak']:.0f} | {took} | {peak:.0f} |"
        )
    return "\n".join(lines)


def _growth(linear: Mapping[int, dict[str, Any]]) -> str:
    """Say what each further million rows costs, between neighbouring sizes."""
    sizes = list(linear)
    if len(sizes) < 2:
        return ""
    said = []
    for name in _names(linear):
        slopes = _slopes([(rows / 1e6, linear[rows]["asked"][name]["cpu"]) for rows in sizes])
        said.append(f"{name}: {', '.join(f'{1000 * slope:.0f}' for slope in slopes)} ms")
    return (
        f"CPU time of each further million rows, from size to size (equal if cost grows linearly): {'; '.join(said)}."
    )


def _slopes(points: Sequence[tuple[float, float]]) -> list[float]:
    return [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(points)]


def _most(found: Found) -> float:
    asked = [value["peak"] for each in found.linear.values() for value in each["asked"].values()]
    return max([*asked, *(value["peak"] for name, value in found.members.items() if name != "filled")])


def _stages(stages: dict[str, Any]) -> str:
    ranked = sorted(((cpu, name) for name, cpu in stages["cpu"].items() if name != TICK[0]), reverse=True)
    total = sum(cpu for cpu, _ in ranked)
    lines = [f"| {name} | {cpu:.2f} | {cpu / total:.0%} |" for cpu, name in ranked[:_SHOWN_STAGES]]
    return "| stage | CPU s | share |\n|---|---|---|\n" + "\n".join(lines)
