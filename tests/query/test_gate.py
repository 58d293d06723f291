"""The gate: owners' rules, cohorts and precision; a plan that nobody else can make (SOUNDNESS S12, S37, S43, S44)."""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line
from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from cleanroom.accounting.account import ROOM, AccountId, PartyCap
from cleanroom.accounting.privacy_loss import Window, rho_for
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.identifiers import Digest, Epoch, PartyId, Purpose, Role, TableName
from cleanroom.policies import Declaration, read_declaration
from cleanroom.query.bound import Measured
from cleanroom.query.gate import Question, Rulebook, ValidatedPlan, admit, is_genuine
from cleanroom.query.mechanisms import Noise
from cleanroom.query.noise import margin95
from cleanroom.query.precision import precision

TABLE = """
table: {owner}.visits
unit: {{name: person, from: courriel, kind: email}}
columns:
  region: {{type: category, domain: [{region}], nullable: {nullable}}}
  discipline: {{type: category, domain: [{discipline}]}}
  bought: {{type: date, range: [{first}, {last}]}}
  seats: {{type: integer, bounds: [{seats}]}}
  amount: {{type: decimal, resolution: 0.01, bounds: [0, 500], unit: CAD}}
  channel: {{type: text, nullable: true}}
limits: {{max_rows_per_person: 50}}
defaults: {{max_rows_contributed: 5, max_groups_contributed: 2}}
budget: {{epsilon: 20, delta: {delta}, window: never}}
rules:
{rules}
"""

OVERLAP = """  - name: overlaps
    parties: {role: member}
    purposes: [audience_overlap]
    analyses: [aggregate, overlap]
    functions: [count_persons, count_rows]
    dimensions: [region, "bought:month"]
    allowed_literals: [discipline]
    threshold: 20
    default_epsilon: 0.2
    max_epsilon_per_question: 0.5
    per_party: {epsilon: 5, window: year}
"""
SECTOR = """  - name: sector
    parties: [observatoire]
    purposes: [sector_statistics]
    analyses: [sector]
    functions: [count_persons, count_rows, sum, avg]
    dimensions: [region, discipline, seats, "bought:month"]
    min_parties: 3
    threshold: 10
    default_epsilon: 1
"""
OWNERS = ("tnm", "francos", "musee", "opera", "cirque", "festival")


def declaration(owner: str, **words: Any) -> Declaration:
    """Return an owner's declaration of visits."""
    ordinary = {
        "region": "nord, sud",
        "discipline": "danse, cirque",
        "first": "2024-01-01",
        "last": "2024-03-31",
        "seats": "1, 12",
        "nullable": "true",
        "delta": "1e-7",
        "rules": OVERLAP + SECTOR,
    }
    return read_declaration(TABLE.format(owner=owner, **{**ordinary, **words}).encode())


def rulebook(*declarations: Declaration, cohorts: tuple[frozenset[PartyId], ...] = ()) -> Rulebook:
    """Return what the gate reads of a room with these tables, or with the six ordinary ones."""
    listed = declarations or tuple(declaration(owner) for owner in OWNERS)
    return Rulebook(
        {each.catalog.table: each for each in listed},
        {each.catalog.table: Epoch("2024") for each in listed},
        (Purpose("audience_overlap"), Purpose("sector_statistics")),
        cohorts,
    )


ROOM_RULES = rulebook()


def asked(
    sql: str, party: str = "tnm", purpose: str = "audience_overlap", role: Role = Role.MEMBER, **more: Any
) -> Question:
    """Return a member's question about overlaps."""
    return Question(sql, None, PartyId(party), role, Purpose(purpose), precision(**{k: v for k, v in more.items() if k in {"epsilon", "margin"}}),
                    **{k: v for k, v in more.items() if k.startswith("max_")})  # fmt: skip


def sector(sql: str, **more: Any) -> Question:
    """Return a question of the Observatoire about the sector."""
    return asked(sql, "observatoire", "sector_statistics", Role.OBSERVATOIRE, **more)


def union(
    owners: tuple[str, ...] = OWNERS, columns: str = "person, region, discipline, bought, seats", **where: str
) -> str:
    """Return a UNION ALL of some owners, each arm with its own condition."""
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {owner}.visits" + (f" WHERE {where[owner]}" if owner in where else "")
        for owner in owners
    )


