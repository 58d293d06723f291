"""Say what went wrong, in French and in English, in words that never depend on rows.

Refusals are data (the question may not be answered), faults are exceptions (it could not be), and an
`InvariantBroken` is our own bug. Exit codes follow DESIGN §8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum


class Language(StrEnum):
    """A language that messages are written in."""

    FR = "fr"
    EN = "en"


class ExitCode(IntEnum):
    """How the command ends (DESIGN §8)."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    REFUSED = 3
    NOT_VERIFIED = 4


@dataclass(frozen=True, slots=True)
class Bilingual:
    """A sentence in both languages."""

    fr: str
    en: str

    def into(self, language: Language) -> str:
        """Return the sentence in `language`."""
        return self.fr if language is Language.FR else self.en

    def as_typed(self) -> Bilingual:
        """Return the sentence for somebody at the command line, who calls a question's parameters otherwise."""
        return self

    def __str__(self) -> str:
        return f"{self.fr} / {self.en}"


@dataclass(frozen=True, slots=True)
class AtEachDoor(Bilingual):
    """A sentence that names parameters of a question: as Python calls them, and `typed` as the command line does."""

    typed: Bilingual

    def as_typed(self) -> Bilingual:
        """Return the command line's sentence."""
        return self.typed


class CleanroomError(Exception):
    """Whatever the room or the client reports to a person."""

    exit_code = ExitCode.FAULT

    def __init__(self, message: Bilingual, *, code: str) -> None:
        super().__init__(str(message))
        self.message = message
        self.code = code


class Fault(CleanroomError):
    """The machine, a file or a key failed; nothing was answered."""


class UsageError(CleanroomError):
    """The command or the call was not formed as documented."""

    exit_code = ExitCode.USAGE


class InvalidDeclaration(UsageError):
    """A table's file says something that it may not, at a line."""

    def __init__(self, message: Bilingual, *, line: int) -> None:
        located = Bilingual(f"ligne {line} : {message.fr}", f"line {line}: {message.en}")
        super().__init__(located, code="invalid_declaration")
        self.line = line


class InvalidUpload(CleanroomError):
    """A member's rows or package are not what the declaration promises; nothing was taken in."""


class NotVerified(CleanroomError):
    """A signature, digest or proof does not hold."""

    exit_code = ExitCode.NOT_VERIFIED


class InvariantBroken(AssertionError):
    """A check of our own reasoning failed; the question stops here."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text of a question: line and column from 1, as characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why a question may not be answered.

    Args:
        code: the rule, from `cleanroom.query.refusals`.
        message: the reason; names the rule's owner where there is one.
        position: where in the text, if it has a place.
        hint: what would be allowed, where possible as a question that runs.
    """

    code: str
    message: Bilingual
    position: Position | None = None
    hint: Bilingual | None = None

    def as_typed(self) -> Refusal:
        """Return it in the command line's words."""
        hint = None if self.hint is None else self.hint.as_typed()
        return replace(self, message=self.message.as_typed(), hint=hint)


class Refused(CleanroomError):
    """The question may not be answered; `refusals` holds every reason found."""

    exit_code = ExitCode.REFUSED

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        if not refusals:
            raise InvariantBroken("a refusal without a reason")
        first = refusals[0]
        super().__init__(first.message, code=first.code)
        self.refusals = refusals
