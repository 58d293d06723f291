"""Keep each draw that left the room, encrypted, and find it again for whoever asks for the same numbers (S39, S40).

A draw is stored in the transaction of the log entry that lets it leave: what left is stored, what is not stored never
left. So a question killed in between costs again only if nothing of it can have left, and one killed after is answered
for nothing by what is stored.

What is stored is of the tables as they are: a new version, a withdrawal or a declaration takes away, in its own
transaction and log entry, the stored draws of that table, whatever they were and whether or not the rows changed (S5).
They could not be asked for any more, since version and declaration are in the reuse key; so their keys are destroyed.
What they cost stays spent (S4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cleanroom.accounting.account import combined
from cleanroom.errors import InvariantBroken
from cleanroom.query.combining import answered
from cleanroom.query.drawn import Kept, damaged_answer
from cleanroom.query.gate import is_genuine
from cleanroom.query.reuse import Added, Answered, Due, TableState, combinable, due, reuse_key
from cleanroom.room import answer_store, registry
from key_management import KeyManagementError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from cleanroom.accounting.account import Charge
    from cleanroom.identifiers import Digest, TableName
    from cleanroom.policies import Declaration
    from cleanroom.query.drawn import Drawn
    from cleanroom.query.gate import ValidatedPlan
    from cleanroom.query.plan import Plan
    from cleanroom.query.release import NoisedRelease
    from cleanroom.room.room import Room


@dataclass(frozen=True, slots=True)
class DueRelease:
    """What is still to be drawn of a release.

    Args:
        tag: what the key's draws are stored under.
        names: of the stored draws that were found for it.
    """

    key: Digest
    tag: bytes
    names: tuple[str, ...]
    due: Due


@dataclass(frozen=True, slots=True)
class QuestionDue:
    """What is still to be drawn and paid of a question.

    Attributes:
        paid: what each release costs now.
        charges: what they cost together; nothing if all is answered already.
    """

    releases: tuple[DueRelease, ...]
    paid: tuple[tuple[Charge, ...], ...] = field(init=False)
    charges: tuple[Charge, ...] = field(init=False)

    def __post_init__(self) -> None:
        paid = tuple(() if isinstance(each.due, Answered) else each.due.paid for each in self.releases)
        object.__setattr__(self, "paid", paid)
        object.__setattr__(self, "charges", combined(charge for charges in paid for charge in charges))

    def tables(self, plans: Sequence[Plan]) -> tuple[TableName, ...]:
        """Return the tables that what is still to be drawn reads, sorted."""
        drawn = [plan for plan, each in zip(plans, self.releases, strict=True) if not isinstance(each.due, Answered)]
        return tuple(sorted({table for plan in drawn for table in plan.tables}))

    def answers(self, plans: Sequence[Plan]) -> tuple[NoisedRelease, ...]:
        """Return the stored answers of a question of which nothing is to be drawn."""
        found = []
        for plan, each in zip(plans, self.releases, strict=True):
            if not isinstance(each.due, Answered):
                raise InvariantBroken("a release that is not stored is answered from the store")
            found.append(answered(plan, each.due.stored))
        return tuple(found)


def due_of(room: Room, validated: ValidatedPlan) -> QuestionDue:
    """Return what of an admitted question is answered already: by anybody's question, to whom the gate admits (S40).

    The gate has judged this party's own rules, at this moment, with their own bounds and threshold; these are in the
    reuse key, so a party that would get other numbers, or none, finds nothing.

    Raises:
        Fault: a stored draw does not open or is not what was stored; nothing was charged.
    """
    if not is_genuine(validated):
        raise InvariantBroken("this plan was not issued by the gate")
    declared = registry.declarations(room.connection)
    found = []
    for plan, noise, paid in zip(validated.plan.releases, validated.noises, validated.paid, strict=True):
        key = reuse_key(room.room_id, plan, noise, states(room.connection, declared, plan.tables))
        tag = answer_store.tag_of(room, key)
        stored = _stored(room, key, tag)
        _require_decisions(plan, [kept for _, kept in stored])
        still = due(plan, noise, paid, tuple(kept.drawn for _, kept in stored))
        found.append(DueRelease(key, tag, tuple(name for name, _ in stored), still))
    return QuestionDue(tuple(found))


def states(
    connection: sqlite3.Connection, declared: Mapping[TableName, Declaration], tables: Sequence[TableName]
) -> tuple[TableState, ...]:
    """Return what the tables are now, as far as an answer depends on it.

    Args:
        declared: the declarations in force, read in the same transaction.
    """
    return tuple(
        TableState(
            table,
            registry.version(connection, table),
            tuple(sorted({each.manifest.epoch for each in registry.uploads(connection, table)})),
            declared[table].digest,
        )
        for table in tables
    )


def keep(
    room: Room, request_id: str, validated: ValidatedPlan, asked: QuestionDue, drawn: Mapping[int, Drawn]
) -> dict[str, object]:
    """Store the draws of a question that is about to leave, inside the transaction of its log entry.

    A draw on a version that has passed meanwhile is not stored: nobody can ask for it any more.

    Args:
        drawn: by the number of its release.

    Returns:
        What the log entry says of it: the names and digests of what is stored, the names of what it takes the place of.
    """
    entered: list[list[str]] = []
    gone: list[str] = []
    for number, draw in sorted(drawn.items()):
        plan, each = validated.plan.releases[number], asked.releases[number]
        if _passed(room, plan, validated, number, each.key):
            continue
        if not isinstance(each.due, Added) and (each.names or not combinable(plan)):
            gone += answer_store.remove(room, [name for name, _ in answer_store.rows(room, each.tag)])
        before = [kept.drawn for _, kept in _stored(room, each.key, each.tag)]
        kept = Kept(draw, answered(plan, [*before, draw]).withheld())
        name = f"{request_id}/{number}"
        entered.append([name, answer_store.enter(room, name, each.key, each.tag, plan.tables, kept.encode())])
    gone += answer_store.remove(room, answer_store.excess(room.connection))
    return {"stored": [each for each in entered if each[0] not in gone], "answers_removed": gone}


def _passed(room: Room, plan: Plan, validated: ValidatedPlan, number: int, key: Digest) -> bool:
    declared = registry.declarations(room.connection)
    if not set(plan.tables) <= declared.keys():
        return True
    now = states(room.connection, declared, plan.tables)
    return reuse_key(room.room_id, plan, validated.noises[number], now) != key


def _stored(room: Room, key: Digest, tag: bytes) -> list[tuple[str, Kept]]:
    """Return the draws of a reuse key with their names, the oldest first."""
    found = []
    for name, sealed in answer_store.rows(room, tag):
        try:
            found.append((name, Kept.decode(answer_store.opened(room, name, key, sealed))))
        except KeyManagementError:
            raise damaged_answer() from None
    return found


def _require_decisions(plan: Plan, stored: Sequence[Kept]) -> None:
    """Check that what is withheld is what was decided when the draws were stored (S37)."""
    if not stored:
        return
    choices = 0 if plan.bounds.choice is None else len(plan.bounds.choice.candidates)
    if any(
        (kept.drawn.picked is None) != (not choices) or (kept.drawn.picked or 0) >= max(1, choices) for kept in stored
    ):
        raise damaged_answer()
    together = [[each.drawn for each in stored]] if combinable(plan) else [[each.drawn] for each in stored]
    decided = [stored[-1].withheld] if combinable(plan) else [each.withheld for each in stored]
    for draws, withheld in zip(together, decided, strict=True):
        if answered(plan, draws).withheld() != withheld:
            raise damaged_answer()
