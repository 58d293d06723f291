"""What the log says of a question: its release, its failure, its refusal, and the request as it was signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from audit_log import EventType, Outcome
from cleanroom.accounting import ledger
from cleanroom.accounting.reservation import ReservationState
from cleanroom.errors import CleanroomError, InvariantBroken, Refused
from cleanroom.identifiers import Digest
from cleanroom.room import registry, stored_releases
from cleanroom.room.database import transaction

if TYPE_CHECKING:
    from cleanroom.identifiers import PartyId
    from cleanroom.query.drawn import Drawn
    from cleanroom.query.gate import ValidatedPlan
    from cleanroom.query.release import NoisedRelease
    from cleanroom.room.charge import Charged
    from cleanroom.room.room import Room
    from cleanroom.room.signed_request import SignedRequest
    from cleanroom.room.stored_releases import QuestionDue

LARGEST_LOGGED_REQUEST: Final = 1 << 18
DEEPEST_LOGGED_REQUEST: Final = 8


def log_release(room: Room, charged: Charged, releases: tuple[NoisedRelease, ...], drawn: Mapping[int, Drawn]) -> int:
    """Enter that an answer is about to leave, and store what was drawn for it (S40); return the entry's index.

    Args:
        drawn: the draws made for it, by the number of their release.
    """
    request_id = charged.reservation.reservation_id
    with transaction(room.connection):
        ledger.mark_released(room.connection, request_id)
        stored = stored_releases.keep(room, request_id, charged.validated, charged.due, drawn)
        return room.journal.append(
            room.connection,
            EventType.QUERY_RELEASED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=charged.validated.party,
            ordinals=ordinals_of(room, charged.validated),
            policy=charged.validated.policy_digest,
            purpose=charged.validated.purpose,
            caused_by=charged.log_index,
            details={
                "request": request_id,
                "answer": answer_digest(releases),
                **_picked(releases),
                **stored,
            },
        )


def _picked(releases: tuple[NoisedRelease, ...]) -> dict[str, object]:
    """Return which bounds were chosen, by release; nothing where there was none to choose."""
    picked = [each.picked for each in releases]
    return {} if set(picked) <= {None} else {"picked": picked}


def answer_digest(releases: tuple[NoisedRelease, ...]) -> str:
    """Return the digest of an answer's numbers."""
    digest = hashlib.sha256(json.dumps([each.content() for each in releases]).encode()).hexdigest()
    return f"sha256:{digest}"


def log_reuse(
    room: Room,
    validated: ValidatedPlan,
    due: QuestionDue,
    releases: tuple[NoisedRelease, ...],
    request: SignedRequest,
    *,
    at: int,
) -> int:
    """Enter that stored answers are about to leave again, inside the transaction that took the request.

    Its cohorts count as answered from now on: whoever asked first may have been under rules that have none (S43).
    """
    for cohort in validated.cohorts:
        registry.remember_cohort(room.connection, cohort)
    return room.journal.append(
        room.connection,
        EventType.QUERY_REUSED,
        at=at,
        actor=validated.party,
        # No `key.used` follows that would say whose data is in it: the bits are those of the owners alone.
        ordinals=owners_of(room, validated),
        policy=validated.policy_digest,
        purpose=validated.purpose,
        details={
            **request_details(request),
            "purpose": validated.purpose,
            "plan": str(validated.plan.digest()),
            "rules": [[str(table), rule] for table, rule in validated.rules],
            "versions": [
                [str(table), each.number]
                for table in validated.plan.tables
                for each in registry.uploads(room.connection, table)
            ],
            "from": [list(each.names) for each in due.releases],
            "cohorts": [sorted(cohort) for cohort in validated.cohorts],
            "answer": answer_digest(releases),
            **_picked(releases),
        },
    )


def log_failure(room: Room, charged: Charged, error: BaseException) -> None:
    """Enter that a charged question failed; what failed is in the sealed details, for the operator alone."""
    cause = f"{error.code}: {error.message.en}" if isinstance(error, CleanroomError) else type(error).__name__
    with transaction(room.connection):
        held = ledger.reservation(room.connection, charged.reservation.reservation_id)
        if held is None:
            raise InvariantBroken("a charged plan has no reservation")
        if held.state is ReservationState.RELEASED:
            return
        ledger.mark_failed(room.connection, held.reservation_id)
        room.journal.append(
            room.connection,
            EventType.QUERY_FAILED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=charged.validated.party,
            outcome=Outcome.ERROR,
            ordinals=ordinals_of(room, charged.validated),
            purpose=charged.validated.purpose,
            caused_by=charged.log_index,
            details={"request": held.reservation_id, "cause": cause},
        )


def log_refusal(room: Room, request: SignedRequest, refused: CleanroomError) -> None:
    """Enter a question that was refused, or could not be charged, with the codes of its reasons."""
    reasons = [each.code for each in refused.refusals] if isinstance(refused, Refused) else [refused.code]
    with transaction(room.connection):
        now = room.take(request)
        party = registry.party_named(room.connection, request.party)
        room.journal.append(
            room.connection,
            EventType.QUERY_REFUSED,
            at=now,
            actor=request.party,
            outcome=Outcome.REFUSED if isinstance(refused, Refused) else Outcome.ERROR,
            ordinals=(party.ordinal,),
            details={**request_details(request), "reasons": reasons},
        )


def request_details(request: SignedRequest) -> dict[str, object]:
    """Return a request as the log keeps it: whole, or its digest where it is too large to be an honest question."""
    encoded = request.encode()
    content: object = dict(request.content)
    if len(encoded) > LARGEST_LOGGED_REQUEST or _nesting(content) > DEEPEST_LOGGED_REQUEST:
        content = {"bytes": len(encoded), "digest": str(Digest.of(encoded))}
    return {
        "request": request.request_id,
        "signature": request.signature.hex(),
        "action": request.action,
        "content": content,
        "requested_at": request.at,
    }


def _nesting(value: object) -> int:
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return 1 + max((_nesting(child) for child in children), default=0)


def check_digest(lines: Sequence[object]) -> str:
    """Return the digest that a `check` request is signed over."""
    return str(Digest.of(encoded_lines(lines).encode()))


def encoded_lines(lines: Sequence[object]) -> str:
    """Return the questions of a `check` as canonical JSON."""
    return json.dumps(lines, sort_keys=True, ensure_ascii=True, default=repr)


def ordinals_of(room: Room, validated: ValidatedPlan) -> set[int]:
    """Return the log's ordinals of the asker and of every owner touched."""
    return _ordinals(room, {validated.party, *(table.owner for table in validated.plan.tables)})


def owners_of(room: Room, validated: ValidatedPlan) -> set[int]:
    """Return the log's ordinals of the owners whose tables are read."""
    return _ordinals(room, {table.owner for table in validated.plan.tables})


def _ordinals(room: Room, parties: set[PartyId]) -> set[int]:
    known = registry.parties(room.connection)
    return {known[each].ordinal for each in parties}
