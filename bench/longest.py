"""Write the longest questions that the limits on text allow, each of its own kind: near the ends of one limit.

Which of them takes the longest to decide is measured, not known; `texts` are those that somebody would try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.data import DISCIPLINES, MEMBERS, REGIONS
from cleanroom.query.parse import MAX_CHARACTERS, MAX_DEPTH, MAX_OPERANDS, MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNT: Final = "SELECT region, COUNT(DISTINCT person) AS n FROM fleuve.visits"
_TAIL: Final = " GROUP BY region"
_PEOPLE: Final = "SELECT person, region FROM fleuve.visits"


def texts() -> dict[str, str]:
    """Return the texts by what is long in them; each is within the limits on characters and tokens."""
    return {name: make() for name, make in _KINDS.items()}


def _owner(at: int) -> str:
    return MEMBERS[at % len(MEMBERS)]


def _conditions() -> str:
    """Return an admitted question whose text has `MAX_CHARACTERS` characters."""
    listed: list[str] = []
    tokens = 24
    place = 0
    while tokens < MAX_TOKENS - 20 and len(listed) < MAX_OPERANDS:
        names, column = (REGIONS, "region") if place % 2 else (DISCIPLINES, "discipline")
        values = ", ".join(f"'{names[(place + offset) % len(names)]}'" for offset in range(3))
        listed.append(f"{column} IN ({values})")
        tokens += 10
        place += 1
    text = f"{_COUNT} WHERE {' OR '.join(listed)}{_TAIL}"
    # A comment fills what is left; letters beyond ASCII, so that every character is looked at for odd ones.
    return f"{text} /*{'é' * (MAX_CHARACTERS - len(text) - 5)}*/"


def _brackets() -> str:
    deep = MAX_DEPTH - 1
    one = f"{'(' * deep}tickets > 1{')' * deep}"
    return f"{_COUNT} WHERE {' AND '.join([one] * (MAX_TOKENS // (2 * deep + 5)))}{_TAIL}"


def _in_list() -> str:
    values = ", ".join(f"'{REGIONS[at % len(REGIONS)]}'" for at in range(900))
    return f"{_COUNT} WHERE region IN ({values}){_TAIL}"


def _ands() -> str:
    each = [f"tickets + {1 + at % 7} > amount / {2 + at % 5}" for at in range(MAX_OPERANDS - 1)]
    return f"{_COUNT} WHERE {' AND '.join(each)}{_TAIL}"


def _alternating() -> str:
    each = [f"(region = '{REGIONS[at % 17]}' OR tickets = {1 + at % 8})" for at in range(95)]
    return f"{_COUNT} WHERE {' AND '.join(each)}{_TAIL}"


def _names() -> str:
    steps = [f"t{at} AS (SELECT person, region, tickets FROM t{at - 1} WHERE tickets > 0)" for at in range(1, 30)]
    first = "t0 AS (SELECT person, region, tickets FROM fleuve.visits)"
    return f"WITH {first}, {', '.join(steps)} SELECT region, COUNT(DISTINCT person) AS n FROM t29{_TAIL}"


def _names_apart() -> str:
    each = [f"t{at} AS ({_PEOPLE})" for at in range(115)]
    arms = " UNION ALL ".join(f"FROM t{at}" for at in range(115))
    return f"WITH {', '.join(each)} SELECT region, COUNT(*) AS n FROM ({arms}) AS t{_TAIL}"


def _union() -> str:
    arms = " UNION ALL ".join(f"SELECT person, region FROM {_owner(at)}.visits" for at in range(150))
    return f"SELECT region, COUNT(*) AS n FROM ({arms}) AS t{_TAIL}"


def _union_filtered() -> str:
    arms = " UNION ALL ".join(
        f"SELECT person, region FROM {_owner(at)}.visits WHERE tickets > {at % 8}" for at in range(130)
    )
    return f"SELECT region, COUNT(*) AS n FROM ({arms}) AS t{_TAIL}"


def _joins() -> str:
    joined = " ".join(f"JOIN {_owner(at)}.visits AS j{at} USING (person)" for at in range(1, 29))
    return f"SELECT a.region, COUNT(DISTINCT person) AS n FROM fleuve.visits AS a {joined} GROUP BY a.region"


def _joins_of_persons() -> str:
    joined = " ".join(
        f"JOIN (SELECT DISTINCT person FROM {_owner(at)}.visits) AS j{at} USING (person)" for at in range(28)
    )
    return f"SELECT a.region, COUNT(DISTINCT person) AS n FROM fleuve.visits AS a {joined} GROUP BY a.region"


def _subqueries() -> str:
    inner = "SELECT person FROM fleuve.visits"
    for at in range(MAX_DEPTH - 1):
        inner = f"SELECT person FROM {_owner(at)}.visits WHERE person IN ({inner})"
    return f"{_COUNT} WHERE person IN ({inner}){_TAIL}"


def _semi_joins() -> str:
    each = [f"person IN (SELECT person FROM rives.visits WHERE tickets > {at % 8})" for at in range(110)]
    return f"{_COUNT} WHERE {' AND '.join(each)}{_TAIL}"


def _statistics() -> str:
    each = [f"SUM(tickets) FILTER (WHERE region = '{REGIONS[at % 17]}') AS n{at}" for at in range(130)]
    return f"SELECT discipline, {', '.join(each)} FROM fleuve.visits GROUP BY discipline"


def _averages() -> str:
    each = ", ".join(f"AVG(amount + {at % 9}) AS n{at}" for at in range(190))
    return f"SELECT region, {each} FROM fleuve.visits{_TAIL}"


def _sets() -> str:
    keys = ["region", "discipline", "date_trunc('month', purchased)"]
    sets = ", ".join(f"({', '.join(keys[: 1 + at % 3])})" for at in range(64))
    return f"SELECT region, discipline, COUNT(*) AS n FROM fleuve.visits GROUP BY GROUPING SETS ({sets})"


def _cube() -> str:
    return (
        "SELECT region, discipline, date_trunc('month', purchased) AS m, COUNT(*) AS n, SUM(amount) AS s, AVG(tickets)"
        " AS a FROM fleuve.visits GROUP BY CUBE (region, discipline, m)"
    )


def _arithmetic() -> str:
    return f"SELECT region, SUM({' + '.join(['tickets * 2'] * 28)}) AS n FROM fleuve.visits{_TAIL}"


def _cases() -> str:
    arms = " ".join(f"WHEN tickets > {at % 8} AND region = '{REGIONS[at % 17]}' THEN '{at}'" for at in range(150))
    return f"SELECT CASE {arms} ELSE 'x' END AS k, COUNT(*) AS n FROM fleuve.visits GROUP BY k"


def _released() -> str:
    each = " ".join(f"AND n > {at}" for at in range(190))
    return f"WITH r AS ({_COUNT}{_TAIL}) SELECT region, n FROM r WHERE n > 0 {each} ORDER BY n"


def _releases() -> str:
    arms = " UNION ALL ".join(f"{_COUNT} WHERE tickets > {at % 8} {_TAIL}" for at in range(90))
    return f"SELECT region, n FROM ({arms}) AS t"


def _windows() -> str:
    each = [f"row_number() OVER (PARTITION BY person ORDER BY purchased, tickets) AS w{at}" for at in range(90)]
    return f"SELECT SUM(w0) AS n FROM (SELECT person, {', '.join(each)} FROM fleuve.visits) AS t"


def _chain(first: str, step: str, count: int, last: str) -> str:
    steps = [f"t{at} AS ({step.format(p=f't{at - 1}')})" for at in range(1, count)]
    return f"WITH {', '.join([f't0 AS ({first})', *steps])} {last.format(p=f't{count - 1}')}"


def _doubled_unions() -> str:
    step = "SELECT person, region FROM {p} UNION ALL SELECT person, region FROM {p}"
    return _chain(_PEOPLE, step, 8, f"SELECT region, COUNT(*) AS n FROM {{p}}{_TAIL}")


def _doubled_joins() -> str:
    step = "SELECT x.person, x.region FROM {p} AS x JOIN {p} AS y USING (person)"
    last = f"SELECT region, COUNT(DISTINCT person) AS n FROM {{p}}{_TAIL}"
    return _chain("SELECT DISTINCT person, region FROM fleuve.visits", step, 8, last)


def _doubled_terms() -> str:
    step = "SELECT person, region, LEAST(x + x, 12) AS x FROM {p}"
    first = "SELECT person, region, tickets AS x FROM fleuve.visits"
    return _chain(first, step, 60, f"SELECT region, SUM(x) AS n FROM {{p}}{_TAIL}")


def _doubled_columns() -> str:
    return _chain(f"{_COUNT}{_TAIL}", "SELECT n, n + n AS m, * FROM {p}", 60, "SELECT COUNT(*) AS n FROM {p}")


def _types() -> str:
    inner = "x"
    for _ in range(MAX_DEPTH - 1):
        inner = f"DECIMAL({inner})"
    return f"SELECT {', '.join([inner] * 20)} FROM fleuve.visits"


def _unclosed() -> str:
    return f"{_COUNT} WHERE {'NOT ' * 25}{'(' * (MAX_DEPTH - 1)}{'tickets + ' * 950}"


def _stars() -> str:
    return f"SELECT {', '.join(['*'] * 900)} FROM ({_COUNT}{_TAIL}) AS t"


_KINDS: Final[dict[str, Callable[[], str]]] = {
    "conditions and a comment": _conditions,
    "brackets in brackets": _brackets,
    "one long IN list": _in_list,
    "many AND": _ands,
    "AND of OR": _alternating,
    "WITH over WITH": _names,
    "many WITH": _names_apart,
    "a union of 150": _union,
    "a union of filters": _union_filtered,
    "many joins of rows": _joins,
    "many joins of persons": _joins_of_persons,
    "subqueries in subqueries": _subqueries,
    "many IN (SELECT …)": _semi_joins,
    "many statistics": _statistics,
    "many means": _averages,
    "64 grouping sets": _sets,
    "a cube": _cube,
    "long arithmetic": _arithmetic,
    "many cases": _cases,
    "conditions on a release": _released,
    "many releases": _releases,
    "many windows": _windows,
    "unions that double": _doubled_unions,
    "joins that double": _doubled_joins,
    "terms that double": _doubled_terms,
    "columns that double": _doubled_columns,
    "types or calls": _types,
    "brackets never closed": _unclosed,
    "many stars": _stars,
}
