"""Break the query path on purpose, one line at a time, and see whether a test notices (SOUNDNESS F).

Run as a script with the numbers of some sabotages: each runs in a forked process of its own, in which the package is
imported anew from its source with one replacement, and prints what the tests that must notice it did. Compiled code
runs as plain Python here, so that a broken kernel is never cached.
"""

# ruff: noqa: E501 - one breakage, one question a line
from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from breakage import Sabotage
from generated.breakages import BREAKAGES

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


CONTRIBUTION, SCAN, PRINTER = "cleanroom.query.contribution", "cleanroom.storage.scan", "cleanroom.query.duckdb_sql"
CELLS, CLIPPING, BOUND = "cleanroom.query.row_cells", "cleanroom.query.clipping", "cleanroom.query.bound"
PRICING, MECHANISMS, QUANTILES = "cleanroom.query.pricing", "cleanroom.query.mechanisms", "cleanroom.query.quantiles"
UNKNOWN, RUNS, MERGING = "cleanroom.query.unknown_keys", "cleanroom.storage.token_runs", "cleanroom.query.merging"
PAIRING, GATHERING = "cleanroom.query.pairing", "cleanroom.query.gathering"
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

# ruff: noqa: S608 - questions
_FAILING = "WITH t0 AS (SELECT nothing FROM tnm.visits)" + "".join(
    f", t{n} AS (SELECT x.person FROM t{n - 1} AS x JOIN t{n - 1} AS y USING (person))" for n in range(1, 30)
) + " SELECT COUNT(*) FROM t29"  # fmt: skip
_TYPES = "SELECT " + "DECIMAL(" * 28 + "x" + ")" * 28 + " AS n FROM tnm.visits"
_PAIRS = (
    "WITH r AS (SELECT purchased, tickets, COUNT(*) AS n FROM tnm.visits GROUP BY ALL) SELECT a.n FROM r AS a, r AS b"
)
_SECTOR = "({}) AS s".format(
    " UNION ALL ".join(
        f"SELECT person, discipline, tickets, amount FROM {owner}.visits"
        for owner in ("tnm", "francos", "opera_ville", "festival_ete", "musee_x")
    )
)
_LARGE = f"SELECT tickets + 1 AS k, COUNT(*) AS n FROM {_SECTOR} GROUP BY k"
_KEY = (
    "SELECT k, COUNT(*) AS n FROM (SELECT person, CASE WHEN discipline = 'opera' THEN 1 ELSE 0 END AS k"
    f" FROM {_SECTOR}) AS t GROUP BY k"
)
_CASE = f"SELECT SUM(CASE WHEN discipline = 'opera' THEN amount ELSE 0 END) AS n FROM {_SECTOR}"
ACCOUNTANT, SPENDING = "cleanroom.accounting.accountant", "cleanroom.accounting.spending"

