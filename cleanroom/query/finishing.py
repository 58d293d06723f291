"""From noised releases to the answer's rows: as they are, or as the question finishes them; nothing here costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from cleanroom.errors import InvariantBroken
from cleanroom.query.backend import Slice
from cleanroom.query.binding.public_columns import release_columns
from cleanroom.query.contribution import needed_columns
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.public.run import PublicRows, Shown, empty, run
from cleanroom.query.public.sources import source_of
from cleanroom.query.ranks import rank_margins
from cleanroom.query.release import CellState, margins_before, scales_of
from cleanroom.query.statistics import GroupingOutput, KeyOutput, StatisticOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cleanroom.catalog import TableCatalog
    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Digest, TableName
    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan, QuestionPlan
    from cleanroom.query.public.language import PublicColumn
    from cleanroom.query.release import NoisedRelease
    from cleanroom.query.sharing import Split


def require_runnable(
    plan: QuestionPlan, references: Mapping[Digest, ReferenceTable], catalogs: Mapping[TableName, TableCatalog]
) -> None:
    """Run a whole question on tables without rows, before it is charged: its releases, and what it says over them.

    Admission types every term and bounds every statement, so nothing should fail; if an engine or a parser refuses a
    statement all the same, it is now.

    Raises:
        InvariantBroken: it would fail after it was paid.
    """
    # As the room answers: what is merged asks no engine, so none is opened for it here either.
    nobody = MergeBackend({table: (catalogs[table], ()) for table in plan.tables}, 0, references=references)
    try:
        for release in plan.releases:
            nobody.rows(release.relation, needed_columns(release), Slice(0, 0))
    except duckdb.Error:
        raise InvariantBroken("a statement that was admitted does not run") from None
    if plan.finish is None:
        return
    tables = {
        number: empty(release_columns(release.keys, release.outputs, number))
        for number, release in enumerate(plan.releases)
    }
    try:
        run(plan.finish, tables, references)
    except duckdb.Error:
        raise InvariantBroken("a finish that its types allow does not run") from None


def answer_rows(
    plan: QuestionPlan, releases: tuple[NoisedRelease, ...], references: Mapping[Digest, ReferenceTable]
) -> PublicRows:
    """Return the answer's rows.

    Args:
        references: the public tables that it reads, by digest.
    """
    tables = {
        number: PublicRows(release_columns(release.plan.keys, release.plan.outputs, number), tuple(_rows(release)))
        for number, release in enumerate(releases)
    }
    if plan.finish is None:
        return PublicRows(answer_columns(plan), tables[0].rows)
    return run(plan.finish, tables, references)


def answer_columns(plan: QuestionPlan) -> tuple[PublicColumn, ...]:
    """Return the answer's columns."""
    if plan.finish is not None:
        return plan.finish.columns
    (release,) = plan.releases
    columns = release_columns(release.keys, release.outputs, 0)
    return tuple(replace(column, label=output.label) for column, output in zip(columns, release.outputs, strict=True))


def margins_before_finish(plan: QuestionPlan, noises: tuple[Noise, ...]) -> list[tuple[int, float | None]]:
    """Return place and 95 % margin of each value of the answer, as far as it is known before data is read (S41)."""
    margins = [
        _by_output(release, margins_before(release, noise.scale))
        for release, noise in zip(plan.releases, noises, strict=True)
    ]
    return _of_values(plan, margins)


def shares_before_finish(plan: QuestionPlan, split: Split) -> list[tuple[int, float | None]]:
    """Return place and part of the price of each value of the answer that is a released one."""
    shares: list[dict[int, float | None]] = [
        {
            place: float(split.statistics[number, output.statistic])
            for place, output in enumerate(release.outputs)
            if isinstance(output, StatisticOutput)
        }
        for number, release in enumerate(plan.releases)
    ]
    return _of_values(plan, shares)


def scales_after(plan: QuestionPlan, releases: tuple[NoisedRelease, ...]) -> list[tuple[int, float | None]]:
    """Return place and the noise's standard deviation of each value of the answer that is a released one.

    None where cells were made to add up: it then differs between grouping sets, as margins show.
    """
    scales = [
        {} if release.spread else _by_output(release.plan, scales_of(release.plan, release.scale))
        for release in releases
    ]
    return _of_values(plan, scales)


def ranks_of(plan: QuestionPlan, noises: Sequence[Noise]) -> list[tuple[int, float | None]]:
    """Return place and rank margin, in rows, of each value of the answer that is a released quantile; else None.

    Args:
        plan: its releases with the bounds that they have, or the widest that they may.
    """
    pairs = zip(plan.releases, noises, strict=True)
    return _of_values(plan, [_by_output(release, rank_margins(release, noise)) for release, noise in pairs])


def _by_output(release: Plan, values: Sequence[float | None]) -> dict[int, float | None]:
    places = [place for place, output in enumerate(release.outputs) if isinstance(output, StatisticOutput)]
    return dict(zip(places, values, strict=True))


def _of_values(plan: QuestionPlan, known: list[dict[int, float | None]]) -> list[tuple[int, float | None]]:
    found: list[tuple[int, float | None]] = []
    for place, column in enumerate(answer_columns(plan)):
        if not column.behind:
            continue
        source = (0, place) if plan.finish is None else source_of(plan.finish, place)
        found.append((place, known[source[0]].get(source[1]) if source is not None else None))
    return found


def _rows(release: NoisedRelease) -> Iterator[tuple[Shown, ...]]:
    outputs = release.plan.outputs
    for cell in release.cells():
        keys, values = iter(cell.keys), iter(cell.values)
        row = []
        for output in outputs:
            if isinstance(output, (KeyOutput, GroupingOutput)):
                row.append(Shown(next(keys), None, withheld=False))
            else:
                value = next(values)
                withheld = cell.state is CellState.SUPPRESSED
                row.append(Shown(value.number, value.margin95, withheld=withheld))
        yield tuple(row)
