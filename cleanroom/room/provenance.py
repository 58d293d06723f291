"""Where an answer comes from: what was computed, from which versions, under whose rules. Public facts of its charge."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from cleanroom.query.mechanisms import settled_noise
from cleanroom.query.method import bound_notes, mechanism_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Bilingual
    from cleanroom.query.release import NoisedRelease
    from cleanroom.room.charge import Charged


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """One noised release of an answer.

    Args:
        plan: digest of what it computes, bounds included.
        rho: what the room's account was charged for it.
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
        charged_at: Unix seconds, the room's clock.
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


def provenance(charged: Charged, answered: Sequence[NoisedRelease]) -> Provenance:
    """Return where the answer of a charged plan comes from."""
    validated = charged.validated
    plan = validated.plan
    releases = tuple(
        ReleaseFacts(
            str(release.digest()),
            tuple(map(str, release.tables)),
            shown.plan.bounds.cells,
            shown.plan.bounds.max_rows,
            shown.plan.bounds.max_groups,
            shown.plan.bounds.threshold,
            str(next(charge.rho for charge in paid if charge.account.table is None)),
            mechanism_notes(shown.plan, settled_noise(noise, shown.picked)),
            bound_notes(shown.plan),
        )
        for release, noise, paid, shown in zip(plan.releases, validated.noises, validated.paid, answered, strict=True)
    )
    return Provenance(
        str(validated.party),
        str(validated.purpose),
        charged.reservation.at,
        str(plan.digest()),
        str(validated.policy_digest),
        tuple((str(table), rule) for table, rule in validated.rules),
        tuple(
            (str(table), tuple(upload.number for upload in charged.uploads if upload.table == table))
            for table in plan.tables
        ),
        tuple((f"public.{table.name}", str(table.digest)) for table in plan.references),
        releases,
        tuple((name, version(name)) for name in ("cleanroom", "opendp", "duckdb")),
    )