SABOTAGES = (
    *BREAKAGES,
    Sabotage(
        "norm clip off", CLIPPING, BEYOND, "if high < 0:",
        "test_exact:test_a_norm_exactly_met_is_kept_and_one_off_is_clipped",
    ),
    Sabotage(
        "clip off where a person has one group", CONTRIBUTION, "square = bounds.norm * bounds.norm",
        "square = bounds.norm * bounds.norm if bounds.max_groups > 1 else 1 << 126",
        "test_sensitivity:test_one_cell_a_person_is_clipped_all_the_same",
    ),
    Sabotage(
        "lattice check off", CLIPPING, f"        {FITS}\n            return\n        factor", "        if high >= 0:\n            return\n        factor",
        "test_exact:test_lattice_check_catches_what_floats_round_up",
    ),
    Sabotage(
        "state carried to the next person", CONTRIBUTION, "            counts[cell] = 0\n            for measure", "            counts[cell] += 0\n            for measure",
        "test_sensitivity:test_every_person_is_clipped_alone",
    ),
    Sabotage(
        "one cell remembered before it is shortened", CONTRIBUTION, "        if pure:\n            clip_sum",
        "        if rows < ALIKE:\n            known[rows] = True\n            for component in range(components):\n"
        "                alike[rows, component] = vector[component]\n            rows = ALIKE\n        if pure:\n            clip_sum",
        "test_kernel:test_persons_who_are_alike_are_shortened_alike",
    ),
    Sabotage(
        "one cell never shortened", CONTRIBUTION, "        else:\n            clip(", "        elif count > 1:\n            clip(",
        "test_kernel:check_together", (0, 20),
    ),
    Sabotage(
        "persons alike whatever their rows", CONTRIBUTION, "rows = counts[touched[0]] if count", "rows = 1 if count",
        "test_kernel:check_together", (0, 20),
    ),
    Sabotage(
        "persons alike whatever their values", CONTRIBUTION, "count == 1 and measures == 0 else", "count == 1 else",
        "test_kernel:check_together", (0, 20),
    ),
    Sabotage(
        "persons alike whatever their cells", CONTRIBUTION, "if count == 1 and measures", "if count >= 1 and measures",
        "test_kernel:check_together", (0, 20),
    ),
    Sabotage(
        "rows of a cell that all share not cut", GATHERING, "counts[cell] = min(end - start, PERSON_ROWS)", "counts[cell] = end - start",
        "test_kernel:test_no_more_rows_of_a_cell_are_looked_at_than_sums_have_room_for",
    ),
    Sabotage(
        "sums of a cell that all share not cut", GATHERING, "last = min(end, start + PERSON_ROWS) if shared else end\n    for number in range(cells.shape[0]):\n        for row in range(start, last):\n            cell = cells[number, np.uint64(0 if shared else row)]\n            if 0 <= cell < cell_count and (whole or present[measure, np.uint64(row)]):\n                counts",
        "last = end\n    for number in range(cells.shape[0]):\n        for row in range(start, last):\n            cell = cells[number, np.uint64(0 if shared else row)]\n            if 0 <= cell < cell_count and (whole or present[measure, np.uint64(row)]):\n                counts",
        "test_kernel:test_no_more_rows_of_a_cell_are_looked_at_than_sums_have_room_for",
    ),
    Sabotage(
        "rows beyond what sums have room for summed", GATHERING, "cells[number, np.uint64(row)] = -1", "pass",
        "test_kernel:test_no_more_rows_of_a_cell_are_looked_at_than_sums_have_room_for",
    ),
    Sabotage(
        "squares carried into the wrong half", CLIPPING, "np.uint64(cross) >> np.uint64(38)", "np.uint64(cross) >> np.uint64(39)",
        "test_kernel:test_squares_sum_exactly_however_many", (2,),
    ),
    Sabotage(
        "total not clamped", CONTRIBUTION, "_on_lattice(min(max(value_sums[place, cell], least), most)", "_on_lattice(value_sums[place, cell]",
        "test_exact:test_extremes_sum_exactly", (2**31 - 1, 40),
    ),
    Sabotage(
        "a mean's rows not capped", CONTRIBUTION, "entry = min(n, max_rows) * steps",
        "entry = n * steps", "test_exact:test_extremes_sum_exactly", (2**31 - 1, 40),
    ),
    Sabotage(
        "rows outside the domain kept", CELLS, "if cells[row] < 0 or code < 0:\n            cells[row] = -1", "if cells[row] < 0 or code < 0:\n            cells[row] = 0",
        "test_exact:test_rows_outside_the_declared_cells_are_dropped",
    ),
    Sabotage(
        "order of persons not checked", CONTRIBUTION, " or not _in_order(rows.persons, rows.starts)", "",
        "test_exact:test_rows_out_of_order_and_oversized_components_stop_the_question",
    ),
    Sabotage(
        "a month off by one", CELLS, "= (calendar - first)[days", "= (calendar - first + 1)[days", PLAIN, (MONTHS,)
    ),
    Sabotage(
        "D replaced by C", "cleanroom.accounting.accountant", "return self.norm**2 * self.shape.squared_diameter_factor",
        "return self.norm**2", REACH, ("displaced", 20),
    ),
    Sabotage(
        "a signed vector taken for a non-negative one", "cleanroom.query.bound", "any(component.lower < 0",
        "all(component.lower < 0",
        "test_sensitivity:test_what_may_change_when_a_person_is_hidden_at_one_member", ("SELECT AVG(t.seats) AS n", 4),
    ),
    Sabotage(
        "one cell taken for one number", "cleanroom.query.bound", "return self.one_cell and self.cells * len(self.components) == 1",
        "return self.one_cell", "test_sensitivity:test_what_may_change_when_a_person_is_hidden_at_one_member",
        ("SELECT COUNT(*) AS n, COUNT(DISTINCT t.person) AS p", 2),
    ),
    Sabotage(
        "threshold's persons dropped", BOUND, "if threshold and PERSONS not in parts else", "if threshold < 0 else",
        "test_exact:test_an_owner_s_threshold_adds_a_count_of_persons",
    ),
    Sabotage(
        "c applied once an arm", "cleanroom.query.bound", "        cells,\n        max_rows,",
        "        cells,\n        max_rows * 2,", "test_sensitivity:test_rows_of_both_arms_share_one_cap",
    ),
    Sabotage(
        "middle off by one", "cleanroom.query.statistics", "return (self.lower + self.upper) // 2",
        "return (self.lower + self.upper) // 2 + 1", "test_exact:check_middle",
    ),
    Sabotage("a mean's total keeps all rows", CONTRIBUTION, "share = float(total) * (float(max_rows) / float(n))", "share = float(total)",
        "test_statistics:check_one_factor"),
    Sabotage("values beyond their bounds", GATHERING, "sums[measure, cell] += min(max(values[measure, np.uint64(row)], least), most)", "sums[measure, cell] += values[measure, np.uint64(row)]", "test_statistics:check_one_factor"),
    Sabotage("NULLs counted as persons", CONTRIBUTION, "entry = steps if n > 0 else 0", "entry = steps",
        "test_statistics:test_counts_of_a_column_leave_out_its_nulls"),
    Sabotage("grouping sets not counted in the norm", BOUND, "norm = _root_up(sum(groups) * sum(", "norm = _root_up(max(groups) * sum(",
        "test_statistics:test_grouping_sets_count_each_in_the_norm"),
    Sabotage("a quantile's weights not normalised", QUANTILES, "each[cell] = unit if n <= max_rows else unit * max_rows // n", "each[cell] = unit",
        "test_statistics:test_weights_of_many_cells_are_as_long_as_the_norm"),
    Sabotage("a quantile's weights not clipped", QUANTILES, "if high > square_high or (high == square_high and low > square_low):", "if high < 0:",
        "test_statistics:test_weights_of_many_cells_are_as_long_as_the_norm"),
    Sabotage("rows at a candidate counted on both sides", QUANTILES, "above * less - below * (more + here),", "above * (less - here) - below * (more + here),",
        "test_statistics:check_rows_at_a_candidate"),
    Sabotage("candidates that begin at the data", QUANTILES, "quantile.grid.bins(rows.columns[quantile.column].values)",
        "quantile.grid.bins(rows.columns[quantile.column].values - rows.columns[quantile.column].values.min())",
        "test_statistics:check_candidates_are_public"),
    Sabotage("as many candidates in every cell", BOUND, "fine = 0 if unknown else MOST_CANDIDATES // cells", "fine = 0 if unknown else MOST_CANDIDATES",
        "test_bounds:test_quantiles_end_at_32_and_their_candidates_at_2_to_the_20"),
    Sabotage("a quantile's room charged to tables", MECHANISMS,
        "Reach(quantile.factor**2 * square, (quantile.below + quantile.above) ** 2 * square)", "Reach(*[quantile.factor**2 * square] * 2)",
        "test_statistics:check_score_reach"),
    Sabotage("a table's keys counted once", MECHANISMS, "Reach(bounds.distinct_keys, 2 * bounds.distinct_keys)",
        "Reach(bounds.distinct_keys, bounds.distinct_keys)", "test_drawing:test_losses_of_all_draws_add_up"),
    Sabotage("a table's delta counted once", MECHANISMS, "keys.threshold, 2 * most", "keys.threshold, most",
        "test_drawing:test_losses_of_all_draws_add_up"),
    Sabotage("draws not added up", "cleanroom.query.drawing", "if sum((draw.loss for draw in due), Fraction(0)) > charged.rho.as_fraction():",
        "if not due:", "test_drawing:test_a_draw_that_was_not_paid_in_rho_or_delta_stops_the_question"),
    Sabotage("a threshold priced by a continuous tail", "cleanroom.query.key_threshold", "max(mine * (1 + 2.0**-40), theirs)", "theirs",
        "test_drawing:check_delta"),
    Sabotage("a person brings all keys", UNKNOWN, "key[np.arange(len(key)) - begins < most]", "key[np.arange(len(key)) >= 0]",
        "test_drawing:test_first_keys_are_each_person_s_own"),
    Sabotage("a person's key counted by rows", UNKNOWN, "different[1:] = np.any(pairs[:, 1:] != pairs[:, :-1], axis=0)", "different[1:] = True",
        "test_drawing:check_keys_of_seeds"),
    Sabotage("a key where none is declared", UNKNOWN, "outside |= ~column.present", "outside |= column.present & False",
        "test_drawing:check_keys_of_seeds"),
    Sabotage("noise eight times too small", "cleanroom.query.noise", "noised = measurement([max(-CLAMP", "noised = dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T=\"i64\")), dp.l2_distance(T=\"f64\"), scale=scale / 8)([max(-CLAMP",
        "test_empirical:check_case", ("counts", 150)),
    Sabotage("a choice's noise eight times too small", "cleanroom.query.noise", "return tuple(int(measurement(list(cell))) for cell in scores)",
        "return tuple(int(dp.m.make_noisy_max(dp.vector_domain(dp.atom_domain(T=\"i64\")), dp.linf_distance(T=\"i64\"), dp.zero_concentrated_divergence(), scale=scale / 50)(list(cell))) for cell in scores)",
        "test_empirical:check_case", ("median", 150)),
    Sabotage("what a person is shortened to, seen from outside", CLIPPING, BEYOND, "if high < 0:",
        "test_empirical:check_case", ("a person spread thin", 150)),
    Sabotage("a changed size priced as one that is gone", MECHANISMS, "Reach(choice.factor**2, choice.span**2)", "Reach(choice.factor**2, choice.factor**2)",
        "test_choosing:check_scores", ("means", 2)),
    Sabotage("a person counted in each of their cells", "cleanroom.query.sizes", "found[np.searchsorted(edges, size)] += 1", "found[np.searchsorted(edges, size)] += count",
        "test_choosing:check_scores", ("counts", 2)),
    Sabotage("the choice of a bound for nothing", MECHANISMS, "return (*dearest, choice_draw(bounds.choice, noise.choice))", "return dearest",
        "test_choosing:test_what_is_charged_covers_the_choice_and_whatever_it_leads_to", ("counts", None)),
    Sabotage("entries rounded up to whole rows", CLIPPING, "            vector[at] = np.int64(float(original[at]) * factor)\n        high, low = sum_of_squares(vector, entries)",
        "            vector[at] = original[at] if factor > 0 else 0\n        high, low = square_high, square_low",
        "test_empirical:check_case", ("a person spread thin", 150)),
    Sabotage("releases of a question not added up", "cleanroom.accounting.account", "case Rho() as first, Rho() as second:\n            return Charge(one.account, first + second, delta)", "case Rho() as first, Rho() as second:\n            return Charge(one.account, first, delta)", "test_empirical:check_case", ("two releases", 150)),
    Sabotage("keys released at one person", UNKNOWN, "measurement = threshold_measurement(scale, threshold)", "measurement = threshold_measurement(scale, 1)",
        "test_empirical:check_case", ("keys", 130)),
    Sabotage("scan clamp off", SCAN, "values[row] = min(max(np.int64(raw[row]), lower), upper)", "values[row] = raw[row]",
        "test_scan:test_values_out_of_the_declaration_are_clamped_or_null"),
    Sabotage("scan clamp off at one end", SCAN, "min(max(np.int64(raw[row]), lower), upper)", "max(np.int64(raw[row]), lower)",
        "test_scan:test_values_out_of_the_declaration_are_clamped_or_null"),
    Sabotage("scan clamp off where some are NULL", SCAN, "_clamp(raw, lower, upper, values)\n    if not", "values[:] = raw\n    if not array.null_count:\n        _clamp(raw, lower, upper, values)\n    if not",
        "test_scan:test_values_out_of_the_declaration_are_clamped_or_null"),
    Sabotage("category clamp off", SCAN, ".fill_null(-1)\n", ".fill_null(0)\n",
        "test_scan:test_values_out_of_the_declaration_are_clamped_or_null"),
    Sabotage("an index beyond the dictionary", SCAN, "if 0 <= index < codes.shape[0] else -1", "if 0 <= index < codes.shape[0] else 0",
        "test_scan:test_an_index_that_the_dictionary_has_not_is_null"),
    Sabotage("row cap off", SCAN, "if longest > catalog.max_rows_per_person:", "if longest > longest:",
        "test_scan:test_a_person_has_the_first_rows_in_the_order_of_the_files_over_all_uploads"),
    Sabotage("slice not checked", SCAN, "if bits and any(", "if bits < 0 and any(",
        "test_scan:test_rows_of_another_slice_are_refused"),
    Sabotage("rows without a unit kept", RUNS, "np.flatnonzero(~missing[low:high])", "np.arange(high - low)",
        "test_scan:test_rows_without_a_unit_are_dropped"),
    Sabotage("disorder of a file not checked", SCAN, "if longest < 0:", "if longest < -1:",
        "test_scan:test_disorder_is_refused"),
    Sabotage("order of tokens not looked at", RUNS, "longest if ordered else -1", "longest",
        "test_scan:test_disorder_is_refused"),
    Sabotage("order of tokens judged by half of them", RUNS, " | ((high == before) & (low > low_before))", " | (high == before)",
        "test_scan:test_disorder_is_refused"),
    Sabotage("runs found by half of a token", RUNS, "same = (high == before) & (low == low_before)", "same = high == before",
        "test_scan:test_persons_that_share_half_a_token_are_two_persons", ("seats", 1)),
    Sabotage("uploads merged in another order", RUNS, "_turned(tokens[one, 1]) <= _turned(tokens[other, 1])", "_turned(tokens[one, 1]) < _turned(tokens[other, 1])",
        "test_scan:test_a_person_has_the_first_rows_in_the_order_of_the_files_over_all_uploads"),
    Sabotage("merged filter forgets NULL", MERGING, "return holds if column.present is None else holds & column.present", "return holds", PLAIN, (NOT_EQUAL,)),
    Sabotage("merged negation of AND", MERGING, "every = isinstance(predicate, algebra.And) == wanted", "every = isinstance(predicate, algebra.And)",
        "test_merging:test_a_predicate_is_true_false_or_neither"),
    Sabotage("merged anti-join is a semi-join", MERGING, "_among(found.ranks, met) != negated", "_among(found.ranks, met)", PLAIN, (NOT_IN,)),
    Sabotage("merged rows of a person apart", MERGING, "order = np.argsort(ranks, kind=\"stable\")", "order = np.arange(len(ranks))", PLAIN, (UNION,)),
    Sabotage("merged pairs of two persons", PAIRING, "other_ranks[at] != ranks[person]", "other_ranks[at] < ranks[person]",
        "test_pairing:test_rows_of_a_person_meet_rows_of_that_person"),
    Sabotage("merged cut in the order that rows came", PAIRING, "return order[kept], fewer", "return kept, fewer",
        "test_pairing:test_a_person_keeps_the_first_rows_in_the_order_of_all_columns"),
    Sabotage("merged rows given to the next person", MERGING, "begins[persons] = before", "begins[persons] = count", PLAIN, (NOT_EQUAL,)),
    Sabotage("tokens merged on 64 bits", RUNS, " or merged[size - 1, 1] != low:", ":",
        "test_scan:test_persons_that_share_half_a_token_are_two_persons", ("a.seats", 2)),
    Sabotage("tokens placed by half of them", RUNS, " or everyone[place, 1] != persons[person, 1]", "",
        "test_scan:test_persons_that_share_half_a_token_are_two_persons", ("a.seats", 2)),
    Sabotage("join on anything", PRINTER, "return f'b.\"u\" = a.\"u\"{besides}'", "return f'CAST(TRUE AS BOOLEAN){besides}'", ALONE, (JOIN,)),
    Sabotage("semi-join uncorrelated", PRINTER, "AS b WHERE {self.met(condition, width)})'", "AS b)'", ALONE, (SEMI,)),
    Sabotage("persons not distinct", PRINTER, "SELECT DISTINCT t.\"u\" FROM", "SELECT t.\"u\" FROM", PLAIN, (INTERSECT,)),
    Sabotage("tie-breaker dropped", PRINTER, "order = f\" ORDER BY {', '.join(names)}\" if names else \"\"", 'order = ""',
        "test_sensitivity:test_rows_of_a_person_in_another_order_change_nothing_in_a_join_that_is_cut"),
    Sabotage("first rows of everybody together", PRINTER, 'PARTITION BY t."u"{order}', "PARTITION BY 1{order}",
        "test_sensitivity:test_first_rows_are_each_person_s_own"),
    Sabotage("stream not ordered by person", PRINTER, "' ORDER BY r.\"u\"' if ordered else \"\"", '""',
        "test_sensitivity:test_every_person_of_a_union_is_clipped_alone"),
    Sabotage("printed tables not compared", "cleanroom.query.duckdb_reading", " or tables != expected or seen != expected:", ":",
        "test_printed_sql:test_another_table_is_caught"),
    Sabotage("printed nodes not compared", "cleanroom.query.duckdb_reading", "if type(node) not in PRINTED and not may_print(node):", "if node is None:",
        "test_printed_sql:test_a_node_that_is_never_printed_is_caught"),
    Sabotage("fan-out not cut", "cleanroom.query.fanout", "for each in joined) <= MOST_ROWS:", "for each in joined) >= 0:",
        "test_exact:test_a_cut_join_counts_the_first_rows_of_each_side"),
    Sabotage("a join made a semi-join though rows count", "cleanroom.query.binding.question",
        "all(isinstance(each, statistics.CountPersons) for each", "any(isinstance(each, statistics.CountPersons) for each", PLAIN, (BOTH_COUNTS,)),
    Sabotage("two kinds of identifier meet", "cleanroom.query.binding.question", "if len(kinds) > 1:", "if len(kinds) > 9:",
        "test_refusals:test_kinds_and_epochs_never_meet"),
    Sabotage("two epochs meet", "cleanroom.query.binding.question", "for table in tables if table in epochs}) > 1:",
        "for table in tables if table in epochs}) > 9:", "test_refusals:test_kinds_and_epochs_never_meet"),
    Sabotage("joins need not name the person", "cleanroom.query.binding.joins", "if number not in self._linked[0]:", "if number < 0:",
        "test_refusals:test_joins_that_do_not_equate_persons_are_refused",
        ("SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b",)),
    Sabotage("recode dropped", "cleanroom.query.binding.sets", "recodes.append(tuple(value for value in values if value is not None))",
        "recodes.append(None)", PLAIN, (UNION,)),
    Sabotage("bounds of the first arm stand for all", "cleanroom.query.terms.alike", "        max(each.usual_upper for each in kinds),", "        kinds[0].usual_upper,", PLAIN, (HULL,)),
    Sabotage("a NULL in a list is a miss", "cleanroom.query.terms.comparing", "                unknown = True", "                missed = True", PLAIN, (NOT_IN_NULL,)),
    Sabotage("anti-join negation lost", PRINTER, '{"NOT " * negated}', "", PLAIN, (NOT_IN,)),
    Sabotage("NOT IN printed as IN's opposite of a NULL", "cleanroom.query.binding.subqueries", "negated ^= isinstance(node, exp.Not)",
        "negated |= False", PLAIN, (NOT_IN,)),
    Sabotage("outer join's unit not coalesced", PRINTER, "'COALESCE(a.\"u\", b.\"u\") AS \"u\"'", "'a.\"u\"'", INSIDE, (FULL,)),
    Sabotage("an absent side taken for present", "cleanroom.query.binding.joins",
        "present_right = width_both + kind.keeps_right if kind.keeps_left else None", "present_right = None", PLAIN, (LONELY,)),
    Sabotage("sides of presence exchanged", PRINTER, '(("a", node.kind.keeps_right), ("b", node.kind.keeps_left))',
        '(("b", node.kind.keeps_right), ("a", node.kind.keeps_left))', PLAIN, (LONELY,)),
    Sabotage("join condition dropped", PRINTER, 'besides = "" if condition is None else', 'besides = "" if width >= 0 else', PLAIN, (LATER,)),
    Sabotage("NOT IN in a term looks one column before", "cleanroom.query.binding.subqueries",
        "rewritten(met.unless_known, _past(width))", "met.unless_known", PLAIN, (NOT_IN_TERM,)),
    Sabotage("sides of a condition exchanged", "cleanroom.query.binding.subqueries",
        "Column(place - OUTER) if place >= OUTER else Column(place + width)", "Column(place - OUTER + width) if place >= OUTER else Column(place)",
        PLAIN, (EXISTS_LATER,)),
    Sabotage("GROUP BY without the person", "cleanroom.query.duckdb_person", "groups = \", \".join(['g.\"u\"', *keys])", "groups = \", \".join([*keys, '1'])",
        INSIDE, (TOTAL_OF_EACH,)),
    Sabotage("windows of everybody together", "cleanroom.query.duckdb_person", "partition = \", \".join(['g.\"u\"', *(inner", "partition = \", \".join(['1', *(inner",
        INSIDE, (NUMBERED,)),
    Sabotage("a window's tie-breaker dropped", "cleanroom.query.duckdb_person", "        order += ties", "        order += ties[:0]",
        "test_person_local:test_the_order_of_rows_decides_nothing", (NUMBERED,)),
    Sabotage("DISTINCT forgets a column", "cleanroom.query.pruning", "            if once:\n                return _narrow(source, needed, once=True)\n            whole",
        "            if True:\n                return _narrow(source, needed, once=True)\n            whole", PLAIN, (DIFFERENT,)),
    Sabotage("once passed through a count", "cleanroom.query.pruning", "below = _narrow(relation.source, looked, once=indifferent)",
        "below = _narrow(relation.source, looked, once=True)", PLAIN, (COUNTED_JOIN,)),
    Sabotage("pruning drops a condition", "cleanroom.query.pruning", "looked = columns_of(condition) if condition is not None else frozenset()\n    left",
        "condition = None\n    looked = frozenset()\n    left", PLAIN, (EXISTS_LATER,)),
    Sabotage("FILTER ignored", "cleanroom.query.binding.releases", "return Choice(((where[0] if len(where) == 1 else AllOf(tuple(where)), term),), Nothing())",
        "return term", PLAIN, (FILTERED,)),
    Sabotage("HAVING ignored", "cleanroom.query.binding.selects", "        if held is not None:\n            grouped.relation", "        if False:\n            grouped.relation",
        PLAIN, (TWICE,)),
    Sabotage("a memory failure is an answer withheld", CONTRIBUTION, "except SliceTooLarge:", "except ZeroDivisionError:",
        "test_sensitivity:test_a_slice_that_does_not_fit_is_halved_and_the_sum_is_the_same"),
    Sabotage("invisible characters pass", "cleanroom.query.parse", "                if not character.isascii():", "                if character is None:",
        "test_parse:test_invisible_characters_are_refused_at_every_place"),
    Sabotage("cohorts not compared", "cleanroom.query.sector", "0 < len(cohort ^ earlier) < rule.min_parties",
        "0 < len(cohort ^ earlier) < 0", "test_gate:test_a_cohort_that_differs_by_few_from_an_answered_one_is_refused"),
    Sabotage("the least threshold holds", "cleanroom.query.gate", "return max(chosen[scan.table].threshold for", "return min(chosen[scan.table].threshold for",
        "test_gate:test_the_largest_threshold_of_the_rules_holds_and_is_part_of_the_price"),
    Sabotage("a forged plan is genuine", "cleanroom.query.gate", "return _ISSUED.get(candidate) == _fingerprint(candidate)",
        "return bool(_fingerprint(candidate))", "test_gate:test_a_validated_plan_is_made_by_the_gate_alone"),
    Sabotage("the largest delta prices", PRICING, "delta = min(budget.delta", "delta = max(budget.delta",
        "test_gate:test_the_smallest_delta_of_the_tables_prices_epsilon"),
    Sabotage("the laxest default", PRICING, "            epsilon = min(rule.default_epsilon for rule in rules.values())\n            shares", "            epsilon = max(rule.default_epsilon for rule in rules.values())\n            shares",
        "test_gate:test_the_default_is_the_strictest_rule_s"),
    Sabotage("filters of semi-joins not looked at", "cleanroom.query.usage",
        "    for below in algebra.sources(relation):\n        found |= _used(", "    for below in algebra.sources(relation)[:1]:\n        found |= _used(",
        "test_gate:test_a_rule_names_what_it_admits",
        ("COUNT(*) AS n", "WHERE a.person IN (SELECT person FROM francos.visits WHERE amount > 3)", frozenset({"literal_not_allowed"}))),
    Sabotage("ORDER BY and LIMIT of a union of people dropped", "cleanroom.query.binding.sets", "    selects.no_order(node)\n", "",
        "test_attack_findings:test_what_cuts_a_union_of_people_is_refused", ("UNION ALL",)),
    Sabotage("a name without meaning is bound again and again", "cleanroom.query.binding.sources", "        found.failed = True\n", "",
        "test_bounded_work:test_what_doubles_at_every_step_is_refused", (_FAILING, frozenset({"unknown_name"}))),
    Sabotage("the parser goes back without end", "cleanroom.query.bounded_parser", "        if self._steps_left < 0:", "        if self._steps_left is None:",
        "test_bounded_work:test_what_doubles_at_every_step_is_refused", (_TYPES, frozenset({"nested_too_deep"}))),
    Sabotage("released tables multiply without end", "cleanroom.query.public.work", "    if rows > MOST_ROWS:", "    if rows < 0:",
        "test_bounded_work:test_what_doubles_at_every_step_is_refused", (_PAIRS, frozenset({"too_many_cells"}))),
    Sabotage("all owners are taken to declare the same", "cleanroom.query.sector", "        if not uneven:", "        if uneven is not None:",
        "test_attack_findings:test_every_value_of_a_key_is_judged", (_LARGE,)),
    Sabotage("a computed key is judged by its least value", "cleanroom.query.cohort", "few = None if ends is None else", "few = {lower} if ends is None else",
        "test_attack_findings:test_a_condition_in_other_words_isolates_as_a_filter_does", (_KEY,)),
    Sabotage("conditions in terms not judged", "cleanroom.query.sector", "fewest_by_terms(relation, keys, uneven, catalogs, asker)", "len(cohort)",
        "test_attack_findings:test_a_condition_in_other_words_isolates_as_a_filter_does", (_CASE,)),
    Sabotage("steps are no literals", "cleanroom.query.gate", "literals_of(relation) | _steps(relation, table, rule, catalogs)", "literals_of(relation)",
        "test_attack_findings:test_literals_are_not_evaded_by_steps_and_orders", ("SELECT SUM(SIGN(seats - 5)) AS n FROM tnm.visits",)),
    Sabotage("a filter's persons decide suppression", "cleanroom.query.release", "and component.column is None:", "and not component.column:",
        "test_attack_findings:test_the_threshold_counts_persons_of_the_cell_not_those_of_a_filter"),
    Sabotage("the asker counts as a party", "cleanroom.query.gate", "others = len(mattering_owners(relation) - {asker})", "others = len(mattering_owners(relation))",
        "test_gate:test_the_asker_does_not_count_among_the_parties"),
    Sabotage(
        "L1 clip off", CLIPPING, "if sum_of_sizes(vector, entries, norm) <= norm:\n        return\n    length",
        "if norm >= 0:\n        return\n    length",
        "test_pure:test_a_person_with_full_contributions_has_the_norm_and_a_heavier_one_no_more",
    ),
    Sabotage(
        "a pure table pays for leaving everywhere alone", ACCOUNTANT, "return 1 if self is VectorShape.ONE_NON_NEGATIVE else 2",
        "return 1", "test_pure:test_thirty_questions_after_another",
    ),
    Sabotage(
        "half the epsilon of Laplace noise charged", ACCOUNTANT, "return Fraction(reach) / self.scale",
        "return Fraction(reach) / (2 * self.scale)", "test_pure:test_a_pure_epsilon_is_shared_out_and_used_up",
    ),
    Sabotage(
        "a quarter of the square of a pure epsilon", ACCOUNTANT, "return self.epsilon_at(reach) ** 2 / 2 if self.pure",
        "return self.epsilon_at(reach) ** 2 / 4 if self.pure", "test_pure:test_a_pure_epsilon_is_shared_out_and_used_up",
    ),
    Sabotage(
        "Laplace noise not held against its charge", "cleanroom.query.noise", "if Fraction(norm) > Fraction(scale) * charged.as_fraction():",
        "if norm < 0:", "test_pure:test_not_a_step_too_little_is_charged",
    ),
    Sabotage(
        "Gaussian noise in a pure question", "cleanroom.query.drawing", "if bounds.pure:", "if bounds.pure and False:",
        "test_pure:test_a_pure_draw_is_laplace",
    ),
    Sabotage(
        "a grain where people are shortened", BOUND, "if not self.pure or self.norm < self.cells * sum(each.reach for each in self.components):", "if not self.pure:",
        "test_pure:test_one_number_has_the_noise_of_whole_persons_and_a_shortened_one_that_of_the_lattice",
    ),
    Sabotage(
        "a vector off its grain", "cleanroom.query.drawing", "if any(value % grain for value in values) or", "if",
        "test_pure:test_a_number_between_two_grains_gets_no_noise",
    ),
    Sabotage(
        "half the noise on a grain", "cleanroom.query.drawing", "scale=grained_scale(bounds, scale),", "scale=grained_scale(bounds, scale) / 2,",
        "test_pure:test_a_single_count_errs_as_little_as_whole_noise_can", ("1",),
    ),
    Sabotage(
        "a changed size priced as one that is gone, purely", MECHANISMS, "return Reach(1, 2)", "return Reach(1, 1)", "test_pure:check_sizes", ("rows", 4),
    ),
    Sabotage(
        "the noise on persons by size unseen", "cleanroom.query.drawing", "norm=due.reach.everywhere, scale=noise.choice.scale", "norm=due.reach.everywhere, scale=noise.choice.scale / 8",
        "test_pure:test_the_best_bound_is_picked_where_its_noise_is_small",
    ),
    Sabotage(
        "Laplace noise sixteen times too small, seen from outside", "cleanroom.query.noise", "noised = measurement([min(max(value",
        "noised = dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T=\"i64\")), dp.l1_distance(T=\"i64\"), scale=scale / 16)([min(max(value",
        "test_empirical:check_case", ("pure count", 300),
    ),
    Sabotage(
        "cells add up though one is withheld", CONSISTENT, " or release.withheld():", ":",
        "test_consistent:test_nothing_is_adjusted_where_a_cell_is_withheld",
    ),
    Sabotage(
        "persons add up", "cleanroom.query.totals", "if each.measured is not Measured.PERSONS", "if True",
        "test_consistent:test_cells_add_up_exactly_and_persons_stay_as_drawn",
    ),
    Sabotage(
        "totals and cells as precise as each other", CONSISTENT, "total = total + _summed(marginal, away) * Fraction(1, _rest(sizes, chosen, effect))",
        "total = total + _summed(marginal, away) * Fraction(1)", "test_consistent:test_an_independent_least_squares_says_the_same_numbers_and_variances",
    ),
    Sabotage(
        "quantiles in a pure question", BOUND, "    if pure:\n        _require_sums", "    if False:\n        _require_sums",
        "test_pure:test_quantiles_and_keys_without_a_domain_are_refused",
    ),
    Sabotage(
        "weights of quantiles not paid", PRICING, "sum((_weight(plan, each.statistic) for each in plan.bounds.quantiles), Fraction(0))",
        "Fraction(len(plan.bounds.quantiles))", "test_pricing:test_an_epsilon_bounds_the_dearest_account_and_is_used_up",
    ),
    Sabotage(
        "a margin dearer than need be", "cleanroom.query.noise", "            high = middle\n    return low\n",
        "            high = middle\n    return low * 0.99\n", "test_pricing:test_a_margin_is_met_at_the_least_cost",
    ),
    Sabotage(
        "spending left behind by a table taken back", SPENDING, "            inherited += more\n", "            inherited += 0\n",
        "test_lineage:test_what_a_table_taken_back_spent_counts_with_its_owner_s_others",
    ),
    Sabotage(
        "a party's part left behind", SPENDING, "since, party=party, last=last)", "since, last=last)",
        "test_lineage:test_a_party_s_part_of_it_counts_against_its_cap",
    ),
    Sabotage(
        "rho unseen by a pure account", SPENDING, "beyond = beyond or more > 0", "beyond = False",
        "test_lineage:test_a_pure_account_counts_no_rho",
    ),
    Sabotage(
        "another owner's table counts", SPENDING, "AND account < ?1 || '/'", "AND account < ?1 || 'z'",
        "test_lineage:test_another_owner_s_table_does_not_count",
    ),
    Sabotage(
        "an overspent balance unnoticed", "cleanroom.room.balances", "return spent <= budget.rho_max.pico and", "return spent >= 0 and",
        "test_balances:test_the_last_charge_that_fits_is_no_fault_and_the_next_is",
    ),
    Sabotage(
        "a charge below its noise unnoticed", "cleanroom.room.balances", "total += loss**2 / 2", "total += 0 * loss",
        "test_balances:test_a_question_cheaper_than_its_noise_is_named",
    ),
    Sabotage("the version is not in the reuse key", REUSE, "[str(each.table), each.version, list", "[str(each.table), list", KEY_TEST),
    Sabotage("the epoch is not in the reuse key", REUSE, "list(each.epochs), str", "str", KEY_TEST),
    Sabotage("the declaration is not in the reuse key", REUSE, ", str(each.declaration)]", "]", KEY_TEST),
    Sabotage("the room is not in the reuse key", REUSE, "        room,\n", "", KEY_TEST),
    Sabotage("the lattice is not in the reuse key", REUSE, "        LATTICE_BITS,\n", "", KEY_TEST),
    Sabotage("the mechanism is not in the reuse key", REUSE, "        _mechanisms(plan, noise),\n", "", KEY_TEST),
    Sabotage("the bounds are not in the plan's digest", "cleanroom.query.plan", "self.statistics, self.bounds)", "self.statistics)", KEY_TEST),
    Sabotage("draws are weighted by their scale", "cleanroom.query.noise", "[1 / Fraction(scale) ** 2 for", "[1 / Fraction(scale) for",
        "test_combining:test_combined_noise_has_the_variance_that_was_paid_for"),
    Sabotage("half of the missing precision is drawn", REUSE, "_greatest_scale(asked - held)", "_greatest_scale((asked - held) / 2)",
        "test_combining:test_a_repeat_and_less_precision_are_free_and_more_is_the_difference"),
    Sabotage("added precision is not paid", REUSE, "charges_of(draws(plan.bounds, noise), frozenset(plan.tables))", "paid[:0]",
        "test_combining:test_a_repeat_and_less_precision_are_free_and_more_is_the_difference"),
    Sabotage("any stored threshold will do", REUSE, "stored.keys.threshold > wanted.keys.threshold", "stored.keys.threshold < 0",
        "test_combining:test_choices_and_thresholds_are_not_combined", ("WORDS",)),
    Sabotage("any stored choice will do", REUSE, "all(map(enough, stored.quantiles, wanted.quantiles))", "True",
        "test_combining:test_choices_and_thresholds_are_not_combined", ("MEDIAN",)),
    Sabotage("presence stays where it was in a turned FULL JOIN", CANONICAL, "        marks.reverse()", "        pass", SPELLINGS, ("FULL JOIN, who is there",)),
    Sabotage("NOT less is greater", "cleanroom.query.canonical_terms", "t.Compared(t.Comparing.LESS_OR_EQUAL, right, left)",
        "t.Compared(t.Comparing.LESS, right, left)", SPELLINGS, ("NOT and comparison",)),
    Sabotage("NOT IN becomes IN", CANONICAL, "semi.other, semi.negated, condition)", "semi.other, False, condition)", SPELLINGS, ("IN and NOT IN",)),
    Sabotage("EXCEPT becomes INTERSECT", CANONICAL, "made = algebra.Semi(made, each, negated=True)\n    return", "made = algebra.Semi(made, each)\n    return", SPELLINGS, ("EXCEPT",)),
    Sabotage("columns stay where they were in a turned JOIN", CANONICAL, "begins[at] + place for at, side in enumerate(made) for place in side.places",
        "at for at in range(width)", SPELLINGS, ("JOIN of rows",)),
    Sabotage("a RANGE frame's distance in days off by one", "cleanroom.query.binding.windows", "codes = Fraction(span.days) if", "codes = Fraction(span.days - 1) if",
        "generated.killers:agrees", (RECENT,)),
    Sabotage("a RANGE frame's distance in numbers off by one", "cleanroom.query.binding.windows", "codes = Fraction(math.floor(Fraction(value) / resolution))",
        "codes = Fraction(math.floor(Fraction(value) / resolution) + 1)", "generated.killers:agrees", (NEAR,)),
    Sabotage("INTERSECT ALL keeps rows as often as the left has them", "cleanroom.query.binding.sets", "_numbered(arm, width), negated, same_rows(width + 1))",
        "_numbered(arm, width), negated, same_rows(width))", "generated.killers:agrees", (BOTH_ALL,)),
    Sabotage("EXCEPT ALL takes all equal rows away", "cleanroom.query.binding.sets", "_numbered(arm, width), negated, same_rows(width + 1))",
        "_numbered(arm, width), negated, same_rows(width))", "generated.killers:agrees", (LEFT_ALL,)),
    Sabotage("a public table's rows of one value counted once", "cleanroom.query.fanout", "most.append(join.table.repeats[column - width])", "most.append(1)",
        "test_public_tables:test_no_person_has_more_rows_than_public_numbers_say"),
    Sabotage("a stored public table read as it is", "cleanroom.catalog.reference", "if Digest.of(content) != digest:", "if not content:",
        "test_public_tables:test_content_is_read_back_under_its_own_digest_alone"),
)  # fmt: skip


