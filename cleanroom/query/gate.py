"""The gate: every owner touched allows the question, at this precision, or it is refused with all reasons.

`admit` is the one way to a `ValidatedPlan`. It reads the question, the catalog, the policies, the epochs and which
cohorts were answered before; never data, keys or files (S12). A plan cannot be built, copied or pickled elsewhere:
this guards against mistakes. Against an attacker inside the process the boundary is the ledger, which the partition's
keys ask again for a reservation of this plan's digest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, final
from weakref import WeakKeyDictionary

from cleanroom.accounting.account import AccountId, Charge, PartyCap
from cleanroom.accounting.privacy_loss import Window, rho_for
from cleanroom.catalog import Contribution
from cleanroom.errors import InvariantBroken, Refusal, Refused
from cleanroom.identifiers import Digest, Epoch, PartyId, Purpose, Role, TableName
from cleanroom.policies import Analysis, AnalysisRule, Declaration
from cleanroom.query.algebra import scans
from cleanroom.query.bound import bound
from cleanroom.query.cohort import fewest_owners, owners_reaching
from cleanroom.query.mechanisms import Noise
from cleanroom.query.parse import Parameters, parse
from cleanroom.query.plan import Plan, plan
from cleanroom.query.precision import Precision
from cleanroom.query.pricing import price
from cleanroom.query.refusals import refusal
from cleanroom.query.resolve import resolve
from cleanroom.query.unit import TypedQuery, type_query
from cleanroom.query.usage import (
    analyses_of,
    dimensions_of,
    functions_of,
    literals_of,
    owners_of,
    plain_unions,
    united_owners,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a party asks.

    Args:
        max_rows_contributed: rows of a person that count in a cell, or None for the tables' default.
        max_groups_contributed: cells of a person that count in full, or None for the tables' default.
    """

    sql: str
    parameters: Parameters
    party: PartyId
    role: Role
    purpose: Purpose
    precision: Precision
    max_rows_contributed: int | None = None
    max_groups_contributed: int | None = None


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the gate reads of the room: no rows, no keys.

    Args:
        declarations: every declared table.
        epochs: the epoch of the tokens of each table that has rows.
        cohorts: the owner sets of the sector questions answered so far.
    """

    declarations: Mapping[TableName, Declaration]
    epochs: Mapping[TableName, Epoch]
    purposes: Collection[Purpose]
    cohorts: Collection[frozenset[PartyId]]


@final
class ValidatedPlan:
    """A plan that every owner touched allows, with its price. Issued by `admit` alone."""

    __slots__ = (
        "__weakref__",
        "caps",
        "charges",
        "cohort",
        "epsilon",
        "noise",
        "party",
        "plan",
        "policy_digest",
        "purpose",
        "rules",
    )

    plan: Plan
    party: PartyId
    purpose: Purpose
    rules: tuple[tuple[TableName, str], ...]
    charges: tuple[Charge, ...]
    caps: tuple[PartyCap, ...]
    noise: Noise
    epsilon: float
    cohort: frozenset[PartyId]
    policy_digest: Digest

    def __new__(cls) -> ValidatedPlan:
        """Refuse: only the gate issues a plan."""
        raise InvariantBroken("a ValidatedPlan is issued by the gate")

    @property
    def scale(self) -> float:
        """The scale that most of the answer has."""
        return self.noise.scale

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise InvariantBroken("a ValidatedPlan does not change")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise InvariantBroken("a ValidatedPlan is neither copied nor pickled")


_ISSUED: Final[WeakKeyDictionary[ValidatedPlan, Digest]] = WeakKeyDictionary()


def is_genuine(candidate: ValidatedPlan) -> bool:
    """Return whether the gate issued this very value and its plan is unchanged."""
    return _ISSUED.get(candidate) == _fingerprint(candidate)


def admit(question: Question, room: Rulebook) -> ValidatedPlan:
    """Turn a question into a plan that may be charged and run.

    Raises:
        Refused: with every reason that this stage found.
    """
    opened = {
        table: rules
        for table, declaration in room.declarations.items()
        if question.purpose in room.purposes
        and (rules := declaration.rules_for(question.party, question.role, question.purpose))
    }
    if not opened:
        raise Refused((refusal("nothing_allowed", party=question.party, purpose=question.purpose[:80]),))
    parsed = parse(question.sql, question.parameters)
    resolved = resolve(parsed, {table: room.declarations[table].catalog for table in opened})
    typed = type_query(resolved, room.epochs)
    tables = sorted({scan.table for scan in scans(typed.source.relation)})
    judged = {table: _rule_for(typed, table, opened[table], question.party) for table in tables}
    reasons = tuple(dict.fromkeys(reason for _, refused in judged.values() for reason in refused))
    if reasons:
        raise Refused(reasons)
    chosen = {table: rule for table, (rule, _) in judged.items()}
    bounded = bound(
        typed,
        [_contribution(question, room.declarations[table].catalog.contribution) for table in tables],
        max(rule.threshold for rule in chosen.values()),
    )
    planned = plan(bounded)
    cohort = _require_cohort(planned, chosen, question.party, room)
    budgets = {table: room.declarations[table].budget for table in tables}
    priced = price(planned, question.precision, chosen, budgets)
    caps = tuple(
        PartyCap(
            AccountId(table),
            question.party,
            rho_for(rule.per_party.epsilon, budgets[table].delta / 2),
            Window(rule.per_party.window.value),
        )
        for table, rule in chosen.items()
        if rule.per_party is not None
    )
    digests = "\n".join(f"{table} {room.declarations[table].digest} {chosen[table].name}" for table in tables)
    return _issue(
        plan=planned,
        party=question.party,
        purpose=question.purpose,
        rules=tuple((table, chosen[table].name) for table in tables),
        charges=priced.charges,
        caps=caps,
        noise=priced.noise,
        epsilon=priced.epsilon,
        cohort=cohort,
        policy_digest=Digest.of(digests.encode()),
    )


def _issue(**content: Any) -> ValidatedPlan:
    issued = object.__new__(ValidatedPlan)
    for name, value in content.items():
        object.__setattr__(issued, name, value)
    _ISSUED[issued] = _fingerprint(issued)
    return issued


def _fingerprint(candidate: ValidatedPlan) -> Digest:
    parts = (
        candidate.plan.digest(),
        candidate.party,
        candidate.purpose,
        candidate.rules,
        candidate.charges,
        candidate.caps,
        candidate.noise,
        sorted(candidate.cohort or ()),
        candidate.policy_digest,
    )
    return Digest.of(repr(parts).encode())


def _contribution(question: Question, default: Contribution) -> Contribution:
    """Return how much of a person counts: what the question says, else the table's default; clipped all the same."""
    for value in (question.max_rows_contributed, question.max_groups_contributed):
        if value is not None and (type(value) is not int or not 1 <= value <= 65_535):
            raise Refused(
                (
                    refusal(
                        "precision",
                        why_fr="max_rows_contributed et max_groups_contributed sont des entiers de 1 à 65 535",
                        why_en="max_rows_contributed and max_groups_contributed are integers from 1 to 65,535",
                    ),
                )
            )
    return Contribution(
        question.max_rows_contributed or default.max_rows, question.max_groups_contributed or default.max_groups
    )


