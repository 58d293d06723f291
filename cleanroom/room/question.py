"""The way of one question, in one screen: signed request, gate, charge and log, keys, slices, noise, log, answer.

Nothing is read before the reservation and its entry are durable; nothing leaves before the entry of its release is.
A refusal is logged too, and what it says does not depend on rows: it is made before any partition is opened (S12, S42).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from audit_log import EventType, Outcome
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId
from cleanroom.accounting.privacy_loss import Rho, epsilon_of
from cleanroom.errors import Bilingual, CleanroomError, Fault, InvariantBroken, Refused
from cleanroom.identifiers import Purpose
from cleanroom.query.contribution import exact_vector
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.gate import Question, ValidatedPlan, admit
from cleanroom.query.noise import add_noise
from cleanroom.query.notes import notes
from cleanroom.query.precision import precision
from cleanroom.query.release import NoisedRelease
from cleanroom.room import registry
from cleanroom.room.answer import AccountCost, Answer, Preview, Receipt, answer_table, noise_scales, preview_margins
from cleanroom.room.charge import Charged, charge, open_data_keys
from cleanroom.room.database import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.accounting.reservation import Reservation
    from cleanroom.errors import Refusal
    from cleanroom.identifiers import TableName, UploadId
    from cleanroom.query.parse import ParameterValue
    from cleanroom.room.room import Room
    from cleanroom.room.signed_request import SignedRequest
    from cleanroom.storage.partition_store import PartitionReader
    from key_management import SecretKey

TICK_SECONDS: Final = 0.25


def ask(room: Room, request: SignedRequest) -> Answer:
    """Answer a signed question.

    Raises:
        NotVerified: the request is not signed by its party.
        Refused: with every reason; logged, nothing charged, no data touched.
        Fault: something failed; if it was charged, it stays charged.
    """
    connection = room.connection
    party = room.verified(request)
    try:
        # One transaction, so that the rules, versions and balances that admit the question are those it is charged by.
        with transaction(connection):
            now = room.take(request)
            validated = admit(question_of(request, party), registry.rulebook(connection))
            charged = charge(connection, room.journal, validated, request, at=now)
    except Refused as refused:
        _log_refusal(room, request, refused)
        raise
    started = time.monotonic()
    try:
        keys = open_data_keys(connection, room.keyring, room.journal, charged, at=room.now())
        release = _release(room, charged, keys)
        table, suppressed = answer_table(release)
        wait_for_tick(started)
        index = _log_release(room, charged, release)
    except BaseException as error:
        wait_for_tick(started)
        _log_failure(room, charged, error)
        if isinstance(error, Exception):
            # What failed may depend on rows, so the analyst learns only that it did (S23).
            raise failed_after_charge() from error
        raise
    return Answer(
        table,
        suppressed,
        validated.epsilon,
        noise_scales(release),
        notes(validated.plan),
        costs(room, validated, charged.reservation),
        Receipt(index, room.journal.log.receipt(connection, index)),
    )


def wait_for_tick(started: float) -> None:
    """Wait until a whole number of ticks has passed since `started`, so that durations tell no more than that (S42).

    Args:
        started: `time.monotonic()` before data was read.
    """
    elapsed = time.monotonic() - started
    time.sleep(math.ceil(elapsed / TICK_SECONDS) * TICK_SECONDS - elapsed)


def preview(room: Room, request: SignedRequest) -> Preview:
    """Say what a signed question would cost and how precise it would be; charges nothing, reads no data (S41)."""
    connection = room.connection
    party = room.verified(request)
    try:
        validated = admit(question_of(request, party), registry.rulebook(connection))
    except Refused as refused:
        _log_refusal(room, request, refused)
        raise
    with transaction(connection):
        now = room.take(request)
        room.journal.append(
            connection,
            EventType.QUERY_PREVIEWED,
            at=now,
            actor=request.party,
            ordinals=_ordinals(room, validated),
            policy=validated.policy_digest,
            purpose=validated.purpose,
            details=_request_details(request),
        )
        left = [ledger.balance(connection, each.account, now).left.pico // each.rho.pico for each in validated.charges]
        left += [
            ledger.party_left(connection, cap, now).pico // each.rho.pico
            for cap in validated.caps
            for each in validated.charges
            if each.account == cap.account
        ]
    bounds = validated.plan.bounds
    return Preview(
        preview_margins(validated),
        notes(validated.plan),
        bounds.cells,
        bounds.max_rows,
        bounds.max_groups,
        validated.epsilon,
        costs(room, validated, None),
        min(left),
    )


def check(room: Room, request: SignedRequest, lines: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Decide each line of a file of questions; reads no data, charges nothing; one log entry for the file."""
    connection = room.connection
    party = room.verified(request)
    book = registry.rulebook(connection)
    decisions = []
    for line in lines:
        content = {**request.content, "sql": line.get("sql"), "parameters": line.get("params")}
        identity = line.get("id")
        try:
            validated = admit(_question(content, party), book)
        except Refused as refused:
            decisions.append({"id": identity, "admitted": False, "refusals": [described(r) for r in refused.refusals]})
            continue
        decisions.append({"id": identity, "admitted": True, "refusals": [], "releases": [release_facts(validated)]})
    with transaction(connection):
        room.journal.append(
            connection,
            EventType.QUERY_PREVIEWED,
            at=room.take(request),
            actor=request.party,
            ordinals=(party.ordinal,),
            purpose=Purpose(str(request.content.get("purpose"))),
            details={
                **_request_details(request),
                "questions": len(decisions),
                "admitted": sum(1 for decision in decisions if decision["admitted"]),
            },
        )
    return decisions


