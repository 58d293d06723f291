"""The gate: every owner touched allows the question, at this precision, or it is refused with all reasons.

`admit` is the one way to a `ValidatedPlan`. It reads the question, the catalog, the policies, the epochs and which
cohorts were answered before; never data, keys or files (S12). A plan cannot be built, copied or pickled elsewhere:
this guards against mistakes. Against an attacker inside the process the boundary is the ledger, which the partition's
keys ask again for a reservation of this plan's digest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NoReturn, final
from weakref import WeakKeyDictionary

from cleanroom.accounting.account import AccountId, Charge, PartyCap
from cleanroom.accounting.privacy_loss import Window, loss_for
from cleanroom.catalog import Date, TableCatalog
from cleanroom.errors import InvariantBroken, Refusal, Refused
from cleanroom.identifiers import Digest, Epoch, PartyId, Purpose, Role, TableName
from cleanroom.policies import AnalysisRule, Declaration
from cleanroom.query.algebra import Relation, scans
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.binding.personal import Release
from cleanroom.query.binding.question import bind_question
from cleanroom.query.dimensions import refused_dimensions
from cleanroom.query.duckdb_sql import require_printable
from cleanroom.query.mechanisms import Noise
from cleanroom.query.parse import Parameters, parse
from cleanroom.query.plan import QuestionPlan
from cleanroom.query.planning import AskedBounds, planned, require_sums
from cleanroom.query.precision import Auto, Precision
from cleanroom.query.pricing import price
from cleanroom.query.public.printing import public_statement
from cleanroom.query.public.work import require_work
from cleanroom.query.refusals import refusal
from cleanroom.query.sector import require_cohorts
from cleanroom.query.totals import require_consistent
from cleanroom.query.usage import (
    analyses_of,
    functions_of,
    literals_of,
    mattering_owners,
    stepped_of,
)
from cleanroom.query.weights import Weights, shares_of


@dataclass(frozen=True, slots=True)
class Question:
    """What a party asks.

    Args:
        max_rows_contributed: rows of a person that count in a cell, or None for the tables' default.
        max_groups_contributed: cells of a person that count in full, or None for the tables' default.
        weights: which values of the answer get which part of the price; none for equal parts.
        max_sum: greatest total of a person in a cell, in the sum's unit, or None for what the rows give.
        consistent: whether cells are made to add up to their totals after noise (`query.consistent`).
    """

    sql: str
    parameters: Parameters
    party: PartyId
    role: Role
    purpose: Purpose
    precision: Precision
    max_rows_contributed: int | Auto | None = None
    max_groups_contributed: int | Auto | None = None
    weights: Weights = ()
    max_sum: Decimal | Auto | None = None
    consistent: bool = False


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the gate reads of the room: no rows, no keys.

    Args:
        declarations: every declared table.
        epochs: the epoch of the tokens of each table that has rows.
        cohorts: the owner sets of the sector questions answered so far.
        references: the public tables that the quorum approved, by name (S30).
    """

    declarations: Mapping[TableName, Declaration]
    epochs: Mapping[TableName, Epoch]
    purposes: Collection[Purpose]
    cohorts: Collection[frozenset[PartyId]]
    references: Mapping[str, ReferenceCatalog] = field(default_factory=dict)


@final
class ValidatedPlan:
    """A plan that every owner touched allows, with its price. Issued by `admit` alone."""

    __slots__ = (
        "__weakref__",
        "caps",
        "charges",
        "cohorts",
        "consistent",
        "epsilon",
        "noises",
        "paid",
        "party",
        "plan",
        "policy_digest",
        "purpose",
        "rules",
    )

    plan: QuestionPlan
    party: PartyId
    purpose: Purpose
    rules: tuple[tuple[TableName, str], ...]
    charges: tuple[Charge, ...]
    caps: tuple[PartyCap, ...]
    noises: tuple[Noise, ...]
    paid: tuple[tuple[Charge, ...], ...]
    epsilon: float
    consistent: bool
    cohorts: tuple[frozenset[PartyId], ...]
    policy_digest: Digest

    def __new__(cls) -> ValidatedPlan:
        """Refuse: only the gate issues a plan."""
        raise InvariantBroken("a ValidatedPlan is issued by the gate")

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
    try:
        return _admitted(question, room)
    except RecursionError:
        # Limits keep admission within a few hundred calls; a caller that is deep itself may leave fewer.
        raise Refused((refusal("nested_too_deep"),)) from None


