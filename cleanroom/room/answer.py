"""What a party gets: a table, what it cost, and a receipt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.errors import Bilingual, Refusal
    from cleanroom.identifiers import Digest
    from cleanroom.query.gate import ValidatedPlan
    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import QuestionPlan
    from cleanroom.query.public.run import PublicRows
    from cleanroom.query.release import NoisedRelease
    from cleanroom.query.reuse import Source
    from cleanroom.room.affordability import Possible
    from cleanroom.room.provenance import Provenance
    from cleanroom.room.stored_releases import QuestionDue


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
        rank_margins: for each quantile's label how many rows too many lie on a side of it at most, 19 times out of 20.
        notes: what the numbers count and leave out, in words.
        cost: one line an account, the room's first; zero where nothing was drawn.
        provenance: what was computed, from which versions, under whose rules.
        sources: for each release whether its numbers were stored, drawn, or both, combined.
    """

    table: pd.DataFrame
    suppressed: int
    epsilon: float
    noise_scale: tuple[tuple[str, float | None], ...]
    notes: tuple[Bilingual, ...]
    cost: tuple[AccountCost, ...]
    provenance: Provenance
    receipt: Receipt
    sources: tuple[Source, ...] = ()
    rank_margins: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a question would cost and how precise it would be; nothing was charged and no data read.

    Args:
        margins: for each value's label its 95 % margin, or None where it depends on released sizes (means).
        notes: what the numbers would count and leave out, in words.
        cells: number of cells of the answer.
        repetitions: how many such questions the budgets still allow, were none answered already.
        possible: the same for each account, and for each cap of the party.
        split: for each value's label its part of the price, or None where it is computed from others.
        split_threshold: the part of the count that only the owners' threshold asks for.
        split_keys: the part of the threshold on keys without a domain.
        lacking: why it would be refused as it is for want of budget, each with the precision that would fit.
        least_margins: `margins` if the narrowest bound is chosen; nothing where none is to be chosen.
        sources: for each release whether its numbers are stored, would be drawn, or both, combined.
        rank_margins: as those of an answer; of the widest bound where one is to be chosen.
    """

    margins: tuple[tuple[str, float | None], ...]
    notes: tuple[Bilingual, ...]
    cells: int
    max_rows_contributed: int
    max_groups_contributed: int
    epsilon: float
    cost: tuple[AccountCost, ...]
    repetitions: int
    possible: tuple[Possible, ...]
    split: tuple[tuple[str, float | None], ...]
    split_threshold: float
    split_keys: float
    lacking: tuple[Refusal, ...]
    least_margins: tuple[tuple[str, float | None], ...] = ()
    sources: tuple[Source, ...] = ()
    rank_margins: tuple[tuple[str, float], ...] = ()


def answer_table(
    plan: QuestionPlan, releases: tuple[NoisedRelease, ...], references: Mapping[Digest, ReferenceTable]
) -> tuple[pd.DataFrame, int]:
    """Return the answer as a data frame, and how many public cells were withheld.

    Args:
        references: the public tables that the question reads, by digest.
    """
    from cleanroom.query.finishing import answer_rows

    suppressed = sum(len(release.withheld()) for release in releases)
    return _frame(answer_rows(plan, releases, references)), suppressed


def _frame(rows: PublicRows) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    names = unique_labels(tuple(column.label for column in rows.columns))
    data: dict[str, object] = {}
    for place, (name, column) in enumerate(zip(names, rows.columns, strict=True)):
        cells = [row[place] for row in rows.rows]
        values = [cell.value for cell in cells]
        if column.behind:
            data[name] = np.array(values, "float64")
            data[f"{name}_margin95"] = np.array([cell.margin for cell in cells], "float64")
            data[f"{name}_state"] = [cell.state for cell in cells]
        else:
            data[name] = values
    return pd.DataFrame(data)


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


def preview_margins(validated: ValidatedPlan, due: QuestionDue) -> tuple[tuple[str, float | None], ...]:
    """Return each value's label and the margin that it would have; None where it depends on released numbers."""
    from cleanroom.query.finishing import margins_before_finish
    from cleanroom.query.reuse import noise_with

    noises = tuple(noise_with(each.due) for each in due.releases)
    return _labelled(validated.plan, margins_before_finish(known(validated, due), noises))


def known(validated: ValidatedPlan, due: QuestionDue) -> QuestionPlan:
    """Return the question's plan with the bounds that stored answers were made with."""
    from cleanroom.query.reuse import known_plan

    pairs = zip(validated.plan.releases, due.releases, strict=True)
    return replace(validated.plan, releases=tuple(known_plan(plan, each.due) for plan, each in pairs))


def least_margins(validated: ValidatedPlan, due: QuestionDue) -> tuple[tuple[str, float | None], ...]:
    """Return the margins that the narrowest of the bounds to choose from would give; nothing without such (S38)."""
    from cleanroom.query.finishing import margins_before_finish
    from cleanroom.query.mechanisms import settled_noise
    from cleanroom.query.reuse import noise_with

    plan = known(validated, due)
    if all(release.bounds.choice is None for release in plan.releases):
        return ()
    places = [None if release.bounds.choice is None else 0 for release in plan.releases]
    releases = tuple(release.settled(place) for release, place in zip(plan.releases, places, strict=True))
    noises = tuple(settled_noise(noise_with(each.due), place) for each, place in zip(due.releases, places, strict=True))
    return _labelled(plan, margins_before_finish(replace(plan, releases=releases), noises))


def preview_split(validated: ValidatedPlan) -> tuple[tuple[tuple[str, float | None], ...], float, float]:
    """Return each value's label and its part of the price; that of the owners' threshold; that of open keys."""
    from cleanroom.query.finishing import shares_before_finish
    from cleanroom.query.sharing import split_of

    split = split_of(validated.plan.releases, validated.noises)
    shares = _labelled(validated.plan, shares_before_finish(validated.plan, split))
    return shares, float(split.threshold), float(split.keys)


def noise_scales(plan: QuestionPlan, releases: tuple[NoisedRelease, ...]) -> tuple[tuple[str, float | None], ...]:
    """Return each value's label and the standard deviation of its noise, in its unit; None for what is computed."""
    from cleanroom.query.finishing import scales_after

    return _labelled(plan, scales_after(plan, releases))


def rank_margins(plan: QuestionPlan, noises: Sequence[Noise]) -> tuple[tuple[str, float], ...]:
    """Return each quantile's label and how far its rank may be off, in rows.

    Args:
        plan: its releases with the bounds that they have.
    """
    from cleanroom.query.finishing import ranks_of

    return tuple((label, rows) for label, rows in _labelled(plan, ranks_of(plan, noises)) if rows is not None)


def _labelled(plan: QuestionPlan, values: Sequence[tuple[int, float | None]]) -> tuple[tuple[str, float | None], ...]:
    from cleanroom.query.finishing import answer_columns

    labels = unique_labels(tuple(column.label for column in answer_columns(plan)))
    return tuple((labels[place], value) for place, value in values)
