"""The room's side of witnessing: whom it asks, what they said, and what follows when they keep silent.

A witness that is down stops nothing by itself: the room goes on, its receipts bear the cosignatures that there are, and
one entry says that the witness failed, one that it is back. Whoever verifies against a policy of their own sees a state
without its quorum. Where the members set a limit, questions are refused, before anything is charged, once the last
state that a quorum cosigned is older than that; taking data in, withdrawing it and reading the log go on.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import (
    Declined,
    EventType,
    Gathered,
    HttpPoster,
    MalformedPolicy,
    NoSuchEntry,
    Outcome,
    Refusal,
    TrustPolicy,
    gather_cosignatures,
    open_checkpoint,
    store_cosigned,
)
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.identifiers import Digest
from cleanroom.room import registry
from cleanroom.room.answer import Receipt
from cleanroom.room.creation import DATABASE
from cleanroom.room.database import connect, transaction
from cleanroom.room.home import OPERATOR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from audit_log import KnownWitness
    from cleanroom.room.room import Room

PATIENCE_SECONDS: Final = 2.0
"""How long an answer waits for a silent witness, all of them at once."""

RETRY_SECONDS: Final = 60
"""How long a witness that was out of reach is not asked again while an answer waits."""

SILENT: Final = "witnesses_silent"
MOST_WITNESSES: Final = 64
MOST_HOURS: Final = 10_000
_HOUR: Final = 3600
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS witness_policy (id INTEGER PRIMARY KEY CHECK (id = 1), policy BLOB NOT NULL,
    limit_seconds INTEGER, quorum_at INTEGER NOT NULL, log_index INTEGER NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS witness_state (vkey TEXT PRIMARY KEY, size INTEGER NOT NULL, failing TEXT NOT NULL,
    tried INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Whom a room asks.

    Args:
        policy: the witnesses, and which of them are a quorum.
        text: the policy's file.
        limit: seconds without a quorum after which questions are refused; None for no limit.
        quorum_at: Unix time when a quorum had last cosigned, or the witnesses were set.
    """

    policy: TrustPolicy
    text: str
    limit: int | None
    quorum_at: int


@dataclass(frozen=True, slots=True)
class WitnessState:
    """What is known of one witness.

    Args:
        size: the largest state that it cosigned, as far as the room knows.
        failing: why it did not cosign the last time that it was asked, empty if it did.
    """

    witness: KnownWitness
    size: int
    failing: str


@dataclass(frozen=True, slots=True)
class Cosigning:
    """What came of asking.

    Args:
        size: of the state that was shown to the witnesses.
        quorum: whether those that cosigned it are a quorum.
        declined: those that did not, and why.
    """

    size: int
    quorum: bool
    declined: tuple[Declined, ...]


