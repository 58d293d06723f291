"""Print: results to standard output, errors and refusals to standard error, everything in one language."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.cli.text import grid, visible, visible_lines, width
from cleanroom.errors import Language

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from cleanroom.errors import Bilingual, CleanroomError, Position, Refusal, Refused

_NARROWEST: Final = 40
_WIDEST: Final = 110
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_LOOSE_SIGN: Final = re.compile(r" [;:!?»=]|[«=] ")
_CONTEXT: Final = 60
"""Characters of a long line of SQL that are shown on either side of its caret."""


@dataclass(frozen=True, slots=True)
class Console:
    """Where the command writes, and in which language."""

    language: Language

    def words(self, fr: str, en: str) -> str:
        """Return the words in the console's language."""
        return fr if self.language is Language.FR else en

    def say(self, fr: str = "", en: str = "") -> None:
        """Print a line, or several, of the result."""
        sys.stdout.write(visible_lines(self.words(fr, en)) + "\n")

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines that both languages share."""
        for line in lines:
            sys.stdout.write(visible(line) + "\n")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> None:
        """Print aligned columns."""
        self.lines(grid(headers, rows, right=right))

    def wrapped(self, fr: str, en: str, *, indent: str = "") -> list[str]:
        """Return a paragraph's lines, wrapped to the terminal; all but the first indented."""
        places = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns))
        # A French sign never begins or ends a line away from its word.
        text = _LOOSE_SIGN.sub(lambda found: found[0].replace(" ", _NO_BREAK), visible(self.words(fr, en)))
        lines = textwrap.wrap(text, places, subsequent_indent=indent, break_on_hyphens=False)
        return [line.replace(_NO_BREAK, " ") for line in lines]

    def data(self, content: bytes) -> None:
        """Write bytes of a file format; UTF-8 whatever the terminal's encoding."""
        sys.stdout.flush()
        raw = getattr(sys.stdout, "buffer", None)
        if raw is None:  # standard output stands for a text in memory
            sys.stdout.write(content.decode("utf-8", "replace"))
            return
        raw.write(content)
        raw.flush()

    def note(self, fr: str, en: str) -> None:
        """Tell a person something beside the result."""
        sys.stderr.write(visible_lines(self.words(fr, en)) + "\n")

    def error(self, message: Bilingual, code: str) -> None:
        """Say what went wrong."""
        first, *rest = message.into(self.language).split("\n")
        lines = [f"cleanroom: {first} [{code}]", *rest]
        sys.stderr.write("".join(f"{visible(line)}\n" for line in lines))

    def failed(self, error: CleanroomError) -> None:
        """Say why the command could not be done."""
        self.error(error.message, error.code)

    def refused(self, refused: Refused, sql: str | None) -> None:
        """Say every reason of a refusal: code, words, place with a caret, hint.

        Args:
            sql: the question's text, which positions refer to; None where there is none.
        """
        count = len(refused.refusals)
        self.note(
            "Question refusée ; rien n'a été imputé."
            if count == 1
            else f"Question refusée, {count} raisons ; rien n'a été imputé.",
            "Question refused; nothing was charged."
            if count == 1
            else f"Question refused, {count} reasons; nothing was charged.",
        )
        for refusal in refused.refusals:
            sys.stderr.write("\n" + "\n".join(self._reason(refusal, sql)) + "\n")

    def _reason(self, refusal: Refusal, sql: str | None) -> list[str]:
        refusal = refusal.as_typed()
        place = refusal.position
        located = "" if place is None else self.words(f" (ligne {place.line}, colonne {place.column})", f" ({place})")
        code = visible(refusal.code)
        lines = [
            self.words(
                f"{code}{located} : {visible(refusal.message.fr)}", f"{code}{located}: {visible(refusal.message.en)}"
            )
        ]
        if place is not None and sql is not None:
            lines += pointed(sql, place)
        if refusal.hint is not None:
            lines.append(self.words(f"  piste : {visible(refusal.hint.fr)}", f"  hint: {visible(refusal.hint.en)}"))
        return lines


def pointed(sql: str, place: Position) -> list[str]:
    """Return the line of a place, and a caret under its column; a long line is cut around it."""
    lines = sql.split("\n")
    if not 1 <= place.line <= len(lines):
        return []
    line = lines[place.line - 1].rstrip("\r")
    column = min(place.column - 1, len(line))
    start = 0 if len(line) <= 2 * _CONTEXT else max(0, column - _CONTEXT)
    end = len(line) if len(line) <= 2 * _CONTEXT else min(len(line), start + 2 * _CONTEXT)
    before, after = visible(line[start:column]), visible(line[column:end])
    lead = ("…" if start else "") + before
    margin = f"  {place.line} | "
    return [
        f"{margin}{lead}{after}{'…' if end < len(line) else ''}",
        " " * (len(margin) - 2) + "| " + " " * width(lead) + "^",
    ]