class _NotApplied(Exception):
    """The text to replace is not there, or not once."""


class _Loader(importlib.machinery.SourceFileLoader):
    sabotage: Sabotage

    def get_code(self, fullname: str) -> object:
        source = Path(self.path).read_text(encoding="utf-8")
        if source.count(self.sabotage.old) != 1:
            raise _NotApplied(f"{self.sabotage.name}: {source.count(self.sabotage.old)} places in {fullname}")
        return compile(source.replace(self.sabotage.old, self.sabotage.new), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, sabotage: Sabotage) -> None:
        self.sabotage = sabotage
        self.found = False

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.sabotage.module:
            return None
        self.found = True
        file = ROOT.joinpath(*fullname.split(".")).with_suffix(".py")
        loader = _Loader(fullname, str(file))
        loader.sabotage = self.sabotage
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def attempt(sabotage: Sabotage, *, broken: bool) -> str:
    """Run the killer in this process, with the sabotage or without; return what happened."""
    finder = _Finder(sabotage)
    if broken:
        sys.meta_path.insert(0, finder)
    module, _, function = sabotage.killer.partition(":")
    try:
        test = getattr(importlib.import_module(module), function)
        named = [
            getattr(importlib.import_module(module), each, each) if isinstance(each, str) else each
            for each in sabotage.arguments
        ]
        test(*named)
    except _NotApplied as error:
        return f"fault: {error}"
    except BaseException as error:
        return f"red: {type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else traceback.format_exc()[-120:]}"
    return "green" if finder.found or not broken else "fault: the module was never imported"


