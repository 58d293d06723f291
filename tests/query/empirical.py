"""An empirical audit: run the whole release many times on neighbouring rooms, and bound the loss from what comes out.

Some of the runs choose an event (a released number beyond a limit, a key that appears, a cell that is withheld, a
direction in which all numbers differ); the others, untouched until then, give Clopper-Pearson bounds p ≥ p' and
q ≤ q' on its probabilities in the two rooms. A mechanism that is ρ-zCDP keeps D_α ≤ ρα for every α > 1, whatever is
computed from its output (Bun and Steinke 2016, Lemma 2.2), hence also between the two coins; up to δ where it is
δ-approximate. So the largest D_α(p'||q')/α over some α is a lower bound on ρ that a sound release exceeds with
probability `FALSE_ALARM` at most. Nothing of how the release works is used, but that runs are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from memory_reader import Row
from rooms import Engine, Room
from seen_losses import ABSENT, FALSE_ALARM, chosen_event, shown

from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.identifiers import Epoch, PartyId, Purpose, Role, TableName
from cleanroom.policies import Declaration, read_declaration
from cleanroom.query.combining import answered
from cleanroom.query.contribution import exact_vector
from cleanroom.query.drawing import draw, picked_bound, released_keys
from cleanroom.query.gate import Question, Rulebook, ValidatedPlan, admit
from cleanroom.query.mechanisms import settled_noise
from cleanroom.query.precision import Auto, precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE = 1_000
"""Runs whose outputs are held at once."""

TABLE = """
table: {owner}.visits
unit: {{name: person, from: courriel, kind: email}}
columns:
  region: {{type: category, domain: [nord, sud, est]}}
  seats: {{type: integer, bounds: [0, 100]}}
  day: {{type: integer, bounds: [1, 100]}}
  channel: {{type: text, nullable: false}}
limits: {{max_rows_per_person: 1000}}
defaults: {{max_rows_contributed: 4, max_groups_contributed: 2}}
budget: {{epsilon: 100000, delta: {delta}, window: never}}
rules:
  - name: all
    parties: {{role: member}}
    purposes: [audit]
    analyses: [aggregate, overlap, sector]
    functions: [count_persons, count_rows, sum, avg, var, quantile]
    dimensions: [region, channel, day]
    threshold: 0
    default_epsilon: 1
"""
OWNERS = ("tnm", "francos", "musee")
TNM, FRANCOS, MUSEE = (TableName(PartyId(owner), "visits") for owner in OWNERS)


def declared(owner: str) -> Declaration:
    """Return an owner's declaration; the museum's budget is pure."""
    return read_declaration(TABLE.format(owner=owner, delta="0" if owner == "musee" else "1e-4").encode())


RULES = Rulebook(
    {each.catalog.table: each for each in map(declared, OWNERS)},
    dict.fromkeys((TNM, FRANCOS, MUSEE), Epoch("1")),
    (Purpose("audit"),),
    (),
)


def room_of(**tables: Sequence[Row]) -> Room:
    """Return a room with these rows at each owner's: (person, (region, seats, day, channel))."""
    catalogs = {table: declaration.catalog for table, declaration in RULES.declarations.items()}
    return Room(catalogs, {table: (tuple(tables.get(str(table.owner), ())),) for table in catalogs})


@dataclass(frozen=True)
class Case:
    """A question, and two rooms that differ by one person everywhere, or at one member."""

    name: str
    sql: str
    epsilon: str
    whole: Room
    without: Room
    hidden_at: TableName | None = None
    asked: tuple[tuple[str, Any], ...] = ()

    def admitted(self) -> ValidatedPlan:
        """Return the plan as the gate issues it."""
        question = Question(
            self.sql,
            None,
            PartyId("tnm"),
            Role.MEMBER,
            Purpose("audit"),
            precision(epsilon=Decimal(self.epsilon)),
            **dict(self.asked),
        )
        return admit(question, RULES)


def release(validated: ValidatedPlan, room: Room) -> Callable[[], dict[str, float]]:
    """Return the whole release path on a room, with fresh noise at each call: what of the answer differs."""
    engines = [Engine(plan) for plan in validated.plan.releases]
    # Public cells: the exact vector is the same each time, only the noise is not; likewise persons by size.
    known: dict[tuple[int, int | None], Any] = {}

    def once() -> dict[str, float]:
        drawn = []
        for number, (engine, noise, paid) in enumerate(zip(engines, validated.noises, validated.paid, strict=True)):
            plan = engine.plan
            charge = next(each for each in paid if each.account == ROOM)
            if (number, None) in known:
                drawn.append(answered(plan, (draw(plan, noise, known[number, None], None, charge),)))
                continue
            with engine.reading(room):
                surviving = released_keys(plan, noise, engine.backend, charge)
                picked = picked_bound(plan, noise, engine.backend, surviving, charge)
                settled = plan.settled(picked)
                exact = known.get((number, picked)) if surviving is None else None
                exact = exact or exact_vector(settled, engine.backend, surviving)
            if surviving is None:
                known[number, picked] = exact
            mine = draw(settled, settled_noise(noise, picked), exact, surviving, charge, picked)
            drawn.append(answered(settled, (mine,)))
        seen: dict[str, float] = {f"picked {at}": float(each.picked or 0) for at, each in enumerate(drawn)}
        # Before what the question says over its releases: that is computed from these numbers alone.
        for number, each in enumerate(drawn):
            for cell in each.cells():
                keys = " ".join([str(number), *map(str, cell.keys)])
                seen[f"# {keys}"] = 1.0
                for place, value in enumerate(cell.values):
                    seen[f"{place} {keys}"] = ABSENT if value.number is None else value.number
        return seen

    return once


