"""Values in a question's text: written out, as `?` or as `$name`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from cleanroom.query.parse import Parameters


@dataclass(frozen=True)
class Question:
    """A question as a party writes it, and the same with its values written out."""

    sql: str
    parameters: Parameters
    written: str


class Values:
    """Keeps the values of a text under construction, and gives aliases."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.values: list[Any] = []
        self.aliases = 0

    def value(self, value: Any) -> str:
        """Return what stands in the text for a value until it is finished."""
        self.values.append(value)
        return f"\x01{len(self.values) - 1}\x02"

    def alias(self) -> str:
        """Return a new name."""
        self.aliases += 1
        return f"r{self.aliases}"

    def finished(self, marked: str, *, plain: bool) -> Question:
        """Put values in their places.

        Args:
            plain: written out, whatever the source of choices says.
        """
        marks = [f"\x01{place}\x02" for place in range(len(self.values))]
        written = marked
        for mark, value in zip(marks, self.values, strict=True):
            written = written.replace(mark, written_out(value))
        style = "written" if plain or not self.values else self.rng.choice(("written", "question", "name"))
        present = [place for place, mark in enumerate(marks) if mark in marked]
        if style == "question" and any(marked.count(marks[place]) > 1 for place in present):
            style = "name"
        if style == "written" or not present:
            return Question(written, None, written)
        given = [value.isoformat() if isinstance(value, date) else value for value in self.values]
        sql = marked
        for place in present:
            sql = sql.replace(marks[place], "?" if style == "question" else f"$p{place}")
        if style == "question":
            order = sorted(present, key=lambda place: marked.find(marks[place]))
            return Question(sql, [given[place] for place in order], written)
        return Question(sql, {f"p{place}": given[place] for place in present}, written)


def written_out(value: Any) -> str:
    """Return a value as SQL."""
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return str(value)