def codes(question: Question, room: Rulebook = ROOM_RULES) -> set[str]:
    """Return why a question is refused; nothing when a plan is issued."""
    try:
        admit(question, room)
    except Refused as refused:
        for each in refused.refusals:
            assert each.message.fr
            assert each.message.en
        return {each.code for each in refused.refusals}
    return set()


MEETING = "SELECT {} FROM tnm.visits AS a JOIN francos.visits AS b USING (person) {}"


# Who, and for what


@pytest.mark.parametrize(
    "question",
    [
        asked("SELECT COUNT(*) AS n FROM tnm.visits", purpose="sector_statistics"),
        asked("SELECT COUNT(*) AS n FROM tnm.visits", purpose="curiosity"),
        asked("SELECT COUNT(*) AS n FROM tnm.visits", purpose="audience_overlap", role=Role.AUDITOR),
        asked("SELECT COUNT(*) AS n FROM tnm.visits", "observatoire", "audience_overlap", Role.OBSERVATOIRE),
        asked("this is not SQL at all", "nobody", "sector_statistics", Role.OPERATOR),
    ],
)
def test_nothing_is_open_to_the_wrong_party_or_purpose(question: Question) -> None:
    assert codes(question) == {"nothing_allowed"}


def test_a_purpose_outside_the_room_s_closed_list_opens_nothing() -> None:
    closed = replace(ROOM_RULES, purposes=(Purpose("sector_statistics"),))
    assert codes(asked("SELECT COUNT(*) AS n FROM tnm.visits"), closed) == {"nothing_allowed"}


def test_a_table_that_no_rule_opens_reads_like_one_that_is_not_there() -> None:
    closed = rulebook(declaration("tnm"), declaration("francos", rules=SECTOR))
    there, nowhere = (asked(f"SELECT COUNT(*) AS n FROM {owner}.visits") for owner in ("francos", "nowhere"))
    refusals = []
    for question, owner in ((there, "francos"), (nowhere, "nowhere")):
        with pytest.raises(Refused) as caught:
            admit(question, closed)
        refusals.append(
            [(each.code, each.message.fr.replace(owner, "…"), each.position) for each in caught.value.refusals]
        )
    assert refusals[0] == refusals[1]


# What


@pytest.mark.parametrize(
    ("outputs", "tail", "found"),
    [
        ("COUNT(*) AS n", "", set()),
        ("a.region, COUNT(DISTINCT person) AS n", "GROUP BY 1", set()),
        ("date_trunc('month', b.bought) AS m, COUNT(*) AS n", "GROUP BY m", set()),
        ("SUM(a.amount) AS s", "", {"function_not_allowed"}),
        ("AVG(a.amount) AS s", "", {"function_not_allowed"}),
        ("a.discipline, COUNT(*) AS n", "GROUP BY 1", {"dimension_not_allowed"}),
        ("a.seats, COUNT(*) AS n", "GROUP BY 1", {"dimension_not_allowed"}),
        ("COUNT(*) AS n", "WHERE a.discipline = 'danse'", set()),
        ("COUNT(*) AS n", "WHERE a.region = 'nord'", {"literal_not_allowed"}),
        ("COUNT(*) AS n", "WHERE NOT (FALSE OR b.seats IN (3))", {"literal_not_allowed"}),
        # A condition that nothing depends on compares nothing.
        ("COUNT(*) AS n", "WHERE NOT (TRUE OR b.seats IN (3))", set()),
        ("COUNT(*) AS n", "WHERE a.region IS NULL", {"literal_not_allowed"}),
        ("COUNT(*) AS n", "WHERE a.channel = 'web'", {"literal_not_allowed"}),
        ("COUNT(*) AS n", "WHERE person IN (SELECT person FROM francos.visits WHERE amount > 3)", None),
        (
            "COUNT(*) AS n",
            "WHERE a.person IN (SELECT person FROM francos.visits WHERE amount > 3)",
            {"literal_not_allowed"},
        ),
        ("COUNT(*) AS n", "WHERE a.bought < b.bought", {"literal_not_allowed"}),
        (
            "a.seats, SUM(a.amount) AS s",
            "WHERE a.region = 'nord' GROUP BY 1",
            {"function_not_allowed", "dimension_not_allowed", "literal_not_allowed"},
        ),
    ],
)
def test_a_rule_names_what_it_admits(outputs: str, tail: str, found: set[str] | None) -> None:
    result = codes(asked(MEETING.format(outputs, tail)))
    assert result == (found if found is not None else {"literal_not_allowed"})


