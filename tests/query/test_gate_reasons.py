"""What the gate says when it refuses, where a party reads it, and which of several rules it speaks for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from gate_samples import MEETING, OVERLAP, ROOM_RULES, SECTOR, asked, declaration, rulebook, union

from cleanroom.errors import Refused
from cleanroom.identifiers import Digest, Epoch, PartyId, Purpose, TableName
from cleanroom.query import gate
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.binding.question import bind_question
from cleanroom.query.gate import Question, Rulebook, admit
from cleanroom.query.precision import Auto
from cleanroom.query.terms.types import TextType

if TYPE_CHECKING:
    from cleanroom.errors import Refusal

ALONE = "SELECT {} FROM tnm.visits AS a {}"


def reasons(question: Question, room: Rulebook = ROOM_RULES) -> tuple[Refusal, ...]:
    with pytest.raises(Refused) as caught:
        admit(question, room)
    return caught.value.refusals


def only(question: Question, room: Rulebook = ROOM_RULES) -> Refusal:
    (reason,) = reasons(question, room)
    return reason


def test_a_caller_that_is_deep_itself_gets_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(gate, "_admitted", deep)
    assert only(asked(ALONE.format("COUNT(*) AS n", ""))).code == "nested_too_deep"


def test_a_purpose_that_is_not_the_room_s_is_named_shortly() -> None:
    message = only(asked(ALONE.format("COUNT(*) AS n", ""), purpose="abcdefgh" * 20)).message.en
    assert "tnm" in message
    assert f"'{'abcdefgh' * 10}'" in message


@pytest.mark.parametrize(
    ("outputs", "tail", "code", "said", "admitted"),
    [
        ("SUM(a.amount) AS s", "", "function_not_allowed", "sum", ("count_persons", "count_rows")),
        ("a.seats, COUNT(*) AS n", "GROUP BY 1", "dimension_not_allowed", "seats", ("region", "bought:month")),
        ("COUNT(*) AS n", "WHERE a.region = 'nord'", "literal_not_allowed", "region", ("discipline",)),
    ],
)
def test_an_objection_names_rule_owner_and_what_is_admitted(
    outputs: str, tail: str, code: str, said: str, admitted: tuple[str, ...]
) -> None:
    reason = only(asked(ALONE.format(outputs, tail)))
    assert reason.code == code
    assert reason.hint is not None
    for message, hint in ((reason.message.fr, reason.hint.fr), (reason.message.en, reason.hint.en)):
        assert "tnm" in message
        assert "overlaps" in message
        assert said in message
        assert all(word in hint for word in admitted)


def test_an_analysis_that_is_not_allowed_names_those_that_are() -> None:
    room = rulebook(declaration("tnm", rules=OVERLAP.replace("[aggregate, overlap]", "[overlap, sector]")))
    reason = only(asked(ALONE.format("COUNT(*) AS n", "")), room)
    assert reason.code == "analysis_not_allowed"
    assert reason.hint is not None
    for message, hint in ((reason.message.fr, reason.hint.fr), (reason.message.en, reason.hint.en)):
        assert all(word in message for word in ("tnm.visits", "aggregate"))
        assert "overlap, sector" in hint


def test_the_rule_that_allows_most_speaks() -> None:
    """One that allows everything, wherever it stands; else the one with the fewest objections, the first of equals."""
    sums = OVERLAP.replace("name: overlaps", "name: sums").replace("count_rows]", "count_rows, sum]")
    free = sums.replace("name: sums", "name: free").replace("[discipline]", "[discipline, region]")
    question = asked(ALONE.format("SUM(a.amount) AS s", "WHERE a.region = 'nord'"))
    for rules in (OVERLAP + sums, sums + OVERLAP):
        reason = only(question, rulebook(declaration("tnm", rules=rules)))
        assert (reason.code, "sums" in reason.message.en) == ("literal_not_allowed", True)
    for rules in (OVERLAP + sums + free, free + OVERLAP + sums):
        issued = admit(question, rulebook(declaration("tnm", rules=rules)))
        assert issued.rules == ((TableName.parse("tnm.visits"), "free"),)
    twins = OVERLAP + OVERLAP.replace("name: overlaps", "name: others")
    assert "overlaps" in reasons(question, rulebook(declaration("tnm", rules=twins)))[0].message.en


def test_a_table_s_rule_is_asked_about_the_releases_that_read_it() -> None:
    """A release over francos alone may hold what tnm's rule would not allow."""
    sums = OVERLAP.replace("count_rows]", "count_rows, sum]")
    room = rulebook(declaration("tnm"), declaration("francos", rules=sums))
    issued = admit(
        asked("SELECT (SELECT SUM(amount) FROM francos.visits) / NULLIF(COUNT(*), 0) AS r FROM tnm.visits"), room
    )
    assert len(issued.plan.releases) == 2


