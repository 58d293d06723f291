"""Decide before a question is charged whether its cells can be made to add up to their totals (`query.consistent`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.errors import Refused
from cleanroom.query.bound import Measured
from cleanroom.query.public.sources import source_of
from cleanroom.query.refusals import refusal

if TYPE_CHECKING:
    from cleanroom.query.plan import Plan, QuestionPlan


def additive(plan: Plan) -> tuple[int, ...]:
    """Return the components whose cells add up to their totals: all but numbers of persons."""
    return tuple(at for at, each in enumerate(plan.bounds.components) if each.measured is not Measured.PERSONS)


def has_totals(plan: Plan) -> bool:
    """Return whether some grouping set of a plan is the totals of another."""
    return any(set(one) < set(other) for one in plan.sets for other in plan.sets)


def require_consistent(question: QuestionPlan) -> None:
    """Refuse to make a question add up that has no totals, nothing that adds up, or margins that would not be exact.

    Raises:
        Refused: with the reason.
    """
    plans = question.releases
    asked = [plan for plan in plans if has_totals(plan)]
    if any(plan.bounds.pure for plan in plans):
        why = (
            "les marges de cases ajustées ne sont exactes que pour du bruit gaussien ; un budget pur n'en a pas",
            "margins of cells that were made to add up are exact for Gaussian noise only; a pure budget has none",
        )
    elif _computes(question):
        why = (
            "la question calcule sur ses nombres, dont l'erreur ne serait plus indépendante ; calculez sur la réponse",
            "the question computes from its numbers, whose errors would be dependent; compute from the answer",
        )
    elif not asked:
        why = (
            "aucun total n'accompagne les cases ; demandez GROUP BY ROLLUP, CUBE ou GROUPING SETS",
            "no totals stand beside the cells; ask for GROUP BY ROLLUP, CUBE or GROUPING SETS",
        )
    elif not any(map(additive, asked)):
        why = (
            "des personnes ne s'additionnent pas, une même peut être dans plusieurs cases ; comptez des lignes",
            "persons do not add up, one can be in several cells; count rows",
        )
    else:
        return
    raise Refused((refusal("not_admitted", what="consistent", hint=why),))


def _computes(question: QuestionPlan) -> bool:
    """Return whether a value is computed from released ones, with a margin that takes these as independent."""
    finish = question.finish
    return finish is not None and any(
        column.behind and source_of(finish, place) is None for place, column in enumerate(finish.columns)
    )
