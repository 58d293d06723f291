"""Read a question from the content of a signed request; whatever does not fit is left for the gate to refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from cleanroom.identifiers import Purpose
from cleanroom.query.gate import Question
from cleanroom.query.precision import Auto, precision
from cleanroom.query.weights import read_weights

if TYPE_CHECKING:
    from cleanroom.query.parse import ParameterValue
    from cleanroom.room import registry
    from cleanroom.room.signed_request import SignedRequest


def question_of(request: SignedRequest, party: registry.Party) -> Question:
    """Read a question from a signed request."""
    return question_from(request.content, party)


def asks_margin(request: SignedRequest) -> bool:
    """Return whether a signed request asks for a margin of error, not for a price."""
    return request.content.get("margin") is not None


def question_from(content: Mapping[str, object], party: registry.Party) -> Question:
    """Read a question from a request's content, or from it with a line of a `check` put in."""
    sql, purpose = content.get("sql"), content.get("purpose")
    return Question(
        sql if isinstance(sql, str) else "",
        _exact_parameters(content.get("parameters")),
        party.party,
        party.role,
        Purpose(purpose if isinstance(purpose, str) else ""),
        precision(epsilon=_exact(content.get("epsilon")), margin=_exact(content.get("margin"))),
        _whole(content.get("max_rows_contributed")),
        _whole(content.get("max_groups_contributed")),
        read_weights(_exact_weights(content.get("weights"))),
        _total(content.get("max_sum")),
        content.get("consistent") is True,
    )


def _whole(value: object) -> int | Auto | None:
    return Auto.AUTO if value == Auto.AUTO.value else _counted(value)


def _counted(value: object) -> int | None:
    return value if isinstance(value, int) or value is None else -1


def _total(value: object) -> Decimal | Auto | None:
    if value == Auto.AUTO.value:
        return Auto.AUTO
    if value is None:
        return None
    exact = _exact(value)
    return Decimal(exact) if isinstance(exact, int | Decimal) and not isinstance(exact, bool) else Decimal(-1)


def _exact(value: object) -> object:
    """Return a signed content's number as exact as it was signed: `["decimal", text]` stands for a Decimal."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == "decimal":
        try:
            return Decimal(str(value[1]))
        except ArithmeticError:
            return value  # a list of two texts that only looks like a number; the parser refuses lists
    return value


def _exact_weights(weights: object) -> object:
    return {name: _exact(each) for name, each in weights.items()} if isinstance(weights, Mapping) else weights


def _exact_parameters(parameters: object) -> Sequence[ParameterValue] | dict[str, ParameterValue] | None:
    if parameters is None:
        return None
    if isinstance(parameters, dict):
        return {str(name): _parameter(value) for name, value in parameters.items()}
    if isinstance(parameters, (list, tuple)):
        return [_parameter(value) for value in parameters]
    return parameters  # type: ignore[return-value]  # query.parse refuses whatever is neither list nor object


def _parameter(value: object) -> ParameterValue:
    exact = _exact(value)
    if isinstance(exact, float):
        return Decimal(repr(exact))
    return exact  # type: ignore[return-value]  # query.parse refuses every other type
