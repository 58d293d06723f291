"""What the text says where sqlglot's tree may say less (docs/adr/0002).

sqlglot drops arguments that it has no place for, reads a column in the place of a unit as the unit's name, forgets
the sign of `INTERVAL '3 days ago'`, and turns the casts of `DATE '…'::T` around. So calls, intervals and typed
literals are held against the tokens of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.tokenizer_core import Token, TokenType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_NO_WORDS: Final = frozenset({TokenType.STRING, TokenType.NUMBER})

INTERVAL_UNITS: Final = frozenset(
    {"day", "days", "week", "weeks", "month", "months", "quarter", "quarters", "year", "years"}
)
_WHOLE: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_WHOLE_WITH_UNIT: Final = re.compile(r"-?\d{1,9} +([A-Za-z]{3,8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """A name with arguments, as written.

    Args:
        name: folded to lower case.
        arguments: how many stand between the brackets.
        first: the first argument, where it is nothing but a string.
    """

    name: str
    arguments: int
    first: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """Facts about the tokens of a question.

    Args:
        calls: every call, by the offset of its name.
        plain_intervals: whether each INTERVAL is a whole number, or a parameter, and a unit of days or months.
        turned_casts: whether a typed literal is cast at once, `DATE '…'::T`.
    """

    calls: Mapping[int, Call]
    plain_intervals: bool
    turned_casts: bool

    def named(self, names: frozenset[str]) -> list[Call]:
        """Return the calls of some functions, wherever they stand."""
        return [call for call in self.calls.values() if call.name in names]


@lru_cache(maxsize=16)
def written(text: str) -> Written:
    """Read the tokens of a question that `parse` has read."""
    tokens = DuckDB().tokenize(text)
    calls = {
        token.start: _call(tokens, at)
        for at, token in enumerate(tokens[:-1])
        if tokens[at + 1].token_type is TokenType.L_PAREN and _is_word(token)
    }
    plain = all(
        _plain_interval(tokens[at + 1 : at + 6])
        for at, token in enumerate(tokens)
        if token.text.upper() == "INTERVAL" and token.token_type not in {TokenType.STRING, TokenType.IDENTIFIER}
    )
    turned = any(
        _is_word(first) and second.token_type is TokenType.STRING and third.token_type is TokenType.DCOLON
        for first, second, third in zip(tokens, tokens[1:], tokens[2:], strict=False)
    )
    return Written(calls, plain, turned)


def _is_word(token: Token) -> bool:
    return token.token_type not in _NO_WORDS and token.text[:1].isidentifier()


def _call(tokens: Sequence[Token], at: int) -> Call:
    depth, commas, inside = 0, 0, 0
    for token in tokens[at + 1 :]:
        if token.token_type in _OPENING:
            depth += 1
        elif token.token_type in _CLOSING:
            depth -= 1
            if depth == 0:
                break
        elif token.token_type is TokenType.COMMA and depth == 1:
            commas += 1
        inside += 1
    first = tokens[at + 2] if at + 3 < len(tokens) else None
    alone = first is not None and tokens[at + 3].token_type in {TokenType.COMMA, TokenType.R_PAREN}
    string = first.text if first is not None and alone and first.token_type is TokenType.STRING else None
    return Call(tokens[at].text.lower(), commas + 1 if inside > 1 else 0, string)


def _plain_interval(after: Sequence[Token]) -> bool:
    """Return whether what follows INTERVAL is a whole number or a parameter, and a unit."""
    rest = list(after)
    if rest and rest[0].token_type is TokenType.STRING:
        found = _WHOLE_WITH_UNIT.fullmatch(rest[0].text)
        if found is not None:
            return found.group(1).lower() in INTERVAL_UNITS
        return _WHOLE.fullmatch(rest[0].text) is not None and _is_unit(rest[1:2])
    bracket = bool(rest) and rest[0].token_type is TokenType.L_PAREN
    rest = rest[bracket:]
    if bracket and rest and rest[0].token_type is TokenType.DASH:
        rest = rest[1:]
    if (rest and rest[0].token_type is TokenType.NUMBER and _WHOLE.fullmatch(rest[0].text) is not None) or (
        rest and rest[0].token_type is TokenType.PLACEHOLDER
    ):
        rest = rest[1:]
    elif len(rest) > 1 and rest[0].token_type is TokenType.PARAMETER:
        rest = rest[2:]
    else:
        return False
    if bracket:
        if not rest or rest[0].token_type is not TokenType.R_PAREN:
            return False
        rest = rest[1:]
    return _is_unit(rest[:1])


def _is_unit(tokens: Sequence[Token]) -> bool:
    return (
        len(tokens) == 1
        and tokens[0].token_type in {TokenType.VAR, TokenType.YEAR}
        and (tokens[0].text.lower() in INTERVAL_UNITS)
    )
