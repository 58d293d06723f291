"""sqlglot's parser, in bounded work."""

from __future__ import annotations

from typing import Final

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ErrorLevel
from sqlglot.parsers.duckdb import DuckDBParser

MAX_STEPS: Final = 6
"""Steps of the parser, forth and back, for each token of a text: of all questions
that are admitted in the tests none takes two."""


class TooMuchWork(Exception):
    """The parser has gone forth and back too often."""


class BoundedParser(DuckDBParser):
    """sqlglot's parser, which gives up after so many steps.

    It tries a type before a function, and goes back: `DECIMAL(DECIMAL(DECIMAL(…` takes two to the power of its depth.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__(dialect=DuckDB(), error_level=ErrorLevel.RAISE)
        self._steps_left = MAX_STEPS * (tokens + 50)

    def _advance(self, times: int = 1) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise TooMuchWork
        super()._advance(times)
