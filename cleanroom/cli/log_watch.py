"""`log watch`: each use of a member's data, as text, JSON lines or an Atom feed, numbered without gaps."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from audit_log import DatabaseSource, DirectorySource, explain
from cleanroom.cli import figures
from cleanroom.cli.formats import as_json
from cleanroom.cli.log_places import source_of
from cleanroom.cli.log_readers import missing_details
from cleanroom.cli.log_verification import READING
from cleanroom.cli.log_words import EVENTS, OUTCOMES, moment, purpose_of, subject
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.errors import Bilingual, ExitCode, Fault, NotVerified, UsageError
from cleanroom.room import Home, Room, registry
from cleanroom.room.creation import DATABASE
from cleanroom.room.database import connect
from cleanroom.room.log_reading import LogLine, Wanted, details_for, sign_watching
from cleanroom.room.reading_key import read_reading_key
from cleanroom.room.sealed_reading import open_details, read_own
from cleanroom.room.watching import Watcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from audit_log import Source, Verifier
    from cleanroom.cli.console import Console
    from cleanroom.room.watching import Watched
    from key_management import TransportKey

    Details = Callable[[Watched], list[LogLine]]

MOST_IN_FEED: Final = 200
_ATOM: Final = "http://www.w3.org/2005/Atom"


def watch(console: Console, arguments: argparse.Namespace) -> int:
    """Tell a member what touches its data, once or again and again."""
    home = Home.default()
    with ExitStack() as opened:
        source, log, ordinal, owns, lines = _opened(home, arguments, opened)
        watcher = Watcher(home, arguments.party, log, ordinal=ordinal, owns=owns)
        everything = arguments.everything or arguments.format == "atom"
        while True:
            with ProgressLine(console) as line:
                found = watcher.look(source, everything=everything, progress=line.of(READING))
            if not found.verdict.ok:
                sentence = explain(found.verdict, console.language.value)
                console.error(Bilingual(sentence, sentence), found.verdict.code.value)
                return ExitCode.NOT_VERIFIED
            _tell(console, arguments, found, lines(found))
            sys.stdout.flush()
            watcher.told(found)
            if arguments.every is None:
                return ExitCode.DONE
            everything = arguments.format == "atom"
            time.sleep(arguments.every)


def _opened(
    home: Home, arguments: argparse.Namespace, opened: ExitStack
) -> tuple[Source, Verifier, int | None, bool, Details]:
    """Open the log wherever it is; with whose it is to watch, and whether it may have made uploads.

    Details are read where the room's root key and the member's key are at hand, or of an export with a reading key.
    """
    source, log = source_of(home, arguments.target, arguments.vkey, opened)
    if arguments.key is not None:
        if not isinstance(source, DirectorySource):
            raise UsageError(
                Bilingual("--key lit un export (log export --details)", "--key reads an export (log export --details)"),
                code="no_sealed_details",
            )
        key = read_reading_key(arguments.key)
        return source, log, arguments.ordinal, True, lambda found: _unsealed(arguments, found, key)
    if not isinstance(source, DatabaseSource):
        return source, log, arguments.ordinal, True, _envelopes
    place = Path(arguments.target)
    with closing(connect(place / DATABASE)) as connection:
        member = registry.party_named(connection, arguments.party)
        owns = any(each.table.owner == member.party for each, _ in registry.history(connection))
    return source, log, member.ordinal, owns, _details(place, arguments, opened)


def _details(place: Path, arguments: argparse.Namespace, opened: ExitStack) -> Details:
    try:
        room = opened.enter_context(Room.open(place))
        request = sign_watching(room, arguments.party)
    except Fault:  # without the room's root key or the member's, envelopes are what there is to see
        return _envelopes
    read = details_for(room, request)
    return lambda found: [read(touch.index, touch.envelope) for touch in found.touches]


def _envelopes(found: Watched) -> list[LogLine]:
    return [LogLine(touch.index, touch.envelope, None, None, withheld=True) for touch in found.touches]


def _unsealed(arguments: argparse.Namespace, found: Watched, key: TransportKey) -> list[LogLine]:
    """Return what a member's own key opens of the entries that it is told of; one that is left out ends it."""
    if found.verdict.checkpoint is None or not found.touches:
        return []
    place, touched = Path(arguments.target), {touch.index for touch in found.touches}
    with open_details(place) as file:
        reading = read_own(place, found.verdict.checkpoint, file, key)
        if reading.party != arguments.party:
            raise UsageError(
                Bilingual(
                    f"cette clé est celle de {reading.party}, non de {arguments.party}",
                    f"this key is that of {reading.party}, not of {arguments.party}",
                ),
                code="another_reading_key",
            )
        lines = {line.index: line for line in reading.lines(Wanted(first=min(touched))) if line.index in touched}
    missing = sorted(touched & set(reading.missing))
    if missing:
        raise NotVerified(missing_details(missing), code="details_missing")
    return [lines[touch.index] for touch in found.touches]