def test_what_an_owner_compares_with_is_judged_table_by_table() -> None:
    free = OVERLAP.replace("[discipline]", "[discipline, region, seats]")
    room = rulebook(declaration("tnm"), declaration("francos", rules=free))
    question = "COUNT(*) AS n", "WHERE b.region = 'nord'"
    assert admit(asked(MEETING.format(*question)), room)
    assert only(asked(MEETING.format("COUNT(*) AS n", "WHERE a.region = 'nord'")), room).code == "literal_not_allowed"
    anything = OVERLAP.replace("    allowed_literals: [discipline]\n", "")
    assert admit(asked(ALONE.format("COUNT(*) AS n", "WHERE a.region = 'nord' AND a.seats > 3")),
                 rulebook(declaration("tnm", rules=anything)))  # fmt: skip


def test_one_pure_table_makes_the_question_pure() -> None:
    room = rulebook(declaration("tnm", delta="0"), declaration("francos"))
    for sql, pure in (
        (MEETING.format("COUNT(*) AS n", ""), True),
        (ALONE.format("COUNT(*) AS n", ""), True),
        ("SELECT COUNT(*) AS n FROM francos.visits", False),
    ):
        (plan,) = admit(asked(sql), room).plan.releases
        assert plan.bounds.pure is pure


def test_rows_and_groups_asked_for_are_not_exchanged() -> None:
    sql = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region"
    bounds = admit(asked(sql, max_rows_contributed=7, max_groups_contributed=3), ROOM_RULES).plan.releases[0].bounds
    assert (bounds.max_rows, bounds.max_groups) == (7, 3)


def test_cells_that_shall_add_up_need_totals_and_the_plan_says_so() -> None:
    sql = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY {}"
    with_totals = replace(asked(sql.format("ROLLUP (region)")), consistent=True)
    assert admit(with_totals, ROOM_RULES).consistent is True
    assert admit(replace(with_totals, consistent=False), ROOM_RULES).consistent is False
    assert only(replace(asked(sql.format("region")), consistent=True)).code == "not_admitted"


def test_the_price_shown_is_the_price() -> None:
    issued = admit(asked(ALONE.format("COUNT(*) AS n", ""), epsilon=0.3), ROOM_RULES)
    assert issued.epsilon == pytest.approx(0.3, rel=1e-4)
    assert (issued.party, issued.purpose) == (PartyId("tnm"), Purpose("audience_overlap"))


def test_a_table_of_a_rule_that_needs_parties_says_how_many_there_are() -> None:
    rules = SECTOR.replace("parties: [observatoire]", "parties: {role: member}")
    rules = rules.replace("[sector_statistics]", "[audience_overlap]").replace(
        "analyses: [sector]", "analyses: [sector, aggregate]"
    )
    room = rulebook(*(declaration(owner, rules=rules) for owner in ("tnm", "francos", "musee", "opera")))
    sql = "SELECT region, COUNT(*) AS n FROM ({}) AS t GROUP BY region"
    few = reasons(asked(sql.format(union(("tnm", "francos", "musee")))), room)
    assert {reason.code for reason in few} == {"too_few_parties"}
    assert all("2" in reason.message.en and "3" in reason.message.en for reason in few)
    assert admit(asked(sql.format(union(("tnm", "francos", "musee", "opera")))), room)
    assert room.epochs[TableName.parse("tnm.visits")] == Epoch("2024")


def test_the_rows_asked_for_and_the_room_s_public_tables_are_what_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def bound(*arguments: Any, **more: Any) -> Any:
        seen.append(more)
        return bind_question(*arguments, **more)

    monkeypatch.setattr(gate, "bind_question", bound)
    zones = ReferenceCatalog("zones", Digest.of(b"zones"), 3, (("zone", TextType(nullable=False)),), ())
    room = replace(ROOM_RULES, references={"zones": zones})
    admit(asked(ALONE.format("COUNT(*) AS n", ""), max_rows_contributed=7), room)
    admit(asked(ALONE.format("COUNT(*) AS n", ""), max_rows_contributed=Auto.AUTO), room)
    assert seen == [{"references": room.references, "max_rows": rows} for rows in (7, None)]


