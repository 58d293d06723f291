"""Phones and customer numbers through a room: written differently they meet, of different kinds they never do."""

# ruff: noqa: S608 - questions are what is tested here
from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from cleanroom.errors import InvalidUpload, Refused
from cleanroom.identifiers import Role, TableName
from cleanroom.room import Home, Room, upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PERSONS, SHARED = 900, 600
DECLARATION = """\
table: {table}
unit: {{name: person, from: id, {unit}}}
columns: {{seats: {{type: integer, bounds: [1, 12]}}}}
limits: {{max_rows_per_person: 10}}
defaults: {{max_rows_contributed: 1, max_groups_contributed: 1}}
budget: {{epsilon: 1000, delta: 1e-6}}
rules:
  - name: all
    parties: {{role: member}}
    purposes: [audience_overlap]
    analyses: [aggregate, overlap]
    functions: [count_persons, count_rows]
    dimensions: []
    default_epsilon: 1
"""


def phones(first: int, forms: tuple[str, ...]) -> list[str]:
    return [
        forms[n % len(forms)].format(f"{n // 10_000 + 514}", "555", f"{n:04}") for n in range(first, first + PERSONS)
    ]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    settings = b"purposes: [audience_overlap]\nbudget: {epsilon: 1000, delta: 1e-5}\n"
    home_forms = ("({}) {}-{}", "{} {}-{}", "1-{}-{}-{}", "{}{}{} poste 7")
    their_forms = ("+1{}{}{}", "{}.{}.{}", "\u202d{}\u00a0{}\u2011{}\u202c", "{}-{}-{} x7")
    customers = [str(number) for number in range(1, PERSONS + 1)]
    tables = {
        "tnm.phones": ("kind: phone", phones(0, home_forms)),
        "francos.phones": ("kind: phone, region: US", phones(PERSONS - SHARED, their_forms)),
        "tnm.emails": ("kind: email", [f"p{n}@exemple.ca" for n in range(PERSONS)]),
        "tnm.customers": ("kind: opaque, namespace: tnm", customers),
        "tnm.cards": ("kind: opaque, namespace: tnm", [f" {n} " for n in customers]),
        "francos.customers": ("kind: opaque, namespace: francos", customers),
        "francos.cards": ("kind: opaque", customers),
    }
    with Room.create(tmp_path / "room", home=Home(tmp_path / "home"), settings=settings) as made:
        for party in ("tnm", "francos"):
            made.add_party(party, Role.MEMBER)
        for table, (unit, identifiers) in tables.items():
            made.declare(DECLARATION.format(table=table, unit=unit).encode())
            upload(made, TableName.parse(table), pl.DataFrame({"id": identifiers, "seats": [1] * PERSONS}))
        yield made


def shared(room: Room, one: str, other: str) -> float:
    sql = f"SELECT COUNT(DISTINCT a.person) AS n FROM {one} AS a JOIN {other} AS b USING (person)"
    return float(room.session("tnm").query(sql, purpose="audience_overlap", epsilon=50).table["n"][0])


def test_phones_written_differently_meet_and_other_kinds_never(room: Room) -> None:
    # At ε 50 the noise is below 3 but for one time in 10^12.
    assert abs(shared(room, "tnm.phones", "francos.phones") - SHARED) < 12
    assert abs(shared(room, "tnm.customers", "tnm.cards") - PERSONS) < 12
    for one, other in (
        ("tnm.phones", "tnm.emails"),
        ("tnm.customers", "francos.customers"),  # both have a customer 1: two people
        ("tnm.customers", "francos.cards"),
        ("tnm.phones", "francos.cards"),
    ):
        with pytest.raises(Refused) as caught:
            shared(room, one, other)
        assert caught.value.code == "kinds_differ"


def test_what_is_no_number_belongs_to_nobody_and_a_blank_stops_the_upload(room: Room) -> None:
    rows = pl.DataFrame({"id": ["514 555-0001", "n/a", "222-222-2222"], "seats": [1, 2, 3]})
    prepared, _ = upload(room, TableName.parse("tnm.phones"), rows)
    assert (prepared.rows, prepared.without_person) == (1, 2)
    with pytest.raises(InvalidUpload) as caught:
        upload(room, TableName.parse("tnm.phones"), rows.with_columns(id=pl.Series(["514 555-0001", " ", None])))
    assert caught.value.code == "rows_refused"
    floats = pl.DataFrame({"id": [5145550001.0, 4185550001.0], "seats": [1, 2]})
    prepared, _ = upload(room, TableName.parse("tnm.phones"), floats)
    assert (prepared.rows, prepared.without_person) == (2, 0)
