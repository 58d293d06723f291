"""One line on standard error that says how far something long is, where somebody looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.cli.console import Console
    from cleanroom.client import Stage
    from cleanroom.errors import Bilingual

_BAR: Final = 24
_ERASE: Final = "\r\x1b[K"


class ProgressLine:
    """A bar that is drawn anew whenever a hundredth is done, and wiped at the end; nothing but on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: tuple[Bilingual, int] | None = None
        self._seen = sys.stderr.isatty()

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Draw how much of a stage of an upload is done."""
        self._draw(stage.value, done, total)

    def of(self, name: Bilingual) -> Callable[[int, int], None]:
        """Return what draws how much of something is done."""
        return lambda done, total: self._draw(name, done, total)

    def _draw(self, name: Bilingual, done: int, total: int) -> None:
        percent = 100 * min(done, total) // total if total > 0 else 0
        if not self._seen or (name, percent) == self._drawn:
            return
        self._drawn = (name, percent)
        full = _BAR * percent // 100
        said = name.into(self._console.language)
        sys.stderr.write(f"{_ERASE}{said} [{'#' * full}{'.' * (_BAR - full)}] {percent:3d} %")
        sys.stderr.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn is not None:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
