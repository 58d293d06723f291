"""`log`, `log read`, `log export`: who did what."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from audit_log import EventType, Outcome
from cleanroom.cli import figures
from cleanroom.cli.formats import as_json
from cleanroom.cli.text import visible
from cleanroom.errors import Bilingual, CleanroomError, ExitCode, Language
from cleanroom.partition.manifest import Manifest
from cleanroom.room import Room, log_reading, registry
from cleanroom.room.log_reading import Wanted, sign_log_reading

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from cleanroom.cli.console import Console
    from cleanroom.room.log_reading import LogLine

EVENTS: Final[Mapping[EventType, Bilingual]] = {
    EventType.ROOM_CREATED: Bilingual("salle créée", "room made"),
    EventType.PARTY_ADDED: Bilingual("partie inscrite", "party registered"),
    EventType.PARTY_REMOVED: Bilingual("partie retirée", "party removed"),
    EventType.TABLE_DECLARED: Bilingual("table déclarée", "table declared"),
    EventType.REFERENCE_ADDED: Bilingual("table publique ajoutée", "public table added"),
    EventType.POLICY_APPROVED: Bilingual("règle approuvée", "policy approved"),
    EventType.BUDGET_GRANTED: Bilingual("budget accordé", "budget granted"),
    EventType.LINKAGE_REGISTERED: Bilingual("clé d'appariement inscrite", "linkage key registered"),
    EventType.DATASET_UPLOADED: Bilingual("données déposées", "data handed in"),
    EventType.DATASET_WITHDRAWN: Bilingual("données retirées", "data withdrawn"),
    EventType.DATASET_ERASED: Bilingual("données effacées", "data erased"),
    EventType.UPLOAD_REFUSED: Bilingual("dépôt refusé", "upload refused"),
    EventType.QUERY_CHARGED: Bilingual("question imputée", "question charged"),
    EventType.QUERY_RELEASED: Bilingual("réponse sortie", "answer released"),
    EventType.QUERY_FAILED: Bilingual("question en panne", "question failed"),
    EventType.QUERY_REFUSED: Bilingual("question refusée", "question refused"),
    EventType.QUERY_PREVIEWED: Bilingual("aperçu d'une question", "question previewed"),
    EventType.CATALOG_READ: Bilingual("catalogue lu", "catalog read"),
    EventType.BUDGET_READ: Bilingual("budget lu", "budget read"),
    EventType.LOG_READ: Bilingual("journal lu", "log read"),
    EventType.LOG_EXPORTED: Bilingual("journal exporté", "log exported"),
    EventType.KEY_REGISTERED: Bilingual("clé inscrite", "key registered"),
    EventType.KEY_ROTATED: Bilingual("clé renouvelée", "key rotated"),
    EventType.KEY_USED: Bilingual("clés ouvertes", "keys opened"),
    EventType.KEY_DESTROYED: Bilingual("clé détruite", "key destroyed"),
    EventType.ACCESS_REFUSED: Bilingual("accès refusé", "access refused"),
    EventType.DETAILS_ERASED: Bilingual("détails effacés", "details erased"),
    EventType.RETENTION_EXECUTED: Bilingual("détails effacés à terme", "details erased by age"),
    EventType.WITNESSES_SET: Bilingual("témoins fixés", "witnesses set"),
    EventType.WITNESS_FAILED: Bilingual("témoin sans contresigner", "witness did not cosign"),
    EventType.WITNESS_RETURNED: Bilingual("témoin de retour", "witness is back"),
}

_OUTCOMES: Final[Mapping[Outcome, Bilingual]] = {
    Outcome.OK: Bilingual("fait", "done"),
    Outcome.REFUSED: Bilingual("refusé", "refused"),
    Outcome.ERROR: Bilingual("panne", "error"),
}

_WIDEST_SUBJECT: Final = 60


def show(console: Console, arguments: argparse.Namespace) -> int:
    """Show the log's entries."""
    wanted = wanted_of(arguments)
    with Room.open(arguments.room) as room:
        request = None if arguments.reader is None else sign_log_reading(room, arguments.reader, wanted)
        lines = log_reading.read(room, wanted, request=request)
        if arguments.format == "json":
            names = {party.ordinal: name for name, party in registry.parties(room.connection).items()}
            _print_json(console, lines, names)
        else:
            _print_table(console, lines)
    return ExitCode.DONE


