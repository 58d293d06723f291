"""Balances recomputed from the log: they agree after questions of every kind, and any edit of either side shows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import LATE, MEMBER, OVERLAP, SECTOR, Place, ask, upload_all

from audit_log import EventType
from cleanroom.errors import Refused, UsageError
from cleanroom.room import balances, log_reading, logbook
from cleanroom.room.balances import ROOM, Book
from cleanroom.room.recorded_noise import Part

if TYPE_CHECKING:
    from pathlib import Path

BY_CHANNEL = "SELECT channel, COUNT(DISTINCT person) AS n FROM salle_grange.visits GROUP BY channel"
TEXT = b"channel: {type: text, nullable: true}"
CHANNEL = b"functions: [count_persons, count_rows]\n    dimensions: [channel, region"
TABLE = """\
table: tnm.visits
unit: {name: person, from: courriel, kind: email}
columns:
  region: {type: category, domain: [nord, sud]}
limits: {max_rows_per_person: 9}
defaults: {max_rows_contributed: 1, max_groups_contributed: 1}
budget: {epsilon: 1, delta: 1e-6, window: WINDOW}
rules:
  - name: r
    parties: {role: member}
    purposes: [statistics]
    analyses: [aggregate]
    functions: [count_persons]
    dimensions: [region]
    default_epsilon: 0.1
    per_party: {epsilon: 0.5, window: month}
"""
SETTINGS = "purposes: [statistics]\nbudget: {epsilon: 1, delta: 1e-6, window: never}\n"
MONTH = 31 * 86_400
COST = 50_000_000
"""1/2s² in steps of 1e-12."""

BEFORE = {"norm": "1", "scale": (100.0).hex(), "quantile_scales": [], "distinct_keys": 0, "key_noise": None}
NOW = {"pure": False, "tables": ["tnm.visits"], "cells": 2, "numbers": 1, "signed": False, "quantiles": []}
"""What entries say of a release since quantiles, choices and tables are held as well."""


def questions(place: Place) -> None:
    """Ask of two tables, of the sector, and by keys without a domain, which spends delta; under a party's cap."""
    late = place.yaml(LATE).replace(b"channel: {type: category, domain: [web, guichet, telephone, partenaire]}", TEXT)
    late = late.replace(b"functions: [count_persons, count_rows]\n    dimensions: [region", CHANNEL)
    capped = place.yaml(MEMBER).replace(b"default_epsilon: 0.2", b"default_epsilon: 0.2\n    per_party: {epsilon: 5}")
    with place.open() as room:
        room.declare(late)
        room.declare(capped)
        upload_all(room, place)
        ask(room)
        ask(room, SECTOR, epsilon=0.3)
        ask(room, BY_CHANNEL, epsilon=0.5)


def created() -> balances.Entry:
    return 0, EventType.ROOM_CREATED, 0, {"settings": SETTINGS}


def declared(window: str = "never") -> balances.Entry:
    return 1, EventType.TABLE_DECLARED, 0, {"declaration": TABLE.replace("WINDOW", window)}


def charged(index: int, *, at: int = 0, steps: int = COST, norm: int = 1, **changed: Any) -> balances.Entry:
    details = {
        "actor": "tnm",
        "rules": [["tnm.visits", "r"]],
        "charges": [["room", steps], ["tnm.visits", steps]],
        "deltas": [],
        "releases": [{**BEFORE, **NOW, "norm": str(norm), "numbers": min(1, norm)}],
    }
    return index, EventType.QUERY_CHARGED, at, details | changed


def test_charges_are_added_up_by_window_and_party() -> None:
    book = Book.read([created(), declared("month"), charged(2), charged(3, steps=2 * COST), charged(4, at=MONTH)])
    assert book.faults == []
    found = book.figures("tnm.visits", 0)
    assert (found.lifetime, found.in_window) == (4 * COST, COST)
    assert found.left == found.granted - COST
    assert book.figures(ROOM, 0).in_window == 4 * COST
    ((cap, used),) = book.caps()
    assert (cap.party, used) == ("tnm", COST)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (charged(2, steps=10**12), "exceeds the budget of room"),
        (charged(2, norm=2), "less than the noise"),
        (charged(2, steps=0, norm=0), "exceeds the budget"),
        (charged(2, charges=[["room", COST]]), "exactly the room and each table"),
        (charged(2, charges=[["room", COST], ["tnm.visits", COST], ["francos.visits", COST]]), "cannot be read"),
        (charged(2, deltas=[["tnm.visits", "1/1000"]]), "exceeds the budget of tnm.visits"),
        ((2, EventType.QUERY_CHARGED, 0, None), "cannot be read"),
        ((2, EventType.TABLE_DECLARED, 0, {"declaration": "table: x"}), "cannot be read"),
    ],
)
def test_a_charge_that_no_honest_room_enters_is_named(entry: balances.Entry, said: str) -> None:
    book = Book.read([created(), declared(), entry])
    assert any(said in fault.en for fault in book.faults), book.faults
    assert all("2" in fault.fr and "2" in fault.en for fault in book.faults)


