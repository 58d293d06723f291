"""A small room, made once through the command itself, and a way to run the command and see what it wrote."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from cleanroom.cli import main
from examples.season import make_season

MEMBERS = ("theatre_fleuve", "nuits_claires", "guichet_nord")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the command gave."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()


def run(home: Path, *arguments: object, stdin: bytes = b"", lang: str | None = None, debug: bool = False) -> Ran:
    """Run the command in this process, as a terminal would."""
    out, err, given = (io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="") for content in (b"", b"", stdin))
    environment = {"CLEANROOM_HOME": str(home), "COLUMNS": "100"}
    if lang is not None:
        environment["CLEANROOM_LANG"] = lang
    if debug:
        environment["CLEANROOM_DEBUG"] = "1"
    cleared = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, cleared | environment, clear=True))
        for name, stream in (("stdout", out), ("stderr", err), ("stdin", given)):
            stack.enter_context(mock.patch.object(sys, name, stream))
        code = main([str(each) for each in arguments])
        out.flush()
        err.flush()
    read = [stream.buffer.getvalue() for stream in (out, err)]  # type: ignore[attr-defined]
    return Ran(code, read[0], read[1].decode())


@dataclass(frozen=True, slots=True)
class Cooperative:
    """The room, the keys of everybody in it, the files it was made from, and what each command said."""

    room: Path
    home: Path
    files: Path
    said: dict[str, Ran]

    def __call__(self, *arguments: object, stdin: bytes = b"", lang: str | None = None) -> Ran:
        return run(self.home, *arguments, stdin=stdin, lang=lang)


Runner = Callable[..., Ran]


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Cooperative:
    """Make the room of three members and the observatory."""
    base = tmp_path_factory.mktemp("cli")
    made = Cooperative(base / "room", base / "home", base / "files", {})
    make_season(persons=1500, seed=5).write(made.files)

    def step(name: str, *arguments: object) -> None:
        made.said[name] = made(*arguments)
        assert made.said[name].code == 0, made.said[name].err

    step("init", "init", made.room)
    for member in MEMBERS:
        step(f"party {member}", "party", "add", made.room, member, "--role", "member")
        step(f"declare {member}", "declare", made.room, made.files / f"{member}.visits.yaml")
        step(f"upload {member}", "upload", made.room, f"{member}.visits", made.files / f"{member}.visits.csv")
    step("party observatoire", "party", "add", made.room, "observatoire", "--role", "observatoire")
    return made


@pytest.fixture
def run_in(tmp_path: Path) -> Runner:
    """Run the command with a home of the test's own."""

    def runner(*arguments: object, stdin: bytes = b"", lang: str | None = None, debug: bool = False) -> Ran:
        return run(tmp_path / "home", *arguments, stdin=stdin, lang=lang, debug=debug)

    return runner