def release_facts(validated: ValidatedPlan) -> dict[str, object]:
    """Return what an admitted question releases: statistics, cells, bounds, norm, price."""
    plan = validated.plan
    return {
        "statistics": [type(statistic).__name__ for statistic in plan.statistics],
        "cells": plan.bounds.cells,
        "max_rows_contributed": plan.bounds.max_rows,
        "max_groups_contributed": plan.bounds.max_groups,
        "norm": plan.bounds.norm,
        "threshold": plan.bounds.threshold,
        "epsilon": validated.epsilon,
        "plan": str(plan.digest()),
    }


def described(refusal: Refusal) -> dict[str, object]:
    """Return a refusal as JSON has it, in both languages."""
    hint = refusal.hint
    return {
        "code": refusal.code,
        "message": {"fr": refusal.message.fr, "en": refusal.message.en},
        "position": None
        if refusal.position is None
        else {"line": refusal.position.line, "column": refusal.position.column},
        "hint": None if hint is None else {"fr": hint.fr, "en": hint.en},
    }


def question_of(request: SignedRequest, party: registry.Party) -> Question:
    """Read a question from a signed request."""
    return _question(request.content, party)


def _question(content: Mapping[str, object], party: registry.Party) -> Question:
    sql, purpose = content.get("sql"), content.get("purpose")
    rows, groups = content.get("max_rows_contributed"), content.get("max_groups_contributed")
    return Question(
        sql if isinstance(sql, str) else "",
        _exact_parameters(content.get("parameters")),
        party.party,
        party.role,
        Purpose(purpose if isinstance(purpose, str) else ""),
        precision(epsilon=_exact(content.get("epsilon")), margin=_exact(content.get("margin"))),
        rows if isinstance(rows, int) or rows is None else -1,
        groups if isinstance(groups, int) or groups is None else -1,
    )


