"""A question takes as much work as it did: rows, bytes, row groups, engine queries, passes; never time.

`work.json` holds the counts of a small room that is the same to the byte. More work is a regression; less is welcome,
and entered: `python tests/query/test_work.py` prints the counts anew.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from work_counts import QUESTIONS, work, works

from cleanroom.partition import persons_rows, rows_under_tokens
from cleanroom.query import merge_backend
from cleanroom.query.binding import question as binding
from cleanroom.storage.partition_store import PartitionReader

EXPECTED = Path(__file__).with_name("work.json")


@cache
def expected() -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = json.loads(EXPECTED.read_text("utf-8"))
    return counts


def surprises(question: str) -> list[str]:
    """Return every count of a question that is not the expected one, in words."""
    before, now = expected()[question], work(QUESTIONS[question])
    return [
        f"{question}: {what} {before.get(what, 0):,} -> {now.get(what, 0):,}"
        f" ({'MORE work' if now.get(what, 0) > before.get(what, 0) else 'less work: enter it'})"
        for what in sorted(before.keys() | now.keys())
        if before.get(what, 0) != now.get(what, 0)
    ]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_takes_the_work_that_it_took(question: str) -> None:
    found = surprises(question)
    assert not found, "\n".join([*found, "if it is meant so: python tests/query/test_work.py > tests/query/work.json"])


def test_every_count_is_of_a_question_that_is_asked() -> None:
    assert expected().keys() == QUESTIONS.keys()


def test_columns_that_nobody_looks_at_are_noticed() -> None:
    """Sabotage: the relation is not pruned."""
    with patch.object(binding, "pruned", lambda relation, *, once: relation):
        found = surprises("Q3 persons by region")
    assert any("bytes decrypted" in each and "MORE" in each for each in found), found


def test_an_engine_that_is_asked_needlessly_is_noticed() -> None:
    """Sabotage: nothing is merged."""
    with patch.object(merge_backend, "merges", lambda *_: False):
        found = surprises("Q3 with a filter")
    assert any("engine queries" in each and "MORE" in each for each in found), found


def test_a_question_asked_again_decrypts_no_token_again() -> None:
    """As long as the store lives (docs/adr/0023); tokens are where persons of two tables meet, and read each time."""
    first, again = works(QUESTIONS["Q3 persons by region"], 2)
    assert first == expected()["Q3 persons by region"]
    persons = first["persons read"]
    assert persons == again["persons read"] == first["values read"] - again["values read"]
    # Sixteen bytes each, and what a page of them says about itself.
    assert 16 * persons < first["bytes decrypted"] - again["bytes decrypted"] < 16 * persons + 1_000
    first, again = works(QUESTIONS["Q7 overlap of members"], 2)
    assert first == again == expected()["Q7 overlap of members"]


def test_a_slice_that_reads_more_than_its_row_groups_is_noticed() -> None:
    """Sabotage: the whole file is read for each slice, and cut afterwards."""

    def read(self: PartitionReader, prefix_bits: int, prefix: int, columns: tuple[str, ...]) -> object:
        whole = self._table_file.read_groups(0, 1 << self.stored.manifest.group_bits, columns)
        rows = rows_under_tokens(whole)
        first = [each.as_py().bytes[0] >> (8 - prefix_bits) for each in rows.column("u")]
        return persons_rows(rows.filter([each == prefix for each in first]))

    with patch.object(PartitionReader, "read", read):
        found = surprises("Q2 persons")
    assert any("row groups read 8 -> 32" in each for each in found), found


if __name__ == "__main__":
    json.dump({question: work(sql) for question, sql in QUESTIONS.items()}, sys.stdout, indent=2)
    print()
