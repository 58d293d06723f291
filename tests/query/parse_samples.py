"""Tables and a question for the tests of parsing, and the codes of a refusal."""

from __future__ import annotations

from pathlib import Path

from rooms import FRANCOS, MUSEE, SALES, TNM, admit, catalog_of

from cleanroom.catalog import Contribution
from cleanroom.errors import Refused
from cleanroom.query.parse import Parameters

MADE = {
    table: catalog_of(table, nullable=("region", "seats"), contribution=Contribution(3, 2))
    for table in (TNM, FRANCOS, MUSEE, SALES)
}
COUNT = "SELECT COUNT(*) AS n FROM tnm.visits"
CORPUS = Path(__file__).parents[1] / "corpus"


def codes(sql: str, parameters: Parameters = None) -> set[str]:
    """Return why a question is refused; a plan is no reason."""
    try:
        admit(sql, parameters, MADE)
    except Refused as refused:
        return {reason.code for reason in refused.refusals}
    return set()
