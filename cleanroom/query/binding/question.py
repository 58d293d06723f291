"""Bind one question: its releases, and what is said over them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.errors import Refused
from cleanroom.query import algebra, statistics
from cleanroom.query.binding.asking import Asking, ReferenceCatalog, Unbound
from cleanroom.query.binding.personal import Personal, Release
from cleanroom.query.binding.rewrites import counted_rows
from cleanroom.query.binding.selects import Selects
from cleanroom.query.binding.sources import PUBLIC
from cleanroom.query.canonical import canonical
from cleanroom.query.fanout import capped
from cleanroom.query.parse import parse
from cleanroom.query.pruning import pruned
from cleanroom.query.public.language import chosen_columns
from cleanroom.query.refusals import refusal
from cleanroom.query.terms.language import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import Epoch, TableName
    from cleanroom.query.parse import ParsedQuery
    from cleanroom.query.public.language import PublicRelation


@dataclass(frozen=True, slots=True)
class BoundQuestion:
    """A question whose names, kinds and types are bound.

    Args:
        releases: what is released, in the order in which `finish` numbers them; at least one.
        finish: what the answer is, over the released tables; None where it is the one release, its outputs labelled.
    """

    releases: tuple[Release, ...]
    finish: PublicRelation | None


def bind_question(
    query: ParsedQuery,
    visible: Mapping[TableName, TableCatalog],
    epochs: Mapping[TableName, Epoch],
    *,
    references: Mapping[str, ReferenceCatalog] | None = None,
    max_rows: int | None = None,
) -> BoundQuestion:
    """Bind a question.

    Args:
        visible: the tables that some rule opens to this party for this purpose.
        epochs: the epoch of each table's tokens; a table without rows has none.
        references: the room's public tables, by name.
        max_rows: rows of a person that count in a cell; None for the tables' defaults.

    Raises:
        Refused: with every reason found.
    """
    asking = Asking(query, visible, references or {}, max_rows)
    try:
        return _bound(asking, epochs)
    except Refused as refused:
        if not asking.rewrites:
            raise

        def answered(sql: str) -> bool:
            try:
                _bound(Asking(parse(sql, query.given()), visible, references or {}, max_rows), epochs)
            except Refused:
                return False
            return True

        # A hint that is a question is one that may be asked; where there are other faults, it would be refused too.
        useless = {sql for sql in asking.rewrites if not answered(sql)}
        kept = [
            replace(each, hint=None) if each.hint is not None and each.hint.en in useless else each
            for each in refused.refusals
        ]
        raise Refused(tuple(kept)) from None


def _bound(asking: Asking, epochs: Mapping[TableName, Epoch]) -> BoundQuestion:
    query = asking.query
    try:
        found = Selects(asking).relation(query.tree, {})
    except Unbound:
        found = None
    if all(each.code == "row_output" for each in asking.reasons) and not _names_people(query):
        raise Refused((refusal("no_people", hint=("ajoutez FROM membre.table", "add FROM member.table")),))
    if isinstance(found, Personal):
        asking.refuse("row_output", query.tree, counted_rows(asking))
    asking.raise_reasons()
    if found is None or isinstance(found, Personal) or not asking.releases:
        raise Refused((refusal("row_output"),))
    releases = tuple(finished(each, asking.limits()) for each in asking.releases)
    _one_namespace(asking, releases, epochs)
    asking.raise_reasons()
    chosen = chosen_columns(found)
    if chosen is None or len(releases) > 1:
        return BoundQuestion(releases, found)
    outputs = tuple(replace(releases[0].outputs[place], label=label) for label, place in chosen)
    return BoundQuestion((replace(releases[0], outputs=outputs),), None)


def _names_people(query: ParsedQuery) -> bool:
    return any(table.db and table.db != PUBLIC for table in query.tree.find_all(exp.Table))


def finished(release: Release, limits: Mapping[TableName, int]) -> Release:
    """Return a release that reads no more than it needs, its joins within bounds."""
    only_persons = all(isinstance(each, statistics.CountPersons) for each in release.statistics)
    one = canonical(pruned(release.relation, once=only_persons), once=only_persons)
    return replace(_over(release, one.places), relation=capped(one.relation, limits))


def _over(release: Release, places: tuple[int, ...]) -> Release:
    """Return a release over columns that stand elsewhere now, its statistics in the order of what they are (S40)."""
    facts = {place: replace(fact, term=Column(place)) for fact, place in zip(release.columns, places, strict=True)}
    moved: list[statistics.Statistic] = []
    for each in release.statistics:
        column = each.column
        moved.append(each if column is None else replace(each, column=places[column]))
    ordered = sorted(moved, key=repr)
    return replace(
        release,
        columns=tuple(facts[place] for place in sorted(facts)),
        keys=tuple(replace(key, column=places[key.column]) for key in release.keys),
        statistics=tuple(ordered),
        outputs=tuple(
            replace(output, statistic=ordered.index(moved[output.statistic]))
            if isinstance(output, statistics.StatisticOutput)
            else output
            for output in release.outputs
        ),
    )


def _one_namespace(asking: Asking, releases: tuple[Release, ...], epochs: Mapping[TableName, Epoch]) -> None:
    """Refuse a question over tokens of two kinds or two epochs: they name people differently (S10)."""
    tables = {scan.table for release in releases for scan in algebra.scans(release.relation)}
    kinds = {str(asking.visible[table].unit.token_kind) for table in tables}
    if len(kinds) > 1:
        asking.refuse("kinds_differ", asking.query.tree, kinds=", ".join(sorted(kinds)))
    if len({epochs[table] for table in tables if table in epochs}) > 1:
        asking.refuse("epochs_differ", asking.query.tree)
