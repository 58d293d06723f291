"""Turn text into a tree of admitted constructs, or refuse it.

Limits on characters, tokens and depth come before parsing, so that hostile text costs bounded work. What the two
parsers read differently (U+200B and its kin, docs/adr/0002) cannot matter later: the text is never run, and the tree
is compiled into our own plan. The allow-list is closed by node class *and* by argument: a modifier that sqlglot knows
and we do not (USING SAMPLE, WITH ORDINALITY, …) is refused because it is not listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from cleanroom.errors import Position, Refused
from cleanroom.identifiers import fold
from cleanroom.query.admitted import ADMITTED, ADMITTED_NAMES, ARGUMENT_HINTS, HINTS, RELATIONAL
from cleanroom.query.bounded_parser import BoundedParser, TooMuchWork
from cleanroom.query.refusals import refusal
from cleanroom.query.respelled import respelled

if TYPE_CHECKING:
    from cleanroom.errors import Refusal

MAX_CHARACTERS: Final = 16_384
MAX_TOKENS: Final = 2_000
MAX_DEPTH: Final = 30
MAX_OPEN_JOINS: Final = 6
"""JOINs that wait for their ON or USING: sqlglot tries every nesting of them, in time exponential in their number."""

MAX_NESTED: Final = 64
"""Operations inside each other, brackets not counted; AND and OR in a row count once."""

LONGEST_TEXT: Final = 1_000
LARGEST_NUMBER: Final = 10**18
MAX_OPERANDS: Final = 200
"""Operators in a row; sqlglot nests them to the left, so they count as depth of the tree."""

ParameterValue = str | int | Decimal | bool
Parameters = Sequence[ParameterValue] | Mapping[str, ParameterValue] | None

_POSITIONAL: Final = "?"
"""What the name of a positional parameter begins with; no written name can."""

_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
_OPERATORS: Final = frozenset(
    {TokenType.AND, TokenType.OR, TokenType.NOT, TokenType.UNION, TokenType.INTERSECT, TokenType.EXCEPT}
)
_QUOTED: Final = frozenset({TokenType.STRING, TokenType.IDENTIFIER})

_FLAT: Final = frozenset({exp.And, exp.Or, exp.Paren, exp.Column, exp.Identifier, exp.Literal})

_CAPITALS: Final = re.compile(r"(?<!^)(?=[A-Z])")
_CALLED: Final = re.compile(r"(\w{1,40})\s*\(")
_ARGUMENTS: Final[Mapping[tuple[type[exp.Expr], str], str]] = {
    (exp.Distinct, "on"): "DISTINCT ON",
    (exp.TableAlias, "columns"): "AS t(x, …)",
    (exp.Star, "except_"): "* EXCLUDE",
}
_CLAUSES: Final = {"with_": "WITH", "order": "ORDER BY", "group": "GROUP BY", "sample": "TABLESAMPLE"}
"""How a refused part of a construct is written in SQL, where sqlglot calls it otherwise."""

_STATEMENT_WORDS: Final = frozenset({"SELECT", "FROM", "(", "WITH"})


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """One SELECT, all of whose constructs are admitted, and the values of its parameters."""

    text: str
    tree: exp.Select | exp.Union | exp.Intersect | exp.Except
    parameters: Mapping[str, ParameterValue]
    starts: Mapping[int, int] = field(repr=False)
    """Offset of the first token under each node of the tree, by the node's identity."""

    def parameter(self, node: exp.Placeholder) -> ParameterValue:
        """Return the value that stands for a placeholder of this tree."""
        return self.parameters[fold(str(node.this))]

    def given(self) -> Parameters:
        """Return the parameters as they were given: by place, or by name."""
        places = all(name.startswith(_POSITIONAL) for name in self.parameters)
        return list(self.parameters.values()) if places else dict(self.parameters)

    def position(self, node: exp.Expr) -> Position | None:
        """Return where `node` begins in the text."""
        start = self.starts.get(id(node))
        return None if start is None else _position_at(self.text, start)


