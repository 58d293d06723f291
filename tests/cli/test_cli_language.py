"""Help, usage and argparse's own errors are in the language asked for, for every command."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module

import pytest
from cli_room import Cooperative, Runner

from cleanroom.cli.arguments import build_parser
from cleanroom.cli.command import _PLACES
from cleanroom.cli.parser import Parser
from cleanroom.errors import Language


def parsers(language: Language) -> dict[str, Parser]:
    whole = build_parser(language)
    (commands,) = (each for each in whole._actions if isinstance(each, argparse._SubParsersAction))
    return {"": whole, **commands.choices}


COMMANDS = tuple(parsers(Language.FR))


def test_the_fixed_doors() -> None:
    assert set(COMMANDS) == {
        "",
        "init",
        "party add",
        "party key",
        "party new",
        "linkage ask",
        "linkage give",
        "linkage take",
        "declare",
        "declare --draft",
        "declare --package",
        "declare --preset",
        "erase",
        "erase --facts",
        "erase --take",
        "opt-out",
        "upload",
        "upload --facts",
        "upload --resume",
        "uploads",
        "facts",
        "withdraw",
        "intake",
        "catalog",
        "reference add",
        "reference list",
        "reference show",
        "query",
        "preview",
        "check",
        "budget",
        "backup",
        "restore",
        "log",
        "log cosign",
        "log key",
        "log mandate give",
        "log mandate list",
        "log mandate sign",
        "log mandate take",
        "log mandate withdraw",
        "log read",
        "log register access",
        "log register check",
        "log retention",
        "log serve",
        "log watch",
        "log witness",
        "log witnesses",
        "log verify",
        "log export",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_has_help_in_both_languages(command: str) -> None:
    french, english = (parsers(language)[command] for language in (Language.FR, Language.EN))
    assert french.description != english.description
    for one, other in zip(french._actions, english._actions, strict=True):
        if isinstance(one, argparse._SubParsersAction):
            hints = [[each.help for each in action._choices_actions] for action in (one, other)]  # type: ignore[attr-defined]
            assert all(hints[0])
            assert all(a != b for a, b in zip(*hints, strict=True))
            continue
        assert one.help
        assert other.help
        assert one.help != other.help or one.help == "membre.table", one.dest


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_in_the_language_asked_for(command: str, run_in: Runner) -> None:
    french = run_in(*command.split(), "--help")
    english = run_in("--lang", "en", *command.split(), "--help")
    assert (french.code, english.code) == (0, 0)
    assert french.out.startswith("utilisation : cleanroom")
    assert english.out.startswith("usage: cleanroom")
    assert "montre cette aide" in french.out
    assert "show this help" in english.out
    assert "show this help" not in french.out
    assert "%%" not in french.out + english.out


def test_language_may_stand_before_and_after_and_in_the_environment(run_in: Runner) -> None:
    english = run_in("--lang", "en", "budget", "--help").out
    assert run_in("budget", "--lang=en", "--help").out == english
    assert run_in("budget", "--help", lang="en").out == english
    assert run_in("--lang", "fr", "budget", "--help", lang="en").out == run_in("budget", "--help", lang="es").out
    for wrong in (["--lang", "de"], ["--lang"], ["--lang="]):
        assert run_in("budget", "x", *wrong, lang="en").err == "cleanroom: --lang: fr or en [usage]\n"


@pytest.mark.parametrize(
    ("arguments", "french", "english"),
    [
        ((), "utilisation : cleanroom", "usage: cleanroom"),
        (("frob",), "COMMANDE : 'frob' n'est pas admis", "argument COMMAND: invalid choice: 'frob'"),
        (("party",), "'party' n'est pas admis", "invalid choice: 'party'"),
        (("budget",), "il manque : ROOM", "the following arguments are required: ROOM"),
        (("budget", "r", "s"), "arguments inconnus : s", "unrecognized arguments: s"),
        (("query", "r", "SQL", "--purpose", "p"), "il manque : --as", "required: --as"),
        (("query", "r", "SQL", "--as", "a"), "il manque : --purpose", "required: --purpose"),
        (("query", "r", "SQL", "--as"), "--as : une valeur est attendue", "argument --as: expected one argument"),
        (("query", "r", "S", "--as", "A b"), "« a b » n'est pas un nom", "'a b' is not a name"),
        (("query", "r", "S", "--epsilon", "0,5"), "« 0,5 » n'est pas un nombre", "'0,5' is not a number"),
        (("query", "r", "S", "--margin", "nan"), "« nan » n'est pas un nombre", "'nan' is not a number"),
        (
            ("query", "r", "S", "--epsilon", "1", "--margin", "2"),
            "--margin : ne va pas avec --epsilon",
            "not allowed with argument --epsilon",
        ),
        (
            ("query", "r", "S", "--format", "xls"),
            "--format : 'xls' n'est pas admis ; au choix",
            "invalid choice: 'xls'",
        ),
        (("query", "r", "S", "--params", "{"), "une liste JSON", "a JSON list"),
        (("query", "r", "S", "--params", "3"), "une liste JSON", "a JSON list"),
        (("query", "r", "S", "--params", '{"a":1,"a":2}'), "une liste JSON", "a JSON list"),
        (("query", "r", "S", "--params", "[NaN]"), "une liste JSON", "a JSON list"),
        (("query", "r", "S", "--max-rows", "0"), "nombre entier positif", "a whole number from 1"),
        (("query", "r", "\udcff"), "n'est pas en UTF-8", "is not UTF-8"),
        (("init", "r", "--shares", "3/2"), "2 ≤ K ≤ N ≤ 99", "2 ≤ K ≤ N ≤ 99"),
        (("init", "r", "--shares=1/2"), "2 ≤ K ≤ N ≤ 99", "2 ≤ K ≤ N ≤ 99"),
        (("party", "add", "r", "public", "--role", "member"), "« public » n'est pas un nom", "'public' is not a name"),
        (("upload", "r", "visits", "f"), "« membre.table »", "member.table"),
        (("upload", "r", "a.b"), "il manque : FILE", "required: FILE"),
        (("log", "r", "--since", "hier"), "« hier » : une date", "'hier': a date"),
        (("log", "verify"), "il manque : ROOM|DIR", "required: ROOM|DIR"),
        (("--version=3",), "ne prend pas de valeur : '3'", "ignored explicit argument '3'"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...], french: str, english: str, run_in: Runner) -> None:
    for lang, expected in (("fr", french), ("en", english)):
        ran = run_in(*arguments, lang=lang)
        assert (ran.code, ran.out) == (2, "")
        assert expected in ran.err
    # The usage line stands before every message.
    assert run_in(*arguments, lang="fr").err.startswith("utilisation : cleanroom")


def test_control_characters_of_arguments_are_not_echoed(room: Cooperative) -> None:
    hostile = "\x1b]0;owned\x07\x9b31m\u202e\u200b"
    for arguments in (
        (f"frob{hostile}",),
        ("budget", f"{room.room}{hostile}"),
        ("budget", room.room, hostile),
        ("catalog", room.room, "--as", hostile),
        ("query", room.room, "--as", "observatoire", "--purpose", hostile, "SELECT 1"),
        ("query", room.room, "--as", "observatoire", "--purpose", "sector_statistics", f"SELECT {hostile} 1"),
    ):
        ran = room(*arguments)
        assert ran.code in {1, 2, 3}
        assert not set("\x1b\x07\x9b\u202e\u200b") & set(ran.err + ran.out)


def test_help_needs_no_engine() -> None:
    """A separate process, since this one has loaded everything."""
    heavy = "{'duckdb', 'opendp', 'sqlglot', 'numba', 'polars', 'pyarrow', 'numpy', 'pandas', 'cryptography'}"
    script = (
        "import sys; from cleanroom.cli import main\n"
        "codes = [main(['--help']), main(['query', '--help']), main(['query', 'r']), main(['--version'])]\n"
        f"sys.exit(0 if codes == [0, 0, 2, 0] and not {heavy} & set(sys.modules) else 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0


def test_every_command_has_its_function() -> None:
    """Commands are found by name when they are run; none may be missing, and none be left over."""
    assert set(_PLACES) == (set(COMMANDS) - {""}) | {"log verify --balances"}
    for module, function in _PLACES.values():
        assert callable(getattr(import_module(f"cleanroom.cli.{module}"), function))
