"""What a party gets: a table, what it cost, and a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cleanroom.errors import Bilingual
    from cleanroom.query.gate import ValidatedPlan
    from cleanroom.query.plan import Plan
    from cleanroom.query.release import NoisedRelease


@dataclass(frozen=True, slots=True)
class AccountCost:
    """What a question costs one account.

    Args:
        account: a table's name, or `room`.
        rho: what it pays.
        epsilon: that, as an epsilon at the account's conversion delta.
        rho_before: spent in the budget's window before.
        rho_after: spent in it with this question.
        rho_max: the whole budget.
        epsilon_after: everything ever spent, as an epsilon at the account's conversion delta.
        epsilon_granted: the budget's epsilon.
    """

    account: str
    rho: str
    epsilon: float
    rho_before: str
    rho_after: str
    rho_max: str
    epsilon_after: float
    epsilon_granted: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that the answer's entry is in the log.

    Args:
        index: of the entry.
        proof: a C2SP tlog-proof; with the entry and the log's public key it proves itself.
    """

    index: int
    proof: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A released answer.

    Args:
        table: keys, values, and for each value v its `v_margin95` and `v_state`.
        suppressed: public cells that the owners' thresholds withheld.
        epsilon: the largest charge on any account, at the smallest conversion delta of the tables.
        noise_scale: for each value's label the standard deviation of its noise, in its unit; None for means.
        notes: what the numbers count and leave out, in words.
        cost: one line an account, the room's first.
    """

    table: pd.DataFrame
    suppressed: int
    epsilon: float
    noise_scale: tuple[tuple[str, float | None], ...]
    notes: tuple[Bilingual, ...]
    cost: tuple[AccountCost, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Preview:
    """What a question would cost and how precise it would be; nothing was charged and no data read.

    Args:
        margins: for each value's label its 95 % margin, or None where it depends on released sizes (means).
        notes: what the numbers would count and leave out, in words.
        cells: number of cells of the answer.
        repetitions: how many such questions the budgets still allow.
    """

    margins: tuple[tuple[str, float | None], ...]
    notes: tuple[Bilingual, ...]
    cells: int
    max_rows_contributed: int
    max_groups_contributed: int
    epsilon: float
    cost: tuple[AccountCost, ...]
    repetitions: int


def answer_table(release: NoisedRelease) -> tuple[pd.DataFrame, int]:
    """Return the answer as a data frame, and how many cells were withheld."""
    import pandas as pd

    from cleanroom.query.release import CellState
    from cleanroom.query.statistics import StatisticOutput

    outputs = release.plan.outputs
    names = unique_labels(tuple(output.label for output in outputs))
    data: dict[str, list[object]] = {}
    cells = list(release.cells())
    key_at = value_at = 0
    for name, output in zip(names, outputs, strict=True):
        if not isinstance(output, StatisticOutput):
            data[name] = [cell.keys[key_at] for cell in cells]
            key_at += 1
        else:
            data[name] = [cell.values[value_at].number for cell in cells]
            data[f"{name}_margin95"] = [cell.values[value_at].margin95 for cell in cells]
            data[f"{name}_state"] = [cell.state.value for cell in cells]
            value_at += 1
    suppressed = sum(cell.state is CellState.SUPPRESSED for cell in cells)
    frame = pd.DataFrame(data)
    for name in frame.columns:
        if name.endswith("_margin95") or f"{name}_margin95" in data:
            frame[name] = frame[name].astype("float64")
    return frame, suppressed


def unique_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels that name columns apart: a repeated one, or one that a margin's name would hide, is numbered."""
    taken: set[str] = set()
    names = []
    for label in labels:
        name, number = label, 1
        while {name, f"{name}_margin95", f"{name}_state"} & taken:
            number += 1
            name = f"{label}_{number}"
        taken |= {name, f"{name}_margin95", f"{name}_state"}
        names.append(name)
    return tuple(names)


def preview_margins(validated: ValidatedPlan) -> tuple[tuple[str, float | None], ...]:
    """Return each value's label and the margin that it would have."""
    from cleanroom.query.release import margins_before

    return tuple(zip(_value_labels(validated.plan), margins_before(validated.plan, validated.scale), strict=True))


def noise_scales(release: NoisedRelease) -> tuple[tuple[str, float | None], ...]:
    """Return each value's label and the standard deviation of its noise, in its unit."""
    from cleanroom.query.release import scales_of

    return tuple(zip(_value_labels(release.plan), scales_of(release.plan, release.scale), strict=True))


def _value_labels(plan: Plan) -> list[str]:
    from cleanroom.query.statistics import StatisticOutput

    labels = unique_labels(tuple(output.label for output in plan.outputs))
    return [label for label, output in zip(labels, plan.outputs, strict=True) if isinstance(output, StatisticOutput)]
