"""`log witnesses`, `log cosign`: whom a room asks to cosign its log, and asking them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from audit_log import Refusal
from cleanroom.cli import figures
from cleanroom.cli.rooms import read_file
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Room
from cleanroom.room.witnesses import cosign, set_witnesses, states_of, witnesses_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from cleanroom.cli.console import Console
    from cleanroom.room.witnesses import Cosigning

WHY: Final[Mapping[Refusal, Bilingual]] = {
    Refusal.UNREACHABLE: Bilingual("ne répond pas", "does not answer"),
    Refusal.NOT_KNOWN: Bilingual("ne connaît pas ce journal ou sa clé", "does not know this log or its key"),
    Refusal.AHEAD: Bilingual(
        "a contresigné davantage que ce qui est ici : la salle a reculé", "has cosigned more than is here: rolled back"
    ),
    Refusal.INCONSISTENT: Bilingual(
        "a contresigné une autre histoire que celle-ci", "has cosigned another history than this one"
    ),
    Refusal.WRONG_ANSWER: Bilingual("répond à côté du protocole", "answers otherwise than the protocol allows"),
}
GRAVE: Final = frozenset({Refusal.AHEAD, Refusal.INCONSISTENT})


def witnesses(console: Console, arguments: argparse.Namespace) -> int:
    """Set or show a room's witnesses."""
    with Room.open(arguments.room) as room:
        if arguments.policy is not None:
            set_witnesses(room, read_file(arguments.policy), limit_hours=arguments.limit)
        held = witnesses_of(room.connection)
        if held is None:
            console.say("Cette salle n'a pas de témoins.", "This room has no witnesses.")
            return ExitCode.DONE
        rows = []
        for each in states_of(room.connection, held):
            state = Bilingual("a contresigné", "has cosigned") if each.size else Bilingual("pas encore", "not yet")
            failing = WHY[Refusal(each.failing)] if each.failing else state
            size = figures.number(each.size, 0, console.language)
            rows.append((each.witness.name, each.witness.url or "—", size, failing.into(console.language)))
    headers = (
        console.words("témoin", "witness"),
        "URL",
        console.words("entrées", "entries"),
        console.words("état", "state"),
    )
    console.table(headers, rows, right={2})
    console.say(f"quorum : {held.policy.quorum}", f"quorum: {held.policy.quorum}")
    if held.limit is not None:
        hours = held.limit // 3600
        console.say(
            f"sans quorum depuis plus de {hours} h, aucune question n'est répondue",
            f"without a quorum for more than {hours} h, no question is answered",
        )
    return ExitCode.DONE


def ask(console: Console, arguments: argparse.Namespace) -> int:
    """Ask a room's witnesses, once or again and again."""
    with Room.open(arguments.room) as room:
        while True:
            asked = cosign(room)
            code = _say(console, asked)
            sys.stdout.flush()
            if arguments.every is None:
                return code
            time.sleep(arguments.every)


def _say(console: Console, asked: Cosigning | None) -> int:
    if asked is None:
        console.say("Cette salle n'a pas de témoins.", "This room has no witnesses.")
        return ExitCode.DONE
    size = figures.number(asked.size, 0, console.language)
    if asked.quorum:
        console.say(f"{size} entrées contresignées par un quorum.", f"{size} entries cosigned by a quorum.")
    else:
        console.say(f"{size} entrées : pas de quorum.", f"{size} entries: no quorum.")
    for each in asked.declined:
        why = WHY[each.why]
        console.error(Bilingual(f"{each.witness} {why.fr}", f"{each.witness} {why.en}"), f"witness_{each.why.value}")
    if any(each.why in GRAVE for each in asked.declined):
        return ExitCode.NOT_VERIFIED
    return ExitCode.DONE if asked.quorum else ExitCode.FAULT