def _admitted(question: Question, room: Rulebook) -> ValidatedPlan:
    opened = {
        table: rules
        for table, declaration in room.declarations.items()
        if question.purpose in room.purposes
        and (rules := declaration.rules_for(question.party, question.role, question.purpose))
    }
    if not opened:
        raise Refused((refusal("nothing_allowed", party=question.party, purpose=question.purpose[:80]),))
    parsed = parse(question.sql, question.parameters)
    asked = AskedBounds(question.max_rows_contributed, question.max_groups_contributed, question.max_sum)
    bound = bind_question(
        parsed,
        {table: room.declarations[table].catalog for table in opened},
        room.epochs,
        references=room.references,
        max_rows=asked.counted,
    )
    tables = sorted({scan.table for release in bound.releases for scan in scans(release.relation)})
    catalogs = {table: room.declarations[table].catalog for table in tables}
    judged = {table: _rule_for(bound.releases, table, opened[table], question.party, catalogs) for table in tables}
    reasons = tuple(dict.fromkeys(reason for _, refused in judged.values() for reason in refused))
    if reasons:
        raise Refused(reasons)
    chosen = {table: rule for table, (rule, _) in judged.items()}
    require_sums(bound.releases, asked)
    pure = any(room.declarations[table].budget.pure for table in tables)
    shares = shares_of(question.weights, bound.releases, bound.finish)
    plan = QuestionPlan(
        tuple(
            planned(release, asked, catalogs, _threshold(release, chosen), weights, pure=pure)
            for release, weights in zip(bound.releases, shares, strict=True)
        ),
        bound.finish,
    )
    _require_runnable(plan)
    if question.consistent:
        require_consistent(plan)
    cohorts = require_cohorts(plan.releases, chosen, question.party, room.declarations, room.cohorts)
    budgets = {table: room.declarations[table].budget for table in tables}
    priced = price(plan.releases, question.precision, chosen, budgets)
    caps = tuple(
        PartyCap(
            AccountId(table),
            question.party,
            loss_for(rule.per_party.epsilon, budgets[table].delta / 2),
            Window(rule.per_party.window.value),
        )
        for table, rule in chosen.items()
        if rule.per_party is not None
    )
    digests = "\n".join(f"{table} {room.declarations[table].digest} {chosen[table].name}" for table in tables)
    return _issue(
        plan=plan,
        party=question.party,
        purpose=question.purpose,
        rules=tuple((table, chosen[table].name) for table in tables),
        charges=priced.charges,
        caps=caps,
        noises=priced.noises,
        paid=priced.paid,
        epsilon=priced.epsilon,
        consistent=question.consistent,
        cohorts=cohorts,
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
        # A digest that was found before would not show what was changed since.
        candidate.plan.digest_anew(),
        candidate.party,
        candidate.purpose,
        candidate.rules,
        candidate.charges,
        candidate.caps,
        candidate.noises,
        candidate.paid,
        [sorted(cohort) for cohort in candidate.cohorts],
        candidate.policy_digest,
    )
    return Digest.of(repr(parts).encode())


def _threshold(release: Release, chosen: Mapping[TableName, AnalysisRule]) -> int:
    return max(chosen[scan.table].threshold for scan in scans(release.relation))


def _steps(
    relation: Relation, table: TableName, rule: AnalysisRule, catalogs: Mapping[TableName, TableCatalog]
) -> frozenset[tuple[TableName, str]]:
    """Return the columns of a table of which steps are taken, but days, and what may be grouped by as it is."""
    listed = {each.column for each in rule.dimensions if each.part is None}
    return frozenset(
        (origin, column)
        for origin, column in stepped_of(relation)
        if origin == table
        and column not in listed
        and (declared := catalogs[table].column(column)) is not None
        and not isinstance(declared.type, Date)
    )


def _require_runnable(planned: QuestionPlan) -> None:
    """Refuse what could not be run after it was paid: too long, too deep, too many rows over released tables."""
    for release in planned.releases:
        require_printable(release.relation)
    if planned.finish is not None:
        bounds = [release.bounds for release in planned.releases]
        cells = [each.cells * (each.most_surviving if each.distinct_keys else 1) for each in bounds]
        public_statement(planned.finish)
        require_work(planned.finish, cells, max(len(release.sets) for release in planned.releases))


def _rule_for(
    releases: tuple[Release, ...],
    table: TableName,
    rules: tuple[AnalysisRule, ...],
    asker: PartyId,
    catalogs: Mapping[TableName, TableCatalog],
) -> tuple[AnalysisRule, list[Refusal]]:
    """Return the first rule that allows the whole question, or the one with the fewest objections, and these."""
    reading = [release for release in releases if table in {scan.table for scan in scans(release.relation)}]
    judged: list[tuple[AnalysisRule, list[Refusal]]] = []
    for rule in rules:
        found = [each for release in reading for each in _objections(release, table, rule, asker, catalogs)]
        judged.append((rule, found))
        if not found:
            break
    return min(judged, key=lambda pair: len(pair[1]))


def _objections(
    release: Release,
    table: TableName,
    rule: AnalysisRule,
    asker: PartyId,
    catalogs: Mapping[TableName, TableCatalog],
) -> list[Refusal]:
    relation = release.relation
    named: dict[str, Any] = {"owner": table.owner, "table": table, "rule": rule.name}
    found: list[Refusal] = []
    wanted = analyses_of(relation, asker, max(rule.min_parties, 1))
    others = len(mattering_owners(relation) - {asker})
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
        for function in sorted(functions_of(release.statistics) - rule.functions)
    )
    dimensions = ", ".join(sorted(str(each) for each in rule.dimensions))
    shown = [column for key in release.keys for column in refused_dimensions(relation, key, table, rule, catalogs)]
    found.extend(
        refusal(
            "dimension_not_allowed",
            **named,
            dimension=column,
            hint=(f"dimensions admises : {dimensions}", f"dimensions admitted: {dimensions}"),
        )
        for column in dict.fromkeys(shown)
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
            for origin, column in sorted(literals_of(relation) | _steps(relation, table, rule, catalogs), key=str)
            if origin == table and column not in rule.allowed_literals
        )
    return found
