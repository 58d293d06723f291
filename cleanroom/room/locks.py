"""Know whether anybody is at work in a room: advisory locks that the kernel releases when a process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ASKING: Final = "asking.lock"
_INTAKE: Final = "intake.lock"
_REMEMBERING: Final = ".checkpoint.lock"


@contextmanager
def asking(room: Path) -> Iterator[None]:
    """Hold while a question is under way, so that its reservation is not taken for one that a crash left."""
    with _locked(room / _ASKING, fcntl.LOCK_SH):
        yield


@contextmanager
def nobody_asking(room: Path) -> Iterator[bool]:
    """Hold off questions and yield True, or yield False at once if one is under way."""
    with _tried(room / _ASKING) as alone:
        yield alone


@contextmanager
def taking_in(room: Path) -> Iterator[None]:
    """Hold while a package is taken in; one at a time, so that what no record knows is a crash's orphan."""
    with _locked(room / _INTAKE, fcntl.LOCK_EX):
        yield


@contextmanager
def taking_in_now(room: Path) -> Iterator[bool]:
    """Hold off intakes and yield True, or yield False at once if one is under way."""
    with _tried(room / _INTAKE) as alone:
        yield alone


@contextmanager
def remembering(keys: Path) -> Iterator[None]:
    """Hold while the remembered checkpoint of a room is compared and replaced."""
    with _locked(keys / _REMEMBERING, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _tried(path: Path) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
