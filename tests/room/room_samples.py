"""A small room of six organisations, made once and copied; and the audit of a room that every test can call."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId
from cleanroom.identifiers import Role, TableName, party_id
from cleanroom.room import Home, Room, logbook, registry, upload
from cleanroom.room.home import OPERATOR
from cleanroom.room.registry import Stage
from examples.season import PARTIES, Season
from key_management import KeyDestroyed, KeyId, KeyKind

if TYPE_CHECKING:
    from pathlib import Path

PERSONS = 1500
MEMBER, OTHER = "theatre_fleuve", "nuits_claires"
LATE = "salle_grange"
"""Declared, but without an upload in the template."""

OVERLAP = (
    "SELECT theatre_fleuve.visits.region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits"
    " JOIN nuits_claires.visits USING (person) GROUP BY 1"
)


def sector(select: str, parties: tuple[str, ...] = PARTIES) -> str:
    """Return a question over the union of the tables of `parties`; `select` says FROM where that goes."""
    arms = " UNION ALL ".join(
        f"SELECT person, region, discipline, purchased, tickets, amount FROM {party}.visits"  # noqa: S608
        for party in parties
    )
    return select.replace("FROM", f"FROM ({arms}) AS s")


SECTOR = sector("SELECT discipline, SUM(tickets) AS billets FROM GROUP BY 1")


def overlap(number: int) -> str:
    """Return one of many questions like OVERLAP, at the same price, none of which answers another."""
    return OVERLAP.replace(" GROUP", f" WHERE theatre_fleuve.visits.amount <> {number}.01 GROUP")


def sector_table(number: int) -> str:
    """Return one of many questions like SECTOR, at the same price, none of which answers another."""
    day = date(2023, 9, 1) + timedelta(days=number)
    return SECTOR.replace(" GROUP", f" WHERE purchased <> DATE '{day}' GROUP")


def visits(party: str) -> TableName:
    """Return the table of a party."""
    return TableName(party_id(party), "visits")


@dataclass(frozen=True)
class Place:
    """A room's directory, the keys of its machine, and the files that its members upload."""

    path: Path
    home: Home
    inputs: Path

    def open(self) -> Room:
        return Room.open(self.path, home=self.home)

    def csv(self, party: str) -> Path:
        return self.inputs / f"{party}.visits.csv"

    def yaml(self, party: str) -> bytes:
        return (self.inputs / f"{party}.visits.yaml").read_bytes()

    def copy(self, to: Path) -> Place:
        """Copy room and keys; the input files are shared, since nobody writes them."""
        shutil.copytree(self.path, to / "room")
        shutil.copytree(self.home.path, to / "home")
        return Place(to / "room", Home(to / "home"), self.inputs)


def build(directory: Path, season: Season, *, uploads: tuple[str, ...] = PARTIES) -> Place:
    """Make a room with everybody's declarations, and the uploads of some."""
    place = Place(directory / "room", Home(directory / "home"), directory / "in")
    season.write(place.inputs)
    with Room.create(place.path, home=place.home) as room:
        for party in PARTIES:
            room.add_party(party, Role.MEMBER)
        room.add_party("observatoire", Role.OBSERVATOIRE)
        for party in PARTIES:
            room.declare(place.yaml(party))
        for party in uploads:
            upload(room, visits(party), place.csv(party))
    return place


def ask(room: Room, sql: str = OVERLAP, **asked: Any) -> Any:
    """Ask as the member, or as the Observatoire where the question is the sector's."""
    sector_wide = "UNION ALL" in sql
    asked.setdefault("purpose", "sector_statistics" if sector_wide else "audience_overlap")
    asked.setdefault("epsilon", 0.1)
    return room.session("observatoire" if sector_wide else MEMBER).query(sql, **asked)


def entries(room: Room) -> list[tuple[int, EventType, dict[str, Any]]]:
    """Return the log's entries with details, without entering that they were read."""
    return [
        (index, envelope.event.type, room.journal.details(room.connection, index))
        for index, envelope in room.journal.log.entries(room.connection)
    ]


def kinds(room: Room) -> list[EventType]:
    return [kind for _, kind, _ in entries(room)]


def committed(place: Place) -> tuple[int, dict[str, str]]:
    """Return what another process would see: the log's size, and each reservation's state."""
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        (size,) = connection.execute("SELECT count(*) FROM audit_entry").fetchone()
        states = dict(connection.execute("SELECT reservation, state FROM ledger_reservation").fetchall())
    return size, states


def stored_names(place: Place) -> list[str]:
    """Return the stored draws as another process sees them, the oldest first."""
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM stored_draw ORDER BY place")]


