"""Any text, any words and any change of a question is a plan or a refusal, and nothing else."""

# ruff: noqa: S608 - questions are what is tested here, one a line
from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parse_samples import CORPUS, MADE
from questions import question
from rooms import bind, choices, seeds
from searches import LIMITS, by_seeds, try_each

from cleanroom.errors import Refused
from cleanroom.query.plan import QuestionPlan

# Nothing but a plan or a refusal


def outcome(sql: str, parameters: Any = None) -> QuestionPlan | Refused:
    """Return what admission makes of a text; anything raised but Refused is a failure of the test."""
    try:
        a_plan = bind(sql, parameters, MADE)
        a_plan.digest()
    except Refused as refused:
        for reason in refused.refusals:
            assert reason.message.fr
            assert reason.message.en
        return refused
    return a_plan


@given(st.text(max_size=60))
@settings(LIMITS, max_examples=200)
def test_any_text_is_refused(text: str) -> None:
    assert isinstance(outcome(text), Refused)


WORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "HAVING",
    "UNION",
    "ALL",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "USING",
    "ON",
    "AS",
    "IN",
    "IS",
    "NOT",
    "NULL",
    "AND",
    "OR",
    "BETWEEN",
    "COUNT",
    "SUM",
    "AVG",
    "DISTINCT",
    "(",
    ")",
    ",",
    ".",
    "*",
    "=",
    "<>",
    "<",
    "1",
    "-1",
    "'a'",
    "?",
    "$a",
    '"x"',
    "tnm",
    "visits",
    "francos",
    "person",
    "region",
    "seats",
    "amount",
    "bought",
    "date_trunc",
    "'month'",
    "CASE",
    "WHEN",
    "END",
    "CAST",
    "DATE",
    "'2024-01-01'",
    "WITH",
    "LATERAL",
    "VALUES",
    "[",
    "]",
    "{",
    "}",
    "::",
    "||",
    ";",
    "/*",
    "*/",
    "--",
    "FILTER",
    "OVER",
]


@given(st.lists(st.sampled_from(WORDS), max_size=30))
@settings(LIMITS, max_examples=250)
def test_any_words_are_a_plan_or_a_refusal(words: list[str]) -> None:
    outcome(" ".join(words))
    outcome("SELECT COUNT(*) FROM tnm.visits WHERE " + " ".join(words))


def corpus() -> list[tuple[str, Any]]:
    """Return every question of the corpus."""
    lines = [
        line for name in ("accept", "refuse", "either") for line in (CORPUS / f"{name}.jsonl").read_text().splitlines()
    ]
    return [(each["sql"], each.get("params")) for each in map(json.loads, lines)]


def mutated(text: str, rng: Random) -> str:
    """Return a text with a few pieces dropped, doubled, swapped or replaced."""
    for _ in range(rng.randrange(1, 4)):
        pieces = text.split(" ")
        one, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        match rng.randrange(6):
            case 0:
                del pieces[one]
            case 1:
                pieces[one:one] = [pieces[other]] * rng.choice((1, 1, 40))
            case 2:
                pieces[one], pieces[other] = pieces[other], pieces[one]
            case 3:
                pieces[one] = rng.choice(WORDS)
            case 4:
                pieces[one] = pieces[one][: rng.randrange(len(pieces[one]) + 1)]
            case _:
                at = rng.randrange(len(text) + 1)
                pieces = [text[:at] + rng.choice("()'\"\\,.*=;$?@#!~|&%^[]{}:<>-/\n\t\u200b0123456789e_") + text[at:]]
        text = " ".join(pieces)
    return text


def check_mutations(seed: int) -> None:
    rng = Random(seed)
    sql, parameters = rng.choice(corpus())
    outcome(mutated(sql, rng), parameters)


@pytest.mark.parametrize("batch", range(2))
def test_mutations_of_the_corpus_are_a_plan_or_a_refusal(batch: int) -> None:
    questions = corpus()
    for seed in range(batch * 400, batch * 400 + 400):
        rng = Random(seed)
        sql, parameters = rng.choice(questions)
        outcome(mutated(sql, rng), parameters)


@given(choices(), seeds())
@settings(LIMITS, max_examples=120)
def test_mutations_of_admitted_questions_are_a_plan_or_a_refusal(rng: Random, seed: int) -> None:
    written = question(rng, MADE)
    outcome(mutated(written.sql, Random(seed)), written.parameters)


@pytest.mark.soak
@by_seeds(1_000_000, at_once=50_000)
def test_mutations_many_times(seeds: range) -> None:
    try_each(seeds, check_mutations)
