"""Look at exact vectors, which the room itself never shows: here to check the numbers and to find biases."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bench.house import ASKER, PURPOSE
from cleanroom.identifiers import PartyId, Purpose, Role
from cleanroom.query.contribution import exact_vector
from cleanroom.query.gate import Question, ValidatedPlan, admit
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.precision import precision
from cleanroom.query.release import NoisedRelease
from cleanroom.room import registry
from cleanroom.room.answer import answer_table
from key_management import KeyId, KeyKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bench.questions import BenchQuestion
    from cleanroom.room import Room

Lines = list[tuple[list[str], list[float | None]]]
"""An answer: keys as text, and numbers; None for a suppressed one."""

EVERYTHING_ROWS = 300


class NumbersDiffer(AssertionError):
    """The room's exact vector is not raw DuckDB's answer, though no bound binds."""


def validated(
    room: Room, sql: str, *, max_rows: int | None = None, max_groups: int | None = None, epsilon: object = 1
) -> ValidatedPlan:
    """Admit a question as the asker's."""
    question = Question(
        sql,
        None,
        PartyId(ASKER),
        Role.OBSERVATOIRE,
        Purpose(PURPOSE),
        precision(epsilon=epsilon),
        max_rows,
        max_groups,
    )
    return admit(question, registry.rulebook(room.connection))


def without_noise(room: Room, question: BenchQuestion, *, bounded: bool) -> Lines:
    """Return a question's bounded answer without its noise.

    Args:
        bounded: with the tables' default bounds; else with bounds so wide that none binds.
    """
    plan = validated(room, question.sql)
    if not bounded:
        cells = plan.plan.releases[0].bounds.cells
        plan = validated(room, question.sql, max_rows=EVERYTHING_ROWS, max_groups=cells)
    (release,) = plan.plan.releases
    uploads = [upload for table in plan.plan.tables for upload in registry.uploads(room.connection, table)]
    declarations = registry.declarations(room.connection)
    readers = {
        upload.table: room.store.open(
            room.stored(upload), room.keyring.open(room.connection, KeyId(KeyKind.DATA, upload.upload))
        )
        for upload in uploads
    }
    try:
        tables = {table: (declarations[table].catalog, [reader]) for table, reader in readers.items()}
        rows = sum(upload.manifest.row_count for upload in uploads)
        exact = exact_vector(release, MergeBackend(tables, rows))
    finally:
        for reader in readers.values():
            reader.close()
    table, _ = answer_table(plan.plan, (NoisedRelease(release, 1.0, exact.values),), {})
    return lines_of_frame(table, question.keys)


def lines_of_frame(table: pd.DataFrame, keys: int) -> Lines:
    """Return an answer's keys and numbers."""
    kept = [name for name in table.columns if not name.endswith(("_margin95", "_state"))]
    return lines_of_rows([tuple(row) for row in table[kept].itertuples(index=False)], keys)


def lines_of_rows(rows: Sequence[Sequence[object]], keys: int) -> Lines:
    """Return rows of keys and numbers in one form."""
    return [([_key(value) for value in row[:keys]], [_number(value) for value in row[keys:]]) for row in rows]


def compare(exact: Lines, raw: Lines, *, mean: bool) -> int:
    """Check that two answers are equal in every cell; a cell that raw SQL has no row for is 0.

    Args:
        mean: the numbers are quotients, whose last bits differ: equal within 1e-9.

    Returns:
        How many numbers were compared.

    Raises:
        NumbersDiffer: with the first cell that differs.
    """
    known = {tuple(keys): numbers for keys, numbers in raw}
    if not set(known) <= {tuple(keys) for keys, _ in exact}:
        raise NumbersDiffer("raw DuckDB has cells that the room has not")
    compared = 0
    for keys, numbers in exact:
        suppressed = all(number is None for number in numbers)
        for here, there in zip(numbers, known.get(tuple(keys), [0.0] * len(numbers)), strict=True):
            if suppressed:
                # Fewer than the owners' threshold: withheld even without noise.
                continue
            compared += 1
            equal = here is not None and there is not None and abs(here - there) <= (1e-9 * abs(there) if mean else 0)
            if not equal:
                raise NumbersDiffer(f"{keys}: {here} in the room, {there} in DuckDB")
    return compared


def relative_error(answers: list[Lines], truth: Lines) -> float | None:
    """Return the mean of |answer - truth| / truth over all released cells whose truth is positive."""
    true = {tuple(keys): numbers for keys, numbers in truth}
    errors = [
        abs(number - wanted) / wanted
        for answer in answers
        for keys, numbers in answer
        for number, wanted in zip(numbers, true.get(tuple(keys), []), strict=False)
        if number is not None and wanted
    ]
    return sum(errors) / len(errors) if errors else None


def _key(value: object) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _number(value: object) -> float | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float | Decimal):
        return float(value)
    raise TypeError(f"no number: {type(value).__name__}")