def _exact(value: object) -> object:
    """Return a signed content's number as exact as it was signed: `["decimal", text]` stands for a Decimal."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == "decimal":
        try:
            return Decimal(str(value[1]))
        except ArithmeticError:
            return value  # a list of two texts that only looks like a number; the parser refuses lists
    return value


def _exact_parameters(parameters: object) -> Sequence[ParameterValue] | dict[str, ParameterValue] | None:
    if parameters is None:
        return None
    if isinstance(parameters, dict):
        return {str(name): _parameter(value) for name, value in parameters.items()}
    if isinstance(parameters, (list, tuple)):
        return [_parameter(value) for value in parameters]
    return ["?"] * 0


def _parameter(value: object) -> ParameterValue:
    exact = _exact(value)
    if isinstance(exact, float):
        return Decimal(repr(exact))
    return exact  # type: ignore[return-value]  # query.parse refuses every other type


def _release(room: Room, charged: Charged, keys: Mapping[UploadId, SecretKey]) -> NoisedRelease:
    """Compute, bound and noise a charged plan; the only use of the exact vector."""
    validated = charged.validated
    with ExitStack() as opened:
        readers: dict[TableName, list[PartitionReader]] = {table: [] for table in validated.plan.tables}
        for upload in charged.uploads:
            reader = room.store.open(room.stored(upload), keys[upload.upload])
            opened.callback(reader.close)
            readers[upload.table].append(reader)
        tables = {table: (charged.catalogs[table], readers[table]) for table in validated.plan.tables}
        rows = sum(upload.manifest.row_count for upload in charged.uploads)
        exact = exact_vector(validated.plan, DuckDBBackend(tables, rows))
    room_charge = next(each.rho for each in validated.charges if each.account == AccountId(None))
    steps = add_noise(exact.values, norm=validated.plan.bounds.norm, scale=validated.scale, charged=room_charge)
    return NoisedRelease(validated.plan, validated.scale, steps)


def _log_release(room: Room, charged: Charged, release: NoisedRelease) -> int:
    digest = hashlib.sha256(json.dumps(release.steps).encode()).hexdigest()
    with transaction(room.connection):
        ledger.mark_released(room.connection, charged.reservation.reservation_id)
        return room.journal.append(
            room.connection,
            EventType.QUERY_RELEASED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=charged.validated.party,
            ordinals=_ordinals(room, charged.validated),
            policy=charged.validated.policy_digest,
            purpose=charged.validated.purpose,
            caused_by=charged.log_index,
            details={"request": charged.reservation.reservation_id, "answer": f"sha256:{digest}"},
        )


def _log_failure(room: Room, charged: Charged, error: BaseException) -> None:
    """Enter that a charged question failed; what failed is in the sealed details, for the operator alone."""
    cause = f"{error.code}: {error.message.en}" if isinstance(error, CleanroomError) else type(error).__name__
    with transaction(room.connection):
        held = ledger.reservation(room.connection, charged.reservation.reservation_id)
        if held is None:
            raise InvariantBroken("a charged plan has no reservation")
        ledger.mark_failed(room.connection, held.reservation_id)
        room.journal.append(
            room.connection,
            EventType.QUERY_FAILED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=charged.validated.party,
            outcome=Outcome.ERROR,
            ordinals=_ordinals(room, charged.validated),
            purpose=charged.validated.purpose,
            caused_by=charged.log_index,
            details={"request": held.reservation_id, "cause": cause},
        )


def _log_refusal(room: Room, request: SignedRequest, refused: CleanroomError) -> None:
    reasons = refused.refusals if isinstance(refused, Refused) else ()
    with transaction(room.connection):
        now = room.take(request)
        party = registry.party_named(room.connection, request.party)
        room.journal.append(
            room.connection,
            EventType.QUERY_REFUSED,
            at=now,
            actor=request.party,
            outcome=Outcome.REFUSED,
            ordinals=(party.ordinal,),
            details={**_request_details(request), "reasons": [each.code for each in reasons]},
        )


def _request_details(request: SignedRequest) -> dict[str, object]:
    return {
        "request": request.request_id,
        "signature": request.signature.hex(),
        "action": request.action,
        "content": dict(request.content),
        "requested_at": request.at,
    }


def _ordinals(room: Room, validated: ValidatedPlan) -> set[int]:
    known = registry.parties(room.connection)
    owners = {table.owner for table in validated.plan.tables} | {validated.party}
    return {known[owner].ordinal for owner in owners}


def costs(room: Room, validated: ValidatedPlan, reservation: Reservation | None) -> tuple[AccountCost, ...]:
    """Return what each account pays: of a reservation that was entered, or of one that would be."""
    lines = []
    for each in validated.charges:
        balance = ledger.balance(room.connection, each.account, room.now())
        entered = reservation is not None
        before = Rho(max(0, balance.spent_window.pico - each.rho.pico)) if entered else balance.spent_window
        lifetime = balance.spent_lifetime if entered else balance.spent_lifetime + each.rho
        delta: Fraction = balance.budget.delta_conversion
        lines.append(
            AccountCost(
                str(each.account),
                str(each.rho),
                epsilon_of(each.rho, delta),
                str(before),
                str(before + each.rho),
                str(balance.rho_max),
                epsilon_of(lifetime, delta),
                str(balance.budget.epsilon),
            )
        )
    return tuple(lines)


def failed_after_charge() -> Fault:
    """Return the one message for whatever failed after data was read."""
    return Fault(
        Bilingual(
            "la question a échoué après avoir été imputée au budget ; elle le reste, l'opérateur trouve la cause",
            "the question failed after it was charged; it stays charged, the operator finds the cause",
        ),
        code="failed_after_charge",
    )
