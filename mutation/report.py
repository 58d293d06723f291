"""Say what was run, what was killed, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mutation.explanations import explained
from mutation.scope import FURTHER, NAMED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mutation.explanations import Explanations
    from mutation.mutants import Mutant
    from mutation.results import Results
    from mutation.scope import Scope


@dataclass(frozen=True)
class Count:
    """What became of the mutants of a module."""

    module: str
    mutants: int
    killed: int
    explained: int
    left: tuple[Mutant, ...]

    @property
    def run(self) -> int:
        """Mutants that were run."""
        return self.killed + self.explained + len(self.left)


def counted(scope: Scope, module: str, results: Results, reasons: Explanations) -> Count:
    """Count the mutants of a module."""
    killed = reasoned = 0
    left = []
    for mutant in scope.mutants(module):
        result = results.last(mutant)
        if result is None or result.verdict == "fault":
            continue
        if result.killed:
            killed += 1
        elif explained(mutant, reasons):
            reasoned += 1
        else:
            left.append(mutant)
    return Count(module, len(scope.mutants(module)), killed, reasoned, tuple(left))


def line(count: Count) -> str:
    """Write one module's count on a line."""
    return (
        f"{count.module}: {count.run} of {count.mutants} run, {count.killed} killed, {count.explained} explained, "
        f"{len(count.left)} left"
    )


def page(scope: Scope, results: Results, reasons: Explanations) -> str:
    """Write `docs/mutation.md`."""
    return _PAGE.format(named=_table(NAMED, scope, results, reasons), further=_table(FURTHER, scope, results, reasons))


def _table(groups: Mapping[str, tuple[str, ...]], scope: Scope, results: Results, reasons: Explanations) -> str:
    rows = ["| module | mutants | run | killed | explained | left |", "|---|---|---|---|---|---|"]
    total = [0] * 5
    for group, modules in groups.items():
        rows.append(f"| **{group}** | | | | | |")
        for module in modules:
            count = counted(scope, module, results, reasons)
            numbers = [count.mutants, count.run, count.killed, count.explained, len(count.left)]
            total = [a + b for a, b in zip(total, numbers, strict=True)]
            cells = [str(number) for number in numbers]
            cells[1] = cells[1] if numbers[1] else "not run"
            rows.append(f"| `{module}` | {' | '.join(cells)} |")
    rows.append("| all | " + " | ".join(str(number) for number in total) + " |")
    return "\n".join(rows)


_PAGE = """\
# Mutation of what carries the guarantee

<!-- Written by `python -m mutation --write`; do not edit. -->

`make mutation` changes the modules that people's privacy rests on, one small change at a time, and runs the tests that
reach the changed line. A change that no test notices is either a test that is missing or a change that means nothing;
[`mutation/survivors.yaml`](../mutation/survivors.yaml) says for each of the second kind why. `make test` holds that
file against the source. Other breakages, chosen by hand, are in `tests/query/broken/`.

- *Changes*: boundaries and negation of comparisons, arithmetic, constants by one, operands of `and`/`or`, `not`,
  conditions held true or false, answers of conditions, statements left out (`raise`, calls, assignments to elements),
  arguments of one kind exchanged, arguments left out, `min`/`max` and the like, elements of lists left out, cases and
  guards of `match`. Texts, annotations, decorators, `assert_never`, `strict=` and messages of broken invariants are
  left alone. So are changes that another one stands for (`mutation/changes.py` says which): what notices a condition
  held true and held false notices its negation. Constants go up by one, not down: one of the two was nearly always
  explained with the words of the other.
- *Tests*: those that run the changed line (`coverage`), known killers and quick ones first, to the first that fails,
  and until their usual CPU seconds reach a limit (`--seconds`). A survivor is one that none of these noticed. Compiled
  code runs as plain Python. A mutant that runs far longer than its tests do is killed by its CPU seconds.
- *Resumable*: what became of each mutant stands in `mutation/results/`, a table for each module, by the definition that
  is changed. `make mutation` runs what has no result there: what is new or changed, what was noticed by a test that
  changed or is gone, and survivors without a reason of which the tests changed. Commit the tables afterwards.
  `python -m mutation --modules cleanroom.query.clipping` runs one module, `--further` those of the second table,
  `--left` lists what is not explained, `--again` runs that with every test, `--mapped` spares the time of mapping
  tests that changed (which test runs which line is kept in `.mutation/`, a quarter of an hour for all).
- *Plain Python* raises where compiled code would read beyond an array; such a mutant counts as killed.

A module of which not all mutants were run is in the table as it is; nothing is claimed for the others. A result holds
for the definition as it was when it was run: what changed elsewhere since may have made or unmade a survivor, and a
definition that changed counts as not run. *Left* is what is neither killed nor explained yet: often no more than what
the time given to a mutant did not reach.

## What a person's privacy hangs on first

{named}

## Further

{further}
"""
