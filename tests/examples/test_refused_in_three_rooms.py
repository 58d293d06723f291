"""What must be refused is: with the same bytes in a full room, without one person, and in an empty room (S12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import cleanroom
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.errors import Refused
from cleanroom.identifiers import PartyId, TableName
from examples.corpus import OBSERVATOIRE, PARTIES, PURPOSE, make_room, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).parents[1] / "corpus"
LINES = [
    json.loads(line)
    for name in ("refuse", "more_refused")
    for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[cleanroom.Room]]:
    """Open a room of forty people, the same without one of them, and one where nobody is."""
    path = tmp_path_factory.mktemp("three")
    full = rows(persons=40)
    without = {party: table.filter(pl.col("person") != "P000003") for party, table in full.items()}
    assert any(without[party].height < full[party].height for party in PARTIES)
    opened = [
        make_room(path / name, tables=tables, home=cleanroom.Home(path / f"home-{name}"))
        for name, tables in (("full", full), ("without", without), ("empty", {}))
    ]
    yield opened
    for room in opened:
        room.close()


def test_refusals_are_the_same_bytes_whatever_the_rows(rooms: list[cleanroom.Room]) -> None:
    questions = [{"id": line["id"], "sql": line["sql"], "params": line.get("params")} for line in LINES]
    full, *others = [json.dumps(room.session(OBSERVATOIRE).check(questions, purpose=PURPOSE)) for room in rooms]
    assert [each["id"] for each in json.loads(full) if each["admitted"]] == []
    assert others == [full, full]


def test_refusing_costs_nothing_and_looks_at_nothing(rooms: list[cleanroom.Room], monkeypatch) -> None:
    """Asked for real: no partition is opened, no key is unwrapped, no account moves."""

    def touched(*_: object, **__: object) -> None:
        raise AssertionError("a refusal touched data")

    monkeypatch.setattr("cleanroom.room.question.open_data_keys", touched)
    for line in LINES[::7]:
        said = []
        for room in rooms:
            with pytest.raises(Refused) as caught:
                room.session(OBSERVATOIRE).query(line["sql"], purpose=PURPOSE, epsilon=1, parameters=line.get("params"))
            said.append(repr(caught.value.refusals))
        assert len(set(said)) == 1
    accounts = [AccountId(None), *(AccountId(TableName(PartyId(party), "visits")) for party in PARTIES)]
    for room in rooms:
        assert {ledger.balance(room.connection, each, room.now()).spent_lifetime for each in accounts} == {Rho(0)}
        assert ledger.unfinished(room.connection) == ()


def test_the_corpus_of_ours_covers_every_rule() -> None:
    ours = [line for line in LINES if line["id"].startswith("X")]
    assert len(ours) >= 150
    assert len({line["sql"] + repr(line.get("params")) for line in LINES}) == len(LINES)
    assert {line["rule"] for line in ours} >= {f"S{n}" for n in (7, 12, 14, 15, 16, 17, 18, 20, 21, 24, 25, 28)}
    assert all(line["why"] and line["class"] for line in ours)