def _tell(console: Console, arguments: argparse.Namespace, found: Watched, lines: Sequence[LogLine]) -> None:
    match arguments.format:
        case "jsonl":
            for touch, line in zip(found.touches, lines, strict=True):
                sys.stdout.write(f"{as_json(_object(touch.counter, line))}\n")
        case "atom":
            console.data(_feed(console, arguments, found, lines))
        case _:
            for touch, line in zip(found.touches, lines, strict=True):
                console.say(_sentence(console, touch.counter, line), _sentence(console, touch.counter, line))
            _verified(console, found)


def _verified(console: Console, found: Watched) -> None:
    checkpoint = found.verdict.checkpoint
    size = figures.number(0 if checkpoint is None else checkpoint.size, 0, console.language)
    count = figures.number(found.counter, 0, console.language)
    console.note(
        f"Journal vérifié : {size} entrées, dont {count} vous touchent, de la n° 1 à la n° {count} sans lacune ; "
        f"{found.new} nouvelle(s) ; reçus honorés : {found.receipts}.",
        f"Log verified: {size} entries, of which {count} touch you, from no. 1 to no. {count} without a gap; "
        f"{found.new} new; receipts honoured: {found.receipts}.",
    )


def _sentence(console: Console, counter: int, line: LogLine) -> str:
    event = line.envelope.event
    what = EVENTS[event.type].into(console.language)
    said = [
        f"{console.words('n°', 'no.')} {counter}",
        moment(event.t).strftime("%Y-%m-%d %H:%M:%S"),
        f"{console.words('entrée', 'entry')} {line.index}",
        f"{what} ({OUTCOMES[event.outcome].into(console.language)})",
        f"{console.words('par', 'by')} {line.actor or event.actor}",
    ]
    purpose = purpose_of(line)
    if purpose:
        said.append(f"{console.words('but', 'purpose')} {purpose}")
    about = "" if line.withheld else subject(line, console.language)
    return " · ".join([*said, about] if about else said)


def _object(counter: int, line: LogLine) -> dict[str, object]:
    event = line.envelope.event
    return {
        "counter": counter,
        "index": line.index,
        "t": event.t,
        "time": moment(event.t).isoformat().replace("+00:00", "Z"),
        "type": event.type.value,
        "outcome": event.outcome.value,
        "actor": line.actor or event.actor,
        "purpose": purpose_of(line),
        "legal": event.legal,
        "policy": event.policy,
        "caused_by": None if event.caused_by < 0 else event.caused_by,
        "details": line.details,
    }


def _feed(console: Console, arguments: argparse.Namespace, found: Watched, lines: Sequence[LogLine]) -> bytes:
    """Return an Atom feed (RFC 4287) of the last entries; an entry's id holds its number, so that a gap shows."""
    ET.register_namespace("", _ATOM)
    origin = "" if found.verdict.checkpoint is None else found.verdict.checkpoint.origin
    base = f"urn:{origin.replace('/', ':')}:{arguments.party}"
    feed = ET.Element(f"{{{_ATOM}}}feed")
    _text(feed, "id", base)
    _text(
        feed,
        "title",
        console.words(f"Usages des données de {arguments.party}", f"Uses of the data of {arguments.party}"),
    )
    last = lines[-1].envelope.event.t if lines else 0
    _text(feed, "updated", datetime.fromtimestamp(last, UTC).isoformat())
    author = ET.SubElement(feed, f"{{{_ATOM}}}author")
    _text(author, "name", origin)
    pairs = list(zip(found.touches, lines, strict=True))[-MOST_IN_FEED:]
    for touch, line in reversed(pairs):
        entry = ET.SubElement(feed, f"{{{_ATOM}}}entry")
        _text(entry, "id", f"{base}:{touch.counter}")
        what = EVENTS[line.envelope.event.type].into(console.language)
        _text(entry, "title", f"{console.words('n°', 'no.')} {touch.counter} · {what}")
        _text(entry, "updated", moment(line.envelope.event.t).isoformat())
        _text(entry, "content", _printable(_sentence(console, touch.counter, line)))
    ET.indent(feed)
    written: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _text(parent: ET.Element, name: str, content: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}{name}").text = content


def _printable(text: str) -> str:
    """Return text without what XML 1.0 cannot hold."""
    return "".join(char if char.isprintable() else " " for char in text)
