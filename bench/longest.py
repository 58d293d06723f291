"""Write the longest question that the limits on text allow: characters, tokens, operators, all near their ends."""

from __future__ import annotations

from typing import Final

from bench.data import DISCIPLINES, REGIONS
from cleanroom.query.parse import MAX_CHARACTERS, MAX_OPERANDS, MAX_TOKENS

_HEAD: Final = "SELECT region, COUNT(DISTINCT person) AS n FROM fleuve.visits WHERE "
_TAIL: Final = " GROUP BY 1"


def longest_question() -> str:
    """Return an admitted question whose text has `MAX_CHARACTERS` characters."""
    conditions: list[str] = []
    tokens = 24
    place = 0
    while tokens < MAX_TOKENS - 20 and len(conditions) < MAX_OPERANDS:
        names, column = (REGIONS, "region") if place % 2 else (DISCIPLINES, "discipline")
        listed = ", ".join(f"'{names[(place + offset) % len(names)]}'" for offset in range(3))
        conditions.append(f"{column} IN ({listed})")
        tokens += 10
        place += 1
    text = _HEAD + " OR ".join(conditions) + _TAIL
    # A comment fills what is left: it is read character by character like everything else.
    return f"{text} /*{'x' * (MAX_CHARACTERS - len(text) - 5)}*/"
