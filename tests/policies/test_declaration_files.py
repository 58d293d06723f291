"""Declarations and settings: the documented examples read exactly, and what is wrong has its line."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.errors import InvalidDeclaration
from cleanroom.identifiers import Digest, Purpose, Role, party_id
from cleanroom.policies import Analysis, Dimension, Function, SpendingWindow, read_declaration, read_settings
from cleanroom.room.creation import DEFAULT_SETTINGS
from examples.season import PARTIES, declaration

if TYPE_CHECKING:
    from cleanroom.policies import AnalysisRule

# The example of the design's section on fixed formats, with its lists written out.
EXAMPLE = """\
table: tnm.visits
unit: {name: person, from: courriel, kind: email}   # a column of the upload; becomes the token, never travels itself
columns:
  region:     {type: category, domain: [montreal, laval, estrie], nullable: true}
  discipline: {type: category, domain: [theatre, danse, musique, cirque]}
  channel:    {type: text, nullable: true}                      # no public domain: released only past a threshold
  purchased:  {type: date, range: [2023-09-01, 2025-08-31]}
  tickets:    {type: integer, bounds: [1, 12]}
  amount:     {type: decimal, resolution: 0.01, bounds: [0, 500], unit: CAD}
limits: {max_rows_per_person: 200}                            # enforced at the scan, in a fixed order
defaults: {max_rows_contributed: 10, max_groups_contributed: 4}
budget: {epsilon: 20, delta: 1e-7, window: never}
rules:
  - name: overlaps between members
    parties: {role: member}                                    # or a list of ids
    purposes: [audience_overlap]
    analyses: [overlap]
    functions: [count_persons, count_rows]
    dimensions: [region, discipline, "purchased:month"]
    threshold: 20
    default_epsilon: 0.2
    max_epsilon_per_question: 0.5
    per_party: {epsilon: 5, window: year}
  - name: sector statistics
    parties: [observatoire]
    purposes: [sector_statistics]
    analyses: [sector]
    functions: [count_persons, count_rows, sum, avg]
    dimensions: [region, discipline, "purchased:month"]
    allowed_literals: [discipline, region, purchased]
    min_parties: 3
    threshold: 20
    default_epsilon: 1
