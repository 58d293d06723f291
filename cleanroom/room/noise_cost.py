"""What the noise that a charge's entry records costs at least, by that entry alone: the second way of `--balances`.

The pricing goes from a precision to scales and charges (`query.pricing`, `query.mechanisms`, `accounting.accountant`).
Here it is from the scales in the log back to losses, in exact fractions, by code that shares nothing with it; an import
contract keeps the two apart. A person who goes everywhere is the room's, one whose rows in one of several tables go is
the tables' (S2). With Z, d the norms, s the scale, M and m the greater and the lesser of a and b - a for the fraction
a/b, N = 1 where one cell is all there is:

    mechanism                 rho, everywhere    rho, in one table of several
    vector, L2 norm Z         Z²/2s²             that; 2 times if N is not 1 or it holds several numbers; 4 if signed
    quantile, noisy max       M²d²/2s²           2(M² + m²)d²/2s², or b²d²/2s² if N = 1
    unknown keys, m of them   m/2s²              2m/2s²
    choice of a bound         max(p, q)²/2s²     (p + q)²/2s²
    mechanism                 epsilon            epsilon, in one table of several
    vector, L1 norm Z         Z/s                2Z/s, or Z/s if N = 1, one number and not signed
    quantile, R readings      R·2Md/s            R·4Md/s, or R·2bd/s if N = 1; 2^R candidates at most
    choice of a bound         1/s                2/s

An epsilon e of R like parts is e²/2R in rho. Losses add up over mechanisms, and over releases, each rounded up to a
step of the ledger. Where a bound is chosen the dearest of its outcomes counts: less would not pay for that one (S12,
S38).

A threshold costs delta besides: that of OpenDP's map for m keys of one person, and no less than the chance that one of
them passes by discrete noise, summed here (S8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import opendp.prelude as dp

from cleanroom.room.recorded_noise import Part, is_drawn, read_release

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from cleanroom.room.recorded_noise import Outcome, Release

dp.enable_features("contrib")

ROOM: Final = "room"
STEPS: Final = 10**12
"""Steps of the ledger in a rho or an epsilon of 1."""

FLOAT_SLACK: Final = 1 - Fraction(1, 2**30)
"""A delta is computed in floats, here and where it was charged: what differs by less is the same."""

SUMMED_BELOW: Final = 1024.0
"""Up to this scale the chance that a key passes is summed point by point."""


@dataclass(frozen=True, slots=True)
class Due:
    """What an entry's noise costs one account at least.

    Args:
        steps: in steps of rho, or of epsilon if the account is pure.
        delta: that its thresholds on keys add.
        parts: the share of each part, in steps, each rounded up by itself.
        impure: whether a pure account is to pay for noise that has no epsilon with delta 0.
    """

    steps: int
    delta: Fraction
    parts: Mapping[Part, int]
    impure: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an entry says of the noise of its question.

    Args:
        due: by account; of an entry of before the room's alone.
        unheld: of an entry of before, what it does not say enough of.
        drawn: whether every release of the question was drawn, none of them answered from the store.
    """

    due: Mapping[str, Due]
    unheld: frozenset[Part]
    drawn: bool

    def accounts_hold(self, charged: AbstractSet[str], read: AbstractSet[str]) -> bool:
        """Return whether those are charged that are to be: the room, and each table of which something is drawn.

        Args:
            read: the room and all tables of the question.
        """
        if Part.TABLES not in self.unheld:
            return charged == self.due.keys() and charged <= read
        return charged == read if self.drawn else ROOM in charged and charged <= read

    def shortfalls(self, charges: Mapping[str, int], deltas: Mapping[str, Fraction]) -> Iterator[tuple[str, str]]:
        """Yield, in French and English, what an account was charged too little for.

        Args:
            charges: in steps, by account.
        """
        for account, due in self.due.items():
            paid, delta = charges.get(account, 0), deltas.get(account, Fraction(0))
            if due.impure:
                yield (
                    f"tire pour {account}, dont le delta est 0, un bruit qui n'est pas pur",
                    f"draws noise for {account}, whose delta is 0, that is not pure",
                )
            elif paid < due.steps:
                fr = ", ".join(f"{part.value.fr} : {steps}" for part, steps in due.parts.items())
                en = ", ".join(f"{part.value.en}: {steps}" for part, steps in due.parts.items())
                few = f"{paid} < {due.steps}"
                yield (
                    f"coûte à {account} moins que le bruit tiré n'exige, en pas de 1e-12 : {few} ({fr})",
                    f"costs {account} less than the noise drawn asks for, in steps of 1e-12: {few} ({en})",
                )
            if delta < due.delta:
                few = f"{float(delta):.6g} < {float(due.delta):.6g}"
                yield (
                    f"compte à {account} moins de delta que ses seuils de clés n'en coûtent : {few}",
                    f"counts for {account} less delta than its thresholds on keys cost: {few}",
                )


def recorded(releases: object, pure: AbstractSet[str]) -> Recorded:
    """Return what the noise of a charge's releases costs each account.

    Args:
        releases: `releases` of the entry's details (docs/spec/charges.md).
        pure: the accounts whose budget has delta 0.

    Raises:
        LookupError, TypeError, ValueError: they cannot be read, or some are of the old form beside others of the new.
    """
    if not isinstance(releases, list) or not all(isinstance(each, dict) for each in releases):
        raise TypeError
    read = [read_release(each) for each in releases if is_drawn(each)]
    if len({each.tables is None for each in read}) > 1:
        raise ValueError
    accounts = {ROOM, *(table for each in read for table in each.tables or ())}
    due = {}
    for account in sorted(accounts, key=lambda each: (each != ROOM, each)):
        mine = [each for each in read if account == ROOM or account in (each.tables or ())]
        due[account] = _due(mine, everywhere=account == ROOM, pure=account in pure)
    return Recorded(due, frozenset(part for each in read for part in each.unheld), len(read) == len(releases))


