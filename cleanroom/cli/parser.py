"""argparse in two languages: headings, help and its own errors."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final, NoReturn

from cleanroom.errors import Bilingual, Language, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX: Final = Bilingual("utilisation : ", "usage: ")
_ARGUMENTS: Final = Bilingual("arguments", "arguments")
_OPTIONS: Final = Bilingual("options", "options")

_FRENCH: Final[tuple[tuple[str, str], ...]] = (
    (r"the following arguments are required: (?P<a>.+)", "il manque : {a}"),
    (r"unrecognized arguments: (?P<a>.+)", "arguments inconnus : {a}"),
    (r"expected one argument", "une valeur est attendue"),
    (r"expected at least one argument", "au moins une valeur est attendue"),
    (r"expected at most one argument", "une valeur au plus est attendue"),
    (r"expected (?P<a>\d+) arguments?", "{a} valeurs sont attendues"),
    (r"not allowed with argument (?P<a>.+)", "ne va pas avec {a}"),
    (r"one of the arguments (?P<a>.+) is required", "il faut l'un de : {a}"),
    (r"ignored explicit argument (?P<a>.+)", "ne prend pas de valeur : {a}"),
    (
        r"invalid choice: (?P<a>.+?)(?:, maybe you meant (?P<c>.+?)\?)? \(choose from (?P<b>.+)\)",
        "{a} n'est pas admis ; au choix : {b}",
    ),
    (r"ambiguous option: (?P<a>.+) could match (?P<b>.+)", "option ambiguë : {a} peut être {b}"),
    (r"invalid \S+ value: (?P<a>.+)", "valeur mal formée : {a}"),
)
"""What argparse of Python 3.11 to 3.14 says, and the same in French."""


class UsageShown(UsageError):
    """The arguments are not as documented; `usage` is the line that shows how they are."""

    def __init__(self, message: Bilingual, usage: str) -> None:
        super().__init__(message, code="usage")
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """A parser that speaks one language and raises `UsageShown` instead of ending the process."""

    def __init__(
        self,
        *,
        language: Language,
        prog: str,
        description: str,
        epilog: str | None = None,
        color: bool | None = None,  # Python 3.14 hands its own to every command's parser
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=lambda prog: _Formatter(prog, language),
        )
        self.language = language
        self.places = self.add_argument_group(_ARGUMENTS.into(language))
        self.choices = self.add_argument_group(_OPTIONS.into(language))

    def error(self, message: str) -> NoReturn:
        """Raise `UsageShown`."""
        raise UsageShown(Bilingual(_in_french(message), message), self.format_usage().rstrip())


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, language: Language) -> None:
        super().__init__(prog, max_help_position=30)
        self._language = language

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, _PREFIX.into(self._language) if prefix is None else prefix)


def _in_french(message: str) -> str:
    """Return a message of argparse in French; one that it does not know stays, introduced in French."""
    located = re.fullmatch(r"argument (?P<name>.+?): (?P<rest>.*)", message, re.DOTALL)
    if located is not None:
        return f"{located['name']} : {_in_french(located['rest'])}"
    for pattern, french in _FRENCH:
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found is not None:
            return french.format(**found.groupdict())
    return message
