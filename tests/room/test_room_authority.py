"""Whoever has no plan of the gate's, no charge and no key of it gets nothing: authority is not made elsewhere."""

from __future__ import annotations

import copy
import pickle
import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from room_samples import (
    MEMBER,
    SECTOR,
    ask,
    spent,
    visits,
)

from cleanroom.errors import InvariantBroken
from cleanroom.query import gate
from cleanroom.query.mechanisms import Noise
from cleanroom.query.public.language import ReleaseTable
from cleanroom.room import Room, charge, question, registry
from key_management import KeyKind, Keyring

Patch = pytest.MonkeyPatch


def test_authority_is_not_made_copied_or_changed_elsewhere(room: Room, monkeypatch: Patch) -> None:
    seen: list[charge.Charged] = []
    whole = question.charge

    def keep(*arguments: Any, **rest: Any) -> charge.Charged:
        seen.append(whole(*arguments, **rest))
        return seen[-1]

    monkeypatch.setattr(question, "charge", keep)
    ask(room)
    for value in (seen[0], seen[0].validated):
        for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(InvariantBroken):
                duplicate(value)
        with pytest.raises(InvariantBroken):
            type(value)()
        with pytest.raises(InvariantBroken):
            value.log_index = 1  # type: ignore[union-attr]
    with pytest.raises(InvariantBroken, match="no open reservation"):
        charge.open_data_keys(room.connection, room.keyring, room.journal, seen[0], at=room.now())


def test_a_plan_altered_after_the_gate_is_not_charged(room: Room, monkeypatch: Patch) -> None:
    whole = question.admit

    def altered(*arguments: Any) -> gate.ValidatedPlan:
        validated = whole(*arguments)
        object.__setattr__(validated, "noises", (Noise(validated.noises[0].scale / 2),))
        return validated

    monkeypatch.setattr(question, "admit", altered)
    before = spent(room)
    with pytest.raises(InvariantBroken):
        ask(room)
    assert spent(room) == before


@pytest.mark.parametrize("name", ["caps", "cohorts", "noises", "paid", "plan", "rules", "policy_digest"])
def test_every_part_of_a_plan_is_in_its_fingerprint(name: str, room: Room) -> None:
    session = room.session("observatoire")
    content = {"sql": "SELECT 1", "purpose": "sector_statistics"}
    validated = gate.admit(
        question.question_of(
            session._signed("query", {**content, "sql": SECTOR}), registry.parties(room.connection)[session.party]
        ),
        registry.rulebook(room.connection),
    )
    other = replace(validated.plan, finish=ReleaseTable(0, ())) if name == "plan" else ("altered",)
    object.__setattr__(validated, name, other)
    assert not gate.is_genuine(validated)


def test_workers_get_the_keys_of_their_plan_and_no_others(room: Room, monkeypatch: Patch) -> None:
    opened: list[str] = []
    whole = Keyring.open

    def open_key(self: Keyring, connection: sqlite3.Connection, key: Any) -> Any:
        if key.kind is KeyKind.DATA:
            opened.append(str(key.name))
        return whole(self, connection, key)

    monkeypatch.setattr(Keyring, "open", open_key)
    ask(room)
    wanted = [
        each.upload for party in (MEMBER, "nuits_claires") for each in registry.uploads(room.connection, visits(party))
    ]
    assert sorted(opened) == sorted(wanted)
