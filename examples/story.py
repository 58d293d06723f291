"""Tell a story in one language, with numbers as that language writes them, and keep count of what must hold."""

from __future__ import annotations

import math
import shutil
import textwrap
import time
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Language

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cleanroom import Refused

WIDTH: Final = 100
_THIN: Final = "\u202f"


class Story:
    """Prints paragraphs, commands and tables; remembers which checks failed."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.failed: list[str] = []
        self.checked = 0
        self._chapter = 0
        self._start = time.monotonic()
        self._width = min(WIDTH, max(72, shutil.get_terminal_size((WIDTH, 24)).columns))

    def words(self, fr: str, en: str) -> str:
        """Return the words of the story's language."""
        return fr if self.language is Language.FR else en

    def chapter(self, fr: str, en: str) -> None:
        """Begin a numbered chapter."""
        self._chapter += 1
        title = f"{self._chapter} · {self.words(fr, en)}"
        print(f"\n{title}\n{'─' * len(title)}")

    def say(self, fr: str, en: str) -> None:
        """Print a paragraph."""
        print()
        print(textwrap.fill(self.words(fr, en), self._width, break_on_hyphens=False))

    def command(self, *commands: str) -> None:
        """Print the commands that do what the demonstration does now; lines of SQL stay lines."""
        print()
        for each in commands:
            first, *rest = each.splitlines()
            print("\n".join([f"  $ {first}" if first != "…" else "    …", *(f"      {line}" for line in rest)]))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> None:
        """Print columns, the first `left` of them aligned left."""
        lines = [tuple(header), *(tuple(row) for row in rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
        print()
        for number, line in enumerate(lines):
            cells = [
                cell.ljust(width) if place < left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            print("  " + "  ".join(cells).rstrip())
            if number == 0:
                print("  " + "  ".join("─" * width for width in widths))

    def check(self, holds: bool, fr: str, en: str) -> None:
        """Print whether something that must hold does."""
        self.checked += 1
        said = self.words(fr, en)
        if not holds:
            self.failed.append(said)
        mark = "✓" if holds else self.words("✗ ÉCHEC :", "✗ FAILED:")
        print(textwrap.fill(f"{mark} {said}", self._width, initial_indent="  ", subsequent_indent="    "))

    def refusal(self, refused: Refused) -> None:
        """Print a refusal as the command prints it: code, reason, place, hint."""
        for each in refused.refusals:
            place = f" ({each.position})" if each.position else ""
            reason = f"[{each.code}]{place}{self.words(' : ', ': ')}{each.message.into(self.language)}"
            lines = [("⊘", f"{self.words('refusé', 'refused')} {reason}")]
            if each.hint is not None:
                lines.append(("→", f"{self.words('piste : ', 'hint: ')}{each.hint.into(self.language)}"))
            print()
            for sign, line in lines:
                print(textwrap.fill(line, self._width, initial_indent=f"  {sign} ", subsequent_indent="    "))

    def seconds(self) -> str:
        """Return the time since the story began."""
        return f"{self.number(time.monotonic() - self._start, 1)} s"

    def number(self, value: float, decimals: int = 0) -> str:
        """Write a number; nothing where it is withheld."""
        if math.isnan(value):
            return self.words("retenu", "withheld")
        written = f"{value:,.{decimals}f}"
        if float(written.replace(",", "")) == 0:
            written = written.removeprefix("-")
        if self.language is Language.FR:
            written = written.replace(",", _THIN).replace(".", ",")
        return written.replace("-", "−")

    def margin(self, value: float, decimals: int = 0) -> str:
        """Write a margin, rounded up; nothing where the number is withheld."""
        scale = 10**decimals
        return "" if math.isnan(value) else f"± {self.number(math.ceil(value * scale) / scale, decimals)}"

    def dollars(self, value: float) -> str:
        """Write an amount in whole dollars."""
        written = self.number(value)
        if math.isnan(value):
            return written
        return self.words(f"{written} $", f"−${written[1:]}" if written.startswith("−") else f"${written}")

    def percent(self, share: float, decimals: int = 0) -> str:
        """Write a share."""
        return self.number(100 * share, decimals) + self.words(f"{_THIN}%", "%")


def fewest_plausible(numbers: int, *, chance: float = 0.93, false_alarm: float = 1e-9) -> int:
    """Return how many of `numbers` margins must hold at least, else something is wrong.

    Args:
        chance: of one margin to hold: 95 %, less a little for what the bounds cut off.
        false_alarm: how often fewer hold although nothing is wrong, at most.
    """
    below = 0.0
    for held in range(numbers + 1):
        below += math.exp(
            math.lgamma(numbers + 1)
            - math.lgamma(held + 1)
            - math.lgamma(numbers - held + 1)
            + held * math.log(chance)
            + (numbers - held) * math.log1p(-chance)
        )
        if below > false_alarm:
            return held
    return numbers