def _due(releases: Sequence[Release], *, everywhere: bool, pure: bool) -> Due:
    """Return what releases cost an account."""
    steps, delta, impure = 0, Fraction(0), False
    parts: dict[Part, Fraction] = {}
    for each in releases:
        hidden = not everywhere and len(each.tables or ()) > 1
        impure |= pure and (not each.pure or each.keys is not None)
        costs = _costs(each, hidden=hidden, pure=pure)
        steps += math.ceil(sum(costs.values()) * STEPS)
        for part, cost in costs.items():
            parts[part] = parts.get(part, Fraction(0)) + cost
        if each.keys is not None:
            kept, scale, threshold = each.keys
            delta += Fraction(threshold_delta(scale, threshold, 2 * kept if hidden else kept)) * FLOAT_SLACK
    return Due(steps, delta, {part: math.ceil(cost * STEPS) for part, cost in parts.items()}, impure)


def _costs(release: Release, *, hidden: bool, pure: bool) -> dict[Part, Fraction]:
    """Return what each part of a release costs: an epsilon if `pure`, else a rho.

    Args:
        hidden: whether the person who goes may stay in another table.
    """
    each = []
    for outcome in release.outcomes:
        found = {}
        if outcome.norm:
            found[Part.VECTOR] = _vector(release, outcome, hidden=hidden, pure=pure)
        if release.fractions:
            pairs = zip(release.fractions, outcome.quantiles, strict=True)
            lost = [_quantile(release, *fraction, *noise, hidden=hidden, pure=pure) for fraction, noise in pairs]
            found[Part.QUANTILES] = sum(lost, Fraction(0))
        each.append(found)
    costs = max(each, key=lambda found: sum(found.values(), Fraction(0)))
    if release.keys is not None:
        kept, noise, _ = release.keys
        costs[Part.KEYS] = _gaussian(2 * kept if hidden else kept, Fraction(noise))
    if release.choice is not None:
        above, below, scale = release.choice
        if release.pure:
            costs[Part.CHOICE] = _laplace(2 if hidden else 1, scale, pure=pure)
        else:
            costs[Part.CHOICE] = _gaussian((above + below if hidden else max(above, below)) ** 2, scale)
    return costs


def _vector(release: Release, outcome: Outcome, *, hidden: bool, pure: bool) -> Fraction:
    single = release.one_cell and release.numbers == 1
    if release.pure:
        apart = 1 if single and not outcome.signed else 2
        return _laplace(outcome.norm * (apart if hidden else 1), outcome.scale, pure=pure)
    apart = 4 if outcome.signed else 1 if single else 2
    return _gaussian(outcome.norm**2 * (apart if hidden else 1), outcome.scale)


def _quantile(
    release: Release, below: int, above: int, candidates: int, norm: int, scale: Fraction, *, hidden: bool, pure: bool
) -> Fraction:
    most = max(below, above)
    if release.pure:
        rounds = 1
        while 1 << rounds < candidates:
            rounds += 1
        moved = most if not hidden else below + above if release.one_cell else 2 * most
        return _laplace(2 * moved * norm, scale, rounds, pure=pure)
    square = most**2 if not hidden else (below + above) ** 2 if release.one_cell else 2 * (below**2 + above**2)
    return _gaussian(square * norm**2, scale)


def _gaussian(square: int, scale: Fraction) -> Fraction:
    """Return the rho of Gaussian noise, or of a noisy max, at a squared distance."""
    return Fraction(square) / (2 * scale**2)


def _laplace(distance: int, scale: Fraction, rounds: int = 1, *, pure: bool) -> Fraction:
    """Return the epsilon of so many draws of Laplace noise, each at this distance; else the rho that they imply."""
    epsilon = Fraction(rounds * distance) / scale
    return epsilon if pure else epsilon**2 / (2 * rounds)


@lru_cache(maxsize=4096)
def threshold_delta(scale: float, threshold: int, changed: int) -> float:
    """Return the delta of a threshold on counts of keys when one person brings so many keys that nobody else has.

    Args:
        scale: of discrete Gaussian noise, in persons.
        threshold: the least noised number that passes, in persons.

    Raises:
        ValueError: OpenDP has no numbers so large.
    """
    if threshold <= 1:
        return 1.0
    keys = dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64"))
    counts = dp.l02inf_distance(dp.absolute_distance(T="f64"))
    # At most so many keys, by 1 each: √m in L2, rounded up.
    distance = changed, math.nextafter(math.sqrt(changed), math.inf), 1.0
    measurement: Any = dp.m.make_gaussian_threshold(keys, counts, scale=scale, threshold=threshold)
    return max(float(measurement.map(distance)[1]), _passing(scale, threshold - 1, changed))


def _passing(scale: float, above: int, changed: int) -> float:
    """Return the chance that one of so many draws of discrete noise is at least `above`; hardly less than it is.

    Above `SUMMED_BELOW` the mass of all whole numbers is s·√(2π), and beyond `above` the trapezoids under a convex
    curve have no less area than the curve: the sum is at least its integral and half of its first point.
    """

    def mass(x: int) -> float:
        return math.exp(-((x / scale) ** 2) / 2)

    if scale < SUMMED_BELOW:
        away = range(math.ceil(16 * scale) + 16)
        passes = math.fsum(mass(above + x) for x in away) / (2 * math.fsum(map(mass, away)) - 1)
    else:
        first = mass(above) / (2 * scale * math.sqrt(2 * math.pi)) if above >= scale else 0.0
        passes = math.erfc(above / (scale * math.sqrt(2))) / 2 + first
    return -math.expm1(changed * math.log1p(-passes))