def spent(room: Room) -> dict[str, int]:
    """Return every account's lifetime spending in ledger steps."""
    accounts = [AccountId(None), *(AccountId(table) for table in registry.declared_ever(room.connection))]
    return {
        str(account): ledger.balance(room.connection, account, room.now()).spent_lifetime.pico for account in accounts
    }


def spent_by_log(room: Room) -> dict[str, int]:
    """Recompute every account's spending from the details of the log alone, as an auditor would."""
    total: Counter[str] = Counter(dict.fromkeys(spent(room), 0))
    for _, kind, details in entries(room):
        if kind is EventType.QUERY_CHARGED:
            total.update({account: int(steps) for account, steps in details["charges"]})
    return dict(total)


_BY_STATE = {
    "released": [EventType.QUERY_CHARGED, EventType.KEY_USED, EventType.QUERY_RELEASED],
    "data_read": [EventType.QUERY_CHARGED, EventType.KEY_USED],
    "reserved": [EventType.QUERY_CHARGED],
}
_REQUESTED = {
    EventType.QUERY_CHARGED,
    EventType.QUERY_REFUSED,
    EventType.QUERY_REUSED,
    EventType.QUERY_PREVIEWED,
    EventType.CATALOG_READ,
    EventType.TABLE_DECLARED,
    EventType.DATASET_WITHDRAWN,
    EventType.KEY_REGISTERED,
    EventType.MANDATE_GIVEN,
    EventType.MANDATE_WITHDRAWN,
}


def audit(place: Place) -> None:
    """Open a room as a restart would, and check that log, ledger, records and files say the same."""
    with place.open() as room:
        found = logbook.verify(place.path, place.home)
        assert found.ok, (found.verdict, found.damaged, found.contradictions)
        assert spent(room) == spent_by_log(room)
        assert ledger.unfinished(room.connection) == ()

        told = entries(room)
        _, states = committed(place)
        for reservation, state in states.items():
            named = [kind for _, kind, details in told if details.get("request") == reservation]
            if state == "failed":
                assert named[0] is EventType.QUERY_CHARGED
                assert named[1:] in ([EventType.QUERY_FAILED], [EventType.KEY_USED, EventType.QUERY_FAILED])
            else:
                assert named == _BY_STATE[state], (state, named)
        charged = {details["request"] for _, kind, details in told if kind is EventType.QUERY_CHARGED}
        assert charged == set(states)

        taken = {row[0] for row in room.connection.execute("SELECT request FROM request")}
        # An erasure's request is taken with the entry that its keys are opened; what is done of it may not follow.
        signed = [
            details
            for _, kind, details in told
            if (kind in _REQUESTED or details.get("act") == "erase") and details["actor"] != OPERATOR
        ]
        answered = [details["request"] for details in signed]
        assert sorted(answered) == sorted(taken), "a request without its entry, or an entry without its request"

        held = registry.history(room.connection)
        for each, _ in held:
            kind, details = next((kind, details) for index, kind, details in told if index == each.log_index)
            if each.package == each.upload:
                assert kind is EventType.DATASET_UPLOADED
                assert details["upload"] == each.upload
            else:
                assert kind is EventType.DATASET_ERASED
                assert each.upload in {new for _, new, *_ in details["files"]}
        logged = [details["upload"] for _, kind, details in told if kind is EventType.DATASET_UPLOADED]
        erased = [details["files"] for _, kind, details in told if kind is EventType.DATASET_ERASED]
        logged += [new for files in erased for _, new, *_ in files]
        assert sorted(logged) == sorted(each.upload for each, _ in held)
        current = registry.uploads(room.connection)
        for each in current:
            room.store.verify(room.stored(each))
            room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.upload))
        # Nothing of what is retired is left: no file, no key, and the log says when the key was destroyed.
        ended = {each.upload: end for each, end in held if end is not None}
        assert {each.upload for each in current} == {each.upload for each, _ in held} - set(ended)
        assert all(end.stage is Stage.GONE for end in ended.values())
        assert not partition_files(place) & {f"{upload}.parquet" for upload in ended}
        destroyed = [name for _, kind, said in told if kind is EventType.KEY_DESTROYED for name in said["uploads"]]
        assert sorted(destroyed) == sorted(ended)
        for upload_id in ended:
            with pytest.raises(KeyDestroyed):
                room.keyring.open(room.connection, KeyId(KeyKind.DATA, upload_id))
        versions = room.connection.execute("SELECT count(*) FROM declaration").fetchone()[0]
        assert sum(kind is EventType.TABLE_DECLARED for _, kind, _ in told) == versions


def partition_files(place: Place) -> set[str]:
    return {path.name for path in (place.path / "partitions").glob("*/*/*")}


def upload_all(room: Room, place: Place) -> None:
    """Hand in what the template left out."""
    upload(room, visits(LATE), place.csv(LATE))