def test_every_owner_objects_for_itself_and_names_itself() -> None:
    with pytest.raises(Refused) as caught:
        admit(asked(MEETING.format("SUM(a.amount) AS s, SUM(b.amount) AS t", "")), ROOM_RULES)
    messages = [each.message.en for each in caught.value.refusals]
    assert len(messages) == 2
    assert {message.split()[0] for message in messages} == {"tnm", "francos"}
    assert all(each.hint is not None for each in caught.value.refusals)


def test_an_analysis_must_be_allowed() -> None:
    overlap_only = OVERLAP.replace("[aggregate, overlap]", "[overlap]")
    room = rulebook(declaration("tnm", rules=overlap_only), declaration("francos", rules=overlap_only))
    assert codes(asked("SELECT COUNT(*) AS n FROM tnm.visits"), room) == {"analysis_not_allowed"}
    assert codes(asked(MEETING.format("COUNT(*) AS n", "")), room) == set()
    aggregate_only = OVERLAP.replace("[aggregate, overlap]", "[aggregate]")
    room = rulebook(declaration("tnm"), declaration("francos", rules=aggregate_only))
    for sql in (
        MEETING.format("COUNT(*) AS n", ""),
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits)",
        "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits INTERSECT SELECT person FROM francos.visits) AS t",
        MEETING.format("COUNT(*) AS n", "WHERE FALSE"),
    ):
        assert codes(asked(sql), room) == {"analysis_not_allowed"}


def test_the_largest_threshold_of_the_rules_holds_and_is_part_of_the_price() -> None:
    strict = declaration("francos", rules=OVERLAP.replace("threshold: 20", "threshold: 300"))
    room = rulebook(declaration("tnm"), strict)
    issued = admit(asked(MEETING.format("COUNT(*) AS n", "")), room)
    assert issued.plan.releases[0].bounds.threshold == 300
    assert [component.measured for component in issued.plan.releases[0].bounds.components] == [
        Measured.ROWS,
        Measured.PERSONS,
    ]


# Sector


WHOLE = f"SELECT region, COUNT(*) AS n FROM ({union()}) AS t GROUP BY region"


def test_a_sector_question_spans_enough_organisations() -> None:
    assert codes(sector(WHOLE)) == set()
    for few in (1, 2):
        sql = f"SELECT COUNT(*) AS n FROM ({union(OWNERS[:few])}) AS t"
        assert codes(sector(sql)) & {"too_few_parties", "analysis_not_allowed"}
    assert codes(sector(f"SELECT COUNT(*) AS n FROM ({union(OWNERS[:2])}) AS t")) == {"too_few_parties"}


def test_the_asker_does_not_count_among_the_parties() -> None:
    members = SECTOR.replace("[observatoire]", "{role: member}")
    room = rulebook(*(declaration(owner, rules=members) for owner in OWNERS))
    three = f"SELECT COUNT(*) AS n FROM ({union(OWNERS[:3])}) AS t"
    assert codes(asked(three, "festival", "sector_statistics"), room) == set()
    assert codes(asked(three, "tnm", "sector_statistics"), room) == {"too_few_parties"}


def test_a_cohort_that_differs_by_few_from_an_answered_one_is_refused() -> None:
    five = f"SELECT COUNT(*) AS n FROM ({union(OWNERS[:5])}) AS t"
    six, same, far = (frozenset(map(PartyId, owners)) for owners in (OWNERS, OWNERS[:5], ("a", "b", "c", "d")))
    assert codes(sector(five), rulebook(cohorts=(six,))) == {"cohort_too_close"}
    assert codes(sector(five), rulebook(cohorts=(same, far))) == set()
    swapped = frozenset({*same - {"tnm"}, PartyId("festival")})
    assert codes(sector(five), rulebook(cohorts=(far, swapped))) == {"cohort_too_close"}
    assert admit(sector(five), ROOM_RULES).cohorts == (same,)


def isolating(**words: dict[str, str]) -> Rulebook:
    """Return a room in which some owners declare otherwise."""
    return rulebook(*(declaration(owner, **words.get(owner, {})) for owner in OWNERS))


