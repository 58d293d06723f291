"""Texts that nobody meant as questions: mutations, splices and grafts of the corpus, from a seeded source of choices.

Three ways: tokens of lines taken out, doubled, exchanged and put where they do not belong; two lines cut and joined;
and sqlglot's own trees of the lines with parts of each other in the place of their parts, which mostly parse and reach
far into admission.
"""

# ruff: noqa: E501 - odd characters are the point
from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

from cleanroom.query.bounded_parser import BoundedParser, TooMuchWork

if TYPE_CHECKING:
    from random import Random

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = ("accept", "either", "more", "refuse", "more_refused")

ODD = (
    "\u200b", "\u2060", "\ufeff", "\u202e", "\u00a0", "\x00", "\x1f", "é", "е", "𝟙", "'", '"', "`", "$$", "--", "/*", "*/", ";",
    "\\", "E'\\n'", "X'41'", "B'1'", "N'a'", "?", "$1", "$a", ":a", "@a", "{", "}", "[", "]", "(", ")", "((", "))", ",", ".", "..",
    "::", "->", "->>", "=>", ":=", "||", "//", "%", "^", "**", "!", "~", "!~", "<=>", "<>", "==", "1e400", "1e-400",
    "0x10", "1_000", ".5", "5.", "99999999999999999999999999999999999999999", "-", "- -", "NOT", "NULL", "TRUE", "*", "ALL",
    "DISTINCT", "person", "tnm.visits", "interdit.visits", "public.regions", "GROUP BY ALL", "ORDER BY ALL", "LIMIT 1",
    "OFFSET 1", "QUALIFY TRUE", "USING SAMPLE 1", "FILTER (WHERE TRUE)", "OVER ()", "OVER (PARTITION BY person)",
    "WITHIN GROUP (ORDER BY amount)", "IS NULL", "IN (1)", "BETWEEN 1 AND 2", "CASE WHEN TRUE THEN 1 END", "EXISTS (SELECT 1)",
    "UNION ALL", "INTERSECT", "EXCEPT", "JOIN", "LEFT JOIN", "FULL JOIN", "NATURAL JOIN", "ASOF JOIN", "LATERAL", "CROSS JOIN",
    "USING (person)", "ON TRUE", "WITH RECURSIVE", "AS MATERIALIZED", "PIVOT", "UNNEST", "INTERVAL 1 DAY", "DATE '2024-02-30'",
    "CAST(tickets AS DECIMAL(38, 18))", "COLLATE NOCASE", "ESCAPE 'a'", "DECIMAL(", "ARRAY[", "STRUCT(", "MAP {",
)  # fmt: skip
"""What no line should hold there."""

_NESTS = (
    ("(", ")"), ("NOT (", ")"), ("- (", ")"), ("CASE WHEN ", " THEN TRUE END"), ("COALESCE(", ")"), ("LEAST(", ", 1)"),
    ("CAST(", " AS INTEGER)"), ("DECIMAL(", ")"), ("ROUND(", ")"), ("", " + 1"), ("", " IS NULL"), ("", "::INTEGER"),
    ("(SELECT ", ")"), ("EXISTS (SELECT ", ")"), ("ARRAY[", "]"), ("SQRT(", ")"), ("1 / (", ")"),
)  # fmt: skip
_SCALARS = (exp.Condition, exp.Alias, exp.Star)


@cache
def lines() -> tuple[tuple[str, Any], ...]:
    """Return every line of the corpus: its text and its parameters."""
    found = []
    for name in FILES:
        for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            content = json.loads(line)
            found.append((content["sql"], content.get("params")))
    return tuple(found)


@cache
def pieces() -> tuple[tuple[str, ...], ...]:
    """Return the lines cut at their tokens, blanks kept."""
    found = []
    for sql, _ in lines():
        try:
            tokens = DuckDB().tokenize(sql)
        except (SqlglotError, ValueError):
            continue
        cuts = sorted({0, len(sql), *(place for token in tokens for place in (token.start, token.end + 1))})
        found.append(tuple(sql[a:b] for a, b in itertools.pairwise(cuts)))
    return tuple(found)


@cache
def trees() -> tuple[tuple[exp.Expr, ...], tuple[exp.Expr, ...]]:
    """Return the lines' trees, and all scalar parts of them."""
    roots: list[exp.Expr] = []
    for sql, _ in lines():
        try:
            tokens = DuckDB().tokenize(sql)
            # Some lines are there because sqlglot's own parser never ends on them.
            parsed = BoundedParser(len(tokens)).parse(tokens, sql)
        except (SqlglotError, ValueError, RecursionError, TooMuchWork):
            continue
        roots += [tree for tree in parsed if isinstance(tree, exp.Query)]
    parts = [node for root in roots for node in root.walk() if isinstance(node, _SCALARS)]
    return tuple(roots), tuple(parts)


def hostile_text(rng: Random) -> tuple[str, Any]:
    """Return a text, and parameters that may fit it."""
    way = rng.choice((_mutated, _mutated, _grafted, _grafted, _grafted, _spliced, _nested))
    return way(rng)


def _mutated(rng: Random) -> tuple[str, Any]:
    sql, parameters = rng.choice(lines())
    tokens = list(rng.choice(pieces())) if rng.random() < 0.7 else [sql]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(tokens) + 1)
        match rng.randrange(5):
            case 0:
                del tokens[at : at + 1]
            case 1:
                tokens[at:at] = [*tokens[at : at + rng.randrange(1, 6)]]
            case 2:
                tokens[at : at + 1] = [f" {rng.choice(ODD)} "]
            case 3:
                tokens[at:at] = [rng.choice(ODD)]
            case _:
                other = rng.choice(pieces())
                tokens[at : at + 1] = [rng.choice(other)] if other else []
    return "".join(tokens), parameters


def _spliced(rng: Random) -> tuple[str, Any]:
    one, other = rng.choice(pieces()) or ("",), rng.choice(pieces()) or ("",)
    return "".join([*one[: rng.randrange(len(one) + 1)], *other[rng.randrange(len(other) + 1) :]]), None


def _grafted(rng: Random) -> tuple[str, Any]:
    """Put parts of other lines in the place of parts of one."""
    roots, parts = trees()
    root = rng.choice(roots).copy()
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = [node for node in root.walk() if node.parent is not None and isinstance(node, _SCALARS)]
        if places:
            rng.choice(places).replace(rng.choice(parts).copy())
    try:
        return root.sql("duckdb"), None
    except (SqlglotError, ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return str(rng.choice(ODD)), None


def _nested(rng: Random) -> tuple[str, Any]:
    """Put a hole of a line deep inside brackets, functions or chains."""
    before, after = rng.choice(_NESTS)
    inner, outer = rng.choice((("", ""), rng.choice(_NESTS)))
    times = rng.choice((3, 8, 14, 25, 60, 400))
    deep = (before + inner) * times + rng.choice(("tickets", "COUNT(*)", "1", "x", "")) + (outer + after) * times
    frame = rng.choice(
        (
            "SELECT {} AS n FROM tnm.visits",
            "SELECT SUM({}) AS n FROM tnm.visits",
            "SELECT COUNT(*) AS n FROM tnm.visits WHERE {}",
            "SELECT {} AS k, COUNT(*) AS n FROM tnm.visits GROUP BY k",
            "SELECT COUNT(*) AS n FROM (SELECT person, {} AS x FROM tnm.visits) AS t WHERE x = 1",
            "SELECT COUNT(*) AS n FROM tnm.visits HAVING {}",
        )
    )
    return frame.format(deep), None
