"""Questions that are easily misread, held to plain SQL: absent sides, set operations in a row, frames, resolutions."""

# ruff: noqa: E501 - questions, one a line
from __future__ import annotations

import pytest
from generated.killers import agrees

QUESTIONS = (
    "SELECT CASE WHEN a.person IS NULL THEN 'b' WHEN b.person IS NULL THEN 'a' ELSE 'ab' END AS c, COUNT(*) AS n FROM tnm.visits AS a FULL JOIN francos.visits AS b ON a.person = b.person AND a.seats > 3 GROUP BY 1",
    "SELECT COUNT(*) AS n, COUNT(b.person) AS m, COUNT(c.person) AS k FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 LEFT JOIN musee.visits AS c ON c.person = b.person",
    "SELECT COUNT(*) AS n, COUNT(a.person) AS m FROM tnm.visits AS a RIGHT JOIN francos.visits AS b ON a.person = b.person AND a.seats > b.seats LEFT JOIN musee.visits AS c ON c.person = a.person AND c.seats = 1",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 JOIN musee.visits AS c ON c.person = b.person",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 WHERE NOT EXISTS (SELECT 1 FROM musee.visits AS c WHERE c.person = b.person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 WHERE (SELECT COUNT(*) FROM musee.visits AS c WHERE c.person = b.person) = 0",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 WHERE (SELECT MAX(c.seats) FROM musee.visits AS c WHERE c.person = b.person) IS NULL",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 SEMI JOIN musee.visits AS c ON c.person = b.person",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 ANTI JOIN musee.visits AS c ON c.person = b.person",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a FULL JOIN francos.visits AS b USING (person) ANTI JOIN musee.visits AS c USING (person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a RIGHT JOIN francos.visits AS b USING (person) LEFT JOIN musee.visits AS c USING (person) WHERE c.person IS NULL",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits UNION ALL SELECT person FROM francos.visits EXCEPT SELECT person FROM musee.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits EXCEPT SELECT person FROM francos.visits UNION ALL SELECT person FROM musee.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits EXCEPT SELECT person FROM francos.visits INTERSECT SELECT person FROM musee.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits UNION SELECT person FROM francos.visits UNION ALL SELECT person FROM musee.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits UNION ALL SELECT person FROM francos.visits UNION SELECT person FROM musee.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits EXCEPT (SELECT person FROM francos.visits EXCEPT SELECT person FROM musee.visits)) AS t",
    "SELECT SUM(i) AS n FROM (SELECT person, SUM(seats) OVER (PARTITION BY person ORDER BY seats ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) AS i FROM tnm.visits) AS t",
    "SELECT COUNT(i) AS n, COUNT(*) AS m FROM (SELECT person, MAX(seats) OVER (PARTITION BY person ORDER BY seats ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING) AS i FROM tnm.visits) AS t",
    "SELECT i, COUNT(*) AS m FROM (SELECT person, DENSE_RANK() OVER (PARTITION BY person ORDER BY region DESC NULLS FIRST) AS i FROM tnm.visits) AS t WHERE i <= 3 GROUP BY i",
    "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY ROLLUP (region) HAVING COUNT(*) > 2",
    "WITH a AS (SELECT person, seats FROM tnm.visits), b AS (WITH a AS (SELECT person, seats FROM francos.visits) SELECT person, seats FROM a) SELECT SUM(a.seats) AS s, SUM(b.seats) AS t FROM a JOIN b USING (person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN tnm.visits AS b ON a.person = b.person AND a.bought < b.bought JOIN tnm.visits AS c ON c.person = b.person AND c.bought > b.bought",
    "SELECT COUNT(DISTINCT a.person) FILTER (WHERE b.seats > 1) AS n, COUNT(DISTINCT b.person) AS m FROM tnm.visits AS a FULL JOIN francos.visits AS b ON a.person = b.person",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE EXISTS (SELECT 1 FROM francos.visits AS b WHERE b.person = a.person AND a.seats > 3)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE NOT EXISTS (SELECT 1 FROM francos.visits AS b WHERE b.person = a.person AND (a.seats > 3 OR b.seats > 2))",
    "SELECT k, COUNT(*) AS n FROM (SELECT a.person, LEAST((SELECT COUNT(*) FROM francos.visits AS b WHERE b.person = a.person), 3) AS k FROM tnm.visits AS a) AS t GROUP BY k",
    "SELECT k, COUNT(*) AS n FROM (SELECT a.person, (SELECT MAX(b.seats) FROM francos.visits AS b WHERE b.person = a.person) AS k FROM tnm.visits AS a LEFT JOIN musee.visits AS c USING (person)) AS t GROUP BY k",
    "SELECT SUM(seats * seats) AS s, SUM(seats) AS t, SUM(-seats) AS u, SUM(seats / 2) AS v, AVG(seats) AS w, AVG(seats * 10) AS x FROM tnm.visits",
    "SELECT SUM(amount) AS a, SUM(amount * 100) AS b, SUM(ROUND(amount)) AS c, SUM(FLOOR(amount / 10) * 10) AS d FROM tnm.visits",
)


@pytest.mark.parametrize("sql", QUESTIONS)
def test_what_is_easily_misread_is_plain_sql(sql: str) -> None:
    agrees(sql)