def witnesses_of(connection: sqlite3.Connection) -> Witnesses | None:
    """Return whom a room asks, None for nobody."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'witness_policy'").fetchone()
    row = found and connection.execute("SELECT policy, limit_seconds, quorum_at FROM witness_policy").fetchone()
    return None if row is None else Witnesses(TrustPolicy.parse(row[0]), row[0].decode(), row[1], row[2])


def states_of(connection: sqlite3.Connection, witnesses: Witnesses) -> tuple[WitnessState, ...]:
    """Return what is known of each witness."""
    rows = {vkey: (size, failing) for vkey, size, failing, _ in connection.execute("SELECT * FROM witness_state")}
    return tuple(WitnessState(each, *rows.get(each.verifier.vkey, (0, ""))) for each in witnesses.policy.witnesses)


def set_witnesses(room: Room, content: bytes, *, limit_hours: int | None = None) -> TrustPolicy:
    """Set whom the room asks from now on; entered in the log with the whole policy.

    Args:
        content: a tlog-policy file.
        limit_hours: after how many hours without a quorum questions are refused; None for never.

    Raises:
        UsageError: not such a policy, none of its witnesses has a URL or a quorum, or too many of them.
    """
    try:
        policy = TrustPolicy.parse(content)
        text = content.decode()
    except (MalformedPolicy, UnicodeDecodeError) as error:
        line = error.line if isinstance(error, MalformedPolicy) else 0
        raise UsageError(
            Bilingual(f"ligne {line} : pas une politique de témoins ({error})", f"line {line}: {error}"),
            code="invalid_policy",
        ) from None
    log = room.journal.log.verifier
    if policy.logs and log not in {each.verifier for each in policy.logs}:
        raise UsageError(
            Bilingual("cette politique nomme un autre journal", "this policy names another log"), code="invalid_policy"
        )
    if not 1 <= len(policy.witnesses) <= MOST_WITNESSES or policy.satisfied_by(()):
        raise UsageError(
            Bilingual(
                f"il faut de 1 à {MOST_WITNESSES} témoins, et un quorum qui en exige",
                f"1 to {MOST_WITNESSES} witnesses are needed, and a quorum that demands some",
            ),
            code="invalid_policy",
        )
    with transaction(room.connection):
        for statement in _SCHEMA:
            room.connection.execute(statement)
        now = registry.advance_clock(room.connection, room.now())
        index = room.journal.append(
            room.connection,
            EventType.WITNESSES_SET,
            at=now,
            actor=OPERATOR,
            ordinals=(0,),
            policy=Digest.of(content),
            details={"witnesses": text, "limit_hours": limit_hours},
        )
        limit = None if limit_hours is None else limit_hours * _HOUR
        room.connection.execute(
            "INSERT OR REPLACE INTO witness_policy (id, policy, limit_seconds, quorum_at, log_index)"
            " VALUES (1, ?, ?, ?, ?)",
            (content, limit, now, index),
        )
        # Their addresses may be others now: each is asked at the next occasion.
        room.connection.execute("UPDATE witness_state SET tried = 0")
    room.remember_log()
    return policy


def cosign(room: Room, *, patient: bool = True) -> Cosigning | None:
    """Ask every witness to cosign the newest state, all at once, and keep what they said; None without witnesses.

    What leaves is durable: a signed state that was shown once cannot be taken back.

    Args:
        patient: ask also those that were out of reach a moment ago.
    """
    witnesses = witnesses_of(room.connection)
    if witnesses is None:
        return None
    log = room.journal.log
    note = log.checkpoint(room.connection)
    size = open_checkpoint(note, log.verifier).size
    rows = {vkey: (known, failing, tried) for vkey, known, failing, tried in _states(room.connection)}
    now = room.now()

    def due(witness: KnownWitness) -> bool:
        _, failing, tried = rows.get(witness.verifier.vkey, (0, "", 0))
        return bool(witness.url) and (patient or failing != Refusal.UNREACHABLE or now - tried >= RETRY_SECONDS)

    asked = [each for each in witnesses.policy.witnesses if due(each)]
    sizes = {vkey: known for vkey, (known, _, _) in rows.items()}

    def ask(witness: KnownWitness) -> Gathered:
        def prove(old: int) -> tuple[bytes, ...]:
            with closing(connect(room.path / DATABASE)) as connection:
                return log.consistency_proof(connection, old, size)

        poster = HttpPoster(timeout=PATIENCE_SECONDS)
        return gather_cosignatures(note, log.verifier, [witness], prove, poster, sizes=sizes)

    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        answers = list(pool.map(ask, asked))
    return _keep(room, witnesses, size, list(zip(asked, answers, strict=True)))


def receipt_of(room: Room, index: int) -> Receipt:
    """Return the proof that a durable entry is in the log, cosigned by a quorum of the room's witnesses if they answer.

    What it proves is done and, of a question, paid: whatever fails in asking them must not lose it.
    """
    log = room.journal.log
    with suppress(Exception):
        cosign(room, patient=False)
    try:
        return Receipt(index, log.receipt(room.connection, index, cosigned=True))
    except NoSuchEntry:  # of the last state that has its quorum
        return Receipt(index, log.receipt(room.connection, index))


def require_witnessed(room: Room) -> None:
    """Refuse to go on if the members' limit without a quorum is over; before anything is charged or read.

    Raises:
        Fault: no quorum has cosigned for too long, and none does now.
    """
    witnesses = witnesses_of(room.connection)
    if witnesses is None or witnesses.limit is None:
        return
    if max(room.now(), registry.clock(room.connection)) - witnesses.quorum_at <= witnesses.limit:
        return
    asked = cosign(room)
    if asked is None or not asked.quorum:
        hours = math.ceil(witnesses.limit / _HOUR)
        raise Fault(
            Bilingual(
                f"aucun quorum de témoins n'a contresigné le journal depuis plus de {hours} h : aucune question n'est "
                "répondue avant qu'il ne le fasse ; rien n'a été imputé",
                f"no quorum of witnesses has cosigned the log for more than {hours} h: no question is answered before "
                "it does; nothing was charged",
            ),
            code=SILENT,
        )


def _keep(room: Room, witnesses: Witnesses, size: int, answers: Sequence[tuple[KnownWitness, Gathered]]) -> Cosigning:
    quorum = False
    declined: list[Declined] = []
    with transaction(room.connection):
        now = registry.advance_clock(room.connection, room.now())
        before = {vkey: failing for vkey, _, failing, _ in _states(room.connection)}
        for witness, gathered in answers:
            vkey = witness.verifier.vkey
            why = gathered.declined[0].why.value if gathered.declined else ""
            if not why:
                quorum |= store_cosigned(room.connection, room.journal.log.verifier, gathered.note, witnesses.policy)
            declined += gathered.declined
            if why != before.get(vkey, ""):
                _enter(room, witness, gathered, at=now)
            room.connection.execute(
                "INSERT INTO witness_state (vkey, size, failing, tried) VALUES (?, ?, ?, ?) ON CONFLICT (vkey) DO"
                " UPDATE SET size = max(size, excluded.size), failing = excluded.failing, tried = excluded.tried",
                (vkey, 0 if why else size, why, now),
            )
        if quorum:
            room.connection.execute("UPDATE witness_policy SET quorum_at = ?", (now,))
    return Cosigning(size, quorum, tuple(declined))


def _enter(room: Room, witness: KnownWitness, gathered: Gathered, *, at: int) -> None:
    """Enter that a witness failed, or is back: once for each change."""
    declined = gathered.declined[0] if gathered.declined else None
    room.journal.append(
        room.connection,
        EventType.WITNESS_RETURNED if declined is None else EventType.WITNESS_FAILED,
        at=at,
        actor=OPERATOR,
        outcome=Outcome.OK if declined is None else Outcome.ERROR,
        ordinals=(0,),
        details={
            "witness": witness.verifier.name,
            "why": "" if declined is None else declined.why.value,
            "said": "" if declined is None else declined.said,
        },
    )


def _states(connection: sqlite3.Connection) -> list[tuple[str, int, str, int]]:
    return connection.execute("SELECT vkey, size, failing, tried FROM witness_state").fetchall()
