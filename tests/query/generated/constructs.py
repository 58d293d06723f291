"""Which constructs an admitted question is made of: by its plan, after pruning, and by its text."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING

from cleanroom.query import algebra
from cleanroom.query.person_rows import PersonAggregate, WindowFunction
from cleanroom.query.statistics import CountPersons, CountRows, Quantile, UnknownKey, Variance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generated.values import Question

    from cleanroom.query.plan import QuestionPlan

WORDS = {
    "WITH": r"^WITH ",
    "USING": r" USING \(",
    "comma join": r"FROM [^()]*, \(?",
    "IN (SELECT)": r" IN \(SELECT",
    "NOT IN (SELECT)": r" NOT IN \(SELECT",
    "EXISTS": r"(?<!NOT )EXISTS \(",
    "NOT EXISTS": r"NOT EXISTS \(",
    "scalar subquery": r"\(SELECT (COUNT|SUM|MIN|MAX)\((?!DISTINCT)[^)]*\) FROM [^)]* WHERE",
    "UNION ALL": r" UNION ALL ",
    "UNION": r" UNION SELECT",
    "INTERSECT": r" INTERSECT ",
    "EXCEPT": r" EXCEPT ",
    "DISTINCT": r"SELECT DISTINCT",
    "QUALIFY": r" QUALIFY ",
    "IN of values": r" IN \(SELECT r\d+\.(?!person|visiteur)",
    "USING of columns": r" USING \(\w+, ",
    "RANGE of values": r"RANGE BETWEEN (2|CURRENT ROW AND \d)",
    "HAVING of a person": r"GROUP BY [^()]*(person|visiteur)[^()]* HAVING",
    "HAVING of a release": r" HAVING [^)]*\)?[^)]*$",
    "FILTER": r" FILTER \(",
    "ROLLUP": r"ROLLUP \(",
    "CUBE": r"CUBE \(",
    "GROUPING SETS": r"GROUPING SETS \(",
    "GROUPING": r"GROUPING\(",
    "unit of an absent side": r"(person|visiteur) IS (NOT )?NULL",
}


def constructs(question: Question, plan: QuestionPlan) -> set[str]:
    """Return the constructs of a question."""
    found = {name for name, pattern in WORDS.items() if re.search(pattern, question.written)}
    if isinstance(question.parameters, list):
        found.add("? parameters")
    if isinstance(question.parameters, dict):
        found.add("$name parameters")
    if len(plan.releases) > 1:
        found.add("several releases")
    if plan.finish is not None:
        found.add("SQL over releases")
    for release in plan.releases:
        for part in (release.relation, release.keys, release.statistics):
            found |= set(_named(part))
        scanned = [scan.table for scan in algebra.scans(release.relation)]
        if len(set(scanned)) < len(scanned):
            found.add("self join")
        if len({table.owner for table in scanned}) > 1:
            found.add("two owners")
        if len(release.sets) > 1:
            found.add("grouping sets")
    return found


def _named(node: object) -> Iterator[str]:
    """Yield the names of the nodes of a plan, with what tells their kinds apart."""
    name = type(node).__name__
    match node:
        case algebra.Join(kind=kind, condition=condition):
            yield f"{kind.name} join" + (" on more" if condition is not None else "")
        case algebra.Semi(negated=negated, condition=condition):
            yield ("anti" if negated else "semi") + "-join" + (" on more" if condition is not None else "")
        case algebra.JoinPublic(outer=outer):
            yield f"public {'LEFT' if outer else 'INNER'} join"
        case PersonAggregate(function=function, where=where):
            yield f"person {function.name}"
            if where is not None:
                yield "person FILTER"
        case WindowFunction(name=window, frame=frame):
            yield f"window {window.name}"
            if frame is not None:
                yield f"window {frame.unit.name}"
        case Quantile(discrete=discrete):
            yield "QUANTILE_DISC" if discrete else "QUANTILE_CONT"
        case Variance(root=root, sample=sample):
            yield ("STDDEV" if root else "VAR") + ("_SAMP" if sample else "_POP")
        case UnknownKey() | CountPersons() | CountRows():
            yield name
        case _ if is_dataclass(node):
            yield name
    if isinstance(node, tuple):
        for each in node:
            yield from _named(each)
    elif is_dataclass(node) and not isinstance(node, (type, Enum)):
        for field in fields(node):
            yield from _named(getattr(node, field.name))
