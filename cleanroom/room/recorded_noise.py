"""Read what a charge's entry in the log says of the noise of a release (docs/spec/charges.md).

Entries of before say less: of these the parts that cannot be held against the charge are named (`Part`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Part(Enum):
    """What an entry's noise is on, or what of its charges."""

    VECTOR = Bilingual("comptes, sommes et moyennes", "counts, sums and means")
    QUANTILES = Bilingual("quantiles", "quantiles")
    KEYS = Bilingual("clés sans domaine", "keys without a domain")
    CHOICE = Bilingual("choix d'une borne", "the choice of a bound")
    TABLES = Bilingual("ce que les tables paient", "what the tables pay")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is drawn under one bound: the vector's norm, scale and sign, each quantile's norm and scale."""

    norm: int
    scale: Fraction
    signed: bool
    quantiles: tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True, slots=True)
class Release:
    """What an entry says of a release that is drawn.

    Args:
        tables: that it reads; None in an entry of before.
        numbers: in each cell of its vector.
        fractions: a, b - a and the number of candidates of each quantile.
        outcomes: for each bound that may be chosen.
        keys: m, scale and threshold.
        choice: p, q and scale.
    """

    tables: tuple[str, ...] | None
    pure: bool
    one_cell: bool
    numbers: int
    fractions: tuple[tuple[int, int, int], ...]
    outcomes: tuple[Outcome, ...]
    keys: tuple[int, float, int] | None
    choice: tuple[int, int, Fraction] | None
    unheld: frozenset[Part]


def is_drawn(said: Mapping[str, Any]) -> bool:
    """Return whether a release is drawn: what is answered from the store has no norm, and no noise of its own."""
    return "norm" in said


def read_release(said: Mapping[str, Any]) -> Release:
    """Read what is said of a release that is drawn.

    Raises:
        LookupError, TypeError, ValueError: it cannot be read.
    """
    keys_kept, noise = _whole(said.get("distinct_keys", 0)), said.get("key_noise")
    if bool(keys_kept) != (noise is not None):
        raise ValueError
    keys = None if noise is None else (keys_kept, float(_scale(noise[0])), _whole(noise[1]))
    pure = bool(said.get("pure", False))
    norm = _whole(said["norm"])
    if "tables" not in said:
        unheld = {Part.TABLES}
        unheld |= {Part.QUANTILES} if said.get("quantile_scales") else set()
        unheld |= {Part.CHOICE} if "auto" in said else set()
        alone = Outcome(norm, _scale(said["scale"]), signed=True, quantiles=())
        return Release(None, pure, False, 1, (), (alone,), keys, None, frozenset(unheld))
    tables = tuple(str(each) for each in said["tables"])
    numbers = _whole(said["numbers"])
    fractions = tuple((_whole(a), _whole(b), _whole(candidates, 1)) for a, b, candidates, _ in said["quantiles"])
    outcomes = [_outcome([said["norm"], said["scale"], said["signed"], _with_norms(said)])]
    choice = None
    if "auto" in said:
        above, below = said["auto_counts"]
        choice = _whole(above), _whole(below), _scale(said["auto"][2])
        outcomes += [_outcome(each) for each in said["auto_noise"]]
        if len(outcomes) != 1 + len(said["auto"][1]):
            raise ValueError
    if (
        not tables
        or any(not a + b for a, b, _ in fractions)
        or any(len(each.quantiles) != len(fractions) or bool(each.norm) != bool(numbers) for each in outcomes)
        or (choice is not None and not any(choice[:2]))
    ):
        raise ValueError
    one_cell = _whole(said["cells"], 1) == 1 and not keys_kept
    return Release(tables, pure, one_cell, numbers, fractions, tuple(outcomes), keys, choice, frozenset())


def _with_norms(said: Mapping[str, Any]) -> list[list[object]]:
    """Return norm and scale of each quantile of the bound that a release is written with."""
    pairs = zip(said["quantiles"], said["quantile_scales"], strict=True)
    return [[norm, scale] for (_, _, _, norm), scale in pairs]


def _outcome(said: Sequence[Any]) -> Outcome:
    norm, scale, signed, quantiles = said
    if not isinstance(signed, bool):
        raise TypeError
    return Outcome(
        _whole(norm),
        _scale(scale),
        signed,
        tuple((_whole(each, 1), _scale(noise)) for each, noise in quantiles),
    )


def _whole(said: object, least: int = 0) -> int:
    found = int(str(said))
    if found < least:
        raise ValueError
    return found


def _scale(said: object) -> Fraction:
    try:
        found = float.fromhex(str(said))
    except OverflowError:
        raise ValueError from None
    if not math.isfinite(found) or found <= 0:
        raise ValueError
    return Fraction(found)
