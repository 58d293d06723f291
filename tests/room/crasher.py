"""Ask, or upload, again and again, and say on standard output what was acknowledged; made to be killed.

python crasher.py ask|repeat|upload|race ROOM HOME INPUT
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from room_samples import OVERLAP, overlap, sector_table, visits

from cleanroom.errors import Refused
from cleanroom.room import Home, Room, question, upload


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main(what: str, path: str, home: str, given: str) -> None:
    question.TICK_SECONDS = 0.001  # type: ignore[misc]
    room = Room.open(path, home=Home(Path(home)))
    say("ready")
    session = room.session("theatre_fleuve")
    number = int(given) if what == "ask" else 0
    while what == "ask":
        number += 1
        say(str(session.query(overlap(number), purpose="audience_overlap", epsilon=0.01).receipt.index))
    while what == "repeat":
        answer = session.query(OVERLAP, purpose="audience_overlap", epsilon=0.01)
        say(f"{answer.receipt.index} {hashlib.sha256(answer.table.to_csv().encode()).hexdigest()}")
    if what.startswith("die"):
        release = question.log_release

        def die(*given: Any) -> int:
            if what == "die after":
                release(*given)
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        question.log_release = die
        session.query(OVERLAP, purpose="audience_overlap", epsilon=0.01)
    if what == "once":
        answer = session.query(OVERLAP, purpose="audience_overlap", epsilon=0.01)
        digest = hashlib.sha256(answer.table.to_csv().encode()).hexdigest()
        say(f"{answer.receipt.index} {digest} {answer.sources[0]}")
    while what == "upload":
        _, receipt = upload(room, visits("salle_grange"), Path(given))
        assert receipt is not None
        say(f"{receipt.receipt.index} {receipt.upload}")
    # Each its own questions: what another has asked already is answered for nothing.
    epsilon, _, first = given.partition(" ")
    number = int(first or 0)
    while what == "race":
        number += 1
        try:
            answer = room.session("observatoire").query(
                sector_table(number % 700), purpose="sector_statistics", epsilon=float(epsilon)
            )
        except Refused as refused:
            say(refused.code)
            return
        say(str(answer.receipt.index))


if __name__ == "__main__":
    main(*sys.argv[1:])
