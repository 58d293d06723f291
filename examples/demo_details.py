"""The end of the demonstration: a member reads at home, with a key of its own, what was asked of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit_log import open_checkpoint
from cleanroom.identifiers import PartyId
from cleanroom.room import log_reading
from cleanroom.room.log_reading import Wanted
from cleanroom.room.reading_key import read_reading_key, reading_key_path
from cleanroom.room.sealed_reading import open_details, read_own
from examples.demo_questions import FESTIVAL, HOUSES, OVERLAP
from examples.season import PARTIES

if TYPE_CHECKING:
    from pathlib import Path

    from examples.demo_questions import Stage


def read_at_home(stage: Stage, entry: int) -> None:
    """Read sealed details as the member whose data was read, and as one that has nothing to do with it.

    Args:
        entry: of the answer to the theatre.
    """
    story, export = stage.story, stage.directory / "export"
    story.say(
        f"{HOUSES[FESTIVAL]} lit chez lui, sans salle ni opérateur, ce que le théâtre a demandé de ses données ; "
        "sa clé de lecture n'ouvre que les détails qui le touchent :",
        f"{HOUSES[FESTIVAL]} reads at home, without room or operator, what the theatre asked of its data; its "
        "reading key opens the details that touch it and no others:",
    )
    log_reading.export(stage.room, export, details=True)
    story.command("cleanroom log export room export --details", "cleanroom log read export --key reading.key")
    charged = stage.room.journal.log.entry(stage.room.connection, entry).event.caused_by
    said = _told(stage, export, FESTIVAL, charged)
    other = next(each for each in reversed(PARTIES) if each != FESTIVAL)
    story.check(
        said == OVERLAP and _told(stage, export, other, charged) is None,
        f"entrée {charged}, mot pour mot : « {' '.join(OVERLAP.split())[:58]}… » ; pour {HOUSES[other]}, une enveloppe",
        f"entry {charged}, word for word: '{' '.join(OVERLAP.split())[:58]}…'; for {HOUSES[other]}, an envelope",
    )


def _told(stage: Stage, export: Path, party: str, entry: int) -> object:
    """Return the question that an entry tells a party of, None if it is sealed for others."""
    checkpoint = open_checkpoint((export / "checkpoint").read_bytes(), stage.room.journal.log.verifier)
    key = read_reading_key(reading_key_path(stage.home, PartyId(party)))
    with open_details(export) as file:
        own = read_own(export, checkpoint, file, key)
        (line,) = own.lines(Wanted(first=entry, last=entry))
    content = None if line.details is None or own.missing else line.details["content"]
    return content["sql"] if isinstance(content, dict) else None
