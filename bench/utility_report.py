"""Write `docs/accuracy.md`: errors beside other libraries', and what was tried for the defaults."""

# ruff: noqa: E501 - running text of the report
from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.utility_shapes import Found


@dataclass(slots=True)
class Measured:
    """Everything that was measured: for each variant and question its error, or why there is none.

    Args:
        errors: of each release, by who, how and question.
        pure: who and how gave pure differential privacy.
        refused: the same, in words.
        skipped: peers that did not run, with why.
        tried: question, bounds, error.
        shapes: what `auto` is worth on other tables, by (ε, δ) and purely.
        added_up: bounds, which cells, their error as drawn, and with cells that add up.
    """

    rows: int
    runs: int
    load: str
    seed: int
    errors: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    pure: set[tuple[str, str]] = field(default_factory=lambda: {("room", "pure"), ("room", "pure, auto")})
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    tried: list[tuple[str, str, float]] = field(default_factory=list)
    added_up: list[tuple[str, str, float, float]] = field(default_factory=list)
    shapes: list[tuple[Found, Found]] = field(default_factory=list)

    def error(self, who: str, how: str, question: str) -> float | None:
        """Return the mean error; None if it was not answered."""
        found = self.errors.get((who, how, question))
        return None if not found else fmean(found)


@dataclass(frozen=True, slots=True)
class Arm:
    """What is compared: a guarantee, and how the room asks under it.

    Args:
        hows: of the room, with the heads of their columns.
    """

    pure: bool
    hows: tuple[tuple[str, str], ...]


APPROXIMATE: Final = Arm(False, (("defaults", "room, defaults"), ("auto", "room, `auto`")))
PURE: Final = Arm(True, (("pure", "room, pure table"), ("pure, auto", "room, pure table, `auto`")))
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

ALARM: Final = 0.01
"""How often a difference is called one where there is none."""

COUNTED: Final = """\
Q2 and Q7 ask for one count. Whoever adds losses up as ρ draws the same Gaussian for it, of deviation 1/√(2ρ) = 4.98, and errs by 3.97 in the mean; Laplace noise that costs the same ρ errs by 4.98. Nearly nothing is left
to win there: where losses are small, noise whose density is the square of an Airy function errs least at the same ρ, since it has the least Fisher information of all with its mean error, and that is 0.7916/√(2ρ) beside a Gaussian's 0.7979. On whole
numbers at this ρ it would err by 3.93 (`tests/house/test_least_error.py`). OpenDP draws no such noise, and S31 names the discrete Gaussian. For (ε, δ) alone, asked once, the least error is that of Laplace noise of scale 1/ε up to a constant factor (Geng and Viswanath,
*Optimal noise adding mechanisms for approximate differential privacy*, 2016): pure ε, below, is what one count asked alone is best at.
"""

MEDIANS: Final = """\
Q6: amounts are multiples of five cents, and the rows below the true median are so near to one half that the empty cents under it score almost as well; that, more than noise, is what everybody errs by{least}. Chosen
among values 25 cents apart the room erred by 0.05. Where many rows share a value, as on a list of prices, and where bounds are wide, the room's candidates and score differ from the others' more: docs/adr/0017 has figures.
A median has no margin in dollars. What is said with it is how far its rank may be off, at ε 1 and ten rows a person 327 rows of the 200,000, 19 times out of 20 whatever the data are like (`cleanroom/query/ranks.py`).
"""

ABOVE: Final = """\
# Accuracy

Written by `make bench-utility` (`python -m bench.utility --write`). Every number here was measured on the same file.

## What bounds and noise cost

Two things make an answer differ from the truth. *Noise* is added on purpose; its margin is beside each number. *Bounds* cut what one
person may contribute; what they cut is a bias that no margin shows. Noise falls when a bound is tighter, the bias grows, and where they
meet depends on how much persons have: that is what `auto` is for.

- `--max-rows auto` chooses the rows of a person that count in a cell, among whole numbers up to sixteen times the table's default; for quantiles alone up to the default.
- `--max-groups auto` chooses in how many cells a person counts in full, likewise.
- `--max-sum auto` chooses the greatest total of a person in a cell, for one `SUM`, among sixteen fractions of the widest; with a pure budget
  twice the widest, since lengths add up over cells there.

The choice is a noisy one over persons by size; it takes an eighth of a statistic's part of the price, charged up front whatever comes out,
is shown with the answer, and stored with it. Proof: `cleanroom/query/choosing.py`; tests: `tests/query/test_choosing.py`. With `--margin` the
promise holds for the widest candidate: the answer's own margin is that or less, never more.

How `auto` aims (at which share of persons, up to which multiple of the default) was settled by looking at results on files of other seeds. Of bounds that nobody exceeds it picks mostly the narrowest: see *Tables of other shapes*.
"""

