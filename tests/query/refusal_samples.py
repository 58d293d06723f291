"""Tables for the tests of refusals, and what is said of a question."""

from __future__ import annotations

from typing import Any

import pytest
from rooms import FRANCOS, MUSEE, TNM, bind, catalog_of

from cleanroom.catalog import Contribution, TableCatalog
from cleanroom.errors import Refused
from cleanroom.identifiers import Epoch, IdentifierKind, TableName
from cleanroom.query.binding.question import BoundQuestion, bind_question
from cleanroom.query.parse import parse

MADE = {
    TNM: catalog_of(TNM, seats=(1, 12), amount=(-(2**31) + 1, 2**31 - 1), nullable=("region",)),
    FRANCOS: catalog_of(FRANCOS, contribution=Contribution(65_535, 2)),
    MUSEE: catalog_of(MUSEE, kind=IdentifierKind.OPAQUE),
}
COUNT = "SELECT COUNT(*) AS n FROM tnm.visits"


def bound(
    sql: str, tables: dict[TableName, TableCatalog], epochs: dict[TableName, Epoch] | None = None
) -> BoundQuestion:
    """Bind a question against these tables and the epochs of their tokens."""
    return bind_question(parse(sql), tables, epochs or {})


def reasons(sql: str, parameters: Any = None) -> Refused:
    """Return a question's refusal."""
    with pytest.raises(Refused) as caught:
        bind(sql, parameters, MADE)
    return caught.value
