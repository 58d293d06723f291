"""The gate, where owners have several rules, and where what was admitted must also be runnable."""

# ruff: noqa: S608 - questions are what is tested here
from __future__ import annotations

import pytest
from gate_samples import MEETING, OVERLAP, SECTOR, asked, codes, declaration, rulebook, sector, union

from cleanroom.errors import Refused
from cleanroom.identifiers import TableName
from cleanroom.query.gate import admit

COUNT = "SELECT COUNT(*) AS n FROM tnm.visits"


def named(name: str, rule: str = OVERLAP) -> str:
    """Return a rule under another name."""
    return rule.replace("name: overlaps", f"name: {name}")


SUMS = OVERLAP.replace("[count_persons, count_rows]", "[count_rows, sum]")


# Several rules


@pytest.mark.parametrize("turned", [False, True])
def test_the_first_rule_that_admits_the_whole_question_is_taken(turned: bool) -> None:
    rules = [named("counts"), named("sums", SUMS)]
    room = rulebook(declaration("tnm", rules="".join(rules[::-1] if turned else rules)))
    table = TableName.parse("tnm.visits")
    first = "sums" if turned else "counts"
    assert admit(asked(COUNT), room).rules == ((table, first),)
    assert admit(asked("SELECT SUM(seats) AS s FROM tnm.visits"), room).rules == ((table, "sums"),)
    assert admit(asked("SELECT COUNT(DISTINCT person) AS n FROM tnm.visits"), room).rules == ((table, "counts"),)
    # Neither admits both, and no question is put together from two rules.
    both = "SELECT SUM(seats) AS s, COUNT(DISTINCT person) AS n FROM tnm.visits"
    assert codes(asked(both), room) == {"function_not_allowed"}


@pytest.mark.parametrize("turned", [False, True])
def test_the_rule_with_the_fewest_objections_speaks(turned: bool) -> None:
    rules = [named("far"), named("near", OVERLAP.replace("dimensions: [region,", "dimensions: [region, discipline,"))]
    room = rulebook(declaration("tnm", rules="".join(rules[::-1] if turned else rules)))
    with pytest.raises(Refused) as caught:
        admit(asked("SELECT discipline, SUM(amount) AS s FROM tnm.visits GROUP BY 1"), room)
    (reason,) = caught.value.refusals
    assert reason.code == "function_not_allowed"
    assert "near" in reason.message.en


def test_an_owner_judges_the_releases_that_read_its_tables_only() -> None:
    """Two releases in one question: francos admits no sum, and none is asked of it."""
    room = rulebook(declaration("tnm", rules=SUMS), declaration("francos"))
    sums = "SELECT SUM(seats) AS s FROM tnm.visits"
    counts = "SELECT COUNT(*) AS n FROM francos.visits"
    apart = f"WITH a AS ({sums}), b AS ({counts}) SELECT a.s / b.n AS r FROM a CROSS JOIN b"
    assert codes(asked(apart), room) == set()
    assert codes(asked(apart), rulebook(declaration("tnm"), declaration("francos"))) == {"function_not_allowed"}


def test_every_objection_says_whose_rule_it_is_and_what_would_be_allowed() -> None:
    overlap_only = OVERLAP.replace("[aggregate, overlap]", "[overlap]")
    room = rulebook(declaration("tnm", rules=overlap_only))
    sql = "SELECT discipline, SUM(amount) AS s FROM tnm.visits WHERE region = 'nord' GROUP BY 1"
    with pytest.raises(Refused) as caught:
        admit(asked(sql), room)
    hints = {each.code: each.hint for each in caught.value.refusals}
    assert set(hints) == {
        "analysis_not_allowed", "function_not_allowed", "dimension_not_allowed", "literal_not_allowed"
    }  # fmt: skip
    for each in caught.value.refusals:
        assert each.hint is not None
        assert each.hint.fr != each.hint.en
        assert "tnm" in each.message.fr
        assert "tnm" in each.message.en
    allowed = {code: hint.en.split(":")[-1].strip() for code, hint in hints.items() if hint is not None}
    assert allowed["analysis_not_allowed"] == "overlap"
    assert allowed["function_not_allowed"] == "count_persons, count_rows"
    assert allowed["literal_not_allowed"] == "discipline"


# Filters, and what does the work of a filter


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ("SUM(a.seats) AS s", set()),
        ("SUM(LEAST(a.seats, 5)) AS s", {"literal_not_allowed"}),
        ("SUM(a.seats // 3) AS s", {"literal_not_allowed"}),
        ("SUM(LEAST(b.seats, 5)) AS s", {"literal_not_allowed"}),
    ],
)
def test_a_step_at_a_chosen_number_is_a_filter(outputs: str, found: set[str]) -> None:
    """Sums of LEAST(x, 5) and LEAST(x, 6) differ by the rows above 5: that is a filter on x, spelt otherwise."""
    room = rulebook(declaration("tnm", rules=SUMS), declaration("francos", rules=SUMS))
    assert codes(asked(MEETING.format(outputs, "")), room) == found


