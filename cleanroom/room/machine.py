"""What this machine gives a question: `$CLEANROOM_MEMORY`, the operator's setting, no part of the room."""

from __future__ import annotations

import os
import re
from typing import Final

from cleanroom.errors import Bilingual, UsageError
from cleanroom.query.backend import DEFAULT_MEMORY

VARIABLE: Final = "CLEANROOM_MEMORY"
LEAST: Final = 64 << 20

_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,5}) ?(MiB|GiB)", re.ASCII)
_UNITS: Final = {"MiB": 1 << 20, "GiB": 1 << 30}


def question_memory() -> int:
    """Return the bytes that a question is given: slices are made for it, and the engine gets no more.

    Raises:
        UsageError: `$CLEANROOM_MEMORY` is no size such as 512MiB or 4GiB, or less than 64 MiB.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return DEFAULT_MEMORY
    written = _WRITTEN.fullmatch(given)
    size = int(written[1]) * _UNITS[written[2]] if written else 0
    if size < LEAST:
        raise UsageError(
            Bilingual(
                f"${VARIABLE} : {given!r} n'est pas une taille d'au moins 64MiB, comme 512MiB ou 4GiB",
                f"${VARIABLE}: {given!r} is no size of 64MiB or more, such as 512MiB or 4GiB",
            ),
            code="invalid_memory",
        )
    return size
