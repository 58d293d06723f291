"""Sentences of docs/privacy-promise.md that only a whole room can show, on the corpus' room in small."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import cleanroom
from cleanroom.identifiers import TableName
from cleanroom.room import upload, views
from examples.corpus import OBSERVATOIRE, PURPOSE, declaration, make_room, rows

COUNT = "SELECT COUNT(*) AS n FROM tnm.visits"
BY_CELL = "SELECT region, discipline, COUNT(*) AS n FROM tnm.visits GROUP BY region, discipline"
OVERLAP = "SELECT COUNT(DISTINCT person) AS n FROM tnm.visits JOIN francos.visits USING (person)"
NOT_ALLOWED = ("SELECT * FROM tnm.visits", "SELECT channel, COUNT(*) FROM tnm.visits GROUP BY channel", "SELECT 1")


def spent(room: cleanroom.Room) -> dict[str, Decimal]:
    return {each.account: Decimal(each.rho_spent) for each in views.budgets(room)}


def room_with(directory: Path, tables: dict[str, pl.DataFrame]) -> cleanroom.Room:
    return make_room(directory / "room", tables=tables, home=cleanroom.Home(directory / "home"))


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    return rows(persons=200)


@pytest.fixture
def room(tmp_path: Path, tables: dict[str, pl.DataFrame]) -> Iterator[cleanroom.Room]:
    with room_with(tmp_path, tables) as opened:
        yield opened


@pytest.fixture
def empty(tmp_path: Path, tables: dict[str, pl.DataFrame]) -> Iterator[cleanroom.Room]:
    """Give a room whose tables were handed in with no row at all."""
    with room_with(tmp_path / "empty", {party: table.clear() for party, table in tables.items()}) as opened:
        yield opened


def refusals(room: cleanroom.Room, sql: str) -> tuple[cleanroom.Refusal, ...]:
    with pytest.raises(cleanroom.Refused) as caught:
        room.session("francos").query(sql, purpose=PURPOSE)
    return caught.value.refusals


def test_a_refusal_opens_no_rows(room: cleanroom.Room) -> None:
    before = [refusals(room, sql) for sql in NOT_ALLOWED]
    shutil.rmtree(room.path / "partitions")
    assert before == [refusals(room, sql) for sql in NOT_ALLOWED]
    assert not any(spent(room).values())


def test_which_cells_appear_depends_on_nobody(room: cleanroom.Room, empty: cleanroom.Room) -> None:
    full, none = (each.session("tnm").query(BY_CELL, purpose=PURPOSE, epsilon=100).table for each in (room, empty))
    assert full[["region", "discipline"]].equals(none[["region", "discipline"]])
    assert len(full) == (17 + 1) * (8 + 1)
    assert set(none["n_state"]) == {"released"}


def test_asking_again_costs_again(room: cleanroom.Room) -> None:
    session = room.session("tnm")
    first = session.query(COUNT, purpose=PURPOSE, epsilon=1)
    once = spent(room)
    second = session.query(COUNT, purpose=PURPOSE, epsilon=1)
    assert {account: 2 * rho for account, rho in once.items()} == spent(room)
    assert second.receipt.index > first.receipt.index


def test_questions_of_all_parties_add_up(room: cleanroom.Room) -> None:
    answers = [
        room.session(party).query(sql, purpose=PURPOSE, epsilon=1)
        for party, sql in (("tnm", OVERLAP), ("musee_x", OVERLAP), (OBSERVATOIRE, COUNT))
    ]
    costs = [{each.account: Decimal(each.rho) for each in answer.cost} for answer in answers]
    found = spent(room)
    for account in ("room", "tnm.visits", "francos.visits"):
        assert found[account] == sum(cost.get(account, Decimal(0)) for cost in costs)
    assert found["musee_x.visits"] == 0


def test_a_table_pays_wherever_it_is_read(room: cleanroom.Room) -> None:
    sql = "SELECT COUNT(*) FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits WHERE FALSE)"
    room.session("tnm").query(sql, purpose=PURPOSE, epsilon=1)
    assert spent(room)["francos.visits"] > 0


def test_new_rows_give_nothing_back(room: cleanroom.Room, tables: dict[str, pl.DataFrame]) -> None:
    room.session("tnm").query(COUNT, purpose=PURPOSE, epsilon=1)
    before = spent(room)
    upload(room, TableName.parse("tnm.visits"), tables["tnm"])
    assert spent(room) == before


def test_kinds_of_identifiers_never_meet(room: cleanroom.Room) -> None:
    room.declare(declaration("tnm").replace(b"tnm.visits", b"tnm.friends").replace(b"kind: opaque", b"kind: email"))
    sql = "SELECT COUNT(*) FROM tnm.friends JOIN francos.visits USING (person)"
    assert [each.code for each in refusals(room, sql)] == ["kinds_differ"]


def test_an_average_is_over_at_most_so_many_rows_of_a_person(tmp_path: Path) -> None:
    """One person bought twelve times for 100, a hundred persons once for nothing."""
    table = pl.DataFrame(
        {
            "person": ["heavy"] * 12 + [f"light{number}" for number in range(100)],
            "region": ["bretagne"] * 112,
            "discipline": ["danse"] * 112,
            "purchased": [date(2024, 1, 1)] * 112,
            "channel": ["web"] * 112,
            "tickets": [1] * 112,
            "amount": [100] * 12 + [0] * 100,
        }
    )
    with room_with(tmp_path, {"tnm": table}) as opened:
        sql = "SELECT AVG(amount) AS mean FROM tnm.visits"
        answer = opened.session("tnm").query(sql, purpose=PURPOSE, epsilon=100_000, max_rows_contributed=1)
    assert answer.table["mean"][0] == pytest.approx(100 / 101, abs=0.05)
