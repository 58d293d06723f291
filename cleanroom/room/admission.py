"""Ask a worker whether questions are admitted; kill it and start another when one takes too much.

A worker gets rules and texts: no key, no open file, nothing of the environment but where Python's modules lie. What it
says is used as facts (`check`), never as leave to run: a plan that may be charged is issued by the gate in the room's
own process, and cannot be pickled (ADR 0010).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from cleanroom.errors import Bilingual, Fault
from cleanroom.query.admission_worker import OUT_OF_MEMORY, Limits, frame
from cleanroom.query.refusals import described, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.gate import Question, Rulebook

PROGRAM: Final = ("-m", "cleanroom.query.admission_worker")
TRIES: Final = 2
"""Workers that a question is given to. One that was killed from outside says nothing about the question: the kernel's
choice when the machine has no memory left is not told from an operator's `kill`. After the second it is."""

SILENT_SECONDS: Final = 120.0
"""A worker that takes neither CPU nor an end (one that was stopped) is killed after this."""


class Admission:
    """One worker for the questions of one rulebook, replaced when it ends.

    Args:
        program: what Python is to run, after its own options.
    """

    def __init__(self, rulebook: Rulebook, limits: Limits = Limits(), program: Sequence[str] = PROGRAM) -> None:  # noqa: B008
        # Public tables are read here, from the room's database, which the worker cannot open.
        self._start = frame((limits, replace(rulebook, references=dict(rulebook.references))))
        self._program = tuple(program)
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return this; the worker starts with the first question."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker."""
        self._end()

    @property
    def worker(self) -> int | None:
        """Return the process id of the worker, if one runs."""
        return None if self._worker is None else self._worker.pid

    def decide(self, question: Question) -> dict[str, Any]:
        """Return what the gate says of a question, as `admission_worker.decision` does, or that it takes too much.

        Raises:
            Fault: no worker can be started, or one failed otherwise than by its limits.
        """
        asked = frame(question)
        for _ in range(TRIES):
            worker = self._running()
            line = self._exchange(worker, asked)
            if line.endswith(b"\n"):
                decided: dict[str, Any] = json.loads(line)
                return decided
            status = self._end()
            if status in {-signal.SIGXCPU, OUT_OF_MEMORY}:
                break
            if status >= 0:
                raise _failed(status)
        return {"admitted": False, "refusals": [described(refusal("too_much_work"))]}

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the worker; start one if none runs."""
        if self._worker is None or self._worker.poll() is not None:
            self._end()
            modules = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
            self._worker = subprocess.Popen(
                [sys.executable, "-P", *self._program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"},
                cwd="/",
            )
            if not self._exchange(self._worker, self._start).endswith(b"\n"):
                raise _failed(self._end())
        return self._worker

    def _exchange(self, worker: subprocess.Popen[bytes], sent: bytes) -> bytes:
        """Return the worker's line; what does not end with a newline is no answer."""
        assert worker.stdin is not None  # noqa: S101 - pipes were asked for
        assert worker.stdout is not None  # noqa: S101
        silent = threading.Timer(SILENT_SECONDS, worker.kill)
        silent.start()
        try:
            with suppress(BrokenPipeError):
                worker.stdin.write(sent)
                worker.stdin.flush()
            return worker.stdout.readline()
        finally:
            silent.cancel()

    def _end(self) -> int:
        """End the worker, if there is one; return the status it ended with, were it before this."""
        worker, self._worker = self._worker, None
        if worker is None:
            return 0
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        # Without input it ends by itself: its own status is what tells why it ended.
        with suppress(subprocess.TimeoutExpired):
            return worker.wait(5)
        worker.kill()
        return worker.wait()


def _failed(status: int) -> Fault:
    return Fault(
        Bilingual(
            f"le processus qui examine les questions a échoué (état {status}) ; rien n'a été décidé ni imputé",
            f"the process that examines questions failed (status {status}); nothing was decided or charged",
        ),
        code="admission_failed",
    )
