"""A party's way to ask: each call is signed with the party's key, so embedded and served rooms log the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from cleanroom.room import question, views
from cleanroom.room.locks import asking
from cleanroom.room.question_entries import check_digest
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from cleanroom.identifiers import PartyId
    from cleanroom.room.answer import Answer, Preview
    from cleanroom.room.room import Room


@dataclass(frozen=True, slots=True)
class Session:
    """A party in an open room."""

    room: Room
    party: PartyId
    key: Ed25519PrivateKey

    def query(
        self,
        sql: str,
        *,
        purpose: str,
        epsilon: object = None,
        margin: object = None,
        parameters: object = None,
        max_rows_contributed: int | str | None = None,
        max_groups_contributed: int | str | None = None,
        weights: Mapping[str, object] | None = None,
        max_sum: object = None,
        consistent: bool = False,
    ) -> Answer:
        """Ask a question.

        Args:
            epsilon: the most that any account may be charged, as an epsilon; a number.
            margin: the 95 % margin wanted of every count and sum, in its unit, instead of `epsilon`.
            parameters: a list for `?`, a mapping for `$name`.
            max_rows_contributed: rows of a person that count in a cell, or "auto"; None for the tables' default.
            max_groups_contributed: cells of a person that count in full, or "auto"; None for the tables' default.
            weights: the part of the price that each value of the answer gets, by its name; 1 where none is given.
            max_sum: greatest total of a person in a cell, in the sum's unit, or "auto"; None for what the rows give.
            consistent: whether the cells of ROLLUP, CUBE or GROUPING SETS are made to add up to their totals.

        Raises:
            Refused: with `.refusals`; nothing was charged.
        """
        content = _question(
            sql, purpose, epsilon, margin, parameters, max_rows_contributed, max_groups_contributed, weights, max_sum
        ) | _after(consistent)
        with asking(self.room.path):
            return question.ask(self.room, self._signed("query", content))

    def preview(
        self,
        sql: str,
        *,
        purpose: str,
        epsilon: object = None,
        margin: object = None,
        parameters: object = None,
        max_rows_contributed: int | str | None = None,
        max_groups_contributed: int | str | None = None,
        weights: Mapping[str, object] | None = None,
        max_sum: object = None,
        consistent: bool = False,
    ) -> Preview:
        """Say what the same question would cost and how precise it would be, charging nothing."""
        content = _question(
            sql, purpose, epsilon, margin, parameters, max_rows_contributed, max_groups_contributed, weights, max_sum
        ) | _after(consistent)
        return question.preview(self.room, self._signed("preview", content))

    def check(self, questions: Sequence[object], *, purpose: str) -> list[dict[str, object]]:
        """Decide questions `{"id":…, "sql":…, "params":…}` without reading data."""
        content = {"purpose": purpose, "questions": check_digest(questions)}
        return question.check(self.room, self._signed("check", content), questions)

    def catalog(self) -> views.PartyCatalog:
        """Return what this party may ask."""
        return views.catalog(self.room, self._signed("catalog", {}))

    def _signed(self, action: str, content: Mapping[str, object]) -> SignedRequest:
        return SignedRequest.sign(
            self.key,
            room=self.room.room_id,
            party=self.party,
            action=action,
            content=content,
            at=self.room.now(),
        )


def _after(consistent: bool) -> dict[str, object]:
    """Return what a request says of post-processing; nothing where there is none, as requests of before."""
    return {"consistent": True} if consistent else {}


def _question(
    sql: str,
    purpose: str,
    epsilon: object,
    margin: object,
    parameters: object,
    max_rows_contributed: int | str | None,
    max_groups_contributed: int | str | None,
    weights: Mapping[str, object] | None,
    max_sum: object,
) -> dict[str, object]:
    return {
        "sql": sql,
        "purpose": purpose,
        "epsilon": _signable(epsilon),
        "margin": _signable(margin),
        "parameters": _signable(parameters),
        "max_rows_contributed": _signable(max_rows_contributed),
        "max_groups_contributed": _signable(max_groups_contributed),
        # Left out where there are none: a request of before is spelled as it was.
        **({} if weights is None else {"weights": _signable(weights)}),
        # Left out where it is not given: a request of before is spelled as it was.
        **({} if max_sum is None else {"max_sum": _signable(max_sum)}),
    }


def _signable(value: object) -> object:
    """Return what JSON and the log hold exactly: a number with a fraction as `["decimal", text]`."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) < 1 << 53 else ["decimal", str(value)]
        case float() | Decimal():
            # float(…) first: a NumPy float is one, and prints otherwise.
            return ["decimal", str(value) if isinstance(value, Decimal) else repr(float(value))]
        case Mapping():
            return {str(name): _signable(each) for name, each in value.items()}
        case list() | tuple():
            return [_signable(each) for each in value]
    return str(type(value).__name__)
