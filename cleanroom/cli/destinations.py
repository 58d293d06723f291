"""Where results go: standard output, or files that appear whole or not at all, opened before anything is charged."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cleanroom.cli.console import Console

    Write = Callable[[bytes], object]
    """Writes on at the end of what was written before."""


@contextmanager
def result(console: Console, arguments: argparse.Namespace) -> Iterator[Write]:
    """Yield how to write the result: to standard output, or to the file of `--output`."""
    path: Path | None = arguments.output
    if path is not None:
        with whole_file(path) as write:
            yield write
        return
    if arguments.format == "parquet" and sys.stdout.isatty():
        raise UsageError(
            Bilingual("Parquet ne s'affiche pas : --output FILE", "Parquet is not for a terminal: --output FILE"),
            code="usage",
        )
    yield console.data


@contextmanager
def whole_file(path: Path) -> Iterator[Write]:
    """Yield how to write a file that replaces what is there only once it is whole, and only if it was written to.

    Raises:
        UsageError: it cannot be written there, or the disk is full; what was there is as it was.
    """
    with _beside(path, Readers.AS_USUAL) as (temporary, write):
        yield write
        if temporary.stat().st_size:
            try:
                temporary.replace(path)
            except OSError as error:
                raise unwritable(path, error) from None


class Readers(Enum):
    """Who may read a file that is made, by its mode."""

    AS_USUAL = 0o666
    """Whom the process's mask leaves."""

    OWNER = 0o600


@contextmanager
def new_file(path: Path, readers: Readers = Readers.AS_USUAL) -> Iterator[Write]:
    """Yield how to write a file that must not be there yet, and appears whole or not at all.

    So are files written that nobody could make again: a key beside it, what a person filled in, what was signed.

    Raises:
        UsageError: there is one already, or it cannot be written there, or the disk is full.
    """
    if path.exists() or path.is_symlink():
        raise _there(path)
    with _beside(path, readers) as (temporary, write):
        yield write
        try:
            _named(temporary, path)
        except FileExistsError:
            raise _there(path) from None
        except OSError as error:
            raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> UsageError:
    """Return the refusal of a place that cannot be written to."""
    why = _REASONS.get(error.errno or 0, Bilingual(str(error.strerror), str(error.strerror)))
    return UsageError(
        Bilingual(f"{path} ne s'écrit pas : {why.fr}", f"{path} cannot be written: {why.en}"), code="unwritable_output"
    )


_REASONS: Final = {
    errno.ENOSPC: Bilingual("le disque est plein", "the disk is full"),
    errno.EDQUOT: Bilingual("votre part du disque est pleine", "your share of the disk is full"),
    errno.ENOENT: Bilingual("son répertoire n'existe pas", "its directory does not exist"),
    errno.ENOTDIR: Bilingual("il n'est pas dans un répertoire", "it is not in a directory"),
    errno.EACCES: Bilingual("vous n'en avez pas le droit", "you may not"),
    errno.EROFS: Bilingual("le disque ne se lit qu'en lecture", "the disk is read only"),
}


def _there(path: Path) -> UsageError:
    return UsageError(Bilingual(f"{path} existe déjà", f"{path} exists already"), code="file_exists")


@contextmanager
def _beside(path: Path, readers: Readers) -> Iterator[tuple[Path, Write]]:
    """Yield a file beside another, and how to write it; it is gone in the end unless it got the other's name."""
    if path.is_dir():
        raise UsageError(Bilingual(f"{path} est un répertoire", f"{path} is a directory"), code="unwritable_output")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, readers.value)
    except OSError as error:
        raise unwritable(path, error) from None

    def write(content: bytes) -> None:
        left = memoryview(content)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
            # Before it gets its name: a name in a directory may be on disk before what it names.
            os.fsync(descriptor)
        except OSError as error:
            raise unwritable(path, error) from None

    try:
        yield temporary, write
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def _named(temporary: Path, path: Path) -> None:
    """Give a file its name if nothing has it, in one step."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # No second names here, as on most sticks: looked at once more, then named.
        if path.exists():
            raise FileExistsError from None
        temporary.replace(path)
