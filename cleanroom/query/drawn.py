"""What one draw of a release gave, and its bytes as the room keeps them (docs/spec/stored-answers.md).

One value has one spelling: a reader writes again what it read and compares, so that a stored answer means one thing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cleanroom.errors import Bilingual, Fault
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.mechanisms import KeyNoise, Noise

if TYPE_CHECKING:
    from collections.abc import Iterable

DRAWN_LABEL: Final = "cleanroom/drawn/v1"
STORED_DAMAGED: Final = "stored_answer_damaged"
_LARGEST: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Drawn:
    """The numbers of one draw, before anything is computed from them.

    Args:
        noise: the scales that it was drawn with.
        steps: the noised vector, cell by cell, in lattice steps.
        chosen: for each quantile the candidate chosen in each cell.
        surviving: the unknown keys that passed the threshold; None if all keys are public.
        picked: the place of the bound that was chosen, where there was one to choose; the noise is that with it.
    """

    noise: Noise
    steps: tuple[int, ...]
    chosen: tuple[tuple[int, ...], ...] = ()
    surviving: SurvivingKeys | None = None
    picked: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A draw as it is stored.

    Args:
        withheld: the cells that the owners' threshold withholds from the stored answer as from this draw on (S37).
    """

    drawn: Drawn
    withheld: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        noise, surviving = self.drawn.noise, self.drawn.surviving
        content = {
            "label": DRAWN_LABEL,
            "scale": None if noise.vector is None else float(noise.vector).hex(),
            "quantile_scales": [float(scale).hex() for scale in noise.quantiles],
            "keys": None if noise.keys is None else [float(noise.keys.scale).hex(), noise.keys.threshold],
            "steps": self.drawn.steps,
            "chosen": self.drawn.chosen,
            "surviving": None if surviving is None else [surviving.columns, surviving.counted],
            "withheld": self.withheld,
            **({} if self.drawn.picked is None else {"picked": self.drawn.picked}),
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> Kept:
        """Read what `encode` wrote.

        Raises:
            Fault: it is anything else, by one byte.
        """
        try:
            found = cls._read(json.loads(encoded))
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise damaged_answer() from None
        if found.encode() != encoded:
            raise damaged_answer()
        return found

    @classmethod
    def _read(cls, content: Any) -> Kept:
        if not isinstance(content, dict) or content.pop("label") != DRAWN_LABEL or len(content) not in {7, 8}:
            raise ValueError
        picked = _whole([content["picked"]])[0] if len(content) == 8 else None
        if picked is not None and picked < 0:
            raise ValueError
        keys = content["keys"]
        noise = Noise(
            None if content["scale"] is None else _scale(content["scale"]),
            tuple(_scale(each) for each in content["quantile_scales"]),
            None if keys is None else KeyNoise(_scale(keys[0]), _whole([keys[1]])[0]),
        )
        surviving = None
        if content["surviving"] is not None:
            columns, counted = content["surviving"]
            surviving = SurvivingKeys(tuple(tuple(map(_key, each)) for each in columns), _whole(counted))
        chosen = tuple(_whole(each) for each in content["chosen"])
        return cls(Drawn(noise, _whole(content["steps"]), chosen, surviving, picked), _whole(content["withheld"]))


def _whole(values: Iterable[Any]) -> tuple[int, ...]:
    found = tuple(values)
    if not all(type(each) is int and -_LARGEST <= each < _LARGEST for each in found):
        raise ValueError
    return found


def _key(value: object) -> str | int | None:
    if value is None or type(value) in {str, int}:
        return value  # type: ignore[return-value]
    raise ValueError


def _scale(text: str) -> float:
    scale = float.fromhex(text)
    if not math.isfinite(scale) or scale <= 0:
        raise ValueError
    return scale


def damaged_answer() -> Fault:
    """Return the fault of a stored answer that is not what was stored."""
    return Fault(
        Bilingual(
            "une réponse conservée est altérée ; `cleanroom log verify` dit laquelle",
            "a stored answer is damaged; `cleanroom log verify` says which",
        ),
        code=STORED_DAMAGED,
    )
