"""Make the cells of grouping sets add up to their totals: least squares over what was drawn, post-processing only.

*Model.* Every grouping set S of a release is a marginal y_S = M_S x + e of one table x over all its keys: their domains
are public and complete, a number of rows or a total is additive, and the noise e is independent, of one variance s² for
a component in all cells, since one mechanism drew it (S27, S31). Asked for are the sums ŷ_S = M_S x̂ nearest to y.

*Solution.* Split each marginal into effects as an analysis of variance does: the effect of T ⊆ S is the part that
depends on exactly the keys T, centred along each of them. M_S maps the effect of T in x to that in y_S: with e_T the
centred marginal of x on T, it is e_T / Π_{k ∈ S∖T} n_k, spread evenly. Effects are orthogonal to each other in every
set, so least squares falls apart into one unknown e_T for each T: each S ⊇ T observes it by the centred marginal of
y_S on T, whose noise before centring has the variance s²·Π_{k ∈ S∖T} n_k; the best estimate ê_T is their mean weighted
by the inverses. Then ŷ_S = Σ_{T ⊆ S} ê_T / Π_{k ∈ S∖T} n_k, linear in y with exact rational coefficients.

*Sums.* Summed over a key k ∈ S, effects that hold k vanish, the others are multiplied by n_k: what is left is ŷ on
S∖{k}. So cells add up exactly, in fractions, whatever was drawn.
*Unbiased*: each ê_T is a mean of unbiased estimates.
*Variance*: effects of different T are uncorrelated, so that of a cell of S is
s²·Σ_{T ⊆ S} Π_{k ∈ T} (1 − 1/n_k) / (W_T·(Π_{k ∈ S∖T} n_k)²), W_T = Σ_{S' ⊇ T} 1/Π_{k ∈ S'∖T} n_k: by Gauss and Markov
no larger than s², that of what was drawn.

*Privacy.* A function of released, charged numbers, so free (SOUNDNESS E). The owners' threshold is decided before, on
what was drawn (S37); where it withholds a cell nothing is adjusted, for all other cells would then hold part of it.

*What it does not do.* Persons do not add up, one may be in many cells (S27). Bounds cut a person's rows in each cell
and in each total by themselves: where they cut, sums of the cut cells are not the cut total, and adding up shares that
bias out between them. Rows outside a declared domain are in totals and in no cell (S25).
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cleanroom.errors import Bilingual
from cleanroom.query.cells import public_keys, set_sizes
from cleanroom.query.totals import additive, has_totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cleanroom.query.plan import Plan
    from cleanroom.query.release import NoisedRelease

    Table = npt.NDArray[Any]
    Keys = tuple[int, ...]


def consistency_notes(shown: Sequence[NoisedRelease]) -> tuple[Bilingual, ...]:
    """Return what the reader of an answer that was to add up must know of it."""
    found = []
    if any(each.spread for each in shown):
        found.append(
            Bilingual(
                "cases et totaux ajustés après coup par moindres carrés pour s'additionner ; les marges sont celles "
                "d'après. Le nombre de personnes reste tel que tiré",
                "cells and totals adjusted afterwards by least squares so that they add up; the margins are those "
                "after it. Numbers of persons stay as drawn",
            )
        )
    if any(has_totals(each.plan) and additive(each.plan) and not each.spread for each in shown):
        found.append(
            Bilingual(
                "rien n'est ajusté : le seuil des propriétaires retient des cases, et des totaux ajustés les diraient",
                "nothing is adjusted: the owners' threshold withholds cells, and adjusted totals would tell of them",
            )
        )
    return tuple(found)


PREVIEWED: Final = Bilingual(
    "cases et totaux seront ajustés pour s'additionner, si aucune case n'est retenue ; marges au plus celles-ci",
    "cells and totals will be adjusted so that they add up, unless a cell is withheld; margins at most these",
)


def consistent(release: NoisedRelease) -> NoisedRelease:
    """Return the release with cells that add up to their totals, and the scales of their noise.

    As it is where it has no totals, nothing additive, or a cell that the owners' threshold withholds.
    """
    plan = release.plan
    places = additive(plan)
    if not places or not has_totals(plan) or release.surviving is not None or plan.bounds.pure or release.withheld():
        return release
    width = len(plan.bounds.components)
    steps: list[int | Fraction] = list(release.steps)
    for place in places:
        steps[place::width] = _adjusted(plan, release.steps[place::width])
    spread = tuple(math.sqrt(variance_factor(plan, chosen)) * (1 + 2.0**-40) for chosen in plan.sets)
    return replace(release, steps=tuple(steps), spread=spread)


def variance_factor(plan: Plan, chosen: Keys) -> Fraction:
    """Return the variance of an adjusted cell of a grouping set, in that of a drawn one; at most 1."""
    sizes = _sizes(plan)
    found = Fraction(0)
    for effect in _subsets(chosen):
        centred = math.prod(1 - Fraction(1, sizes[key]) for key in effect)
        found += centred / _weight(plan, effect) / _rest(sizes, chosen, effect) ** 2
    return found


def _adjusted(plan: Plan, drawn: Sequence[int | Fraction]) -> list[Fraction]:
    """Return one component's numbers, set by set, as least squares has them."""
    sizes = _sizes(plan)
    marginals, start = [], 0
    for chosen, size in zip(plan.sets, set_sizes(plan.keys, plan.sets), strict=True):
        flat = np.empty(size, dtype=object)
        flat[:] = list(drawn[start : start + size])
        marginals.append(flat.reshape([sizes[key] for key in chosen]))
        start += size
    effects: dict[Keys, Table] = {}
    for effect in dict.fromkeys(each for chosen in plan.sets for each in _subsets(chosen)):
        total = np.zeros([sizes[key] for key in effect], dtype=object) + Fraction(0)
        for chosen, marginal in zip(plan.sets, marginals, strict=True):
            if set(effect) <= set(chosen):
                away = tuple(axis for axis, key in enumerate(chosen) if key not in effect)
                total = total + _summed(marginal, away) * Fraction(1, _rest(sizes, chosen, effect))
        effects[effect] = _centred(total / _weight(plan, effect))
    found: list[Fraction] = []
    for chosen in plan.sets:
        table = np.zeros([sizes[key] for key in chosen], dtype=object) + Fraction(0)
        for effect in _subsets(chosen):
            spread = [sizes[key] if key in effect else 1 for key in chosen]
            table = table + effects[effect].reshape(spread) * Fraction(1, _rest(sizes, chosen, effect))
        found += np.asarray(table, dtype=object).ravel().tolist()
    return found


def _summed(table: Table, axes: tuple[int, ...]) -> Table:
    return np.asarray(table.sum(axis=axes) if axes else table, dtype=object)


def _centred(table: Table) -> Table:
    table = np.asarray(table, dtype=object)
    for axis, size in enumerate(table.shape):
        table = table - table.sum(axis=axis, keepdims=True) * Fraction(1, size)
    return table


def _weight(plan: Plan, effect: Keys) -> Fraction:
    """Return W_T: how precisely all sets that hold an effect observe it together."""
    sizes = _sizes(plan)
    return sum((Fraction(1, _rest(sizes, each, effect)) for each in plan.sets if set(effect) <= set(each)), Fraction(0))


def _rest(sizes: Sequence[int], chosen: Keys, effect: Keys) -> int:
    return math.prod(sizes[key] for key in chosen if key not in effect)


def _subsets(chosen: Keys) -> list[Keys]:
    return [each for count in range(len(chosen) + 1) for each in combinations(chosen, count)]


def _sizes(plan: Plan) -> list[int]:
    return [key.size for key in public_keys(plan.keys)]