def charged(validated: ValidatedPlan, hidden_at: TableName | None) -> tuple[float, float]:
    """Return the rho and the delta that cover the person of a case."""
    account = AccountId(hidden_at)
    due = next(each for each in validated.charges if each.account == account)
    return float(due.rho.as_fraction()), float(due.delta_threshold)


def loss(case: Case, choosing: int, counting: int) -> tuple[float, float]:
    """Return a lower bound on the rho of a case, at `FALSE_ALARM`, and the rho that it was charged.

    Args:
        case: what is asked, and of which rooms.
        choosing: runs in each of the two rooms that choose the events.
        counting: runs in each that count them, and are not kept.
    """
    validated = case.admitted()
    rho, delta = charged(validated, case.hidden_at)
    rooms = [release(validated, room) for room in (case.whole, case.without)]
    labels: dict[str, None] = {}
    whole, without = (_sampled(once, choosing, labels) for once in rooms)
    # Keys of the other room alone were absent in this one.
    whole = np.pad(whole, ((0, 0), (0, len(labels) - whole.shape[1])), constant_values=ABSENT)
    events = chosen_event(whole, without, delta), chosen_event(without, whole, delta)
    hits = np.zeros((2, 2), np.int64)
    for start in range(0, counting, PIECE):
        for room, once in enumerate(rooms):
            piece = _sampled(once, min(PIECE, counting - start), dict(labels))[:, : len(labels)]
            hits[:, room] += [int(event(piece).sum()) for event in events]
    (ours, theirs), (mirrored, ahead) = hits.tolist()
    # Each room comes first once, in two bounds that may both fail.
    alarm = FALSE_ALARM / 2
    return max(shown(ours, theirs, counting, delta, alarm), shown(ahead, mirrored, counting, delta, alarm)), rho


def _sampled(once: Callable[[], dict[str, float]], runs: int, labels: dict[str, None]) -> NDArray[np.float64]:
    """Return a row a run and a column a label; labels that are new get columns behind the others."""
    rows = []
    for _ in range(runs):
        run = once()
        labels.update(dict.fromkeys(run))
        rows.append([run.get(label, ABSENT) for label in labels])
    sample = np.full((runs, len(labels)), ABSENT)
    for row, values in zip(sample, rows, strict=True):
        row[: len(values)] = values
    return sample


def rows(person: int, *given: tuple[str, int, int, str]) -> list[Row]:
    """Return the rows of a person."""
    return [(person, values) for values in given]


def crowd(size: int, start: int = 100) -> list[Row]:
    """Return some ordinary persons."""
    return [(start + each, (("nord", "sud", "est")[each % 3], each % 7, 1 + each % 9, "web")) for each in range(size)]


HEAVY = rows(1, *[("nord", 100, 100, "web")] * 4, *[("sud", 100, 100, "web")] * 4)
"""A person who fills the norm: in full in two cells, at the end of every range."""

SPREAD = rows(1, *[("nord", 100, day, "web") for day in range(1, 101)])
"""A person with one row in each of a hundred cells: what clipping to one leaves of each is a tenth."""

MEDIAN = "SELECT MEDIAN(seats) AS q FROM tnm.visits"
FEW = [row for person in (2, 3) for row in rows(person, ("nord", 20, 1, "web"))]
"""Two persons whom one heavy person outweighs."""

RARE = rows(1, *[("nord", 1, 1, f"aa{letter}") for letter in "abcdefgh"])
KEYS = "SELECT channel, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY channel"
ALONE = (
    "SELECT b.person IS NULL AS alone, COUNT(DISTINCT a.person) AS n FROM tnm.visits AS a "
    "LEFT JOIN francos.visits AS b ON a.person = b.person GROUP BY 1"
)
SIGNED = (
    "SELECT AVG(seats) AS v, COUNT(seats) AS n FROM "
    "(SELECT person, seats FROM tnm.visits UNION ALL SELECT person, seats FROM francos.visits) AS t"
)

