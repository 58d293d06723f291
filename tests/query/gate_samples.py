"""Owners' declarations, a room's rules, and questions put to its gate."""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line
from __future__ import annotations

from typing import Any

from cleanroom.errors import Refused
from cleanroom.identifiers import Epoch, PartyId, Purpose, Role
from cleanroom.policies import Declaration, read_declaration
from cleanroom.query.gate import Question, Rulebook, admit
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


def declaration_text(owner: str, **words: Any) -> str:
    """Return an owner's declaration of visits, as its owner writes it."""
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
    return TABLE.format(owner=owner, **{**ordinary, **words})


def declaration(owner: str, **words: Any) -> Declaration:
    """Return an owner's declaration of visits."""
    return read_declaration(declaration_text(owner, **words).encode())


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