METHOD: Final = """\
## Beside other libraries

{rows} rows of {persons} persons, skewed as sales are (`bench/utility_data.py`, seed {seed}): half of them once or twice, a few two hundred times. Error: the
mean over cells of the absolute difference from the *whole* truth, in the answer's unit, so that what bounds cut off counts; the mean of
{runs} releases of the room with `auto`, ten times as many without, fewer of the peers'. Everybody spends ε 1 on each question, asked alone, by their own accounting:
smartnoise-sql is asked for less where its own report says that a question costs more. The peers get bounds that are usual for such data, the same for all: ten
rows of a person, two regions. *Level* is a difference that a two-sided test of the means does not find at 1 % (normal, each side with its own variance; fewer than three runs are taken
to vary as anybody's most do); the others it finds. A median is one of the public candidates, every cent of the bounds (docs/adr/0017); OpenDP is given the same ones. Machine's load while this ran: {load}.

Each peer is compared under the guarantee that it gives. A pure ε (δ = 0) says more than (ε, δ), and is what one number asked alone is best at: Laplace noise of
scale 1/ε errs by 1 at ε 1, a Gaussian that is (1, 1e-7) by 4. But Laplace noise of that scale costs 25 times as much of an account that adds up as the room's does
(ρ = ε²/2), and a room answers hundreds of questions from one account; so Gaussian noise is the default, and a table with `delta: 0` is pure.
"""

PURELY: Final = """\
A count that nobody is shortened in gets noise on whole persons, whose mean error is 2q/(1 − q²) with q = e^−ε: 0.85 at ε 1, 0.96 if it were rounded from finer noise, 1 on the room's
lattice. That is the geometric mechanism. For one count nobody can err less in expectation under pure ε, whatever is known beforehand and whichever loss grows with the error (Ghosh, Roughgarden and Sundararajan, *Universally
utility-maximizing privacy mechanisms*, STOC 2009); so Q2 and Q7 can be level and not below. Keys that shorten a person are clipped in L1, which keeps
as much of a person as dropping all but two regions does; that, not noise, is the error of Q3. `auto` draws discrete Laplace noise on persons by size. A median is found by halving among the candidates, fifteen readings with discrete Laplace noise (docs/adr/0021), which is all that a pure table admits; a noisy choice
by the scores of all candidates, as OpenDP's, errs less where rows are few. Its rank is off by 578 rows at most, 19 times out of 20. A question for one number in a room that
counts ρ is not drawn with Laplace noise at its exact ρ: at equal ρ its mean error is 1/√(2ρ), a Gaussian's √(2/π) = 0.8 of that.
"""


def render(found: Measured) -> str:
    """Return the report."""
    peers = sorted({who for who, _, _ in found.errors} - {"room"} | set(found.skipped))
    persons = f"{found.rows * 3 // 10:,}"
    lines = [
        ABOVE,
        METHOD.format(rows=f"{found.rows:,}", persons=persons, runs=found.runs, load=found.load, seed=found.seed),
        "### (ε, δ), and zCDP read at δ 1e-7\n",
        *_table(found, peers, APPROXIMATE),
        *_unanswered(found, peers),
        *_reading(found, peers, APPROXIMATE),
        COUNTED,
        _medians(found),
        *_composed(found, peers),
        "### Pure ε\n",
        *_table(found, peers, PURE),
        *_reading(found, peers, PURE),
        PURELY,
        *_tried(found),
        *_shapes(found),
        *_added_up(found),
    ]
    return "\n".join(lines)


def best(found: Measured, who: str, question: str, *, pure: bool) -> tuple[float, str] | None:
    """Return a peer's error with the better of its variants under a guarantee, and which that is."""
    hows = {how for name, how, asked in found.errors if (name, asked) == (who, question)}
    errors = [(fmean(found.errors[who, how, question]), how) for how in hows if ((who, how) in found.pure) == pure]
    return min(errors, default=None)


def _asked(found: Measured, arm: Arm) -> list[str]:
    return [each for each in ASKED if any(("room", how, each) in found.errors for how, _ in arm.hows)]


def _table(found: Measured, peers: list[str], arm: Arm) -> list[str]:
    there = [peer for peer in peers if any(best(found, peer, each, pure=arm.pure) for each in ASKED)]
    head = ["question", *(words for _, words in arm.hows), *(NAMES[peer] for peer in there)]
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    for question in _asked(found, arm):
        words, unit = ASKED[question]
        cells = [f"{question} {words}{f' ({unit})' if unit else ''}"]
        cells += [_number(found.error("room", how, question)) for how, _ in arm.hows]
        for peer in there:
            known = best(found, peer, question, pure=arm.pure)
            cells.append(_number(None if known is None else known[0]))
        lines.append(_row(cells))
    return [*lines, ""]


def _unanswered(found: Measured, peers: list[str]) -> list[str]:
    lines = []
    for peer in peers:
        said = [f"{question}: `{why}`" for (who, question), why in sorted(found.refused.items()) if who == peer]
        answered = {question for who, _, question in found.errors if who == peer}
        said = [each for each in said if each.split(":")[0] not in answered]
        if peer in found.skipped:
            said.insert(0, found.skipped[peer])
        if said:
            lines.append(f"- {NAMES[peer]}: {'; '.join(said)}")
    return [*lines, ""]


