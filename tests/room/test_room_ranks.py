"""What an answer says of a quantile's rank: beside the value, before and after, again where it was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from room_samples import MEMBER, Place, ask

if TYPE_CHECKING:
    from cleanroom.room import Answer, Preview

QUESTION = "SELECT region, MEDIAN(amount) AS milieu, COUNT(*) AS n FROM theatre_fleuve.visits GROUP BY region"
OVER = f"SELECT region, milieu, n * 2 AS double FROM ({QUESTION}) AS q"  # noqa: S608


def with_quantiles(place: Place) -> None:
    text = place.yaml(MEMBER)
    functions = b"functions: [count_persons, count_rows]"
    assert functions in text
    with place.open() as room:
        room.declare(text.replace(functions, b"functions: [count_persons, count_rows, sum, quantile]"))


def said(found: Answer | Preview) -> list[str]:
    return [note.en for note in found.notes if "19 times out of 20" in note.en]


def test_the_rank_of_a_median_is_said_with_it(place: Place) -> None:
    with_quantiles(place)
    with place.open() as room:
        before = room.session(MEMBER).preview(QUESTION, purpose="audience_overlap", epsilon=0.5)
        answer = ask(room, QUESTION, epsilon=0.5)
        ((label, rows),) = answer.rank_margins
        assert label == "milieu"
        assert rows > 0
        assert before.rank_margins == answer.rank_margins
        (note,) = said(answer)
        assert f"by more than {rows} rows" in note
        assert said(before) == [note]
        assert any("without a margin in its unit" in each.en for each in answer.notes)
        assert note in [each.en for release in answer.provenance.releases for each in release.mechanisms]
        again = ask(room, QUESTION, epsilon=0.5)
        assert not any(each.epsilon for each in again.cost)
        assert (again.rank_margins, again.notes) == (answer.rank_margins, answer.notes)
        # Said over: the same value, the same rank.
        over = ask(room, OVER, epsilon=0.5)
        assert over.rank_margins == answer.rank_margins
        assert said(over) == [note.replace("“milieu”", "quantile 1/2")]


def test_a_narrower_bound_that_was_chosen_has_a_narrower_rank(place: Place) -> None:
    with_quantiles(place)
    lone = QUESTION.replace(", COUNT(*) AS n", "")
    with place.open() as room:
        asked = {"epsilon": 0.5, "max_rows_contributed": "auto"}
        before = room.session(MEMBER).preview(lone, purpose="audience_overlap", **asked)
        answer = ask(room, lone, **asked)
        again = ask(room, lone, **asked)
        ((_, most),), ((_, rows),) = before.rank_margins, answer.rank_margins
        assert 0 < rows <= most
        assert again.rank_margins == answer.rank_margins
        (facts,) = answer.provenance.releases
        # Of weights: a person's part is one, so that rows go with the rows of a person that count.
        assert abs(rows / most - facts.max_rows / 10) < 0.02