def test_a_bound_of_totals_needs_one_sum() -> None:
    sums = declaration("tnm", rules=OVERLAP.replace("count_rows]", "count_rows, sum]"))
    for outputs, admitted in (
        ("SUM(a.amount) AS s", True),
        ("COUNT(*) AS n", False),
        ("SUM(seats) AS s, SUM(amount) AS t", False),
    ):
        question = asked(ALONE.format(outputs, ""), max_sum=Decimal(5))
        if admitted:
            (plan,) = admit(question, rulebook(sums)).plan.releases
            assert plan.bounds.max_sum == 500
        else:
            assert only(question, rulebook(sums)).code == "precision"


def test_the_work_of_a_finish_is_judged_by_what_its_releases_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells, for each of as many survivors as there may be where keys are unknown; and the most grouping sets."""
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(gate, "require_work", lambda _, *counts: seen.append(counts))
    known = OVERLAP.replace('"bought:month"]', '"bought:month", channel]')
    room = rulebook(declaration("tnm", rules=known), declaration("francos"))
    by_region = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY {}"
    admit(asked(by_region.format("region")), room)
    admit(asked(by_region.format("ROLLUP (region)")), room)
    issued = admit(
        asked("SELECT channel, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY channel ORDER BY n LIMIT 3"), room
    )
    (release,) = issued.plan.releases
    most = release.bounds.most_surviving
    assert most > 1
    expected = [([3], 1), ([4], 2), ([most], 1)]
    assert [each for each in seen if each in expected] == seen
    assert seen[-1] == expected[-1]
    arms = by_region.format("region"), by_region.format("ROLLUP (region)")
    two = "SELECT a.region, a.n / NULLIF(b.n, 0) AS r FROM ({}) AS a JOIN ({}) AS b ON a.region = b.region"
    admit(asked(two.format(*arms)), room)
    assert seen[-1] in (([3, 4], 2), ([4, 3], 2))


def test_steps_of_what_may_be_grouped_by_are_admitted() -> None:
    """S44: who may see each number of seats learns nothing from a step of them; others could filter by it."""
    sums = OVERLAP.replace("count_rows]", "count_rows, sum]")
    for dimensions, admitted in (('region, seats, "bought:month"', True), ('region, "bought:month"', False)):
        room = rulebook(declaration("tnm", rules=sums.replace('region, "bought:month"', dimensions)))
        question = asked(ALONE.format("SUM(a.seats // 12) AS s", ""))
        if admitted:
            assert admit(question, room)
        else:
            assert only(question, room).code == "literal_not_allowed"


def test_rows_of_several_owners_side_by_side_are_a_sector_s() -> None:
    """S43: one other owner is enough for a rule that names no number; the asker's own tables are no sector."""
    sql = "SELECT region, COUNT(*) AS n FROM ({}) AS t GROUP BY region"
    for reason in reasons(asked(sql.format(union(("tnm", "francos"))))):
        assert reason.code == "analysis_not_allowed"
        assert "'sector'" in reason.message.en
    assert admit(asked(sql.format(union(("tnm", "tnm")))), ROOM_RULES)


def test_steps_of_days_are_no_filter_by_a_number() -> None:
    room = rulebook(declaration("tnm", rules=OVERLAP.replace("count_rows]", "count_rows, sum]")))
    weeks = "SUM(date_diff('day', DATE '2024-01-01', a.bought) // 7) AS n"
    assert admit(asked(ALONE.format(weeks, "")), room)
    assert only(asked(ALONE.format("SUM(a.seats // 7) AS n", "")), room).code == "literal_not_allowed"


def test_a_union_of_fewer_than_the_rule_s_parties_is_no_sector() -> None:
    """S43: what three others are met with is an overlap, though two of the owners stand side by side in it."""
    rules = SECTOR.replace("parties: [observatoire]", "parties: {role: member}")
    rules = rules.replace("[sector_statistics]", "[audience_overlap]").replace(
        "analyses: [sector]", "analyses: [overlap]"
    )
    room = rulebook(*(declaration(owner, rules=rules) for owner in ("tnm", "francos", "musee", "opera")))
    sides = union(("tnm", "francos"), "person, region")
    met = "JOIN musee.visits AS m USING (person) JOIN opera.visits AS o USING (person)"
    assert admit(asked(f"SELECT COUNT(*) AS n FROM ({sides}) AS t {met}"), room)  # noqa: S608