def _reading(found: Measured, peers: list[str], arm: Arm) -> list[str]:
    ahead: list[_Compared] = []
    level: list[_Compared] = []
    behind: list[_Compared] = []
    for question in _asked(found, arm):
        others = [(*known, peer) for peer in peers if (known := best(found, peer, question, pure=arm.pure)) is not None]
        if not others:
            continue
        mine, how = min(
            (fmean(runs), how) for how, _ in arm.hows if (runs := found.errors.get(("room", how, question)))
        )
        least, variant, who = min(others)
        ours = found.errors["room", how, question]
        known = (stdev(runs) for (*_, asked), runs in found.errors.items() if asked == question and len(runs) > 2)
        alike = max(known, default=0.0)
        unsure = math.hypot(_standard_error(ours, alike), _standard_error(found.errors[who, variant, question], alike))
        chance = by_chance(mine - least, unsure)
        kind = level if chance >= ALARM else ahead if mine < least else behind
        kind.append((question, mine, least, who, len(found.errors[who, variant, question]), chance))
    lines = [f"The room errs least on {', '.join(question for question, *_ in ahead) or 'none'}."]
    for words, kind in (("Level", level), ("Behind", behind)):
        lines += [
            f"{words} on {question}: {_number(mine)} beside {_number(least)} of {NAMES[who]} "
            f"({_runs(runs)}; p = {chance:.2g})."
            for question, mine, least, who, runs, chance in kind
        ]
    # A list, so that each stands on its own line.
    return [*(f"- {line}" for line in lines), ""]


_Compared = tuple[str, float, float, str, int, float]
"""Question, the room's error, the best peer's and its name, how many runs of it, and the chance of such a difference."""


def by_chance(difference: float, unsure: float) -> float:
    """Return how likely two equal means differ so much or more, either way, by a normal test.

    Args:
        unsure: the standard error of the difference.
    """
    if not unsure:
        return float(not difference)
    return math.erfc(abs(difference) / unsure / math.sqrt(2))


def _runs(count: int) -> str:
    return f"{count} runs" if count > 1 else "one run"


def _standard_error(errors: list[float], alike: float) -> float:
    """Return the standard error of a mean error; of fewer than three runs as if they varied as anybody's most do."""
    return (stdev(errors) if len(errors) > 2 else alike) / math.sqrt(len(errors))


def _medians(found: Measured) -> str:
    known = best(found, "opendp", "Q6", pure=True)
    return MEDIANS.format(least="" if known is None else f": OpenDP with pure ε, less noisy, by {_number(known[0])}")


def _composed(found: Measured, peers: list[str]) -> list[str]:
    lines = [
        "At the same ρ, as one of many questions of one account:",
        "",
        _row(["question", "room, defaults", *(NAMES[peer] for peer in COMPOSED if peer in peers)]),
        _row(["---", *["---:"] * (1 + sum(peer in peers for peer in COMPOSED))]),
    ]
    for question in ASKED:
        cells = [question, _number(found.error("room", "defaults", question))]
        cells += [_number(found.error(peer, variant, question)) for peer, variant in COMPOSED.items() if peer in peers]
        lines.append(_row(cells))
    return [*lines, ""]


def _added_up(found: Measured) -> list[str]:
    lines = [
        "## Cells that add up",
        "",
        "`--consistent` adjusts the cells of ROLLUP, CUBE or GROUPING SETS by least squares so that they add up to their totals, for nothing, as labelled post-processing",
        "(`cleanroom/query/consistent.py`). Rows by region and discipline, their totals, the same draws both ways. What it wins in noise is little, most where a total has",
        "few cells; it is for tables that must add up. Where bounds cut (second part), they cut totals more than cells, and adding up shares that bias out between them: use it where",
        "bounds cut little.",
        "",
        _row(["bounds", "numbers", "as drawn", "adding up"]),
        _row(["---", "---", "---:", "---:"]),
    ]
    lines += [_row([words, which, _number(drawn), _number(mine)]) for words, which, drawn, mine in found.added_up]
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


def _shapes(found: Measured) -> list[str]:
    """Return the table of other shapes; nothing where they were not measured."""
    if not found.shapes:
        return []
    heads = ("default", "`auto`, formerly", "`auto`", "best bound")
    lines = [
        "### Tables of other shapes",
        "",
        "At ε 1, one generated table each (`bench/utility_shapes.py`), errors in expectation: computed from how likely each bound is to be chosen and what the answer errs by with it, bias and noise.",
        "*Formerly* is the score that `auto` had before: all bounds that nobody exceeds were as good as each other to it. *Best bound* is the one of the candidates that nobody knows beforehand. Sums in dollars.",
        "",
        _row(["question", "table", *heads, *(f"pure: {each}" for each in heads)]),
        _row(["---", "---", *["---:"] * 8]),
    ]
    for pair in found.shapes:
        errors = [error for each in pair for error in (each.default, each.former, each.auto, each.best)]
        lines.append(_row([pair[0].words, pair[0].shape, *map(_number, errors)]))
    return [*lines, ""]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value else "0"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