def parse(text: str, parameters: Parameters = None) -> ParsedQuery:
    """Read one question.

    Raises:
        Refused: too large, unreadable, more than one statement, or a construct that is not admitted.
    """
    tokens = _tokens(text)
    try:
        trees = BoundedParser(len(tokens)).parse(tokens, text)
    except TooMuchWork:
        raise Refused((refusal("nested_too_deep"),)) from None
    except ParseError as error:
        place = error.errors[0] if error.errors else {}
        line, column = place.get("line"), place.get("col")
        position = Position(line, column) if line is not None and column is not None else None
        raise Refused((refusal("unreadable", position),)) from None
    except (RecursionError, ValueError, AttributeError, TypeError, KeyError, IndexError):
        raise Refused((refusal("unreadable"),)) from None
    statements = [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]
    if len(statements) != 1:
        raise Refused((refusal("several_statements" if statements else "not_a_select"),))
    tree = statements[0]
    if not isinstance(tree, (exp.Select, exp.Union, exp.Intersect, exp.Except)):
        raise Refused((refusal("not_a_select"),))
    respelled(tree)
    nodes: list[exp.Expr] = [tree]
    below: list[list[exp.Expr]] = []
    for node in nodes:  # level by level: the list grows as it is read
        below.append(list(node.iter_expressions()))
        nodes += below[-1]
    starts = _starts(text, nodes, below)
    reasons = tuple(dict.fromkeys((*_unlisted(text, nodes, starts), *_nested(text, nodes, starts))))
    if reasons:
        raise Refused(reasons)
    return ParsedQuery(text, tree, _bind(nodes, parameters), starts)


_UNPRINTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters but tab and line ends, and halves of characters; they are odd wherever they stand."""

_CALL_BEFORE: Final = re.compile(r"([A-Za-z_]\w*)\s*\(\s*\Z", re.ASCII)


def _starts(text: str, nodes: Sequence[exp.Expr], below: Sequence[Sequence[exp.Expr]]) -> dict[int, int]:
    """Return for each node, given from the root on, the offset of the first token under it: one pass, leaves first.

    Of some calls sqlglot keeps no place: theirs is the name before the bracket that their first argument follows.

    Args:
        below: of each node those right under it.
    """
    starts: dict[int, int] = {}
    for node, children in zip(reversed(nodes), reversed(below), strict=True):
        placed = node.meta.get("start")
        own = [] if placed is None else [int(placed)]
        own += [starts[id(child)] for child in children if id(child) in starts]
        if own:
            first = min(own)
            if placed is None and isinstance(node, exp.Func):
                before = _CALL_BEFORE.search(text, max(0, first - 80), first)
                first = before.start() if before is not None else first
            starts[id(node)] = first
    return starts


def _position_at(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)


def _tokens(text: str) -> list[Token]:
    if len(text) > MAX_CHARACTERS:
        raise Refused((refusal("text_too_long", limit=MAX_CHARACTERS),))
    if (odd := _UNPRINTED.search(text)) is not None:
        raise _odd_character(text, odd.start())
    try:
        tokens = DuckDB().tokenize(text)
    except (TokenError, ValueError, IndexError, RecursionError):
        raise Refused((refusal("unreadable"),)) from None
    if len(tokens) > MAX_TOKENS:
        raise Refused((refusal("too_many_tokens", limit=MAX_TOKENS),))
    _refuse_odd_characters(text, tokens)
    depth = operands = negations = open_joins = 0
    for token in tokens:
        if token.token_type is TokenType.JOIN:
            open_joins += 1
        elif token.token_type in {TokenType.ON, TokenType.USING}:
            open_joins = max(0, open_joins - 1)
        if open_joins > MAX_OPEN_JOINS:
            hint = ("JOIN … USING (person)", "JOIN … USING (person)")
            raise Refused((refusal("join_without_unit", _position_at(text, token.start), hint=hint),))
        negations = negations + 1 if token.token_type is TokenType.NOT else 0
        if token.token_type is TokenType.COLON:
            raise Refused((refusal("not_admitted", _position_at(text, token.start), what=":"),))
        if token.token_type in _OPENING:
            depth += 1
        elif token.token_type in _CLOSING:
            depth -= 1
        elif token.token_type in _OPERATORS:
            operands += 1
        elif token.token_type is TokenType.PARAMETER and token.text != "$":
            raise Refused((refusal("not_admitted", _position_at(text, token.start), what=token.text),))
        if max(depth, negations) > MAX_DEPTH or operands > MAX_OPERANDS:
            limit = MAX_OPERANDS if operands > MAX_OPERANDS else MAX_DEPTH
            raise Refused((refusal("too_deep", _position_at(text, token.start), limit=limit),))
    last = len(tokens)
    while last and tokens[last - 1].token_type is TokenType.SEMICOLON:
        last -= 1
    if any(token.token_type is TokenType.SEMICOLON for token in tokens[:last]):
        raise Refused((refusal("several_statements"),))
    if not last or tokens[0].text.upper() not in _STATEMENT_WORDS:
        raise Refused((refusal("not_a_select"),))
    return _name_placeholders(tokens[:last])


def _refuse_odd_characters(text: str, tokens: list[Token]) -> None:
    """Refuse what is not ASCII, except in strings, quoted names and comments (attacks: invisible characters)."""
    if text.isascii():
        return
    end = 0
    for token in tokens:
        _refuse_odd_gap(text, end, token.start)
        if token.token_type not in _QUOTED and not (written := text[token.start : token.end + 1]).isascii():
            for offset, character in enumerate(written):
                if not character.isascii():
                    raise _odd_character(text, token.start + offset)
        end = token.end + 1
    _refuse_odd_gap(text, end, len(text))


def _refuse_odd_gap(text: str, start: int, end: int) -> None:
    """Refuse what is not ASCII between two tokens, outside comments."""
    if text[start:end].isascii():
        return
    at = start
    while at < end:
        if text.startswith("--", at):
            newline = text.find("\n", at, end)
            at = end if newline < 0 else newline
        elif text.startswith("/*", at):
            close = text.find("*/", at + 2, end)
            at = end if close < 0 else close + 2
        elif not text[at].isascii():
            raise _odd_character(text, at)
        else:
            at += 1


def _odd_character(text: str, offset: int) -> Refused:
    return Refused((refusal("odd_character", _position_at(text, offset), shown=f"U+{ord(text[offset]):04X}"),))


def _unlisted(text: str, nodes: Sequence[exp.Expr], starts: Mapping[int, int]) -> list[Refusal]:
    def place() -> Position | None:
        return _position_at(text, starts[id(node)]) if id(node) in starts else None

    reasons = []
    named: set[int] = set()  # what a refused argument holds is refused with it, once
    for node in nodes:
        if id(node) in named:
            continue
        known = ADMITTED.get(type(node))
        if known is None or (isinstance(node, exp.Anonymous) and str(node.this).lower() not in ADMITTED_NAMES):
            hint = HINTS.get(type(node))
            reasons.append(refusal("not_admitted", place(), hint=hint, what=_construct(text, node, starts)))
            continue
        if isinstance(node, exp.Select) and not node.expressions:
            # SELECT without any column is no SQL to the engine; sqlglot reads it all the same.
            reasons.append(refusal("not_admitted", place(), what="SELECT FROM"))
        if isinstance(node, (exp.Table, exp.Column)) and any(isinstance(part, str) for part in node.args.values()):
            # `..visits`: sqlglot puts the empty text for a name that is not there.
            reasons.append(refusal("not_admitted", place(), what=".."))
            continue
        for name, value in node.args.items():
            if name not in known and value not in (None, False, [], ()):
                held = value if isinstance(value, list) else [value]
                named.update(id(part) for each in held if isinstance(each, exp.Expr) for part in each.walk())
                offsets = [starts[id(each)] for each in held if id(each) in starts]
                there = _position_at(text, min(offsets)) if offsets else place()
                hint = ARGUMENT_HINTS.get((type(node), name))
                reasons.append(refusal("not_admitted", there, hint=hint, what=_argument(node, name)))
    return reasons


def _nested(text: str, nodes: Sequence[exp.Expr], starts: Mapping[int, int]) -> list[Refusal]:
    """Refuse operations too deep inside each other: `1 + 1 + …`, `x::INT::INT…` nest without any bracket.

    What reads a tree after this is recursive, a few calls for each level; AND, OR and set operations in a row count
    once, since they are read in a loop.
    """
    levels: dict[int, int] = {}
    for node in nodes:
        above = node.parent
        level = levels.get(id(above), 0) if above is not None else 0
        level += type(node) in ADMITTED and type(node) not in _FLAT and type(node) not in RELATIONAL
        if level > MAX_NESTED:
            place = _position_at(text, starts[id(node)]) if id(node) in starts else None
            return [refusal("too_deep", place, limit=MAX_NESTED)]
        levels[id(node)] = level
    return []


def _construct(text: str, node: exp.Expr, starts: Mapping[int, int]) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper()[:40]
    if isinstance(node, exp.Func):
        called = _CALLED.match(text, starts.get(id(node), len(text)))
        return called[1].upper() if called else node.sql_names()[0]
    if isinstance(node, exp.PropertyEQ):
        return ":="
    return _CAPITALS.sub(" ", type(node).__name__).upper()


def _argument(node: exp.Expr, name: str) -> str:
    return _ARGUMENTS.get((type(node), name)) or _CLAUSES.get(name) or name.rstrip("_").upper()


def _name_placeholders(tokens: list[Token]) -> list[Token]:
    """Turn each `?` into `$1`, `$2`, … in reading order, since sqlglot keeps no place for it."""
    tokens = [part for token in tokens for part in _parted(token)]
    if not any(token.token_type is TokenType.PLACEHOLDER for token in tokens):
        return tokens
    if any(token.token_type is TokenType.PARAMETER for token in tokens):
        raise _unfit("? et $nom ne se mêlent pas", "? and $name do not mix")
    named: list[Token] = []
    number = 0
    for token in tokens:
        if token.token_type is TokenType.PLACEHOLDER:
            number += 1
            named.append(Token(TokenType.PARAMETER, "$", token.line, token.col, token.start, token.end))
            named.append(Token(TokenType.VAR, f"{_POSITIONAL}{number}", token.line, token.col, token.start, token.end))
        else:
            named.append(token)
    return named


def _parted(token: Token) -> tuple[Token, ...]:
    """Return a token, but `?::` as the two that it is to DuckDB: a parameter and its cast."""
    if token.token_type is not TokenType.QDCOLON:
        return (token,)
    mark = Token(TokenType.PLACEHOLDER, "?", token.line, token.col, token.start, token.start)
    return (mark, Token(TokenType.DCOLON, "::", token.line, token.col, token.start + 1, token.end))


def _bind(nodes: Sequence[exp.Expr], parameters: Parameters) -> dict[str, ParameterValue]:
    """Pair each placeholder with its value: a sequence for `?`, a mapping for `$name`; none missing, none over."""
    names = {str(node.this) for node in nodes if isinstance(node, exp.Placeholder)}
    values: dict[str, ParameterValue]
    if parameters is None:
        values = {}
    elif isinstance(parameters, Mapping):
        values = {fold(str(name)): value for name, value in parameters.items()}
        if len(values) != len(parameters):
            raise _unfit("deux paramètres ont le même nom", "two parameters have the same name")
    elif isinstance(parameters, Sequence) and not isinstance(parameters, (str, bytes)):
        values = {f"{_POSITIONAL}{number}": value for number, value in enumerate(parameters, start=1)}
    else:
        raise _unfit("une liste (?) ou un objet ($nom) est attendu", "a list (?) or an object ($name) is expected")
    if {fold(name) for name in names} != set(values):
        raise _unfit("une valeur pour chaque paramètre, aucune de plus", "one value for each parameter, none over")
    for value in values.values():
        _require_plain(value)
    return values


def _require_plain(value: ParameterValue) -> None:
    """Refuse values that a literal could not have: too large, too fine, too long, or not characters."""
    match value:
        case bool():
            return
        case str() if len(value) <= LONGEST_TEXT and value.isprintable():
            return
        case int() if abs(value) < LARGEST_NUMBER:
            return
        case Decimal() if is_plain_number(value):
            return
    raise _unfit(
        f"texte de {LONGEST_TEXT} caractères au plus, nombre exact de 18 chiffres au plus, ou booléen",
        f"text of at most {LONGEST_TEXT} characters, exact number of at most 18 digits, or boolean",
    )


def is_plain_number(value: Decimal) -> bool:
    """Return whether a number is finite, below 10^18 and has at most 18 decimals; cheap for any exponent."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -18 and (not value or value.adjusted() < 18)


def _unfit(fr: str, en: str) -> Refused:
    return Refused((refusal("parameters", why_fr=fr, why_en=en),))
