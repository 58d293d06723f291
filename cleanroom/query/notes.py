"""Say in words what the numbers of a plan count and what they leave out; public facts only (S35, S37)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import Bilingual
from cleanroom.query import algebra, statistics
from cleanroom.query.bound import Sized
from cleanroom.query.plan import Plan, QuestionPlan
from cleanroom.query.ranks import rank_notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cleanroom.query.mechanisms import Noise


def question_notes(
    question: QuestionPlan, settled: Sequence[Plan] = (), noises: Sequence[Noise] = ()
) -> tuple[Bilingual, ...]:
    """Return what the reader of an answer must know of all its releases, each thing once.

    Args:
        settled: the releases with the bounds that were chosen, as far as they were.
        noises: of these, as far as it is known.
    """
    found = [note for release in settled or question.releases for note in notes(release)]
    if noises:
        found += [note for release, noise in zip(settled, noises, strict=True) for note in rank_notes(release, noise)]
    if settled:
        pairs = zip(question.releases, settled, strict=True)
        found += [note for admitted, release in pairs for note in _chosen(admitted, release)]
    if question.finish is not None:
        found.append(
            Bilingual(
                "calculs sur des nombres déjà bruités ; leurs marges suivent la propagation linéaire des erreurs",
                "computed from noised numbers; their margins follow the linear propagation of errors",
            )
        )
    return tuple(dict.fromkeys(found))


def notes(plan: Plan) -> tuple[Bilingual, ...]:
    """Return what the reader of an answer must know of its bounds."""
    return (*_rows(plan), *_groups(plan), *_quantiles(plan), *_keys(plan), *_withheld(plan), *_choice(plan))


def _choice(plan: Plan) -> Iterator[Bilingual]:
    """Yield what is said of a bound that is still to be chosen."""
    if plan.bounds.choice is not None:
        among, what = _candidates(plan), _bounded(plan)
        yield Bilingual(
            f"auto : {what.fr} sera choisi parmi {among}, contre une petite part du prix ; ici, le plus large",
            f"auto: {what.en} will be chosen among {among}, for a small part of the price; here, the widest",
        )


def _chosen(admitted: Plan, settled: Plan) -> Iterator[Bilingual]:
    """Yield what is said of a bound that was chosen."""
    choice = admitted.bounds.choice
    if choice is not None and settled.bounds.choice is None:
        among, what = _candidates(admitted), _bounded(admitted)
        picked = _shown(admitted, choice.candidates[choice.bounds.index(settled.bounds)])
        yield Bilingual(
            f"auto : {what.fr} est {picked}, choisi parmi {among} sur un nombre bruité de personnes",
            f"auto: {what.en} is {picked}, chosen among {among} by a noised number of persons",
        )


def _bounded(plan: Plan) -> Bilingual:
    if plan.bounds.choice is not None and plan.bounds.choice.sized is Sized.TOTAL:
        return Bilingual("le plus grand total d'une personne dans une case", "the greatest total of a person in a cell")
    if plan.bounds.choice is not None and plan.bounds.choice.sized is Sized.GROUPS:
        return Bilingual(
            "le nombre de cases où une personne compte en entier", "the number of cells where a person counts in full"
        )
    return Bilingual(
        "le plus grand nombre de lignes d'une personne dans une case",
        "the greatest number of rows of a person in a cell",
    )


def _candidates(plan: Plan) -> str:
    listed = plan.bounds.choice.candidates if plan.bounds.choice is not None else ()
    return " · ".join(_shown(plan, each) for each in listed)


def _shown(plan: Plan, candidate: int) -> str:
    if plan.bounds.choice is None or plan.bounds.choice.sized is not Sized.TOTAL:
        return str(candidate)
    resolution = next(each.resolution for each in plan.statistics if isinstance(each, statistics.Sum))
    return f"{float(candidate * Fraction(resolution)):.10g}"


def _rows(plan: Plan) -> Iterator[Bilingual]:
    most = plan.bounds.max_rows
    counted = {type(statistic) for statistic in plan.statistics}
    if counted & {statistics.CountRows, statistics.Sum}:
        yield Bilingual(
            f"par personne et par case : au plus {most} lignes comptées, et le total d'autant",
            f"for each person and cell: at most {most} rows counted, and the total of as many",
        )
    if statistics.Mean in counted:
        yield Bilingual(
            f"moyenne sur au plus {most} lignes par personne et par case",
            f"mean over at most {most} rows of each person in a cell",
        )
    if statistics.Variance in counted:
        yield Bilingual(
            f"variance et écart type sur au plus {most} lignes par personne et par case",
            f"variance and standard deviation over at most {most} rows of each person in a cell",
        )


def _groups(plan: Plan) -> Iterator[Bilingual]:
    bounds = plan.bounds
    if bounds.cells == 1 and not bounds.distinct_keys:
        return
    several = len(plan.sets) > 1
    if bounds.max_groups == 1:
        yield Bilingual(
            "une personne compte en entier dans une seule case ; présente dans plusieurs, elle compte en partie"
            + (" (de chaque regroupement)" if several else ""),
            "a person counts in full in one cell; in several, in part in each"
            + (" (of each grouping set)" if several else ""),
        )
    elif several or bounds.distinct_keys or bounds.cells > bounds.max_groups:
        yield Bilingual(
            f"une personne présente dans plus de {bounds.max_groups} cases y compte en partie"
            + (" (de chaque regroupement)" if several else ""),
            f"a person in more than {bounds.max_groups} cells counts in part"
            + (" (of each grouping set)" if several else ""),
        )


def _quantiles(plan: Plan) -> Iterator[Bilingual]:
    for quantile in plan.bounds.quantiles:
        statistic = plan.statistics[quantile.statistic]
        if isinstance(statistic, statistics.Quantile):
            step = float(quantile.grid.step * Fraction(statistic.resolution))
            fr, en = (
                (" au plus, plus serrées près de zéro", " at most, closer near zero")
                if quantile.grid.bits
                else ("", "")
            )
            yield Bilingual(
                f"quantile choisi parmi {quantile.candidates} valeurs, de {step:g} en {step:g}{fr}, "
                f"sur au plus {plan.bounds.max_rows} lignes par personne et par case ; sans marge en valeur",
                f"quantile chosen among {quantile.candidates} values, {step:g} apart{en}, "
                f"over at most {plan.bounds.max_rows} rows of each person in a cell; without a margin in its unit",
            )


def _keys(plan: Plan) -> Iterator[Bilingual]:
    most = plan.bounds.distinct_keys
    if most:
        yield Bilingual(
            f"clés sans domaine déclaré : celles que beaucoup de personnes ont, et rien des autres ; "
            f"chaque personne en apporte au plus {most}, les premières par ordre de code",
            f"keys without a declared domain: those that many persons have, and nothing of the others; "
            f"each person brings at most {most}, the first in code-point order",
        )


def _withheld(plan: Plan) -> Iterator[Bilingual]:
    shares = tuple(_shares(plan.relation))
    if shares:
        yield Bilingual(
            f"jointures : de chaque table, les {min(shares)} premières lignes d'une personne au plus",
            f"joins: of each table, a person's first {min(shares)} rows at most",
        )
    if plan.bounds.threshold:
        yield Bilingual(
            f"cases retenues sous {plan.bounds.threshold} personnes (nombre bruité), règle des propriétaires",
            f"cells withheld below {plan.bounds.threshold} persons (noised number), a rule of the owners",
        )


def _shares(node: object) -> Iterator[int]:
    """Yield the cuts that bound fan-out (S23), wherever in a relation they stand."""
    if isinstance(node, algebra.FirstRows):
        yield node.most
    if isinstance(node, tuple):
        for each in node:
            yield from _shares(each)
    elif is_dataclass(node):
        for field in fields(node):
            yield from _shares(getattr(node, field.name))
