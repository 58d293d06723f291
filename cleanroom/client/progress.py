"""Say how far an upload is, for a person who waits."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from cleanroom.errors import Bilingual


class Stage(Enum):
    """A part of making an upload; the value is how people read it."""

    CHECKING = Bilingual("vérification du fichier", "checking the file")
    """That all of it is text; counted in files."""

    READING = Bilingual("lecture", "reading")
    """Reading, checking, tokenising; counted in bytes of files, or rows of a table in memory."""

    WRITING = Bilingual("tri et chiffrement", "sorting and encrypting")
    """Counted in rows."""


Progress = Callable[[Stage, int, int], None]
"""Called with a stage, how much of it is done, and how much there is in all; `done` never falls within a source."""


def unheard(_: Stage, __: int, ___: int) -> None:
    """Say nothing."""