def test_a_question_cheaper_than_its_noise_is_named() -> None:
    faults = Book.read([created(), declared(), charged(2, steps=COST - 1)]).faults
    assert [each.en.split(" less than the noise")[0][-10:] for each in faults] == ["costs room", "tnm.visits"]
    assert Book.read([created(), declared(), charged(2)]).faults == []


def test_an_entry_of_before_is_held_as_far_as_it_says_and_is_no_fault() -> None:
    old = charged(2, releases=[BEFORE | {"quantile_scales": [(9.0).hex()], "auto": ["rows", [1, 2], (9.0).hex(), 3]}])
    book = Book.read([created(), declared(), old, charged(3, releases=[BEFORE]), charged(4)])
    assert book.faults == []
    assert book.unheld == {Part.TABLES: [2, 3], Part.QUANTILES: [2], Part.CHOICE: [2]}
    (fault,) = Book.read([created(), declared(), charged(2, releases=[BEFORE], steps=COST - 1)]).faults
    assert "costs room less than the noise" in fault.en
    keyed = BEFORE | {"norm": "0", "distinct_keys": 1, "key_noise": [(100.0).hex(), 10]}
    (fault,) = Book.read([created(), declared(), charged(2, releases=[keyed])]).faults
    assert "counts for room less delta" in fault.en


def test_no_entry_of_before_comes_after_one_of_now() -> None:
    (fault,) = Book.read([created(), declared(), charged(2), charged(3, releases=[BEFORE])]).faults
    assert "the question of entry 3 does not say all of its noise, as entry 2 before it does" in fault.en
    mixed = charged(2, releases=[BEFORE, BEFORE | NOW])
    assert "entry 2 cannot be read" in Book.read([created(), declared(), mixed]).faults[0].en


def test_the_last_charge_that_fits_is_no_fault_and_the_next_is() -> None:
    most = Book.read([created(), declared()]).figures(ROOM, 0).granted
    count = most // COST
    many = [charged(2 + number) for number in range(count)]
    assert count > 100
    assert Book.read([created(), declared(), *many]).faults == []
    over = Book.read([created(), declared(), *many, charged(2 + count)]).faults
    assert [f"entry {2 + count}" in fault.en for fault in over] == [True, True]


def test_a_room_s_balances_are_its_log_s(place: Place) -> None:
    questions(place)
    found = balances.checked(place.path, place.home)
    assert found.ok, found
    by_name = {each.account: each for each in found.accounts}
    assert by_name[ROOM].by_log is not None
    assert by_name[ROOM].by_log.delta_lifetime > 0
    assert by_name["theatre_fleuve.visits"].by_log != by_name["salle_grange.visits"].by_log
    # Unknown keys spend delta, which the tables' comparison with the log knows as well.
    assert logbook.verify(place.path, place.home).contradictions == ()


@pytest.mark.parametrize(
    ("tampering", "account"),
    [
        ("UPDATE ledger_line SET account_rho = account_rho - 1 WHERE account = 'room'", "room"),
        ("UPDATE ledger_line SET account_delta_steps = '0'", "room"),
        ("DELETE FROM ledger_line WHERE account = 'nuits_claires.visits'", "nuits_claires.visits"),
        ("UPDATE ledger_account SET rho_max = rho_max + 1 WHERE account = 'theatre_fleuve.visits'", MEMBER),
        ("UPDATE ledger_account SET spending_window = 'month', epsilon = '1' WHERE account = 'room'", ""),
    ],
)
def test_an_edited_ledger_is_noticed(place: Place, tampering: str, account: str) -> None:
    questions(place)
    with closing(sqlite3.connect(place.path / "room.db", isolation_level=None)) as connection:
        for trigger in [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute(tampering)
    found = balances.checked(place.path, place.home)
    different = [each.account for each in found.accounts if not each.agrees]
    # Figures of the same window say nothing of its name: the budget's row does.
    assert (different != []) is bool(account) or logbook.verify(place.path, place.home).contradictions
    assert not account or any(each.startswith(account) for each in different)


def test_a_party_s_total_is_compared_too(place: Place) -> None:
    questions(place)
    with closing(sqlite3.connect(place.path / "room.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER ledger_line_never_updated")
        connection.execute("UPDATE ledger_line SET party_rho = 1")
    found = balances.checked(place.path, place.home)
    assert all(each.agrees for each in found.accounts)
    assert not found.ok
    assert MEMBER in {each.party for each in found.caps if not each.agrees}


def test_an_export_has_no_costs(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        log_reading.export(room, tmp_path / "log")
    with pytest.raises(UsageError) as caught:
        balances.checked(tmp_path / "log", place.home)
    assert caught.value.code == "balances_need_room"


def test_a_refused_question_leaves_the_balances_alone(place: Place) -> None:
    with place.open() as room:
        with pytest.raises(Refused):
            ask(room, OVERLAP, epsilon=900)
        before = balances.checked(place.path, place.home)
    assert before.ok
    assert all(each.by_log is not None and each.by_log.lifetime == 0 for each in before.accounts)
