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
from gate_samples import (
    MEETING,
    OVERLAP,
    OWNERS,
    ROOM_RULES,
    SECTOR,
    asked,
    codes,
    declaration,
    rulebook,
    sector,
    union,
)

from cleanroom.accounting.account import ROOM, AccountId, PartyCap
from cleanroom.accounting.privacy_loss import Window, rho_for
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.identifiers import Digest, PartyId, Purpose, Role, TableName
from cleanroom.query.bound import Measured
from cleanroom.query.gate import Question, Rulebook, ValidatedPlan, admit, is_genuine
from cleanroom.query.mechanisms import Noise

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


def test_a_validated_plan_altered_within_is_not_genuine_whatever_digest_was_found_before() -> None:
    genuine = issued_plan()
    (release,) = genuine.plan.releases
    before = genuine.plan.digest()
    object.__setattr__(release, "bounds", replace(release.bounds, threshold=release.bounds.threshold + 1))
    assert genuine.plan.digest() == before
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
