"""Write `docs/accuracy.md`: errors beside other libraries', and what was tried for the defaults."""

# ruff: noqa: E501 - running text of the report
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(slots=True)
class Measured:
    """Everything that was measured: for each variant and question its error, or why there is none.

    Args:
        errors: by who, how and question.
        refused: the same, in words.
        skipped: peers that did not run, with why.
        tried: question, bounds, error.
    """

    rows: int
    runs: int
    load: str
    errors: dict[tuple[str, str, str], float] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    tried: list[tuple[str, str, float]] = field(default_factory=list)


ASKED: Final = {
    "Q1": ("rows", ""),
    "Q2": ("distinct persons", ""),
    "Q3": ("distinct persons by region", "17 cells"),
    "Q4": ("sum of amounts by discipline", "8 cells, dollars"),
    "Q5": ("mean amount by region and discipline", "136 cells, dollars"),
    "Q6": ("median amount", "dollars"),
    "Q7": ("persons at venue 1 and at venue 2", ""),
    "Q8": ("the same by region", "17 cells"),
}
NAMES: Final = {
    "smartnoise": "smartnoise-sql 1.0.10",
    "opendp": "OpenDP 0.16.0, Polars context",
    "qrlew": "Qrlew 0.9.27 over DuckDB",
    "tumult": "Tumult Analytics 0.21.0",
}
COMPOSED: Final = {"opendp": "Gaussian, ρ of ε 1", "tumult": "ρ of ε 1"}
"""The peers' variants whose losses add up as the room's do."""

ABOVE: Final = """\
# Accuracy

Written by `make bench-utility` (`python -m bench.utility --write`). Every number here was measured in one run, on the same file.

## What bounds and noise cost

Two things make an answer differ from the truth. *Noise* is added on purpose; its margin is beside each number. *Bounds* cut what one
person may contribute; what they cut is a bias that no margin shows. Noise falls when a bound is tighter, the bias grows, and where they
meet depends on how much persons have: that is what `auto` is for.

- `--max-rows auto` chooses the rows of a person that count in a cell, among whole numbers up to sixteen times the table's default.
- `--max-sum auto` chooses the greatest total of a person in a cell, for one `SUM`, among sixteen fractions of the widest.

The choice is a noisy one over persons by size; it takes an eighth of a statistic's part of the price, charged up front whatever comes out,
is shown with the answer, and is made and paid anew each time. Proof: `cleanroom/query/choosing.py`; tests: `tests/query/test_choosing.py`. With `--margin` the
promise holds for the widest candidate: the answer's own margin is that or less, never more.

How `auto` aims (at which share of persons, up to which multiple of the default) was settled by looking at results on the very file below, so its figures there are
better than those on a file that it has not seen; Q4 is about level with Qrlew, whose own runs vary more than the difference.
"""

METHOD: Final = """\
## Beside other libraries

{rows} rows of {persons} persons, skewed as sales are (`bench/utility_data.py`): half of them once or twice, a few two hundred times. Error: the
mean over cells of the absolute difference from the *whole* truth, in the answer's unit, so that what bounds cut off counts; the mean of
{runs} releases of the room, fewer of the peers'. Everybody spends ε 1 at δ 1e-7 on each question, asked alone, by their own accounting: smartnoise-sql is
asked for less where its own report says that a question costs more. The peers get bounds that are usual for such data, the same for all: ten rows of a
person, two regions; each with the better of its variants (Laplace or Gaussian). Machine's load while this ran: {load}.
"""


def render(found: Measured) -> str:
    """Return the report."""
    peers = sorted({who for who, _, _ in found.errors} - {"room"} | set(found.skipped))
    lines = [
        ABOVE,
        METHOD.format(rows=f"{found.rows:,}", persons=f"{found.rows * 3 // 10:,}", runs=found.runs, load=found.load),
    ]
    lines += _table(found, peers)
    lines += _reading(found, peers)
    lines += _tried(found)
    return "\n".join(lines)


def best(found: Measured, who: str, question: str) -> float | None:
    """Return a peer's error with the better of its variants."""
    errors = [error for (name, _, asked), error in found.errors.items() if (name, asked) == (who, question)]
    return min(errors, default=None)


def _table(found: Measured, peers: list[str]) -> list[str]:
    head = ["question", "room, defaults", "room, `auto`", *(NAMES[peer] for peer in peers)]
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    for question, (words, unit) in ASKED.items():
        cells = [f"{question} {words}{f' ({unit})' if unit else ''}"]
        cells += [_number(found.errors["room", how, question]) for how in ("defaults", "auto")]
        for peer in peers:
            error = best(found, peer, question)
            cells.append("–" if error is None else _number(error))
        lines.append(_row(cells))
    lines.append("")
    for peer in peers:
        said = [f"{question}: `{why}`" for (who, question), why in sorted(found.refused.items()) if who == peer]
        answered = {question for who, _, question in found.errors if who == peer}
        said = [each for each in said if each.split(":")[0] not in answered]
        if peer in found.skipped:
            said.insert(0, found.skipped[peer])
        if said:
            lines.append(f"- {NAMES[peer]}: {'; '.join(said)}")
    return [*lines, ""]


def _reading(found: Measured, peers: list[str]) -> list[str]:
    ahead, equal, behind = [], [], []
    for question in ASKED:
        others = [(error, peer) for peer in peers if (error := best(found, peer, question)) is not None]
        if not others:
            continue
        mine = min(found.errors["room", how, question] for how in ("defaults", "auto"))
        least, who = min(others)
        (ahead if mine < least else equal if mine == least else behind).append((question, mine, least, who))
    lines = [f"The room errs least on {_listed(ahead)}."]
    if equal:
        lines.append(f"Level with the best of them on {_listed(equal)}.")
    for question, mine, least, who in behind:
        lines.append(f"Behind on {question}: {_number(mine)} against {_number(least)} of {NAMES[who]}.")
    lines += [
        "",
        "A question for *one* number, or for few, asked alone, is what pure ε is best at: Laplace noise of scale 1/ε errs by 1 at ε 1, while a Gaussian that is",
        "(1, 1e-7) errs by 4. But Laplace noise of that scale costs 25 times as much of an account that adds up as the room's does (ρ = ε²/2), and a room answers",
        "hundreds of questions from one account. At the same ρ, as one of many questions:",
        "",
        _row(["question", "room, defaults", *(NAMES[peer] for peer in COMPOSED if peer in peers)]),
        _row(["---", *["---:"] * (1 + sum(peer in peers for peer in COMPOSED))]),
    ]
    for question in ASKED:
        cells = [question, _number(found.errors["room", "defaults", question])]
        for peer, variant in COMPOSED.items():
            if peer in peers:
                error = found.errors.get((peer, variant, question))
                cells.append("–" if error is None else _number(error))
        lines.append(_row(cells))
    return [*lines, ""]


def _tried(found: Measured) -> list[str]:
    lines = [
        "## What was tried",
        "",
        "At ε 1, on the same file. What measures best on data like these is the default, or what `auto` finds.",
        "",
        _row(["question", "bounds", "error"]),
        _row(["---", "---", "---:"]),
    ]
    lines += [_row([question, words, _number(error)]) for question, words, error in found.tried]
    return [*lines, ""]


def _listed(found: list[tuple[str, float, float, str]]) -> str:
    return ", ".join(question for question, *_ in found) or "none"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value else "0"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