def test_a_step_of_what_may_be_grouped_by_or_filtered_is_free() -> None:
    step = asked("SELECT SUM(LEAST(seats, 5)) AS s FROM tnm.visits")
    grouped = SUMS.replace("dimensions: [region,", "dimensions: [region, seats,")
    filtered = SUMS.replace("allowed_literals: [discipline]", "allowed_literals: [seats]")
    unlisted = SUMS.replace("    allowed_literals: [discipline]\n", "")
    for rule in (grouped, filtered, unlisted):
        assert codes(step, rulebook(declaration("tnm", rules=rule))) == set()
    assert codes(step, rulebook(declaration("tnm", rules=SUMS))) == {"literal_not_allowed"}


def test_each_owner_s_literals_are_its_own() -> None:
    """What tnm lets be filtered is not what francos does: each looks at its own columns."""
    lax = OVERLAP.replace("allowed_literals: [discipline]", "allowed_literals: [discipline, seats]")
    room = rulebook(declaration("tnm", rules=lax), declaration("francos"))
    assert codes(asked(MEETING.format("COUNT(*) AS n", "WHERE a.seats = 3")), room) == set()
    assert codes(asked(MEETING.format("COUNT(*) AS n", "WHERE b.seats = 3")), room) == {"literal_not_allowed"}
    with pytest.raises(Refused) as caught:
        admit(asked(MEETING.format("COUNT(*) AS n", "WHERE a.region = 'nord' AND b.seats = 3")), room)
    owners = [each.message.en.split()[0] for each in caught.value.refusals]
    assert sorted(owners) == ["francos", "tnm"]


# Parties


def test_a_rule_without_a_number_of_parties_still_tells_a_sector_from_an_aggregate() -> None:
    room = rulebook(*(declaration(owner, rules=SECTOR) for owner in ("tnm", "francos", "musee", "opera")))
    three, two = (union(("tnm", "francos", "musee")[:count]) for count in (3, 2))
    assert codes(sector(f"SELECT COUNT(*) AS n FROM ({three}) AS t"), room) == set()
    assert codes(sector(f"SELECT COUNT(*) AS n FROM ({two}) AS t"), room) == {"too_few_parties"}
    # Three owners, but a question about one of them: the others only filter.
    semi = (
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits) "
        "AND person IN (SELECT person FROM musee.visits)"
    )
    assert codes(sector(semi), room) & {"analysis_not_allowed", "too_few_parties"}


def test_a_union_with_one_other_owner_is_a_sector_s_and_one_s_own_is_not() -> None:
    room = rulebook(declaration("tnm"), declaration("francos"))
    own = "SELECT person FROM tnm.visits UNION ALL SELECT person FROM tnm.visits"
    two = "SELECT person FROM tnm.visits UNION ALL SELECT person FROM francos.visits"
    assert codes(asked(f"SELECT COUNT(*) AS n FROM ({own}) AS t"), room) == set()
    assert codes(asked(f"SELECT COUNT(*) AS n FROM ({two}) AS t"), room) == {"analysis_not_allowed"}


# What was admitted runs


def joined(count: int) -> str:
    """Return a question whose answer has 3 to the power of `count` rows: NULL is a region."""
    tables = ", ".join(f"r AS r{place}" for place in range(count))
    return f"WITH r AS (SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region) SELECT r0.n AS n FROM {tables}"


def test_what_is_said_over_releases_is_bounded_before_it_is_paid() -> None:
    room = rulebook(declaration("tnm"))
    # 531 441 rows of at most a million.
    assert codes(asked(joined(12)), room) == set()
    assert codes(asked(joined(13)), room) == {"too_many_cells"}


def test_rows_of_unknown_keys_are_counted_by_how_many_may_survive() -> None:
    rules = OVERLAP.replace('"bought:month"]', '"bought:month", channel]')
    room = rulebook(declaration("tnm", rules=rules))
    release = "WITH r AS (SELECT channel, COUNT(*) AS n FROM tnm.visits GROUP BY channel) "
    assert codes(asked(release + "SELECT channel, n FROM r WHERE n > 50"), room) == set()
    # Up to a hundred thousand keys: their square is beyond what is worked through.
    assert codes(asked(release + "SELECT a.n AS n FROM r AS a, r AS b"), room) == {"too_many_cells"}


def test_relations_that_nest_too_deep_or_print_too_long_are_refused_before_they_are_paid() -> None:
    room = rulebook(declaration("tnm"))
    inner = "SELECT person, region FROM tnm.visits"
    for _ in range(40):
        inner = f"SELECT DISTINCT person, region FROM ({inner}) AS t"
    found = codes(asked(f"SELECT COUNT(*) AS n FROM ({inner}) AS t"), room)
    assert found & {"too_deep"}
