"""Run one command: language, arguments, the command's module, and an exit code for whatever comes of it."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cleanroom.cli.arguments import build_parser
from cleanroom.cli.command_words import command_words
from cleanroom.cli.console import Console
from cleanroom.cli.parser import UsageShown
from cleanroom.cli.values import language_of
from cleanroom.errors import Bilingual, CleanroomError, ExitCode, Language, Refused, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

_PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("rooms", "init"),
    "party add": ("rooms", "add_party"),
    "party key": ("log_readers", "register_key"),
    "party new": ("member_keys", "make"),
    "linkage ask": ("member_keys", "ask"),
    "linkage give": ("member_keys", "give"),
    "linkage take": ("member_keys", "take"),
    "declare": ("rooms", "declare"),
    "declare --draft": ("drafts", "show"),
    "declare --package": ("rooms", "declare_at_home"),
    "declare --preset": ("presets", "show"),
    "upload": ("uploads", "upload"),
    "upload --facts": ("uploads", "upload_at_home"),
    "opt-out": ("opt_out", "opt_out"),
    "upload --resume": ("uploads", "resume"),
    "uploads": ("table_life", "uploads"),
    "withdraw": ("table_life", "withdraw_table"),
    "erase": ("erasures", "erase_people"),
    "erase --facts": ("erasures", "order"),
    "erase --take": ("erasures", "take"),
    "facts": ("table_life", "facts"),
    "intake": ("uploads", "intake"),
    "catalog": ("catalogs", "catalog"),
    "reference add": ("references", "add"),
    "reference list": ("references", "listed"),
    "reference show": ("references", "show"),
    "budget": ("budgets", "budget"),
    "query": ("questions", "query"),
    "preview": ("questions", "preview"),
    "check": ("questions", "check"),
    "log": ("logs", "show"),
    "log read": ("logs", "show"),
    "backup": ("backups", "backup"),
    "restore": ("backups", "restore"),
    "log serve": ("log_services", "serve"),
    "log register access": ("log_register", "access"),
    "log register check": ("log_register", "check"),
    "log key": ("log_readers", "make_key"),
    "log mandate give": ("log_readers", "give"),
    "log mandate list": ("log_mandates", "listed"),
    "log mandate sign": ("log_readers", "sign"),
    "log mandate take": ("log_readers", "take"),
    "log mandate withdraw": ("log_readers", "withdraw"),
    "log retention": ("log_retention", "retention"),
    "log watch": ("log_watch", "watch"),
    "log witness": ("log_services", "witness"),
    "log witnesses": ("log_witnesses", "witnesses"),
    "log cosign": ("log_witnesses", "ask"),
    "log export": ("logs", "export"),
    "log verify": ("log_verification", "verify"),
    "log verify --balances": ("balances", "verify"),
}
"""The module of this package that has a command, and its function there: `run(console, parsed) -> exit code`."""

INTERRUPTED: Final = 130
"""128 + SIGINT, as shells count."""

BROKEN_PIPE: Final = 141
"""128 + SIGPIPE: whoever read our output has gone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `cleanroom` and return its exit code (DESIGN §8).

    Args:
        arguments: without the program's name; None for those of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without « ± » shows something else for it
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except OSError as error:
        # Only the last flush can come here: the disk that standard output goes to.
        _discard_output()
        return _failed(Console(_language(given)), error)
    return code


def _run(given: Sequence[str]) -> int:
    console = Console(_language(given))
    try:
        _, rest = language_of(given, os.environ.get("CLEANROOM_LANG"))
        parser = build_parser(console.language)
        parsed = parser.parse_args(command_words(rest))
        if parsed.version:
            return _version(console)
        if parsed.command is None:
            sys.stderr.write(parser.format_help())
            return ExitCode.USAGE
        return _command(console, parsed)
    except SystemExit as done:
        return int(done.code or 0)
    except UsageShown as error:
        sys.stderr.write(f"{error.usage}\n")
        console.failed(error)
        return error.exit_code
    except Refused as refused:
        console.refused(refused, None)
        return refused.exit_code
    except CleanroomError as error:
        if _debugging() and error.__cause__ is not None:
            raise
        console.failed(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.note("\ninterrompu", "\ninterrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if _debugging():
            raise
        return _failed(console, error)


def _command(console: Console, parsed: argparse.Namespace) -> int:
    """Run a command; its module, and what that needs, is loaded only now."""
    name = f"{parsed.command} --balances" if getattr(parsed, "balances", False) else parsed.command
    module, function = _PLACES[name]
    run: Callable[[Console, argparse.Namespace], int] = getattr(import_module(f"cleanroom.cli.{module}"), function)
    return run(console, parsed)


def _language(given: Sequence[str]) -> Language:
    """Return the language to speak, also where `--lang` asks for one that there is not."""
    default = os.environ.get("CLEANROOM_LANG")
    try:
        return language_of(given, default)[0]
    except UsageError:
        return language_of((), default)[0]


def _version(console: Console) -> int:
    from importlib.metadata import version

    console.lines([f"cleanroom {version('cleanroom')}"])
    return ExitCode.DONE


def _failed(console: Console, error: Exception) -> int:
    """Say that something failed which nobody foresaw, in words that hold no data (S23)."""
    from audit_log import LogFault, NotVerified
    from key_management import KeyManagementError

    match error:
        case NotVerified():
            console.error(
                Bilingual(f"le journal ne se vérifie pas : {error}", f"the log does not verify: {error}"),
                "log_not_verified",
            )
            return ExitCode.NOT_VERIFIED
        case LogFault():
            console.error(Bilingual(f"le journal : {error}", f"the log: {error}"), "log_failed")
        case KeyManagementError():
            console.error(Bilingual(f"les clés : {error}", f"the keys: {error}"), "keys_refused")
        case sqlite3.Error():
            console.error(
                Bilingual("la base de la salle ne se lit pas", "the room's database cannot be read"), "storage_failed"
            )
        case OSError():
            name = "" if error.filename is None else f"{os.fsdecode(error.filename)} : "
            console.error(
                Bilingual(f"{name}{error.strerror}", f"{name.replace(' : ', ': ')}{error.strerror}"), "storage_failed"
            )
        case _:
            console.error(
                Bilingual(
                    "erreur interne ; CLEANROOM_DEBUG=1 en montre la trace",
                    "internal error; CLEANROOM_DEBUG=1 shows its trace",
                ),
                f"internal_{_fingerprint(error)}",
            )
    return ExitCode.FAULT


def _fingerprint(error: Exception) -> str:
    """Return a short name for the place and kind of a failure: the same for the same bug, and nothing of the data."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return hashlib.sha256("|".join([type(error).__name__, *places]).encode()).hexdigest()[:8]


def _debugging() -> bool:
    return os.environ.get("CLEANROOM_DEBUG") == "1"


def _discard_output() -> None:
    """Send what is still buffered nowhere, so that closing the stream at exit does not fail again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, sys.stdout.fileno())
    finally:
        os.close(devnull)
