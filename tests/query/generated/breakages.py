"""Breakages of what is computed within a person, and of how it is printed; each killer is a shrunk generated question."""

# ruff: noqa: E501 - one breakage, one question a line
from __future__ import annotations

from breakage import Sabotage

PRINTER, PERSON, PRUNING = "cleanroom.query.duckdb_sql", "cleanroom.query.duckdb_person", "cleanroom.query.pruning"
JOINS, SETS, SELECTS = (
    "cleanroom.query.binding.joins",
    "cleanroom.query.binding.sets",
    "cleanroom.query.binding.selects",
)
SUBQUERIES, GROUPING = "cleanroom.query.binding.subqueries", "cleanroom.query.binding.grouping"
ARITHMETIC = "cleanroom.query.terms.arithmetic"
AGREES, HOLDS, REFUSES = "generated.killers:agrees", "generated.killers:holds", "generated.killers:refuses"

ANTI_LATER = "SELECT COUNT(*) AS n FROM tnm.visits AS a ANTI JOIN francos.visits AS b ON a.person = b.person AND b.bought > a.bought"
SEMI_ROWS = "SELECT COUNT(*) AS n, SUM(a.seats) AS s FROM tnm.visits AS a SEMI JOIN francos.visits AS b ON a.person = b.person AND b.bought >= a.bought"
LEFT_MORE = "SELECT COUNT(*) AS n, COUNT(b.seats) AS m FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 2"
FULL_GROUPS = "SELECT SUM(c) AS n FROM (SELECT person, COUNT(*) AS c FROM tnm.visits FULL JOIN francos.visits USING (person) GROUP BY person) AS t"
DIFFERENT = "SELECT region, COUNT(*) AS n FROM (SELECT DISTINCT person, region FROM tnm.visits) AS t GROUP BY region"
UNITED = "SELECT region, COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits UNION SELECT person, region FROM francos.visits) AS t GROUP BY region"
WITHOUT = "SELECT COUNT(*) AS n FROM (SELECT person, CASE WHEN seats > 8 THEN region END AS r FROM tnm.visits EXCEPT SELECT person, CASE WHEN seats > 4 THEN region END FROM francos.visits) AS t"
EXCEPTED = "SELECT region, COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits EXCEPT SELECT person, region FROM francos.visits) AS t GROUP BY region"
NUMBERED = "SELECT seats, COUNT(*) AS n FROM (SELECT person, seats, ROW_NUMBER() OVER (PARTITION BY person ORDER BY region) AS i FROM tnm.visits) AS t WHERE i = 1 GROUP BY seats"
RANKED = "SELECT SUM(i) AS n, SUM(seats) AS s FROM (SELECT person, seats, RANK() OVER (PARTITION BY person ORDER BY region) AS i FROM tnm.visits) AS t"
RUNNING = "SELECT SUM(i) AS n FROM (SELECT person, SUM(seats) OVER (PARTITION BY person ORDER BY region RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS i FROM tnm.visits) AS t"
BEFORE = "SELECT SUM(i) AS n FROM (SELECT person, LAG(seats, 2) OVER (PARTITION BY person ORDER BY seats DESC) AS i FROM tnm.visits) AS t"
GREATEST = "SELECT SUM(i) AS n FROM (SELECT person, FIRST_VALUE(seats) OVER (PARTITION BY person ORDER BY seats DESC) AS i FROM tnm.visits) AS t"
FIRST_OF = (
    "SELECT SUM(f) AS n FROM (SELECT person, FIRST(seats ORDER BY region) AS f FROM tnm.visits GROUP BY person) AS t"
)
NEIGHBOURS = "SELECT SUM(i) AS n FROM (SELECT person, SUM(seats) OVER (PARTITION BY person ORDER BY seats ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS i FROM tnm.visits) AS t"
BY_REGION = (
    "SELECT SUM(i) AS n FROM (SELECT person, COUNT(*) OVER (PARTITION BY person, region) AS i FROM tnm.visits) AS t"
)
NO_ROWS = "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE (SELECT COUNT(*) FROM francos.visits AS b WHERE b.person = a.person) = 0"
OF_ABSENT = "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 2 WHERE EXISTS (SELECT 1 FROM tnm.visits AS c WHERE c.person = b.person)"
NOT_THERE = "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 2 WHERE b.person NOT IN (SELECT person FROM musee.visits)"
ONLY_SOME = "SELECT SUM(c) AS n FROM (SELECT person, COUNT(*) FILTER (WHERE seats > 3) AS c FROM tnm.visits GROUP BY person) AS t"
EVERY = "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits GROUP BY person HAVING BOOL_AND(seats > 1)) AS t"
KINDS = "SELECT SUM(c) AS n FROM (SELECT person, COUNT(DISTINCT region) AS c FROM tnm.visits GROUP BY person) AS t"
TOTALS = "SELECT SUM(s) AS n FROM (SELECT a.person, SUM(a.seats) AS s FROM tnm.visits AS a JOIN francos.visits AS b USING (person) GROUP BY a.person) AS t"
ZONES = (
    "SELECT z.zone, COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN public.zones AS z ON a.region = z.region GROUP BY 1"
)
SUMMED = "SELECT SUM(seats + seats) AS s FROM tnm.visits"
ROLLED = "SELECT region, GROUPING(region) AS g, COUNT(*) AS n FROM tnm.visits GROUP BY ROLLUP (region)"
TWO_UNITS = "SELECT SUM(seats) AS s, SUM(seats * 3) AS t FROM tnm.visits"

