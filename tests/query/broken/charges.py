"""Breakages of what noise is charged, and of the second way in which the log's noise is held against its charge."""

# ruff: noqa: E501 - one breakage, one question a line
from __future__ import annotations

from breakage import Sabotage

from broken.words import BOUND, MECHANISMS

COST = "cleanroom.room.noise_cost"
CHARGED, PURELY = (
    "test_noise_cost:test_noise_costs_what_is_charged",
    "test_noise_cost:test_pure_noise_costs_what_is_charged",
)
NAMED, BELOW = (
    "test_noise_cost:test_an_entry_with_less_noise_than_it_charges_is_named",
    "test_noise_cost:test_a_lower_threshold_is_named",
)

CHARGES = (
    Sabotage(
        "the choice of a bound is not charged",
        MECHANISMS,
        "return (*dearest, choice_draw(bounds.choice, noise.choice))",
        "return dearest",
        CHARGED,
        ("rows", 0),
    ),
    Sabotage(
        "a quantile is charged for its lesser side",
        BOUND,
        "return max(self.below, self.above)",
        "return min(self.below, self.above)",
        CHARGED,
        ("medians", 0),
    ),
    Sabotage(
        "a quantile of two tables is charged as of one",
        MECHANISMS,
        "return Reach(quantile.factor**2 * square, 2 * (quantile.below**2 + quantile.above**2) * square)",
        "return Reach(quantile.factor**2 * square, quantile.factor**2 * square)",
        CHARGED,
        ("medians", 0),
    ),
    Sabotage(
        "keys of two tables are charged as of one",
        MECHANISMS,
        "return Reach(bounds.distinct_keys, 2 * bounds.distinct_keys)",
        "return Reach(bounds.distinct_keys, bounds.distinct_keys)",
        CHARGED,
        ("keys of two tables", 0),
    ),
    Sabotage(
        "a threshold of two tables is charged for one's keys",
        MECHANISMS,
        "delta_of(keys.scale, keys.threshold, 2 * most)",
        "delta_of(keys.scale, keys.threshold, most)",
        CHARGED,
        ("keys of two tables", 0),
    ),
    Sabotage(
        "the delta of a threshold is not charged",
        MECHANISMS,
        "                Fraction(delta_of(keys.scale, keys.threshold, most)),\n                Fraction(delta_of(keys.scale, keys.threshold, 2 * most)),\n",
        "",
        CHARGED,
        ("keys", 0),
    ),
    Sabotage(
        "one reading of a pure quantile is charged",
        MECHANISMS,
        "times=quantile_rounds(quantile))",
        "times=1)",
        PURELY,
        ("a median", 0),
    ),
    Sabotage(
        "a pure reading is charged for half",
        BOUND,
        "return 2 * self.factor * self.norm",
        "return self.factor * self.norm",
        PURELY,
        ("a median", 0),
    ),
    Sabotage(
        "a pure choice is charged for a person who goes",
        MECHANISMS,
        "return Reach(1, 2)",
        "return Reach(1, 1)",
        PURELY,
        ("rows", 0),
    ),
    Sabotage(
        "a charge below its noise unnoticed",
        COST,
        "elif paid < due.steps:",
        "elif paid < 0:",
        "test_balances:test_a_question_cheaper_than_its_noise_is_named",
    ),
    Sabotage(
        "the noise of quantiles not held",
        COST,
        "        if release.fractions:",
        "        if release.fractions and not release.tables:",
        NAMED,
        ("half the noise on a median",),
    ),
    Sabotage(
        "the noise of a choice not held",
        COST,
        "    if release.choice is not None:",
        "    if release.choice is not None and not release.tables:",
        NAMED,
        ("half the noise of a choice",),
    ),
    Sabotage(
        "the noise on keys not held",
        COST,
        "    if release.keys is not None:\n        kept",
        "    if release.keys is not None and not release.tables:\n        kept",
        NAMED,
        ("half the noise on keys",),
    ),
    Sabotage("thresholds not held", COST, "if delta < due.delta:", "if delta < 0:", BELOW, ("keys",)),
    Sabotage(
        "the cheapest bound is held",
        COST,
        "costs = max(each, key=",
        "costs = min(each, key=",
        NAMED,
        ("half the noise under one bound",),
    ),
    Sabotage(
        "tables are held to what the room pays",
        COST,
        "hidden = not everywhere and len(each.tables or ()) > 1",
        "hidden = not each",
        NAMED,
        ("more than one cell",),
    ),
)
