"""How the price of a question is shared out over its statistics: equally, or by the weights that the asker gives.

A weight is the part of the price that a value gets: with 2 and 1 the first pays twice as much as the second, and its
margin is √2 times narrower than with equal parts against it. Weights are public and part of the plan (S31, S40): they
change the multipliers k_j of the vector, the parts of quantiles, and nothing else; the norm bounds whatever comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Refused
from cleanroom.identifiers import fold
from cleanroom.query.precision import not_precise
from cleanroom.query.public.sources import source_of
from cleanroom.query.refusals import refusal
from cleanroom.query.statistics import StatisticOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.binding.personal import Release
    from cleanroom.query.public.language import PublicRelation

LARGEST_RATIO: Final = 10_000
"""Between the largest weight and the least: the multipliers stay within 7 bits, which sums have room for."""

MOST_WEIGHTS: Final = 200

Weights = tuple[tuple[str, Fraction], ...]
"""The name of a column of the answer, and the weight of its value; any order."""


def read_weights(value: object) -> Weights:
    """Read the weights of a call: a mapping from names of the answer's values to numbers above 0; None for none.

    Raises:
        Refused: anything else.
    """
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST_WEIGHTS:
        raise _not_weights()
    found: dict[str, Fraction] = {}
    for name, weight in value.items():
        if not isinstance(name, str) or isinstance(weight, bool) or not isinstance(weight, int | float | Decimal):
            raise _not_weights()
        number = Decimal(str(weight))
        if (
            not number.is_finite()
            or not Decimal("1e-9") <= number <= Decimal("1e9")
            or len(number.as_tuple().digits) > 40
        ):
            raise _not_weights()
        found[fold(name)] = Fraction(number)
    if len(found) != len(value) or max(found.values()) > LARGEST_RATIO * min(found.values()):
        raise _not_weights()
    return tuple(sorted(found.items()))


def shares_of(
    weights: Weights, releases: Sequence[Release], finish: PublicRelation | None
) -> tuple[tuple[Fraction, ...], ...]:
    """Return the weight of each statistic of each release; nothing for a release whose statistics weigh the same.

    A statistic that several of the answer's columns show gets the largest of their weights, one that none names 1.

    Raises:
        Refused: a name that is no column of the answer, or none that shows a statistic as it was released.
    """
    if not weights:
        return ((),) * len(releases)
    named = _named(releases, finish)
    unknown = [name for name, _ in weights if name not in named]
    if unknown:
        known = ", ".join(sorted(named)) or "—"
        raise Refused(
            (
                refusal(
                    "precision",
                    why_fr=f"« {unknown[0][:80]} » n'est pas une valeur de la réponse",
                    why_en=f"{unknown[0][:80]!r} is no value of the answer",
                    hint=(f"valeurs qui se pondèrent : {known}", f"values that can be weighted: {known}"),
                ),
            )
        )
    given: dict[tuple[int, int], Fraction] = {}
    for name, weight in weights:
        for place in named[name]:
            given[place] = max(weight, given.get(place, Fraction(0)))
    every = [
        tuple(given.get((number, place), Fraction(1)) for place in range(len(release.statistics)))
        for number, release in enumerate(releases)
    ]
    least = min(weight for each in every for weight in each)
    if max(weight for each in every for weight in each) > LARGEST_RATIO * least:
        raise _not_weights()
    scaled = [tuple(weight / least for weight in each) for each in every]
    return ((),) * len(releases) if all(set(each) <= {1} for each in scaled) else tuple(scaled)


def _named(releases: Sequence[Release], finish: PublicRelation | None) -> dict[str, list[tuple[int, int]]]:
    """Return for each name of a column of the answer the statistics that it shows as released: release and place."""
    found: dict[str, list[tuple[int, int]]] = {}
    if finish is None:
        for number, release in enumerate(releases):
            for output in release.outputs:
                if isinstance(output, StatisticOutput):
                    found.setdefault(fold(output.label), []).append((number, output.statistic))
        return found
    for place, column in enumerate(finish.columns):
        source = source_of(finish, place)
        shown = None if source is None else releases[source[0]].outputs[source[1]]
        if source is not None and isinstance(shown, StatisticOutput):
            found.setdefault(fold(column.label), []).append((source[0], shown.statistic))
    return found


def _not_weights() -> Refused:
    return not_precise(
        "{weights} associe à des valeurs de la réponse des nombres positifs, "
        f"d'un rapport de {LARGEST_RATIO} au plus",
        f"{{weights}} maps values of the answer to positive numbers, of a ratio of at most {LARGEST_RATIO}",
    )