def main(numbers: list[int], searched: int = 0) -> None:
    """Fork for each sabotage, and once more for each killer without one.

    Args:
        searched: how many generated questions are asked of each property instead of the killer's one; 0 for that one.
    """
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / each) for each in ("query", "accounting", "room"))]
    for heavy in ("duckdb", "hypothesis", "numba", "opendp.prelude", "pyarrow.compute", "pytest", "sqlglot", "yaml"):
        importlib.import_module(heavy)
    import warnings

    warnings.simplefilter("ignore")
    results = {}
    for number in numbers:
        for broken in (True, False):
            sabotage = SABOTAGES[number]
            if searched and not broken:
                continue
            if searched:
                sabotage = replace(sabotage, killer="generated.killers:searched", arguments=(0, searched))
            results[f"{number} {'broken' if broken else 'whole'}"] = _forked(
                sabotage, broken=broken, seconds=SECONDS * (1 + searched)
            )
    json.dump(results, sys.stdout)


def _forked(sabotage: Sabotage, *, broken: bool, seconds: int) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        signal.alarm(seconds)
        verdict = "fault"
        try:
            verdict = attempt(sabotage, broken=broken)
        finally:
            os.write(writing, verdict.encode()[:4_000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        verdict = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return verdict or f"red: ended by signal {os.WTERMSIG(status)}"


if __name__ == "__main__":
    wanted = [each for each in sys.argv[1:] if not each.startswith("--searched=")]
    counts = [int(each.partition("=")[2]) for each in sys.argv[1:] if each.startswith("--searched=")]
    main([int(each) for each in wanted], *counts)
