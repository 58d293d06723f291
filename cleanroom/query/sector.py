"""Judge sector questions: no organisation's business is laid open by them (S43, docs/adr/0005)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cleanroom.errors import Refused
from cleanroom.policies import Analysis
from cleanroom.query.algebra import public_tables
from cleanroom.query.cohort import fewest_owners, owners_reaching
from cleanroom.query.evenness import fewest_by_terms, uneven_columns
from cleanroom.query.refusals import refusal
from cleanroom.query.spans import Unjudged
from cleanroom.query.usage import analyses_of, owners_of, plain_unions, united_owners

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import PartyId, TableName
    from cleanroom.policies import AnalysisRule, Declaration
    from cleanroom.query.plan import Plan

_AFTERWARDS: Final = (
    "joignez la table publique au résultat : SELECT … FROM (SELECT … GROUP BY …) AS r JOIN public.… ON …",
    "join the public table to the result: SELECT … FROM (SELECT … GROUP BY …) AS r JOIN public.… ON …",
)


def require_cohorts(
    plans: tuple[Plan, ...],
    chosen: Mapping[TableName, AnalysisRule],
    asker: PartyId,
    declarations: Mapping[TableName, Declaration],
    answered: Collection[frozenset[PartyId]],
) -> tuple[frozenset[PartyId], ...]:
    """Judge the cohort of each release of a question, by those answered before and by each other's (S43).

    Args:
        answered: the owner sets of the sector questions answered so far.
    """
    found: list[frozenset[PartyId]] = []
    for planned in plans:
        rules = {table: chosen[table] for table in planned.tables}
        catalogs = {table: declarations[table].catalog for table in planned.tables}
        cohort = _require_cohort(planned, rules, asker, catalogs, (*answered, *found))
        if cohort and cohort not in found:
            found.append(cohort)
    return tuple(found)


def _judged(
    planned: Plan, catalogs: Mapping[TableName, TableCatalog], asker: PartyId
) -> tuple[frozenset[PartyId], int]:
    """Return the cohort, and the fewest owners other than the asker that any cell, filter or condition tells apart.

    Where every owner declares the same of each column that the question looks at, owners are exchangeable: whatever it
    asks of rows, any of them can have such rows.
    """
    relation = planned.relation
    try:
        uneven = uneven_columns(relation, catalogs)
        if not uneven:
            try:
                cohort = owners_reaching(relation, {}, catalogs)
            except Unjudged:
                cohort = owners_of(relation)
            return cohort, len(cohort - {asker})
        cohort = owners_reaching(relation, {}, catalogs)
        keys = frozenset(key.column for key in planned.keys)
        fewest = min(fewest_owners(planned, catalogs, asker), fewest_by_terms(relation, keys, uneven, catalogs, asker))
    except Unjudged:
        # Nobody can tell which owners' rows may be in the answer, so nobody can say that they are enough.
        return frozenset(), 0
    return cohort, fewest


def _require_cohort(
    planned: Plan,
    chosen: Mapping[TableName, AnalysisRule],
    asker: PartyId,
    catalogs: Mapping[TableName, TableCatalog],
    answered: Collection[frozenset[PartyId]],
) -> frozenset[PartyId]:
    """Refuse a sector question that would lay one organisation's business open (S43); return its cohort.

    The cohort is the owners whose rows can be in the answer, not those whose tables it names: a filter that only some
    can pass would else be the difference of two cohorts. Questions that unite no owners have none, nor those of owners
    who ask for no `min_parties`.
    """
    if not united_owners(planned.relation) or not any(rule.min_parties for rule in chosen.values()):
        return frozenset()
    cohort, judged = _judged(planned, catalogs, asker)
    reasons = []
    for table, rule in chosen.items():
        if (
            Analysis.SECTOR not in analyses_of(planned.relation, asker, max(rule.min_parties, 1))
            or not rule.min_parties
        ):
            continue
        if not plain_unions(planned.relation):
            hint = ("filtrez après l'union : … ) AS s WHERE …", "filter after the union: … ) AS s WHERE …")
            reasons.append(refusal("filter_inside_union", owner=table.owner, hint=hint))
            continue
        if judged < rule.min_parties:
            after = _AFTERWARDS if public_tables(planned.relation) else None
            named: dict[str, Any] = {"count": judged, "owner": table.owner, "minimum": rule.min_parties}
            reasons.append(refusal("isolates_owner", hint=after, **named))
        if any(0 < len(cohort ^ earlier) < rule.min_parties for earlier in answered):
            reasons.append(
                refusal(
                    "cohort_too_close",
                    minimum=rule.min_parties,
                    hint=(
                        "reprenez exactement les organisations d'une question déjà répondue",
                        "use exactly the organisations of a question answered before",
                    ),
                )
            )
    if reasons:
        raise Refused(tuple(dict.fromkeys(reasons)))
    return cohort