MANY = ", ".join(f"SUM(seats + {more}) AS s{more}" for more in range(63))
TWICE = (
    f"SELECT a.region, n, {', '.join(f's{more}' for more in range(63))} "  # noqa: S608
    "FROM (SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region) AS a JOIN "
    f"(SELECT region, {MANY} FROM tnm.visits GROUP BY region) AS b ON a.region = b.region"
)
"""Two releases, the second with sixty-three parts of sixty-four of what is paid."""


def everywhere(name: str, sql: str, epsilon: str = "2.9", mine: Sequence[Row] = HEAVY, **asked: Any) -> Case:
    """Return a case of a person who goes everywhere."""
    others = crowd(60)
    return Case(name, sql, epsilon, room_of(tnm=[*others, *mine]), room_of(tnm=others), None, tuple(asked.items()))


def purely(name: str, sql: str, others: Sequence[Row] = (), epsilon: str = "0.7", **asked: Any) -> Case:
    """Return a case of a person who goes everywhere, of noise that is pure; an epsilon implies rho = epsilon²/2."""
    others = others or crowd(60)
    return Case(name, sql, epsilon, room_of(musee=[*others, *HEAVY]), room_of(musee=others), None, tuple(asked.items()))


def at_one(name: str, sql: str, tnm: Sequence[Row], francos: Sequence[Row], **asked: Any) -> Case:
    """Return a case of a person whose rows at francos go, and whose rows at tnm stay."""
    whole = room_of(tnm=[*crowd(40), *tnm], francos=[*crowd(20), *francos])
    return Case(
        name, sql, "2.9", whole, room_of(tnm=[*crowd(40), *tnm], francos=crowd(20)), FRANCOS, tuple(asked.items())
    )


CASES = {
    case.name: case
    for case in (
        everywhere("counts", "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region"),
        everywhere("sums", "SELECT region, SUM(seats) AS s FROM tnm.visits GROUP BY region"),
        everywhere("mean", "SELECT region, AVG(seats) AS v, COUNT(seats) AS n FROM tnm.visits GROUP BY region"),
        everywhere("variance", "SELECT region, VAR_POP(seats) AS v, COUNT(seats) AS n FROM tnm.visits GROUP BY region"),
        everywhere(
            "together",
            "SELECT region, COUNT(DISTINCT person) AS p, COUNT(*) AS n, SUM(seats) AS s, AVG(seats) AS v "
            "FROM tnm.visits GROUP BY region",
        ),
        Case("median", MEDIAN, "2.9", room_of(tnm=[*FEW, *HEAVY]), room_of(tnm=FEW)),
        Case("median of many values", MEDIAN.replace("seats", "seats * 97"), "2.9", room_of(tnm=[*FEW, *HEAVY]),
             room_of(tnm=FEW)),
        everywhere("count and median", "SELECT COUNT(*) AS n, MEDIAN(seats) AS q FROM tnm.visits"),
        everywhere("two releases", TWICE, "38"),
        everywhere("keys", KEYS, mine=RARE, max_groups_contributed=8),
        everywhere("keys and sums", KEYS.replace("AS n", "AS n, SUM(seats) AS s"),
                   mine=rows(1, *[("nord", 100, 1, "web")] * 4)),
        everywhere("rows chosen", "SELECT COUNT(*) AS n FROM tnm.visits", max_rows_contributed=Auto.AUTO),
        everywhere("total chosen", "SELECT region, SUM(seats) AS s FROM tnm.visits GROUP BY region", max_sum=Auto.AUTO),
        everywhere("cells chosen", "SELECT day, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY day", mine=SPREAD,
                   max_groups_contributed=Auto.AUTO),
        everywhere("a person spread thin", "SELECT day, COUNT(*) AS n FROM tnm.visits GROUP BY day", mine=SPREAD,
                   max_rows_contributed=1, max_groups_contributed=1),
        purely("pure count", "SELECT COUNT(*) AS n FROM musee.visits"),
        purely("pure sums", "SELECT region, SUM(seats) AS s FROM musee.visits GROUP BY region"),
        purely("pure median", MEDIAN.replace("tnm", "musee"), FEW, "1.4"),
        purely("pure medians by region", "SELECT region, MEDIAN(seats) AS q FROM musee.visits GROUP BY region", FEW,
               "1.4"),
        purely("pure rows chosen", "SELECT COUNT(*) AS n FROM musee.visits", max_rows_contributed=Auto.AUTO),
        at_one("moved between cells", ALONE, rows(1, ("nord", 1, 1, "web")), rows(1, ("nord", 1, 1, "web")),
               max_groups_contributed=1),
        at_one("signed", SIGNED, rows(1, *[("nord", 100, 1, "web")]), rows(1, *[("nord", 0, 1, "web")] * 400)),
    )
}  # fmt: skip