def _rule_for(
    typed: TypedQuery, table: TableName, rules: tuple[AnalysisRule, ...], asker: PartyId
) -> tuple[AnalysisRule, list[Refusal]]:
    """Return the first rule that allows the question, or the one with the fewest objections, and these."""
    judged = [(rule, _objections(typed, table, rule, asker)) for rule in rules]
    return min(judged, key=lambda pair: len(pair[1]))


def _objections(typed: TypedQuery, table: TableName, rule: AnalysisRule, asker: PartyId) -> list[Refusal]:
    relation = typed.source.relation
    named: dict[str, Any] = {"owner": table.owner, "table": table, "rule": rule.name}
    found: list[Refusal] = []
    wanted = analyses_of(relation, asker, max(rule.min_parties, 1))
    others = len(owners_of(relation) - {asker})
    if others < rule.min_parties:
        found.append(refusal("too_few_parties", owner=table.owner, minimum=rule.min_parties, count=others))
    else:
        allowed = ", ".join(sorted(rule.analyses))
        found.extend(
            refusal(
                "analysis_not_allowed",
                **named,
                analysis=analysis.value,
                hint=(f"cette règle admet : {allowed}", f"this rule admits: {allowed}"),
            )
            for analysis in sorted(wanted - rule.analyses)
        )
    functions = ", ".join(sorted(rule.functions))
    found.extend(
        refusal(
            "function_not_allowed",
            **named,
            function=function.value,
            hint=(f"fonctions admises : {functions}", f"functions admitted: {functions}"),
        )
        for function in sorted(functions_of(typed) - rule.functions)
    )
    dimensions = ", ".join(sorted(str(each) for each in rule.dimensions))
    found.extend(
        refusal(
            "dimension_not_allowed",
            **named,
            dimension=dimension,
            hint=(f"dimensions admises : {dimensions}", f"dimensions admitted: {dimensions}"),
        )
        for origin, dimension in sorted(dimensions_of(typed), key=str)
        if origin == table and dimension not in rule.dimensions
    )
    if rule.allowed_literals is not None:
        literals = ", ".join(sorted(rule.allowed_literals))
        found.extend(
            refusal(
                "literal_not_allowed",
                **named,
                column=column,
                hint=(f"filtres admis : {literals}", f"filters admitted: {literals}"),
            )
            for origin, column in sorted(literals_of(relation), key=str)
            if origin == table and column not in rule.allowed_literals
        )
    return found


def _require_cohort(
    planned: Plan, chosen: Mapping[TableName, AnalysisRule], asker: PartyId, room: Rulebook
) -> frozenset[PartyId]:
    """Refuse a sector question that would lay one organisation's business open (S43); return its cohort.

    The cohort is the owners whose rows can be in the answer, not those whose tables it names: a filter that only some
    can pass would else be the difference of two cohorts. Questions that unite no owners have none, nor those of owners
    who ask for no `min_parties`.
    """
    if not united_owners(planned.relation) or not any(rule.min_parties for rule in chosen.values()):
        return frozenset()
    catalogs = {table: room.declarations[table].catalog for table in planned.tables}
    cohort = owners_reaching(planned.relation, {}, catalogs)
    fewest: int | None = None
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
        if fewest is None:
            fewest = fewest_owners(planned, catalogs, asker)
        if fewest < rule.min_parties:
            reasons.append(refusal("isolates_owner", count=fewest, owner=table.owner, minimum=rule.min_parties))
        if any(0 < len(cohort ^ earlier) < rule.min_parties for earlier in room.cohorts):
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
