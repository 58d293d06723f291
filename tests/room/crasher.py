"""Ask, or upload, again and again, and say on standard output what was acknowledged; made to be killed.

python crasher.py ask|upload ROOM HOME INPUT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from room_samples import OVERLAP, SECTOR, visits

from cleanroom.errors import Refused
from cleanroom.room import Home, Room, question, upload


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main(what: str, path: str, home: str, given: str) -> None:
    question.TICK_SECONDS = 0.001  # type: ignore[misc]
    room = Room.open(path, home=Home(Path(home)))
    say("ready")
    while what == "ask":
        say(str(room.session("theatre_fleuve").query(OVERLAP, purpose="audience_overlap", epsilon=0.01).receipt.index))
    while what == "upload":
        _, receipt = upload(room, visits("salle_grange"), Path(given))
        assert receipt is not None
        say(f"{receipt.receipt.index} {receipt.upload}")
    while what == "race":
        try:
            answer = room.session("observatoire").query(SECTOR, purpose="sector_statistics", epsilon=float(given))
        except Refused as refused:
            say(refused.code)
            return
        say(str(answer.receipt.index))


if __name__ == "__main__":
    main(*sys.argv[1:])
