"""What of a release is answered already, and what is still to be drawn and paid (S39, S40).

A stored draw is reused by whoever asks for the same numbers: same reuse key (`reuse_key`). It is free, because nothing
new leaves the room that was not charged when it was drawn.

*Enough precision*: nothing is drawn. *More precision*, of a vector alone: one more draw, at the loss that is missing,
is combined with the stored ones (`combining`). The accounts have then paid ρ_old + (ρ_new - ρ_old) for an answer as
precise as one at ρ_new: the precisions 1/s² of independent draws add up, and a draw's loss is M/2s², M the same square
of a person's reach for all draws of a release. The missing scale is rounded down and the charge up, so the sum can
exceed ρ_new by a few steps of 1e-12, never what was lost exceed what was charged. The later draw was chosen with the
earlier ones in sight; zCDP composes under that by the sum (Bun and Steinke 2016, Lemma 2.3), which is what is charged.

Chosen quantiles and keys past a threshold do not average: of two choices neither is nearer by a known measure, and
a key below one threshold and above another has no combined count. There more precision is a fresh draw at full price,
which takes the stored one's place. So it is of a bound that was chosen by `auto`: its outcome is stored with the draw
that was made with it (S38), and found by the plan with all its candidates; a repeat is free whichever it was, as long
as the draw is as precise as one with that bound would be now.

Noise is always fresh, from the system's randomness, never from plan or seed.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.accounting.accountant import charges_of
from cleanroom.identifiers import Digest
from cleanroom.query.components import LATTICE_BITS
from cleanroom.query.mechanisms import Noise, draws, settled_noise
from cleanroom.query.noise import combined_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.accounting.account import Charge
    from cleanroom.identifiers import Epoch, RoomId, TableName
    from cleanroom.query.drawn import Drawn
    from cleanroom.query.plan import Plan

REUSE_LABEL: Final = "cleanroom/reuse-key/v1"
MEANING: Final = 1
"""Raised with every change of what a plan's numbers are on given rows: answers from before are then not reused."""

MOST_DRAWS: Final = 16
"""Draws of one release that are combined; after so many a dearer question draws anew, at full price."""

_NEAR: Final = 1 - Fraction(1, 2**40)
"""Precisions this near are the same: they differ by the rounding of scales to floats."""


@dataclass(frozen=True, slots=True)
class TableState:
    """What a table is when a question reads it.

    Args:
        version: each upload, correction, replacement, withdrawal makes the next.
        epochs: of the tokens of its uploads.
        declaration: digest of its whole declaration: catalog, bounds, rules (S40).
    """

    table: TableName
    version: int
    epochs: tuple[Epoch, ...]
    declaration: Digest


def reuse_key(room: RoomId, plan: Plan, noise: Noise, states: Sequence[TableState]) -> Digest:
    """Return the digest of all that decides on a release's numbers but the noise and its size (S40).

    c, m, the norm, weights and the owners' threshold are in the plan's bounds; public tables are in the plan by digest.
    Who asks, why, and under which rule are not in it: the gate judges them each time, before anything is looked up.

    Args:
        states: of every table that the release reads.
    """
    content = [
        REUSE_LABEL,
        MEANING,
        room,
        str(plan.numbers()),
        LATTICE_BITS,
        _mechanisms(plan, noise),
        [[str(each.table), each.version, list(each.epochs), str(each.declaration)] for each in states],
    ]
    return Digest.of(json.dumps(content, separators=(",", ":"), ensure_ascii=True).encode())


def _mechanisms(plan: Plan, noise: Noise) -> list[object]:
    """Return which mechanisms draw, apart from their scales."""
    vector = None if noise.vector is None else "discrete gaussian"
    if plan.bounds.grain > 1:
        # Its margins are another's than those of noise on the whole lattice; that a bound is pure is in the plan.
        vector = f"discrete laplace on multiples of {plan.bounds.grain}"
    return [
        vector,
        ["discrete laplace bisection" if plan.bounds.pure else "noisy max"] * len(noise.quantiles),
        "gaussian threshold" if noise.keys is not None else None,
    ]


@dataclass(frozen=True, slots=True)
class Answered:
    """The stored draws are precise enough: nothing is drawn, nothing is paid.

    Args:
        stored: at least one, the oldest first.
    """

    stored: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True)