"""


def rules_of(text: str) -> tuple[AnalysisRule, ...]:
    return read_declaration(text.encode()).rules


def test_the_documented_example_reads_as_documented() -> None:
    read = read_declaration(EXAMPLE.encode())
    assert read.digest == Digest.of(EXAMPLE.encode())
    assert (read.budget.epsilon, read.budget.delta, read.budget.window) == (
        Decimal(20),
        Fraction(1, 10**7),
        SpendingWindow.NEVER,
    )
    overlap, sector = read.rules
    assert overlap.parties is Role.MEMBER
    assert overlap.analyses == {Analysis.OVERLAP}
    assert overlap.functions == {Function.COUNT_PERSONS, Function.COUNT_ROWS}
    assert overlap.dimensions == {Dimension("region"), Dimension("discipline"), Dimension("purchased", "month")}
    assert overlap.allowed_literals is None
    assert (overlap.threshold, overlap.min_parties) == (20, 0)
    assert overlap.per_party is not None
    assert (overlap.per_party.epsilon, overlap.per_party.window) == (Decimal(5), SpendingWindow.YEAR)
    assert sector.parties == {"observatoire"}
    assert sector.allowed_literals == {"discipline", "region", "purchased"}
    assert (sector.min_parties, sector.max_epsilon_per_question, sector.per_party) == (3, None, None)


@pytest.mark.parametrize("party", PARTIES)
def test_every_declaration_of_the_season_reads(party: str) -> None:
    read = read_declaration(declaration(party).encode())
    assert read.catalog.table.owner == party
    assert len(read.catalog.columns) == 6
    assert len(read.rules) == 2


def test_the_default_settings_read() -> None:
    read = read_settings(DEFAULT_SETTINGS)
    assert Purpose("audience_overlap") in read.purposes
    assert read.budget.window is SpendingWindow.NEVER


WRONG: dict[str, tuple[str, str, int]] = {
    "no budget": ("budget: {epsilon: 20, delta: 1e-7, window: never}\n", "", 1),
    "epsilon of zero": ("epsilon: 20,", "epsilon: 0,", 12),
    "negative epsilon": ("epsilon: 20,", "epsilon: -1,", 12),
    "epsilon of text": ("epsilon: 20,", "epsilon: '20',", 12),
    "infinite epsilon": ("epsilon: 20,", "epsilon: .inf,", 12),
    "huge epsilon": ("epsilon: 20,", "epsilon: 1e7,", 12),
    "epsilon of many places": ("epsilon: 20,", "epsilon: 0.0000000001,", 12),
    "delta below zero": ("delta: 1e-7", "delta: -1e-9", 12),
    "delta of one": ("delta: 1e-7", "delta: 1", 12),
    "delta too small": ("delta: 1e-7", "delta: 1e-31", 12),
    "unknown window": ("window: never", "window: day", 12),
    "key of a misspelling": ("threshold: 20\n    default_epsilon: 0.2", "treshold: 20\n    default_epsilon: 0.2", 20),
    "threshold below zero": ("threshold: 20\n    default_epsilon: 0.2", "threshold: -1\n    default_epsilon: 0.2", 20),
    "threshold of a half": ("threshold: 20\n    default_epsilon: 0.2", "threshold: 2.5\n    default_epsilon: 0.2", 20),
    "default over the limit": ("default_epsilon: 0.2", "default_epsilon: 0.6", 21),
    "no default": ("    default_epsilon: 0.2\n", "", 14),
    "unknown role": ("{role: member}", "{role: membre}", 15),
    "role and list": ("{role: member}", "{role: member, ids: [a]}", 15),
    "party that is no name": ("[observatoire]", "[Observatoire]", 25),
    "reserved party": ("[observatoire]", "[public]", 25),
    "unknown analysis": ("analyses: [overlap]", "analyses: [overlaps]", 17),
    "no analysis": ("analyses: [overlap]", "analyses: []", 17),
    "unknown function": ("[count_persons, count_rows]", "[count_persons, max]", 18),
    "no purpose": ("purposes: [audience_overlap]", "purposes: []", 16),
    "purpose that is no name": ("purposes: [audience_overlap]", "purposes: ['a b']", 16),
    "unknown dimension": ("dimensions: [region,", "dimensions: [regions,", 19),
    "date without its part": ('"purchased:month"]\n    threshold: 20\n    default_epsilon: 0.2',
                              'purchased]\n    threshold: 20\n    default_epsilon: 0.2', 19),
    "week": ('"purchased:month"]\n    threshold: 20\n    default_epsilon: 0.2',
             '"purchased:week"]\n    threshold: 20\n    default_epsilon: 0.2', 19),
    "part of no date": ('[region, discipline, "purchased:month"]\n    threshold: 20\n    default_epsilon: 0.2',
                        '["region:month"]\n    threshold: 20\n    default_epsilon: 0.2', 19),
    "unknown literal": ("[discipline, region, purchased]", "[discipline, regions]", 30),
    "the person as literal": ("[discipline, region, purchased]", "[person]", 30),
    "two rules of a name": ("name: sector statistics", "name: overlaps between members", 14),
    "invisible name": ("name: sector statistics", 'name: "a\\u200b"', 24),
    "rules that are no list": ("rules:\n", "rules: {}\nx:\n", 15),
    "unknown key": ("limits:", "limites:", 10),
    "tag": ("threshold: 20\n    default_epsilon: 0.2", "threshold: !!int 20\n    default_epsilon: 0.2", 20),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_declaration_is_refused_at_its_line(name: str) -> None:
    old, new, line = WRONG[name]
    assert EXAMPLE.count(old) >= 1, name
    with pytest.raises(InvalidDeclaration) as caught:
        read_declaration(EXAMPLE.replace(old, new, 1).encode())
    assert caught.value.line == line, caught.value
    assert caught.value.message.fr.startswith("ligne ")
    assert caught.value.message.en.startswith("line ")


@pytest.mark.parametrize(
    "text",
    [
        "purposes: []\nbudget: {epsilon: 1, delta: 1e-6}\n",
        "purposes: [a]\n",
        "purposes: [a]\nbudget: {epsilon: 1}\n",
        "purposes: [A]\nbudget: {epsilon: 1, delta: 1e-6}\n",
        "purposes: [a]\nbudget: {epsilon: 1, delta: 1e-6}\nrules: []\n",
    ],
)
def test_wrong_settings_are_refused(text: str) -> None:
    with pytest.raises(InvalidDeclaration):
        read_settings(text.encode())


@given(st.decimals(min_value="0.000000001", max_value=1_000_000, places=9), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_budgets_are_exact(epsilon: Decimal, exponent: int) -> None:
    text = EXAMPLE.replace("epsilon: 20, delta: 1e-7", f"epsilon: {epsilon}, delta: 1e-{exponent}")
    read = read_declaration(text.encode())
    assert read.budget.epsilon == epsilon
    assert read.budget.delta == Fraction(1, 10**exponent)


def test_rules_open_a_table_to_their_parties_for_their_purposes_only() -> None:
    read = read_declaration(EXAMPLE.encode())
    overlap, sector = Purpose("audience_overlap"), Purpose("sector_statistics")
    observatoire, tnm = party_id("observatoire"), party_id("tnm")
    assert [rule.name for rule in read.rules_for(tnm, Role.MEMBER, overlap)] == ["overlaps between members"]
    assert [rule.name for rule in read.rules_for(observatoire, Role.OBSERVATOIRE, sector)] == ["sector statistics"]
    for party, role, purpose in (
        (tnm, Role.MEMBER, sector),
        (tnm, Role.AUDITOR, overlap),
        (tnm, Role.OPERATOR, overlap),
        (observatoire, Role.OBSERVATOIRE, overlap),
        (party_id("observatoire_x"), Role.OBSERVATOIRE, sector),
        (tnm, Role.MEMBER, Purpose("")),
        (tnm, Role.MEMBER, Purpose("AUDIENCE_OVERLAP")),
    ):
        assert read.rules_for(party, role, purpose) == ()


def test_a_table_without_rules_is_open_to_nobody() -> None:
    assert rules_of(EXAMPLE.split("rules:", maxsplit=1)[0] + "rules: []\n") == ()


def test_a_delta_of_zero_makes_a_table_pure_and_never_a_room() -> None:
    declared = read_declaration(EXAMPLE.replace("delta: 1e-7", "delta: 0").encode())
    assert declared.budget.pure
    assert not read_declaration(EXAMPLE.encode()).budget.pure
    with pytest.raises(InvalidDeclaration) as caught:
        read_settings(DEFAULT_SETTINGS.replace(b"1e-6", b"0"))
    assert "delta" in str(caught.value)