@pytest.mark.parametrize(
    ("sql", "room"),
    [
        # A value that one house alone declares.
        (WHOLE, isolating(opera={"region": "nord, sud, est"})),
        (f"SELECT discipline, COUNT(*) AS n FROM ({union()}) AS t GROUP BY 1", isolating(opera={"discipline": "danse, opera"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE discipline = 'opera'", isolating(opera={"discipline": "danse, opera"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE NOT (discipline <> 'opera')", isolating(opera={"discipline": "danse, opera"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE discipline NOT IN ('danse', 'cirque')", isolating(opera={"discipline": "danse, opera"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE discipline = 'opera' OR seats > 99", isolating(opera={"discipline": "danse, opera"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE seats > 12", isolating(opera={"seats": "1, 20"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE NOT (seats <= 12 AND seats >= 1)", isolating(opera={"seats": "1, 20"})),
        (f"SELECT seats, COUNT(*) AS n FROM ({union()}) AS t GROUP BY seats", isolating(opera={"seats": "1, 20"})),
        # Months that one house alone declares.
        (f"SELECT date_trunc('month', bought) AS m, COUNT(*) AS n FROM ({union()}) AS t GROUP BY m", isolating(tnm={"last": "2024-04-30"})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE bought >= DATE '2024-04-01'", isolating(tnm={"last": "2024-04-30"})),
        # NULL where one house alone may leave it out.
        (WHOLE, isolating(**{owner: {"nullable": "false"} for owner in OWNERS[1:]})),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE region IS NULL", isolating(**{owner: {"nullable": "false"} for owner in OWNERS[1:]})),
        # What nobody can reach is an empty answer, and still no sector's.
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE FALSE", ROOM_RULES),
        (f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE seats > 12", ROOM_RULES),
    ],
)  # fmt: skip
def test_a_cell_or_filter_that_few_owners_reach_is_refused(sql: str, room: Rulebook) -> None:
    assert codes(sector(sql), room) == {"isolates_owner"}


def test_an_or_of_conjunctions_isolates_as_its_parts_do() -> None:
    """danse at 13 seats is opera's alone, cirque at -1 is nobody's; their union is still opera's alone."""
    room = isolating(opera={"seats": "-1, 20"}, **{o: {"discipline": "cirque", "seats": "1, 13"} for o in OWNERS[:3]},
                     **{o: {"discipline": "cirque"} for o in ("cirque", "festival")})  # fmt: skip
    sql = f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE (discipline = 'danse' AND seats = 13) OR (discipline = 'cirque' AND seats = -1)"
    assert codes(sector(sql), room) == {"isolates_owner"}


@pytest.mark.parametrize(
    "condition",
    ["FALSE", "NULL", "seats > 12", "seats > 3 AND seats < 3", "region = 'zz'", "region = 'sud'", "bought < DATE '2024-02-01'"],
)  # fmt: skip
def test_arms_emptied_or_filtered_by_hand_are_refused(condition: str) -> None:
    """The tables of a sector question enter its union whole; filters come after it, where domains can be compared."""
    for emptied in (OWNERS[1:], OWNERS[3:], OWNERS[5:]):
        arms = union(**dict.fromkeys(emptied, condition))
        found = codes(sector(f"SELECT COUNT(*) AS n FROM ({arms}) AS t"))
        assert found in ({"filter_inside_union"}, {"too_few_parties"})


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT region, discipline, seats, COUNT(*) AS n FROM ({union()}) AS t GROUP BY 1, 2, 3",
        f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE region = 'nord' OR discipline = 'danse'",
        f"SELECT COUNT(*) AS n FROM ({union()}) AS t WHERE NOT (region = 'nord') AND seats BETWEEN 2 AND 4",
        f"SELECT date_trunc('month', bought) AS m, SUM(seats) AS n FROM ({union()}) AS t GROUP BY m",
    ],
)
def test_what_enough_owners_reach_is_answered(sql: str) -> None:
    assert codes(sector(sql)) == set()


@pytest.mark.parametrize("value", range(3))
def test_a_key_of_many_numbers_is_judged_quickly(value: int) -> None:
    """A hundred thousand cells in sixty arms took a minute when each cell was looked at (a way to stop the room)."""
    wide = SECTOR.replace("dimensions: [region, discipline, seats", "dimensions: [region, seats")
    room = rulebook(*(declaration(owner, seats="0, 60000", rules=wide) for owner in OWNERS[:5]),
                    declaration("festival", seats=("0, 60000", "0, 60001", "1, 60000")[value], rules=wide))  # fmt: skip
    sql = f"SELECT seats, COUNT(*) AS n FROM ({union(OWNERS * 10, columns='person, seats')}) AS t GROUP BY seats"
    assert codes(sector(sql), room) == ({"isolates_owner"} if value == 1 else set())


# Precision


@pytest.mark.parametrize(
    "value",
    [0, -1, -0.0, 0.0, float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), "1", "", b"1", [], {}, True, False,
     1j, Fraction(1, 2), 10**400, -(10**400), Decimal("1E-400"), Decimal("1E+400"), 1e-300, 1e300],
    ids=repr,
)  # fmt: skip
def test_an_epsilon_that_is_none_is_refused(value: Any) -> None:
    """S11: a number above zero, finite, and of a size that an account can hold."""
    with pytest.raises(Refused) as caught:
        precision(epsilon=value)
    assert {each.code for each in caught.value.refusals} == {"precision"}


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "50", True, 10**16, [50]])
def test_a_margin_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(Refused):
        precision(margin=value)


def test_epsilon_and_margin_exclude_each_other() -> None:
    with pytest.raises(Refused):
        precision(epsilon=1, margin=50)


def test_a_numpy_float_is_a_float() -> None:
    import numpy as np

    assert precision(epsilon=np.float64(0.5)) == precision(epsilon=0.5)


def test_the_default_is_the_strictest_rule_s() -> None:
    dear = declaration("francos", rules=OVERLAP.replace("default_epsilon: 0.2", "default_epsilon: 0.1"))
    room = rulebook(declaration("tnm"), dear)
    issued = admit(asked(MEETING.format("COUNT(*) AS n", "")), room)
    assert 0.0999 < issued.epsilon <= 0.1


def test_an_owner_limits_epsilon_a_question() -> None:
    both = MEETING.format("COUNT(*) AS n", "")
    assert codes(asked(both, epsilon=0.5)) == set()
    assert codes(asked(both, epsilon=Decimal("0.500001"))) == {"epsilon_over_limit"}
    assert codes(asked(both, margin=1)) == {"epsilon_over_limit"}


def test_nobody_pays_more_than_epsilon_and_the_room_no_more_than_a_table() -> None:
    """D² is charged to the tables of an overlap, norm² to the room (S2)."""
    for sql, factor in (
        ("SELECT COUNT(*) AS n FROM tnm.visits", 1),
        (MEETING.format("a.region, COUNT(*) AS n", "GROUP BY 1"), 2),
    ):
        issued = admit(asked(sql, epsilon=0.3), ROOM_RULES)
        paid = {charge.account: charge.rho.as_fraction() for charge in issued.charges}
        limit = rho_for(Decimal("0.3"), Fraction(1, 10**7) / 2).as_fraction()
        assert max(paid.values()) <= limit
        bounds = issued.plan.releases[0].bounds
        room = Fraction(bounds.norm**2) / (2 * Fraction(issued.noises[0].scale) ** 2)
        assert paid[ROOM] >= room
        for account, rho in paid.items():
            if account != ROOM:
                assert rho >= factor * room
        assert max(paid.values()) > limit * Fraction(999_999, 1_000_000)


def test_the_smallest_delta_of_the_tables_prices_epsilon() -> None:
    room = rulebook(declaration("tnm", delta="1e-5"), declaration("francos", delta="1e-9"))
    same = rulebook(declaration("tnm", delta="1e-9"), declaration("francos", delta="1e-9"))
    question = asked(MEETING.format("COUNT(*) AS n", ""), epsilon=0.3)
    assert admit(question, room).noises == admit(question, same).noises


@pytest.mark.parametrize("margin", [50, 200, Decimal("123.5")])
def test_a_margin_is_kept_by_every_count_and_sum_asked_for(margin: Any) -> None:
    rich = OVERLAP.replace("max_epsilon_per_question: 0.5", "max_epsilon_per_question: 1000")
    room = rulebook(declaration("tnm", rules=rich), declaration("francos", rules=rich))
    issued = admit(asked(MEETING.format("COUNT(*) AS n, COUNT(DISTINCT person) AS p", ""), margin=margin), room)
    steps = [component.steps for component in issued.plan.releases[0].bounds.components]
    assert max(margin95(issued.noises[0].scale) / each for each in steps) <= margin
    # The least loss that keeps it: a hundredth more noise would not.
    assert max(margin95(issued.noises[0].scale * 1.01) / each for each in steps) > margin


def test_a_mean_has_no_margin_before_data() -> None:
    sql = f"SELECT AVG(seats) AS n FROM ({union(columns='person, seats')}) AS t"
    assert codes(sector(sql, margin=50)) == {"precision"}


def test_margins_too_small_for_any_scale_are_refused() -> None:
    for margin in (Decimal("1E-9"), Decimal("1E-300"), Decimal("1E-999999"), 5e-324):
        with pytest.raises(Refused) as caught:
            admit(asked(MEETING.format("COUNT(*) AS n", ""), margin=margin), ROOM_RULES)
        assert caught.value.code == "precision"


@pytest.mark.parametrize("value", [0, -1, 65_536, 1.0, "1", True])
@pytest.mark.parametrize("name", ["max_rows_contributed", "max_groups_contributed"])
def test_contributions_are_whole_numbers_within_limits(name: str, value: Any) -> None:
    assert codes(asked("SELECT COUNT(*) AS n FROM tnm.visits", **{name: value})) == {"precision"}


def test_contributions_asked_for_replace_the_tables_own() -> None:
    sql = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region"
    issued = admit(asked(sql, max_rows_contributed=9, max_groups_contributed=1), ROOM_RULES)
    assert (issued.plan.releases[0].bounds.max_rows, issued.plan.releases[0].bounds.max_groups) == (9, 1)
    assert admit(asked(sql), ROOM_RULES).plan.releases[0].bounds.max_rows == 5


# The plan


def issued_plan() -> ValidatedPlan:
    return admit(asked("SELECT COUNT(*) AS n FROM tnm.visits"), ROOM_RULES)


def test_a_validated_plan_is_made_by_the_gate_alone() -> None:
    with pytest.raises(InvariantBroken):
        ValidatedPlan()
    forged = object.__new__(ValidatedPlan)
    genuine = issued_plan()
    for name in ValidatedPlan.__slots__[1:]:
        object.__setattr__(forged, name, getattr(genuine, name))
    assert is_genuine(genuine)
    assert not is_genuine(forged)


def test_a_validated_plan_is_neither_copied_nor_pickled_nor_altered() -> None:
    genuine = issued_plan()
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(InvariantBroken):
            attempt(genuine)
    for name in ("noises", "paid", "charges", "plan", "party", "new"):
        with pytest.raises((InvariantBroken, AttributeError)):
            setattr(genuine, name, 1)
    assert is_genuine(genuine)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noises", (Noise(1.0),)),
        ("charges", ()),
        ("party", PartyId("francos")),
        ("purpose", Purpose("x")),
        ("rules", ()),
        ("caps", ()),
        ("paid", ()),
        ("cohorts", (frozenset({PartyId("tnm")}),)),
        ("policy_digest", Digest.of(b"another")),
    ],
)
def test_a_validated_plan_altered_by_force_is_not_genuine(name: str, value: Any) -> None:
    genuine = issued_plan()
    object.__setattr__(genuine, name, value)
    assert not is_genuine(genuine)


def test_a_validated_plan_with_another_s_plan_is_not_genuine() -> None:
    genuine, other = issued_plan(), admit(asked("SELECT COUNT(*) AS n FROM francos.visits"), ROOM_RULES)
    object.__setattr__(genuine, "plan", other.plan)
    assert not is_genuine(genuine)


def test_the_plan_carries_the_party_s_caps_rules_and_policies() -> None:
    issued = admit(asked(MEETING.format("COUNT(*) AS n", "")), ROOM_RULES)
    cap = rho_for(Decimal(5), Fraction(1, 10**7) / 2)
    assert sorted(issued.caps, key=str) == [
        PartyCap(AccountId(TableName.parse(f"{owner}.visits")), PartyId("tnm"), cap, Window.YEAR)
        for owner in ("francos", "tnm")
    ]
    assert issued.rules == (
        (TableName.parse("francos.visits"), "overlaps"),
        (TableName.parse("tnm.visits"), "overlaps"),
    )
    assert {str(charge.account) for charge in issued.charges if charge.account != ROOM} == {
        str(charge.account)
        for charge in admit(asked(MEETING.format("COUNT(*) AS n", "WHERE FALSE")), ROOM_RULES).charges
        if charge.account != ROOM
    }
    changed = rulebook(*(declaration(owner, delta="1e-8") for owner in OWNERS))
    assert admit(asked(MEETING.format("COUNT(*) AS n", "")), changed).policy_digest != issued.policy_digest


def test_a_margin_dearer_than_any_budget_is_refused_in_words() -> None:
    assert codes(asked("SELECT COUNT(*) AS n FROM tnm.visits", margin=Decimal("0.000001"))) == {"precision"}
