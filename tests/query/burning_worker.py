"""A worker as the room starts it, whose questions may misbehave: what stands in the text says how."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cleanroom.query.admission_worker import OUT_OF_MEMORY, decision, serve
from cleanroom.query.gate import Question, Rulebook


def misbehave(question: Question, rulebook: Rulebook) -> dict[str, Any]:
    """Do what the first word says, without end for the tests that kill it; else decide as always."""
    match question.sql.split(" ", 1):
        case ["burn", _]:
            while time.process_time() < 30:
                pass
        case ["eat", _]:
            eaten = [bytes(1 << 20) for _ in range(1_500)]
            return {"admitted": True, "eaten": len(eaten)}
        case ["die", marker]:
            if not Path(marker).exists():
                os.kill(os.getpid(), signal.SIGKILL)
            return {"admitted": True}
        case ["die_once", marker]:
            if not Path(marker).exists():
                Path(marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return {"admitted": True}
        case ["fail", _]:
            raise AssertionError("our own bug")
        case ["halve", _]:
            os.write(1, b'{"admitted": tr')
            os.kill(os.getpid(), signal.SIGKILL)
        case ["look", _]:
            return {
                "modules": sorted({name for name in sys.modules if not name.startswith("_")}),
                "environment": sorted(os.environ),
                "files": sorted(
                    str(each.readlink())
                    for each in Path("/proc/self/fd").iterdir()
                    if int(each.name) > 2 and each.exists()
                ),
                "directory": str(Path.cwd()),
            }
    return decision(question, rulebook)


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, misbehave)
    except MemoryError:
        raise SystemExit(OUT_OF_MEMORY) from None
