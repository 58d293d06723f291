"""Write numbers as people write them: `1 234,5` in French, `1,234.5` in English."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from typing import Final

from cleanroom.errors import Language

_NARROW_SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
_MINUS: Final = "\N{MINUS SIGN}"
_MOST_DECIMALS: Final = 9


def number(value: float | Decimal, decimals: int, language: Language) -> str:
    """Return a number with so many decimals, its thousands apart."""
    digits = f"{value:,.{decimals}f}"
    negative = digits.startswith("-") and any(digit in "123456789" for digit in digits)
    digits = digits.removeprefix("-")
    if language is Language.FR:
        digits = digits.replace(",", _NARROW_SPACE).replace(".", ",")
    return f"{_MINUS}{digits}" if negative else digits


def margin(value: float, language: Language) -> str:
    """Return a margin, rounded up to what is worth showing of it."""
    return number(_rounded_up(value, decimals_for(value)), decimals_for(value), language)


def with_margin(value: float, margin95: float, language: Language) -> str:
    """Return `1 234 ± 55`: as many decimals as the margin leaves meaning to."""
    return f"{number(value, decimals_for(margin95), language)} ± {margin(margin95, language)}"


def decimals_for(margin95: float) -> int:
    """Return how many decimals a value with this margin deserves: two digits of the margin, none from 10 on."""
    if not math.isfinite(margin95) or margin95 <= 0:
        return 0
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(margin95))))


def epsilon(value: float | str, language: Language) -> str:
    """Return an epsilon with three digits that count."""
    written = f"{Decimal(f'{float(value):.3g}'):f}"
    return written.replace(".", ",") if language is Language.FR else written


def share(part: str, whole: str, language: Language) -> str:
    """Return `part` of `whole` in percent, with one decimal, rounded down.

    Args:
        part: a number as the ledger writes it, exact.
        whole: the same.
    """
    total = Decimal(whole)
    tenths = Decimal(0) if not total else (Decimal(part) * 1000 // total) / 10
    percent = number(tenths, 0 if tenths == int(tenths) else 1, language)
    return f"{percent}{_NARROW_SPACE}%" if language is Language.FR else f"{percent}%"


def _rounded_up(value: float, decimals: int) -> Decimal:
    step = Decimal(1).scaleb(-decimals)
    # One part in a billion is forgiven: 50.000000001 is 50, not 51.
    return (Decimal(value) * (1 - Decimal("1e-9"))).quantize(step, ROUND_CEILING)
