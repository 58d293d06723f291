"""Sentences of docs/privacy-promise.md that only a whole room can show, on the corpus' room in small."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import cleanroom
from cleanroom.cli.command import main
from cleanroom.errors import Fault, Refused
from cleanroom.identifiers import PartyId, TableName
from cleanroom.room import question, upload, views
from cleanroom.room.withdrawal import sign_withdrawal, withdraw
from examples.corpus import OBSERVATOIRE, PARTIES, PURPOSE, declaration, make_room, rows

COUNT = "SELECT COUNT(*) AS n FROM tnm.visits"
BY_CELL = "SELECT region, discipline, COUNT(*) AS n FROM tnm.visits GROUP BY region, discipline"
OVERLAP = "SELECT COUNT(DISTINCT person) AS n FROM tnm.visits JOIN francos.visits USING (person)"
NOT_ALLOWED = ("SELECT * FROM tnm.visits", "SELECT channel, MAX(amount) FROM tnm.visits GROUP BY channel", "SELECT 1")


def sector(where: str = "", inside: str = "") -> str:
    arms = " UNION ALL ".join(
        f"SELECT person, channel, tickets FROM {party}.visits{inside}"  # noqa: S608
        for party in PARTIES
    )
    return f"SELECT SUM(tickets) AS n FROM ({arms}) AS s{where}"  # noqa: S608


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


def test_a_missing_partition_is_noticed_before_it_is_paid(room: cleanroom.Room) -> None:
    shutil.rmtree(room.path / "partitions" / "tnm")
    with pytest.raises(Fault) as caught:
        room.session("tnm").query(OVERLAP, purpose=PURPOSE)
    assert caught.value.code == "partition_missing"
    assert not any(spent(room).values())


@pytest.mark.parametrize("fails", [False, True])
def test_answers_and_failures_leave_on_a_tick(
    fails: bool, room: cleanroom.Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is our own: opening keys takes 0.3 s, reading 0.5 s, so the answer waits for 1 s."""
    clock = [100.0]
    waited: list[float] = []

    def taking(seconds: float, whole: object) -> object:
        def take(*arguments: object, **named: object) -> object:
            clock[0] += seconds
            if fails and seconds == 0.5:
                raise ZeroDivisionError
            return whole(*arguments, **named)  # type: ignore[operator]

        return take

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(question, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    monkeypatch.setattr(question, "charge", taking(7.7, question.charge))  # before keys are opened: not counted
    monkeypatch.setattr(question, "open_data_keys", taking(0.3, question.open_data_keys))
    monkeypatch.setattr(question, "exact_vector", taking(0.5, question.exact_vector))
    if fails:
        with pytest.raises(Fault):
            room.session("tnm").query(COUNT, purpose=PURPOSE)
    else:
        room.session("tnm").query(COUNT, purpose=PURPOSE)
    assert waited == [pytest.approx(0.2)]
    assert clock[0] == pytest.approx(108.7)


def test_which_cells_appear_depends_on_nobody(room: cleanroom.Room, empty: cleanroom.Room) -> None:
    full, none = (each.session("tnm").query(BY_CELL, purpose=PURPOSE, epsilon=100).table for each in (room, empty))
    assert full[["region", "discipline"]].equals(none[["region", "discipline"]])
    assert len(full) == (17 + 1) * (8 + 1)
    assert set(none["n_state"]) == {"released"}


def test_asking_again_is_free_until_the_rows_change(room: cleanroom.Room) -> None:
    session = room.session("tnm")
    first = session.query(COUNT, purpose=PURPOSE, epsilon=1)
    once = spent(room)
    second = session.query(f"  {COUNT} ", purpose=PURPOSE, epsilon=1)
    assert spent(room) == once
    assert second.table.to_csv() == first.table.to_csv()
    assert second.receipt.index > first.receipt.index
    dearer = session.query(COUNT, purpose=PURPOSE, epsilon=2)
    assert Decimal(dearer.cost[0].rho) > 0


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


def test_what_a_withdrawn_table_spent_stays_with_its_owner(
    room: cleanroom.Room, tables: dict[str, pl.DataFrame]
) -> None:
    """Under any name, whether that was declared before the withdrawal or after (S4)."""
    room.session("tnm").query(COUNT, purpose=PURPOSE, epsilon=1)
    before = spent(room)
    room.declare(declaration("tnm").replace(b"tnm.visits", b"tnm.again"))
    upload(room, TableName.parse("tnm.again"), tables["tnm"])
    assert spent(room) == {**before, "tnm.again": Decimal(0)}
    room.session("tnm").query(COUNT.replace("visits", "again"), purpose=PURPOSE, epsilon=1)
    each = before["tnm.visits"]
    assert spent(room) == {**before, "tnm.again": each, "room": 2 * before["room"]}
    table = TableName.parse("tnm.visits")
    withdraw(room, sign_withdrawal(room, PartyId("tnm"), table))
    assert spent(room)["tnm.again"] == 2 * each
    room.declare(declaration("tnm").replace(b"tnm.visits", b"tnm.third"))
    assert spent(room)["tnm.third"] == each
    room.declare(declaration("tnm"))
    assert spent(room) == {**before, "tnm.again": 2 * each, "tnm.third": each, "room": 2 * before["room"]}
    assert spent(room)["francos.visits"] == 0


def test_a_budget_used_up_stays_so_under_another_name(room: cleanroom.Room, tables: dict[str, pl.DataFrame]) -> None:
    small = re.sub(rb"budget: {epsilon: \d+", b"budget: {epsilon: 1.1", declaration("tnm"))
    room.declare(small)
    room.session("tnm").query(COUNT, purpose=PURPOSE, epsilon=1)
    withdraw(room, sign_withdrawal(room, PartyId("tnm"), TableName.parse("tnm.visits")))
    room.declare(small.replace(b"tnm.visits", b"tnm.again"))
    upload(room, TableName.parse("tnm.again"), tables["tnm"])
    with pytest.raises(Refused) as caught:
        room.session("tnm").query(COUNT.replace("visits", "again"), purpose=PURPOSE, epsilon=1)
    assert caught.value.code == "budget_insufficient"


def test_min_parties_in_every_question(room: cleanroom.Room) -> None:
    """Alone, in an overlap, in the sector; there tables enter whole, and no text may pick one house's rows."""
    for party in PARTIES:
        room.declare(declaration(party) + b"    min_parties: 3\n")

    for sql, code in (
        (COUNT, "too_few_parties"),
        (OVERLAP, "too_few_parties"),
        (sector("", " WHERE tickets > 1"), "filter_inside_union"),
        (sector(" WHERE channel = 'ami du musée'"), "isolates_owner"),
        (sector(" WHERE channel <> 'web'"), "isolates_owner"),
    ):
        assert {each.code for each in refusals(room, sql)} == {code}
    assert room.session("francos").preview(sector(" WHERE tickets > 1"), purpose=PURPOSE).cells == 1


def test_a_filter_that_not_every_house_can_pass_is_another_cohort(tmp_path: Path) -> None:
    """The musée sells six tickets at most: the sales of more are the table of the other four."""
    with room_with(tmp_path, {}) as opened:
        for party in PARTIES:
            bounds = b"[1, 6]" if party == "musee_x" else b"[1, 12]"
            opened.declare(declaration(party).replace(b"[1, 12]", bounds) + b"    min_parties: 3\n")
        asker = opened.session(OBSERVATOIRE)
        asker.query(sector(), purpose=PURPOSE)
        asker.query(sector(" WHERE tickets > 5"), purpose=PURPOSE)
        with pytest.raises(cleanroom.Refused) as caught:
            asker.query(sector(" WHERE tickets > 6"), purpose=PURPOSE)
    assert {each.code for each in caught.value.refusals} == {"cohort_too_close"}


@pytest.mark.parametrize("deed", ["upload", "answer", "failure"])
def test_a_room_restored_from_before_is_refused_by_the_machine_that_ran_it(
    deed: str,
    room: cleanroom.Room,
    tables: dict[str, pl.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(sqlite3.connect(tmp_path / "earlier.db")) as earlier:
        room.connection.backup(earlier)
    if deed == "upload":
        upload(room, TableName.parse("tnm.visits"), tables["tnm"])
    elif deed == "answer":
        room.session("tnm").query(COUNT, purpose=PURPOSE)
    else:
        monkeypatch.delattr(question, "exact_vector")
        with pytest.raises(Fault):
            room.session("tnm").query(COUNT, purpose=PURPOSE)
    room.close()
    for left in room.path.glob("room.db*"):
        left.unlink()
    shutil.copyfile(tmp_path / "earlier.db", room.path / "room.db")
    with pytest.raises(cleanroom.NotVerified):
        cleanroom.Room.open(room.path, home=room.home)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ("UPDATE ledger_account SET rho_max = 2 * rho_max WHERE account = 'tnm.visits'", "the budget of tnm.visits"),
        ("DELETE FROM upload WHERE table_name = 'tnm.visits'", "the upload "),
        ("UPDATE party SET role = 'auditor' WHERE party = 'observatoire'", "the party observatoire"),
    ],
)
def test_state_that_the_log_contradicts_is_named_by_the_command(
    edit: str, named: str, room: cleanroom.Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEANROOM_HOME", str(room.home.path))
    command = ["--lang", "en", "log", "verify", str(room.path)]
    assert main(command) == 0
    assert "budgets, spending" in capsys.readouterr().out
    with closing(sqlite3.connect(room.path / "room.db", isolation_level=None)) as connection:
        connection.execute(edit)
    assert main(command) == 4
    assert named in " ".join(capsys.readouterr().err.split())


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
