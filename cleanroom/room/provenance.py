"""Where an answer comes from: what was computed, from which versions, under whose rules. Public facts of its charge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from cleanroom.query.method import bound_notes, mechanism_notes
from cleanroom.query.reuse import noise_answered
from cleanroom.room import registry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from cleanroom.errors import Bilingual
    from cleanroom.query.gate import ValidatedPlan
    from cleanroom.query.release import NoisedRelease
    from cleanroom.room.stored_releases import QuestionDue


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """One noised release of an answer.

    Args:
        plan: digest of what it computes, bounds included.
        rho: what the room's account was charged for it now; 0 if it was answered already.
        mechanisms: how its noise was drawn, in words.
        bounds: what its bounds are and may cut off, in words.
    """

    plan: str
    tables: tuple[str, ...]
    cells: int
    max_rows: int
    max_groups: int
    threshold: int
    rho: str
    mechanisms: tuple[Bilingual, ...]
    bounds: tuple[Bilingual, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a reader of the answer needs to have it checked.

    Args:
        party: who asked.
        charged_at: Unix seconds, the room's clock, when it was asked.
        plan: digest of the question's plan.
        policies: digest of the rules that admitted it.
        rules: table and name of each owner's rule.
        versions: table and numbers of the uploads that were read.
        references: name and digest of each public table.
        software: what computed it, with its version.
    """

    party: str
    purpose: str
    charged_at: int
    plan: str
    policies: str
    rules: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, tuple[int, ...]], ...]
    references: tuple[tuple[str, str], ...]
    releases: tuple[ReleaseFacts, ...]
    software: tuple[tuple[str, str], ...]


def versions_of(connection: sqlite3.Connection, validated: ValidatedPlan) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return table and numbers of the uploads that a plan reads now."""
    return tuple(
        # Files that one erasure wrote anew have one number.
        (str(table), tuple(dict.fromkeys(upload.number for upload in registry.uploads(connection, table))))
        for table in validated.plan.tables
    )


@cache
def _running() -> tuple[tuple[str, str], ...]:
    """Return the versions of what this process runs; what is installed meanwhile runs in the next one."""
    return tuple((name, version(name)) for name in ("cleanroom", "opendp", "duckdb"))


def provenance(
    validated: ValidatedPlan,
    due: QuestionDue,
    answered: Sequence[NoisedRelease],
    versions: tuple[tuple[str, tuple[int, ...]], ...],
    *,
    at: int,
) -> Provenance:
    """Return where an answer comes from; of a stored one the versions are those that it was drawn from.

    Args:
        versions: as `versions_of` found them in the transaction that admitted the question.
        at: of that transaction, the room's time.
    """
    plan = validated.plan
    releases = tuple(
        ReleaseFacts(
            str(release.digest()),
            tuple(map(str, release.tables)),
            shown.plan.bounds.cells,
            shown.plan.bounds.max_rows,
            shown.plan.bounds.max_groups,
            shown.plan.bounds.threshold,
            next((str(charge.rho) for charge in paid if charge.account.table is None), "0"),
            mechanism_notes(shown.plan, noise_answered(each.due, shown.picked)),
            bound_notes(shown.plan),
        )
        for release, each, paid, shown in zip(plan.releases, due.releases, due.paid, answered, strict=True)
    )
    return Provenance(
        str(validated.party),
        str(validated.purpose),
        at,
        str(plan.digest()),
        str(validated.policy_digest),
        tuple((str(table), rule) for table, rule in validated.rules),
        versions,
        tuple((f"public.{table.name}", str(table.digest)) for table in plan.references),
        releases,
        _running(),
    )
