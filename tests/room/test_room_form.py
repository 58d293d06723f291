"""A room of another version is not opened: its tables may mean something else."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cleanroom.errors import Fault
from cleanroom.room.database import FORM

if TYPE_CHECKING:
    from room_samples import Place

TABLES = {
    1: "760a45a952bef1fb",
    2: "4b5b0f96c51b01c5",
    3: "3f906e935a61423c",
    4: "3f906e935a61423c",
    5: "3f906e935a61423c",
}
"""Of each form the digest of its tables: whoever changes a table makes a new form, here and in `database.FORM`.
Forms 4 and 5 have other table files (docs/adr/0020)."""


def tables_of(place: Place) -> str:
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    return hashlib.sha256(repr(made).encode()).hexdigest()[:16]


def test_a_changed_table_is_a_new_form(place: Place) -> None:
    assert (FORM, tables_of(place)) == list(TABLES.items())[-1]


@pytest.mark.parametrize("form", [0, FORM + 1])
def test_a_room_of_another_form_is_not_opened(place: Place, form: int) -> None:
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        connection.execute(f"PRAGMA user_version = {form}")
    before = (place.path / "room.db").read_bytes()
    with pytest.raises(Fault, match=f"form {form}, here {FORM}") as caught:
        place.open()
    assert caught.value.code == "room_form_unknown"
    assert (place.path / "room.db").read_bytes() == before
