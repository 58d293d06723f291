"""Ask the room the questions of utility: admitted and priced as ever, the exact sums taken once, the noise drawn anew.

Asked through a session, a second run would be the first one's stored answer. The same rows lie in two tables: one has
a budget with a delta, the other a pure one.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bench.data import DISCIPLINES, REGIONS
from bench.utility_data import DAYS, FIRST_DAY, VENUES
from cleanroom.accounting.account import ROOM
from cleanroom.identifiers import PartyId, Purpose, Role, TableName
from cleanroom.query.combining import answered
from cleanroom.query.consistent import consistent
from cleanroom.query.contribution import exact_vector
from cleanroom.query.drawing import draw, picked_bound, released_keys
from cleanroom.query.finishing import answer_rows
from cleanroom.query.gate import Question, admit
from cleanroom.query.mechanisms import settled_noise
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.precision import Auto, precision
from cleanroom.room import Home, Room, registry, upload
from key_management import KeyId, KeyKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.utility_data import Sales
    from cleanroom.query.contribution import ExactVector
    from cleanroom.query.plan import QuestionPlan
    from cleanroom.query.release import NoisedRelease

MEMBER: Final = PartyId("billetterie")
TABLE: Final = TableName(MEMBER, "sales")
PURE: Final = TableName(MEMBER, "sales_pure")
DELTAS: Final = {TABLE: "2e-7", PURE: "0"}
SETTINGS: Final = b"purposes: [statistics]\nbudget: {epsilon: 1000, delta: 2e-7, window: never}\n"
DECLARATION: Final = f"""\
table: TABLE
unit: {{name: person, from: courriel, kind: email}}
columns:
  venue: {{type: integer, bounds: [1, {VENUES}]}}
  discipline: {{type: category, domain: [{", ".join(DISCIPLINES)}]}}
  region: {{type: category, domain: [{", ".join(REGIONS)}]}}
  purchased: {{type: date, range: [{FIRST_DAY}, {FIRST_DAY.fromordinal(FIRST_DAY.toordinal() + DAYS - 1)}]}}
  tickets: {{type: integer, bounds: [1, 8]}}
  amount: {{type: decimal, resolution: 0.01, bounds: [0, 250], unit: CAD}}
limits: {{max_rows_per_person: 300}}
defaults: {{max_rows_contributed: 10, max_groups_contributed: 2}}
budget: {{epsilon: 1000, delta: DELTA, window: never}}
rules:
  - name: everything that is measured
    parties: [{MEMBER}]
    purposes: [statistics]
    analyses: [aggregate]
    functions: [count_persons, count_rows, sum, avg, quantile]
    dimensions: [region, discipline, venue]
    threshold: 0
    default_epsilon: 1
"""
"""Half of delta is for thresholds, which no question here has: an epsilon is read at 1e-7, as the peers'."""


def questions_of(table: TableName) -> dict[str, str]:
    """Return the questions, asked of one of the tables."""
    both = f"FROM {table} WHERE venue = 1 AND person IN (SELECT person FROM {table} WHERE venue = 2)"
    return {
        "Q1": f"SELECT COUNT(*) AS n FROM {table}",
        "Q2": f"SELECT COUNT(DISTINCT person) AS n FROM {table}",
        "Q3": f"SELECT region, COUNT(DISTINCT person) AS n FROM {table} GROUP BY region",
        "Q4": f"SELECT discipline, SUM(amount) AS n FROM {table} GROUP BY discipline",
        "Q5": f"SELECT region, discipline, AVG(amount) AS n FROM {table} GROUP BY region, discipline",
        "Q6": f"SELECT MEDIAN(amount) AS n FROM {table}",
        "Q7": f"SELECT COUNT(DISTINCT person) AS n {both}",
        "Q8": f"SELECT region, COUNT(DISTINCT person) AS n {both} GROUP BY region",
    }


ROLLED: Final = f"SELECT region, discipline, COUNT(*) AS n FROM {TABLE} GROUP BY ROLLUP (region, discipline)"
SQL: Final = questions_of(TABLE)

Cells = dict[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the bounds it is asked with; None for the table's defaults."""

    sql: str
    max_rows: int | Auto | None = None
    max_groups: int | Auto | None = None
    max_sum: Decimal | Auto | None = None
    table: TableName = TABLE
    epsilon: Decimal = Decimal(1)


def house(directory: Path, data: Sales) -> Room:
    """Return a room with the tables of sales, made under `directory`."""
    room = Room.create(directory / "room", home=Home(directory / "home"), settings=SETTINGS)
    room.add_party(MEMBER, Role.MEMBER)
    for table, delta in DELTAS.items():
        room.declare(DECLARATION.replace("TABLE", str(table)).replace("DELTA", delta).encode())
        upload(room, table, data.csv)
    return room


def released(room: Room, asked: Asked, runs: int) -> list[Cells]:
    """Return the answers of `runs` releases with fresh noise, by cell."""
    return [_cells(plan, release) for plan, release in _releases(room, asked, runs)]


def added_up(room: Room, asked: Asked, runs: int) -> list[tuple[Cells, Cells]]:
    """Return the same answers as they were drawn, and with cells that add up to their totals."""
    return [
        (_cells(plan, release), _cells(plan, consistent(release))) for plan, release in _releases(room, asked, runs)
    ]


def _cells(plan: QuestionPlan, release: NoisedRelease) -> Cells:
    shown = answer_rows(plan, (release,), {}).rows
    return {"/".join(str(each.value) for each in row[:-1]) or "all": _number(row[-1].value) for row in shown}


def _releases(room: Room, asked: Asked, runs: int) -> Iterator[tuple[QuestionPlan, NoisedRelease]]:
    validated = admit(question_of(asked), registry.rulebook(room.connection))
    (plan,), (noise,), (paid,) = validated.plan.releases, validated.noises, validated.paid
    charge = next(each for each in paid if each.account == ROOM)
    with ExitStack() as until:
        backend = opened(room, asked.table, until)
        surviving = released_keys(plan, noise, backend, charge)
        exact: dict[int | None, ExactVector] = {}
        for _ in range(runs):
            picked = picked_bound(plan, noise, backend, surviving, charge)
            settled = plan.settled(picked)
            if picked not in exact:
                exact[picked] = exact_vector(settled, backend, surviving)
            drawn = draw(settled, settled_noise(noise, picked), exact[picked], surviving, charge, picked)
            yield validated.plan, answered(settled, (drawn,))


def question_of(asked: Asked) -> Question:
    """Return the question as the member asks it."""
    return Question(
        asked.sql,
        None,
        MEMBER,
        Role.MEMBER,
        Purpose("statistics"),
        precision(epsilon=asked.epsilon),
        asked.max_rows,
        asked.max_groups,
        max_sum=asked.max_sum,
    )


def opened(room: Room, table: TableName, until: ExitStack) -> MergeBackend:
    """Return what reads a table of the room, open as long as `until` is."""
    uploads = registry.uploads(room.connection, table)
    readers = []
    for each in uploads:
        key = room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.upload))
        readers.append(room.store.open(room.stored(each), key))
        until.callback(readers[-1].close)
    catalog = registry.declarations(room.connection)[table].catalog
    return MergeBackend({table: (catalog, readers)}, sum(each.manifest.row_count for each in uploads))


def _number(value: object) -> float:
    if not isinstance(value, float):
        raise TypeError(f"no number: {value!r}")
    return value
