"""A named breakage of the product, and the test that must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sabotage:
    """A replacement in one module, and a call that must fail under it: `module:function`, with arguments."""

    name: str
    module: str
    old: str
    new: str
    killer: str
    arguments: tuple[object, ...] = ()