BREAKAGES = (
    Sabotage("NOT IN printed raw", PRINTER, "exists = self.exists(other, condition, width)\n                return f'SELECT a.\"u\"{listed} FROM ({body}) AS a WHERE",
        "exists = self.exists(other, condition, width)\n                if negated:\n                    return f'SELECT a.\"u\"{listed} FROM ({body}) AS a WHERE NOT ' + exists.split(' AND ')[0] + ')'\n                return f'SELECT a.\"u\"{listed} FROM ({body}) AS a WHERE", AGREES, (ANTI_LATER,)),
    Sabotage("a semi-join turned join", PRINTER, "return f'SELECT a.\"u\"{listed} FROM ({body}) AS a WHERE {\"NOT \" * negated}{exists}'",
        "return f'SELECT a.\"u\"{listed} FROM ({body}) AS a JOIN ({self.relation(other)}) AS b ON {self.met(condition, width)}'", AGREES, (SEMI_ROWS,)),
    Sabotage("an outer join's condition moved to WHERE", PRINTER, "return f\"SELECT {unit}{listed} FROM ({first}) AS a {node.kind.value} JOIN ({second}) AS b ON {on}\"",
        "return f\"SELECT {unit}{listed} FROM ({first}) AS a {node.kind.value} JOIN ({second}) AS b ON b.u = a.u WHERE {on}\"", AGREES, (LEFT_MORE,)),
    Sabotage("the unit dropped from GROUP BY after FULL JOIN", PERSON, "return f'SELECT g.\"u\"{listed} FROM (SELECT t.\"u\"{kept} FROM ({body()}) AS t) AS g GROUP BY {groups}'",
        "return f'SELECT MIN(g.\"u\") AS \"u\"{listed} FROM (SELECT t.\"u\"{kept} FROM ({body()}) AS t) AS g GROUP BY ({groups.removeprefix(chr(103) + chr(46) + chr(34) + chr(117) + chr(34)).removeprefix(chr(44))})'", HOLDS, (FULL_GROUPS,)),
    Sabotage("DISTINCT without the unit", PRINTER, "return f'SELECT DISTINCT t.\"u\"{listed} FROM ({self.relation(source)}) AS t'",
        "return f'SELECT MIN(t.\"u\") AS \"u\"{listed} FROM ({self.relation(source)}) AS t GROUP BY ALL'", HOLDS, (DIFFERENT,)),
    Sabotage("a window without partition", PERSON, "partition = \", \".join(['g.\"u\"', *(inner.name(\"p\", each) for each in function.partition)])", "partition = '1'", HOLDS, (NUMBERED,)),
    Sabotage("a window's partition is the unit alone", PERSON, "*(inner.name(\"p\", each) for each in function.partition)", "*(inner.name(\"p\", each) for each in ())", AGREES, (BY_REGION,)),
    Sabotage("PARTITION BY need not name the person", "cleanroom.query.binding.windows", "        if not unit:", "        if unit is None:", REFUSES,
        ("SELECT COUNT(*) AS n FROM (SELECT person, ROW_NUMBER() OVER (PARTITION BY region ORDER BY seats) AS i FROM tnm.visits) AS t",)),
    Sabotage("the unit missing from a grouping set", "cleanroom.query.binding.release_keys", "                self.scope.refuse(\"row_output\", each)\n                continue", "                continue", REFUSES,
        ("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY GROUPING SETS ((person, region), (region))",)),
    Sabotage("EXCEPT without the unit", SETS, "if not everyone and any(arm.unit_at is None for arm in people):", "if everyone and any(arm.unit_at is None for arm in people):", REFUSES,
        ("SELECT COUNT(*) AS n FROM (SELECT region FROM tnm.visits EXCEPT SELECT region FROM francos.visits) AS t",)),
    Sabotage("DISTINCT need not name the person", SELECTS, "if unit_at is None:\n                self.asking.stop(\n                    \"distinct_without_unit\"", "if unit_at == -1:\n                self.asking.stop(\n                    \"distinct_without_unit\"", REFUSES,
        ("SELECT COUNT(*) AS n FROM (SELECT DISTINCT region, ROW_NUMBER() OVER (PARTITION BY person ORDER BY seats) AS r FROM tnm.visits) AS t",)),
    Sabotage("a window's ties decided by the engine", PERSON, "        order += ties", "        order += []", HOLDS, (NUMBERED,)),
    Sabotage("FIRST's ties decided by the engine", PERSON, "order = \", \".join([*inner.order(aggregate.order), *ties])", "order = \", \".join(inner.order(aggregate.order))", HOLDS, (FIRST_OF,)),
    Sabotage("peers broken up by tie-breakers", PERSON, "if function.name not in _UNTIED and not of_peers:", "if not of_peers:", AGREES, (RANKED,)),
    Sabotage("a RANGE frame's peers broken up", PERSON, "(frame is None or frame.unit is FrameUnit.RANGE)", "False", AGREES, (RUNNING,)),
    Sabotage("a descending order lost", PERSON, "{'DESC' if each.descending else 'ASC'}", "ASC", AGREES, (GREATEST,)),
    Sabotage("the offset of LAG lost", PERSON, "offset = f\", {function.offset}\" if", "offset = \", 1\" if", AGREES, (BEFORE,)),
    Sabotage("a frame too wide", PERSON, "return f\"{abs(offset)} {'PRECEDING' if offset < 0 else 'FOLLOWING'}\"", "return f\"{abs(offset) + 1} {'PRECEDING' if offset < 0 else 'FOLLOWING'}\"", AGREES, (NEIGHBOURS,)),
    Sabotage("FILTER of a person's aggregate lost", PERSON, "if aggregate.where is not None else \"\"", "if aggregate.where is None else \"\"", AGREES, (ONLY_SOME,)),
    Sabotage("EVERY taken for SOME", PERSON, "PersonFunction.EVERY: \"BOOL_AND\"", "PersonFunction.EVERY: \"BOOL_OR\"", AGREES, (EVERY,)),
    Sabotage("values of a person counted twice", PERSON, "return f\"COUNT(DISTINCT {item}){end}\"", "return f\"COUNT({item}){end}\"", AGREES, (KINDS,)),
    Sabotage("nobody's count is NULL", GROUPING, "zero = {PersonFunction.COUNT, PersonFunction.COUNT_ROWS, PersonFunction.COUNT_DISTINCT}", "zero = {PersonFunction.SUM}", AGREES, (NO_ROWS,)),
    Sabotage("an absent unit met in a subquery", SUBQUERIES, "                    present.append(scope.rows.present(outer.source))", "                    pass", AGREES, (OF_ABSENT,)),
    Sabotage("who is not there is NOT IN", SUBQUERIES, "                if met.known is not None:", "                if negated is None:", AGREES, (NOT_THERE,)),
    Sabotage("NULLs differ in set operations", "cleanroom.query.canonical_columns", "equal.append(t.AnyOf((both_missing, t.Compared(t.Comparing.EQUAL, left, right))))", "equal.append(t.Compared(t.Comparing.EQUAL, left, right))", AGREES, (WITHOUT,)),
    Sabotage("EXCEPT taken for INTERSECT", SETS, "isinstance(node, exp.Except), same)", "False, same)", AGREES, (EXCEPTED,)),
    Sabotage("UNION keeps repeated rows", SETS, "return united if not node.args.get(\"distinct\") else _once(united)", "return united", AGREES, (UNITED,)),
    Sabotage("a sum taken for indifferent to repeated rows", PRUNING, "        PersonFunction.LEAST,\n", "        PersonFunction.LEAST,\n        PersonFunction.SUM,\n", AGREES, (TOTALS,)),
    Sabotage("pruning drops a key that only groups", PRUNING, "        tuple(below.term(key) for key in keys),", "        tuple(below.term(key) for key in keys[:0]),", AGREES,
        ("SELECT COUNT(*) AS n FROM (SELECT person, region, COUNT(*) AS c FROM tnm.visits GROUP BY person, region) AS t WHERE c > 1",)),
    Sabotage("a window's rows narrowed as if once", PRUNING, "below = _narrow(relation.source, from_source | looked, once=False)", "below = _narrow(relation.source, from_source | looked, once=True)", AGREES,
        ("SELECT COUNT(DISTINCT person) AS n FROM (SELECT a.person, COUNT(*) OVER (PARTITION BY a.person) AS c FROM tnm.visits AS a JOIN francos.visits AS b USING (person)) AS t WHERE c > 3",)),
    Sabotage("rows without a public partner dropped", PRINTER, 'kind = "LEFT" if node.outer else "INNER"', 'kind = "INNER"', AGREES, (ZONES,)),
    Sabotage("a sum's interval wrong by one", ARITHMETIC, "    return a[0] + b[0], a[1] + b[1]\n", "    return a[0] + b[0], a[1] + b[1] - 1\n", AGREES, (SUMMED,)),
    Sabotage("GROUPING turned round", "cleanroom.query.release", "(at not in plan.sets[set_at]) << bit", "(at in plan.sets[set_at]) << bit", AGREES, (ROLLED,)),
    Sabotage("a column's resolution for all its statistics", "cleanroom.query.estimates", "    return Fraction(statistic.resolution)\n", "    return Fraction(1)\n", AGREES, (TWO_UNITS,)),
)  # fmt: skip