class Added:
    """One more draw is combined with the stored ones.

    Args:
        stored: at least one, the oldest first.
        noise: of the new draw alone.
        paid: for the new draw alone.
    """

    stored: tuple[Drawn, ...]
    noise: Noise
    paid: tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class Anew:
    """The release is drawn in full."""

    noise: Noise
    paid: tuple[Charge, ...]


Due = Answered | Added | Anew


class Source(StrEnum):
    """Where a release's numbers come from."""

    STORED = "stored"
    COMBINED = "combined"
    DRAWN = "drawn"


def source_of(still: Due) -> Source:
    """Return where the numbers of a release come from."""
    match still:
        case Answered():
            return Source.STORED
        case Added():
            return Source.COMBINED
        case Anew():
            return Source.DRAWN
    assert_never(still)


def noise_with(still: Due) -> Noise:
    """Return the noise that the answer has with what is still to be drawn."""
    match still:
        case Answered(stored=stored) if len(stored) == 1:
            return stored[0].noise
        case Answered(stored=stored):
            return Noise(combined_scale([each.noise.scale for each in stored]))
        case Added(stored=stored, noise=noise):
            return Noise(combined_scale([*(each.noise.scale for each in stored), noise.scale]))
        case Anew(noise=noise):
            return noise
    assert_never(still)


def noise_answered(still: Due, picked: int | None) -> Noise:
    """Return the noise of a release as it is answered: a stored one is of the bound that was chosen already."""
    noise = noise_with(still)
    return noise if isinstance(still, Answered) else settled_noise(noise, picked)


def known_plan(plan: Plan, still: Due) -> Plan:
    """Return a release with the bound that its stored answer was made with; as it is where nothing is stored."""
    return plan.settled(still.stored[0].picked) if isinstance(still, Answered) else plan


def combinable(plan: Plan) -> bool:
    """Return whether draws of a release can be combined: of a Gaussian vector, with nothing chosen, no key dropped."""
    bounds = plan.bounds
    vector_alone = bool(bounds.components) and not bounds.quantiles and not bounds.distinct_keys
    return vector_alone and bounds.choice is None and not bounds.pure


def due(plan: Plan, wanted: Noise, paid: tuple[Charge, ...], stored: tuple[Drawn, ...]) -> Due:
    """Return what is still to be drawn of a release.

    Args:
        wanted: the noise that the question's precision asks for.
        paid: the price of that, in full.
        stored: the draws of the same reuse key, the oldest first.
    """
    if plan.bounds.choice is not None:
        made = [each for each in stored if _covers(each.noise, settled_noise(wanted, each.picked))]
        return Answered((made[-1],)) if made else Anew(wanted, paid)
    if not combinable(plan) or wanted.vector is None:
        enough = [each for each in stored if _covers(each.noise, wanted)]
        return Answered((enough[-1],)) if enough else Anew(wanted, paid)
    held = sum((1 / Fraction(each.noise.vector) ** 2 for each in stored if each.noise.vector is not None), Fraction(0))
    asked = 1 / Fraction(wanted.vector) ** 2
    if held >= asked * _NEAR:
        return Answered(stored)
    if not stored or len(stored) >= MOST_DRAWS:
        return Anew(wanted, paid)
    noise = Noise(_greatest_scale(asked - held))
    return Added(stored, noise, charges_of(draws(plan.bounds, noise), frozenset(plan.tables)))


def _covers(stored: Noise, wanted: Noise) -> bool:
    """Return whether a stored draw has no more noise anywhere than is wanted."""

    def enough(mine: float | None, theirs: float | None) -> bool:
        if mine is None or theirs is None:
            return mine is theirs
        return 1 / Fraction(mine) ** 2 >= _NEAR / Fraction(theirs) ** 2

    if (stored.keys is None) != (wanted.keys is None) or len(stored.quantiles) != len(wanted.quantiles):
        return False
    if (
        stored.keys is not None
        and wanted.keys is not None
        and (stored.keys.threshold > wanted.keys.threshold or not enough(stored.keys.scale, wanted.keys.scale))
    ):
        return False
    return enough(stored.vector, wanted.vector) and all(map(enough, stored.quantiles, wanted.quantiles))


def _greatest_scale(precision: Fraction) -> float:
    """Return the greatest float s with 1/s² ≥ `precision`."""
    square = 1 / precision
    scale = math.sqrt(float(square))
    while Fraction(scale) ** 2 > square:
        scale = math.nextafter(scale, 0.0)
    while Fraction(above := math.nextafter(scale, math.inf)) ** 2 <= square:
        scale = above
    return scale
