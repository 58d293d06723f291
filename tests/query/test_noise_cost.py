"""What the log says of the noise costs what the accounts were charged: found twice, by code that shares nothing."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import opendp.prelude as dp
import pytest
from gate_samples import MEETING, asked, declaration_text, rulebook

from audit_log import EventType
from cleanroom.identifiers import Digest
from cleanroom.policies import read_declaration
from cleanroom.query.gate import Question, admit
from cleanroom.query.precision import Auto
from cleanroom.query.reuse import Anew
from cleanroom.room.balances import ROOM, Book
from cleanroom.room.charge import release_details
from cleanroom.room.noise_cost import recorded
from cleanroom.room.recorded_noise import Part
from cleanroom.room.stored_releases import DueRelease

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.room.balances import Entry

dp.enable_features("contrib")

RULES = """  - name: all
    parties: {role: member}
    purposes: [audience_overlap]
    analyses: [aggregate, overlap]
    functions: [count_persons, count_rows, sum, avg, var, quantile]
    dimensions: [region, discipline, channel]
    default_epsilon: 0.2
"""
SETTINGS = "purposes: [audience_overlap]\nbudget: {epsilon: 100, delta: 1e-6, window: never}\n"
OWNERS = ("tnm", "francos")
BY_REGION = MEETING.format("a.region, {}", "GROUP BY a.region")
BY_CHANNEL = MEETING.format("a.channel, {}", "GROUP BY a.channel")
TWO = (
    "SELECT a.region, a.n, b.m FROM (SELECT region, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY region) AS a"
    " JOIN (SELECT region, COUNT(*) AS m FROM francos.visits GROUP BY region) AS b ON a.region = b.region"
)
BY_BOTH = "SELECT region, discipline, COUNT(*) AS n FROM tnm.visits GROUP BY 1, 2"
MEDIANS = "MEDIAN(a.amount) AS h, QUANTILE_CONT(a.seats, 0.9) AS q"
Q, K, C = Part.QUANTILES, Part.KEYS, Part.CHOICE
PURE: dict[str, tuple[Question, set[Part]]] = {
    "a count": (asked("SELECT region, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY region"), set()),
    "one number": (asked("SELECT COUNT(*) AS n FROM tnm.visits"), set()),
    "one number of two tables": (asked(MEETING.format("COUNT(*) AS n", "")), set()),
    "numbers": (asked(BY_REGION.format("COUNT(*) AS n, SUM(a.amount) AS s"), epsilon=0.3), set()),
    "signed numbers": (asked(BY_REGION.format("AVG(a.amount) AS s, VAR_POP(a.seats) AS v")), set()),
    "a margin": (asked(BY_REGION.format("COUNT(*) AS n"), margin=200), set()),
    "a median": (asked("SELECT region, MEDIAN(amount) AS h FROM tnm.visits GROUP BY region"), {Q}),
    "medians": (asked(BY_REGION.format(f"{MEDIANS}, COUNT(*) AS n")), {Q}),
    "a quantile of one cell": (asked(MEETING.format("QUANTILE_CONT(a.amount, 0.2) AS q", "")), {Q}),
    "two releases": (asked(TWO), set()),
    "rows": (asked(BY_REGION.format("COUNT(*) AS n"), max_rows_contributed=Auto.AUTO), {C}),
    "rows of means": (asked(BY_REGION.format("AVG(a.amount) AS m"), max_rows_contributed=Auto.AUTO), {C}),
    "rows of medians": (
        asked(BY_REGION.format(f"{MEDIANS}, SUM(a.seats) AS s"), max_rows_contributed=Auto.AUTO),
        {Q, C},
    ),
    "rows of one cell": (asked("SELECT COUNT(*) AS n FROM tnm.visits", max_rows_contributed=Auto.AUTO), {C}),
    "a total": (asked(BY_REGION.format("SUM(a.amount) AS s"), max_sum=Auto.AUTO), {C}),
    "cells": (asked(BY_BOTH, max_groups_contributed=Auto.AUTO), {C}),
}
"""Questions, and what of them has noise besides counts, sums and means."""

ALL = PURE | {
    "keys": (asked("SELECT channel, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY channel"), {K}),
    "keys of two tables": (asked(BY_CHANNEL.format("COUNT(DISTINCT person) AS n"), epsilon=0.5), {K}),
    "numbers by keys": (asked(BY_CHANNEL.format("SUM(a.seats) AS s, MEDIAN(a.amount) AS h"), epsilon=0.5), {K, Q}),
    "rows by keys": (asked(BY_CHANNEL.format("COUNT(*) AS n"), epsilon=0.5, max_rows_contributed=Auto.AUTO), {K, C}),
}
"""Keys without a domain are refused where a delta is 0 (S11)."""


def text(owner: str, *, pure: bool, threshold: int = 0) -> str:
    rules = RULES + (f"    threshold: {threshold}\n" if threshold else "")
    return declaration_text(owner, rules=rules, delta="0" if pure and owner == "tnm" else "1e-7")


def details(question: Question, *, pure: bool = False, threshold: int = 0) -> dict[str, Any]:
    """Return what the log would say of the charge of a question that is drawn in full."""
    room = rulebook(*(read_declaration(text(owner, pure=pure, threshold=threshold).encode()) for owner in OWNERS))
    validated = admit(question, room)
    each = zip(validated.plan.releases, validated.noises, validated.paid, strict=True)
    entered = {
        "actor": "tnm",
        "rules": [[str(table), rule] for table, rule in validated.rules],
        "charges": [[str(charge.account), charge.loss.pico] for charge in validated.charges],
        "deltas": [
            [str(charge.account), str(charge.delta_threshold)] for charge in validated.charges if charge.delta_threshold
        ],
        "releases": [
            release_details(plan, DueRelease(Digest.of(b""), b"", (), Anew(noise, paid))) for plan, noise, paid in each
        ],
    }
    found: dict[str, Any] = json.loads(json.dumps(entered))
    return found


def book(*charged: dict[str, Any], pure: bool = False) -> Book:
    """Read a log with these charges."""
    before: list[Entry] = [(0, EventType.ROOM_CREATED, 0, {"settings": SETTINGS})]
    before += [(1, EventType.TABLE_DECLARED, 0, {"declaration": text(owner, pure=pure)}) for owner in OWNERS]
    return Book.read([*before, *((number, EventType.QUERY_CHARGED, 0, each) for number, each in enumerate(charged, 2))])


def costs_what_is_charged(name: str, *, pure: bool = False, threshold: int = 0) -> None:
    question, besides = ALL[name]
    said = details(question, pure=pure, threshold=threshold)
    found = recorded(said["releases"], {"tnm.visits"} if pure else set())
    charges, deltas = dict(said["charges"]), {account: Fraction(delta) for account, delta in said["deltas"]}
    assert found.due.keys() == charges.keys()
    assert not found.unheld
    assert set(found.due[ROOM].parts) - {Part.VECTOR} == besides
    for account, due in found.due.items():
        # Of a choice the dearest outcome is due; charged are the dearest of each mechanism, all priced alike.
        most = due.steps * (1 + 1e-9) + 2 if Part.CHOICE in due.parts else due.steps
        assert due.steps <= charges[account] <= most, (account, due)
        delta = deltas.get(account, Fraction(0))
        assert due.delta <= delta <= due.delta * 2, account
        assert (Part.KEYS in due.parts) == bool(delta)
    assert book(said, pure=pure).faults == []


@pytest.mark.parametrize("threshold", [0, 20])
@pytest.mark.parametrize("name", ALL)
def test_noise_costs_what_is_charged(name: str, threshold: int) -> None:
    costs_what_is_charged(name, threshold=threshold)


@pytest.mark.parametrize("threshold", [0, 20])
@pytest.mark.parametrize("name", PURE)
def test_pure_noise_costs_what_is_charged(name: str, threshold: int) -> None:
    costs_what_is_charged(name, pure=True, threshold=threshold)


def at(release: dict[str, Any], path: tuple[str | int, ...], change: Callable[[Any], Any]) -> None:
    """Change what stands at a place of an entry."""
    inner: Any = release
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = change(inner[path[-1]])


def less(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """Return a change that halves the scale at a place."""
    return lambda release: at(release, path, lambda scale: (float.fromhex(scale) / 2).hex())


def norm(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """Return a change that doubles the norm at a place."""
    return lambda release: at(release, path, lambda said: str(2 * int(said)))


def now(*path: str | int, is_: object) -> Callable[[dict[str, Any]], None]:
    """Return a change of what is said at a place."""
    return lambda release: at(release, path, lambda _: is_)


def lower(release: dict[str, Any]) -> None:
    release["key_noise"][1] -= 1


TAMPERED: dict[str, tuple[str, Callable[[dict[str, Any]], None], Part | str]] = {
    "half the noise on numbers": ("numbers", less("scale"), Part.VECTOR),
    "twice the norm of numbers": ("numbers", norm("norm"), Part.VECTOR),
    "numbers of either sign": ("numbers", now("signed", is_=True), "tnm.visits"),
    "two numbers for one": ("one number of two tables", now("numbers", is_=2), "francos.visits"),
    "half the noise on a median": ("a median", less("quantile_scales", 0), Q),
    "half the noise on one of two": ("medians", less("quantile_scales", 1), Q),
    "twice the weight in a median": ("medians", norm("quantiles", 0, 3), Q),
    "another fraction": ("medians", now("quantiles", 0, 1, is_=3), Q),
    "more than one cell": ("a quantile of one cell", now("cells", is_=2), "tnm.visits"),
    "half the noise of a choice": ("rows", less("auto", 2), C),
    "a choice that counts both": ("rows", now("auto_counts", is_=[1, 1]), C),
    "half the noise under one bound": ("rows of medians", less("auto_noise", 0, 1), Part.VECTOR),
    "half the noise on a median under one": ("rows of medians", less("auto_noise", 2, 3, 0, 1), Q),
    "half the noise on keys": ("keys", less("key_noise", 0), K),
    "half the noise on keys of two": ("keys of two tables", less("key_noise", 0), K),
    "half the noise of a choice by keys": ("rows by keys", less("auto", 2), C),
    "twice the keys": ("keys", now("distinct_keys", is_=4), K),
}


@pytest.mark.parametrize("tampering", TAMPERED)
def test_an_entry_with_less_noise_than_it_charges_is_named(tampering: str) -> None:
    name, change, named = TAMPERED[tampering]
    said = details(ALL[name][0])
    assert book(said).faults == []
    change(said["releases"][0])
    faults = [each for each in book(said).faults if "entry 2 costs" in each.en and "entrée 2 coûte à" in each.fr]
    words = (
        (f"à {named}", f"costs {named}") if isinstance(named, str) else (f"{named.value.fr} : ", f"{named.value.en}: ")
    )
    assert any(words[0] in each.fr and words[1] in each.en for each in faults), faults


@pytest.mark.parametrize("name", ["keys", "keys of two tables", "numbers by keys", "rows by keys"])
def test_a_lower_threshold_is_named(name: str) -> None:
    said = details(ALL[name][0])
    lower(said["releases"][0])
    faults = book(said).faults
    assert [each.en.split(" less delta")[0].split()[-1] for each in faults] == [each for each, _ in said["charges"]]
    assert all("moins de delta que ses seuils" in each.fr for each in faults)


PURELY: dict[str, tuple[str, Callable[[dict[str, Any]], None], str]] = {
    "half the noise on numbers": ("numbers", less("scale"), "counts, sums and means: "),
    "two numbers instead of one": ("one number of two tables", now("numbers", is_=2), "costs tnm.visits"),
    "half the noise on a median": ("a median", less("quantile_scales", 0), "quantiles: "),
    "one more reading": ("a median", now("quantiles", 0, 2, is_=1 << 17), "costs tnm.visits"),
    "more than one cell": ("a quantile of one cell", now("cells", is_=2), "costs francos.visits"),
    "half the noise of a choice": ("rows", less("auto", 2), "the choice of a bound: "),
    "half the noise under one bound": ("rows", less("auto_noise", 3, 1), "sums and means: "),
    "noise that is not pure": ("numbers", now("pure", is_=False), "draws noise for tnm.visits, whose"),
}


@pytest.mark.parametrize("tampering", PURELY)
def test_a_pure_entry_with_less_noise_than_it_charges_is_named(tampering: str) -> None:
    name, change, en = PURELY[tampering]
    said = details(ALL[name][0], pure=True)
    assert book(said, pure=True).faults == []
    change(said["releases"][0])
    faults = book(said, pure=True).faults
    assert any(en in fault.en for fault in faults), faults


UNREADABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "no scale": ("numbers", {"scale": (0.0).hex()}),
    "an endless scale": ("numbers", {"scale": "inf"}),
    "too large a scale": ("numbers", {"scale": "0x1p99999"}),
    "numbers without a norm": ("numbers", {"norm": "0"}),
    "a norm without numbers": ("numbers", {"numbers": 0}),
    "no tables": ("numbers", {"tables": []}),
    "fewer scales than quantiles": ("medians", {"quantile_scales": []}),
    "no noise on keys": ("keys", {"key_noise": None}),
    "no keys": ("keys", {"distinct_keys": 0}),
    "fewer outcomes than candidates": ("rows", {"auto_noise": []}),
    "a choice that counts nobody": ("rows", {"auto_counts": [0, 0]}),
    "a sign that is none": ("numbers", {"signed": "no"}),
}


@pytest.mark.parametrize("change", UNREADABLE)
def test_what_cannot_be_read_is_named(change: str) -> None:
    name, changed = UNREADABLE[change]
    said = details(ALL[name][0])
    said["releases"][0] |= changed
    (fault,) = book(said).faults
    assert "entry 2 cannot be read" in fault.en
