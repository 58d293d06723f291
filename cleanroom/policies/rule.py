"""What an owner allows: analysis rules and the budget of a table, as signed (DESIGN §9)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from cleanroom.catalog import TableCatalog
from cleanroom.identifiers import Digest, PartyId, Purpose, Role
from cleanroom.policies.record import ProcessingRecord


class Analysis(StrEnum):
    """What kind of question it is (DESIGN §9).

    Overlap: at least two owners meet by a join, a semi-join or a set operation. Sector: a UNION ALL of at least
    `min_parties` owners. Aggregate: the rest.
    """

    AGGREGATE = "aggregate"
    OVERLAP = "overlap"
    SECTOR = "sector"


class Function(StrEnum):
    """A statistic that a rule can allow."""

    COUNT_PERSONS = "count_persons"
    COUNT_ROWS = "count_rows"
    SUM = "sum"
    AVG = "avg"
    VAR = "var"
    QUANTILE = "quantile"


class SpendingWindow(StrEnum):
    """When a budget's spending starts again from zero; the loss never does (S3)."""

    NEVER = "never"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """A budget as approved: (epsilon, delta), for life or for each window; pure if delta is 0 (S11)."""

    epsilon: Decimal
    delta: Fraction
    window: SpendingWindow

    @property
    def pure(self) -> bool:
        """Whether every question of the table is pure: epsilons add up, L1 norm, discrete Laplace alone."""
        return self.delta == 0


@dataclass(frozen=True, slots=True)
class PartyTerms:
    """The most that one party may spend of a table's budget, as an epsilon at the table's delta (S44)."""

    epsilon: Decimal
    window: SpendingWindow


@dataclass(frozen=True, slots=True)
class Dimension:
    """What may be grouped by: a column, or a part of a date (`purchased:month`)."""

    column: str
    part: str | None = None

    def __str__(self) -> str:
        return self.column if self.part is None else f"{self.column}:{self.part}"


@dataclass(frozen=True, slots=True)
class AnalysisRule:
    """Who may ask what of a table, for which purpose, and how precisely.

    Args:
        parties: these parties by name, or every party of a role.
        allowed_literals: columns that may be compared with values; None for every declared column.
        threshold: least noised number of persons of a released cell; 0 for none (S37).
        min_parties: owners other than the asker that a sector question must span (S43); 0 for none.
        max_epsilon_per_question: None for no limit but the budget.
    """

    name: str
    parties: frozenset[PartyId] | Role
    purposes: frozenset[Purpose]
    analyses: frozenset[Analysis]
    functions: frozenset[Function]
    dimensions: frozenset[Dimension]
    allowed_literals: frozenset[str] | None
    threshold: int
    min_parties: int
    default_epsilon: Decimal
    max_epsilon_per_question: Decimal | None
    per_party: PartyTerms | None

    def names(self, party: PartyId, role: Role) -> bool:
        """Return whether the rule is for this party."""
        return self.parties == role if isinstance(self.parties, Role) else party in self.parties


@dataclass(frozen=True, slots=True)
class Declaration:
    """A table's file as its owner signed it: catalog, budget, rules.

    Args:
        digest: of the file's exact bytes, which the signature covers.
    """

    catalog: TableCatalog
    budget: BudgetTerms
    rules: tuple[AnalysisRule, ...]
    digest: Digest

    def rules_for(self, party: PartyId, role: Role, purpose: Purpose) -> tuple[AnalysisRule, ...]:
        """Return the rules that open this table to a party for a purpose."""
        return tuple(rule for rule in self.rules if purpose in rule.purposes and rule.names(party, role))


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What the quorum approved for the whole room: its purposes, a closed list, its budget, and what registers say."""

    purposes: tuple[Purpose, ...]
    budget: BudgetTerms
    record: ProcessingRecord
