"""Say how a release was made and what its bounds cut off, in words that a publication can quote; public facts only."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import Bilingual
from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.components import Component, Measured
from cleanroom.query.ranks import rank_notes
from cleanroom.query.release import scales_of
from cleanroom.query.statistics import Quantile, StatisticOutput, Sum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan


def mechanism_notes(plan: Plan, noise: Noise) -> tuple[Bilingual, ...]:
    """Return how each mechanism of a release draws, with the standard deviation of its noise."""
    return tuple(_mechanisms(plan, noise))


def _mechanisms(plan: Plan, noise: Noise) -> Iterator[Bilingual]:
    if noise.keys is not None:
        s, least = f"{noise.keys.scale:.4g}", noise.keys.threshold
        yield Bilingual(
            f"clés sans domaine : bruit gaussien discret d'écart type {s} personnes, clé publiée à partir de {least}",
            f"keys without a domain: discrete Gaussian noise of standard deviation {s} persons, a key released from "
            f"{least} on",
        )
    if noise.vector is not None:
        numbers = len(plan.bounds.components)
        kind = ("de Laplace discret", "Laplace", "L1") if plan.bounds.pure else ("gaussien discret", "Gaussian", "L2")
        yield Bilingual(
            f"bruit {kind[0]}, indépendant, sur {numbers} nombres par case ; le vecteur d'une personne est "
            f"raccourci à la norme {kind[2]} {plan.bounds.norm} (pas de treillis), échelle du bruit {noise.vector:.6g}",
            f"independent discrete {kind[1]} noise on {numbers} numbers a cell; a person's vector is shortened to the "
            f"{kind[2]} norm {plan.bounds.norm} (lattice steps), scale of the noise {noise.vector:.6g}",
        )
    outputs = [output for output in plan.outputs if isinstance(output, StatisticOutput)]
    for output, scale in zip(outputs, scales_of(plan, noise.scale), strict=True):
        if scale is not None:
            yield Bilingual(
                f"« {output.label} » : écart type du bruit {scale:.4g}",
                f"“{output.label}”: standard deviation of the noise {scale:.4g}",
            )
    for quantile, scale in zip(plan.bounds.quantiles, noise.quantiles, strict=True):
        places = f"{quantile.below}/{quantile.below + quantile.above}"
        if isinstance(quantile, PureQuantileBound):
            readings, values = quantile.rounds, quantile.candidates
            yield Bilingual(
                f"quantile {places} : {readings} lectures par case, bruit de Laplace discret d'échelle {scale:.6g}, "
                f"à la recherche d'une de {values} valeurs publiques ; les poids d'une personne sont raccourcis à la "
                f"norme L1 {quantile.norm}",
                f"quantile {places}: {readings} readings a cell, discrete Laplace noise of scale {scale:.6g}, in "
                f"search of one of {values} public values; a person's weights are shortened to the L1 norm "
                f"{quantile.norm}",
            )
            continue
        yield Bilingual(
            f"quantile {places} : maximum bruité parmi {quantile.candidates} valeurs publiques, échelle {scale:.6g}",
            f"quantile {places}: noisy max among {quantile.candidates} public values, scale {scale:.6g}",
        )
    yield from rank_notes(plan, noise)


def bound_notes(plan: Plan) -> tuple[Bilingual, ...]:
    """Return what the bounds of a release mean for a person, and whom they cut; from public facts alone."""
    return tuple(dict.fromkeys(_bounds(plan)))


def _bounds(plan: Plan) -> Iterator[Bilingual]:
    bounds = plan.bounds
    for statistic in plan.statistics:
        if isinstance(statistic, Sum):
            total = next(
                each
                for each in bounds.components
                if (each.measured, each.column) == (Measured.TOTAL, statistic.column)
                and (each.least, each.most) == (statistic.lower, statistic.upper)
            )
            resolution = Fraction(statistic.resolution)
            least, most, low, high = (
                f"{float(each * resolution):.10g}"
                for each in (statistic.lower, statistic.upper, total.lower, total.upper)
            )
            yield Bilingual(
                f"somme : une valeur compte de {least} à {most}, "
                f"le total d'une personne dans une case de {low} à {high}",
                f"sum: a value counts from {least} to {most}, a person's total in a cell from {low} to {high}",
            )
        if isinstance(statistic, Quantile):
            resolution = Fraction(statistic.resolution)
            least, most = (f"{float(each * resolution):.10g}" for each in (statistic.lower, statistic.upper))
            yield Bilingual(f"quantile : de {least} à {most}", f"quantile: from {least} to {most}")
    if not bounds.components or bounds.one_cell:
        return
    full, one = bounds.norm**2, sum(_one_row(each) ** 2 for each in bounds.components)
    cells = bounds.cells * (1 if not bounds.distinct_keys else bounds.most_surviving)
    single = full // one
    if single < cells:
        yield Bilingual(
            f"qui a une seule ligne par case compte en entier jusqu'à {single} cases",
            f"someone with one row a cell counts in full up to {single} cells",
        )
    else:
        yield Bilingual(
            "qui a une seule ligne par case compte toujours en entier",
            "someone with one row a cell always counts in full",
        )
    for times in (2, 4, 8):
        many = bounds.max_groups * times
        if many <= cells:
            percent = f"{100 * math.sqrt(1 / times):.0f}"
            yield Bilingual(
                f"qui a {bounds.max_rows} lignes ou plus dans chacune de {many} cases y compte pour {percent} %",
                f"someone with {bounds.max_rows} rows or more in each of {many} cells counts for {percent} % there",
            )


def _one_row(component: Component) -> int:
    """Return the greatest entry that one row gives, in lattice steps."""
    if component.measured in {Measured.PERSONS, Measured.ROWS}:
        return component.steps
    if component.measured is Measured.TOTAL:
        size = max(abs(component.least or 0), abs(component.most or 0), 1)
        return min(component.reach, (size * component.steps) >> component.shift)
    # Mean and variance: a person's rows all count alike, so one row is max_rows times less than what fills the cell.
    least, most = component.least or 0, component.most or 0
    width = max(most - component.middle, component.middle - least, 1)
    size = width if component.measured is Measured.MEAN_TOTAL else max(width**2 - component.offset, 1)
    return (size * component.steps) >> component.shift
