"""Where results go: standard output, or files that appear whole or not at all, opened before anything is charged."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cleanroom.errors import Bilingual, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cleanroom.cli.console import Console

    Write = Callable[[bytes], object]


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
        UsageError: it cannot be written there.
    """
    if path.is_dir():
        raise UsageError(Bilingual(f"{path} est un répertoire", f"{path} is a directory"), code="unwritable_output")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        file = temporary.open("xb")
    except OSError as error:
        raise UsageError(
            Bilingual(f"{path} ne s'écrit pas ({error.strerror})", f"{path} cannot be written ({error.strerror})"),
            code="unwritable_output",
        ) from None
    written = 0

    def write(content: bytes) -> None:
        nonlocal written
        written += file.write(content)

    try:
        with file:
            yield write
        if written:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