def wanted_of(arguments: argparse.Namespace) -> Wanted:
    """Return which entries the filters choose."""
    first, last = arguments.entries
    return Wanted(
        party=arguments.party,
        member=arguments.member,
        purpose=arguments.purpose,
        events=tuple(arguments.events),
        refused=arguments.refused,
        since=arguments.since,
        until=arguments.until,
        first=first,
        last=last,
    )


def export(console: Console, arguments: argparse.Namespace) -> int:
    """Export the log."""
    with Room.open(arguments.room) as room:
        checkpoint = log_reading.export(room, arguments.directory, cosigned=arguments.cosigned)
    size = figures.number(checkpoint.size, 0, console.language)
    console.say(
        f"{size} entrées écrites dans {arguments.directory} ; cleanroom log verify les vérifie sans la salle.",
        f"{size} entries written to {arguments.directory}; cleanroom log verify verifies them without the room.",
    )
    return ExitCode.DONE


def _print_table(console: Console, lines: Iterator[LogLine]) -> None:
    headers = [
        console.words("entrée", "entry"),
        console.words("moment (UTC)", "time (UTC)"),
        console.words("partie", "party"),
        console.words("quoi", "what"),
        console.words("issue", "outcome"),
        console.words("but", "purpose"),
        console.words("objet", "subject"),
    ]
    rows = []
    for line in lines:
        event = line.envelope.event
        details = line.details or {}
        rows.append(
            (
                str(line.index),
                _moment(event.t).strftime("%Y-%m-%d %H:%M:%S"),
                line.actor or event.actor,
                EVENTS[event.type].into(console.language),
                _OUTCOMES[event.outcome].into(console.language),
                _purpose(event.purpose, details),
                _subject(line, console.language),
            )
        )
    console.table(headers, rows, right={0})


def _print_json(console: Console, lines: Iterator[LogLine], names: Mapping[int, str]) -> None:
    """Print a JSON array, one entry a line, as they are read."""
    before = "["
    for line in lines:
        event = line.envelope.event
        entry = {
            "index": line.index,
            "t": event.t,
            "time": _moment(event.t).isoformat().replace("+00:00", "Z"),
            "type": event.type.value,
            "outcome": event.outcome.value,
            "actor": line.actor or event.actor,
            "parties": [names.get(ordinal, str(ordinal)) for ordinal in sorted(event.parties)],
            "policy": event.policy,
            "purpose": _purpose(event.purpose, line.details or {}),
            "caused_by": None if event.caused_by < 0 else event.caused_by,
            "details": line.details,
            "withheld": line.withheld,
        }
        sys.stdout.write(f"{before}\n{as_json(entry)}")
        before = ","
    console.lines(["[]"] if before == "[" else ["", "]"])


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _purpose(code: str, details: Mapping[str, object]) -> str:
    """Return an entry's purpose as the room writes it; its public part has no `_`."""
    content = details.get("content")
    asked = content.get("purpose") if isinstance(content, dict) else None
    written = details.get("purpose", asked)
    return written if isinstance(written, str) else code.replace("-", "_")


def _subject(line: LogLine, language: Language) -> str:
    """Return in a few words what an entry is about."""
    details, caused_by = line.details, line.envelope.event.caused_by
    if line.withheld:
        return Bilingual("(scellé pour d'autres)", "(sealed for others)").into(language)
    if details is None:
        return Bilingual("(détails effacés)", "(details erased)").into(language)
    content = details.get("content")
    if isinstance(content, dict) and isinstance(content.get("sql"), str):
        return _shortened(" ".join(content["sql"].split()))
    manifest = details.get("manifest")
    if isinstance(manifest, str):
        with suppress(CleanroomError):
            return _shortened(f"{Manifest.parse(manifest.encode()).table}, v{details.get('number')}")
    for name in ("party", "table", "reason", "cause", "format"):
        value = details.get(name)
        if isinstance(value, str) and value:
            return _shortened(value)
    return "" if caused_by < 0 else f"→ {caused_by}"


def _shortened(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _WIDEST_SUBJECT else f"{shown[: _WIDEST_SUBJECT - 1]}…"
