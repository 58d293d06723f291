"""Modules, questions and tests that the tables name."""

# ruff: noqa: E501, S608 - questions, one a line
from __future__ import annotations

CONTRIBUTION, SCAN, PRINTER = "cleanroom.query.contribution", "cleanroom.storage.scan", "cleanroom.query.duckdb_sql"
CELLS, CLIPPING, BOUND = "cleanroom.query.row_cells", "cleanroom.query.clipping", "cleanroom.query.bound"
PRICING, MECHANISMS, QUANTILES = "cleanroom.query.pricing", "cleanroom.query.mechanisms", "cleanroom.query.quantiles"
UNKNOWN, RUNS, MERGING = "cleanroom.query.unknown_keys", "cleanroom.storage.token_runs", "cleanroom.query.merging"
FILTERING, PASSES = "cleanroom.query.filtering", "cleanroom.query.row_passes"
LAYOUT = "cleanroom.partition.table_layout"
PAIRING, GATHERING, IN_FULL = "cleanroom.query.pairing", "cleanroom.query.gathering", "cleanroom.query.in_full"
REUSE, CANONICAL = "cleanroom.query.reuse", "cleanroom.query.canonical"
CONSISTENT = "cleanroom.query.consistent"
KEY_TEST = "test_combining:test_everything_that_changes_a_number_is_in_the_key"
SPELLINGS = "test_canonical:test_one_question_has_one_plan_however_it_is_spelled"
BEYOND = "if high > square_high or (high == square_high and low > square_low):"
FITS = "if high < square_high or (high == square_high and low <= square_low):"
UNION = (
    "SELECT region, COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits UNION ALL SELECT person, region FROM "
    "francos.visits UNION ALL SELECT person, region FROM musee.visits) AS t GROUP BY region"
)
BOTH_COUNTS = "SELECT COUNT(*) AS n, COUNT(DISTINCT person) AS p FROM tnm.visits JOIN francos.visits USING (person)"
HULL = (
    "SELECT seats, COUNT(*) AS n FROM (SELECT person, seats FROM tnm.visits UNION ALL SELECT person, seats FROM "
    "francos.visits) AS t GROUP BY seats"
)
MONTHS = "SELECT date_trunc('month', bought) AS m, SUM(seats) AS s FROM tnm.visits GROUP BY m"
JOIN = "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person)"
SEMI = (
    "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits) GROUP BY region"
)
INTERSECT = "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits INTERSECT SELECT person FROM francos.visits) AS t"
NOT_IN = "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE person NOT IN (SELECT person FROM francos.visits) GROUP BY region"
NOT_IN_TERM = (
    "SELECT COUNT(*) FILTER (WHERE a.seats NOT IN (SELECT b.seats FROM francos.visits AS b WHERE b.person = a.person))"
    " AS n FROM tnm.visits AS a"
)
FULL = "SELECT COUNT(DISTINCT person) AS n FROM (SELECT person, COUNT(*) AS c FROM tnm.visits AS a FULL JOIN francos.visits AS b USING (person) GROUP BY person) AS t WHERE c > 1"
LONELY = "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > 3 WHERE b.person IS NULL"
LATER = (
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b ON a.person = b.person AND b.bought > a.bought"
)
EXISTS_LATER = (
    "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE EXISTS (SELECT 1 FROM francos.visits AS b WHERE b.person = a.person"
    " AND b.bought > a.bought)"
)
TOTAL_OF_EACH = "SELECT COUNT(*) AS n FROM (SELECT person, region, SUM(seats) AS s FROM tnm.visits GROUP BY person, region) AS t WHERE s > 5"
NUMBERED = "SELECT SUM(seats) AS n FROM (SELECT person, seats, row_number() OVER (PARTITION BY person ORDER BY bought) AS i FROM tnm.visits) AS t WHERE i = 1"
DIFFERENT = "SELECT COUNT(*) AS n FROM (SELECT DISTINCT person, region FROM tnm.visits) AS t"
COUNTED_JOIN = (
    "SELECT COUNT(*) AS n FROM (SELECT a.person, COUNT(*) AS c FROM tnm.visits AS a JOIN tnm.visits AS b USING (person)"
    " GROUP BY a.person) AS t WHERE c > 3"
)
FILTERED = (
    "SELECT COUNT(*) FILTER (WHERE seats > 3) AS n, SUM(seats) FILTER (WHERE region = 'nord') AS s FROM tnm.visits"
)
TWICE = "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits GROUP BY person HAVING COUNT(*) >= 2) AS t"
NOT_IN_NULL = "SELECT COUNT(*) AS n FROM tnm.visits WHERE region NOT IN ('nord', NULL)"
RECENT = "SELECT SUM(c) AS n FROM (SELECT person, COUNT(*) OVER (PARTITION BY person ORDER BY bought RANGE BETWEEN INTERVAL 25 DAY PRECEDING AND CURRENT ROW) AS c FROM tnm.visits) AS t"
NEAR = "SELECT SUM(c) AS n FROM (SELECT person, COUNT(*) OVER (PARTITION BY person ORDER BY seats RANGE BETWEEN 7 PRECEDING AND CURRENT ROW) AS c FROM tnm.visits) AS t"
BOTH_ALL = "SELECT COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits INTERSECT ALL SELECT person, region FROM francos.visits) AS t"
LEFT_ALL = "SELECT COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits EXCEPT ALL SELECT person, region FROM francos.visits) AS t"
NOT_EQUAL = "SELECT COUNT(*) AS n FROM tnm.visits WHERE NOT (region IN ('ailleurs'))"
INSIDE = "test_person_local:test_a_room_is_the_sum_of_its_persons"
ALONE = "test_sensitivity:test_joins_and_semi_joins_stay_inside_a_person"
PLAIN = "test_exact:test_a_question_is_plain_sql"
REACH = "test_sensitivity:test_hiding_at_one_member_reaches_beyond_the_norm_and_stays_within_the_diameter"
FAILING = "WITH t0 AS (SELECT nothing FROM tnm.visits)" + "".join(
    f", t{n} AS (SELECT x.person FROM t{n - 1} AS x JOIN t{n - 1} AS y USING (person))" for n in range(1, 30)
) + " SELECT COUNT(*) FROM t29"  # fmt: skip
TYPES = "SELECT " + "DECIMAL(" * 28 + "x" + ")" * 28 + " AS n FROM tnm.visits"
PAIRS = (
    "WITH r AS (SELECT purchased, tickets, COUNT(*) AS n FROM tnm.visits GROUP BY ALL) SELECT a.n FROM r AS a, r AS b"
)
SECTOR = "({}) AS s".format(
    " UNION ALL ".join(
        f"SELECT person, discipline, tickets, amount FROM {owner}.visits"
        for owner in ("tnm", "francos", "opera_ville", "festival_ete", "musee_x")
    )
)
LARGE = f"SELECT tickets + 1 AS k, COUNT(*) AS n FROM {SECTOR} GROUP BY k"
KEY = (
    "SELECT k, COUNT(*) AS n FROM (SELECT person, CASE WHEN discipline = 'opera' THEN 1 ELSE 0 END AS k"
    f" FROM {SECTOR}) AS t GROUP BY k"
)
CASE = f"SELECT SUM(CASE WHEN discipline = 'opera' THEN amount ELSE 0 END) AS n FROM {SECTOR}"
ACCOUNTANT, SPENDING = "cleanroom.accounting.accountant", "cleanroom.accounting.spending"
