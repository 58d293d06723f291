"""Charge a validated plan, before any key is opened: reservation and log entry in one transaction.

A `Charged` value is issued here alone, and only while the ledger holds its reservation; opening a partition's key asks
the ledger again, for this reservation and this plan's digest (model: authority is a value you were handed).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, final

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.reservation import InsufficientBudget, Reservation, ReservationState
from cleanroom.errors import InvariantBroken
from cleanroom.query.gate import ValidatedPlan, is_genuine
from cleanroom.query.reuse import Answered, source_of
from cleanroom.room import registry
from cleanroom.room.affordability import explained
from cleanroom.room.database import transaction
from cleanroom.room.question_reader import asks_margin
from key_management import KeyId, KeyKind, Keyring, SecretKey

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import TableName, UploadId
    from cleanroom.query.bound import Bounds
    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan
    from cleanroom.room.journal import Journal
    from cleanroom.room.registry import Upload
    from cleanroom.room.signed_request import SignedRequest
    from cleanroom.room.stored_releases import DueRelease, QuestionDue


@final
class Charged:
    """A plan whose missing draws are paid for, the uploads they may read, and the log entry that says so."""

    __slots__ = ("catalogs", "due", "log_index", "reservation", "uploads", "validated")

    validated: ValidatedPlan
    due: QuestionDue
    reservation: Reservation
    uploads: tuple[Upload, ...]
    catalogs: Mapping[TableName, TableCatalog]
    log_index: int

    def __new__(cls) -> Charged:
        """Refuse: only `charge` issues one."""
        raise InvariantBroken("a Charged plan is issued by the ledger's room")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise InvariantBroken("a Charged plan does not change")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise InvariantBroken("a Charged plan is neither copied nor pickled")


def charge(
    connection: sqlite3.Connection,
    journal: Journal,
    validated: ValidatedPlan,
    due: QuestionDue,
    request: SignedRequest,
    *,
    at: int,
) -> Charged:
    """Reserve what is still to be drawn of a plan and log the intent; inside the caller's transaction.

    The uploads are read in the same transaction, so the versions logged are the versions read.

    Raises:
        InsufficientBudget: some account cannot pay; nothing was charged.
    """
    if not is_genuine(validated):
        raise InvariantBroken("this plan was not issued by the gate")
    plan = validated.plan
    digest = plan.digest()
    declared = registry.declarations(connection)
    try:
        reservation = ledger.reserve(
            connection,
            reservation_id=request.request_id,
            plan_digest=digest,
            party=validated.party,
            charges=due.charges,
            caps=validated.caps,
            at=at,
        )
    except InsufficientBudget as short:
        raise explained(short.shortfalls, validated, declared, by_margin=asks_margin(request)) from None
    for cohort in validated.cohorts:
        registry.remember_cohort(connection, cohort)
    taken_in = {table: registry.uploads(connection, table) for table in plan.tables}
    uploads = tuple(upload for table in due.tables(plan.releases) for upload in taken_in[table])
    known = registry.parties(connection)
    owners = {table.owner for table in plan.tables} | {validated.party}
    index = journal.append(
        connection,
        EventType.QUERY_CHARGED,
        at=reservation.at,
        actor=validated.party,
        ordinals=(known[owner].ordinal for owner in owners),
        policy=validated.policy_digest,
        purpose=validated.purpose,
        details={
            "request": request.request_id,
            "action": request.action,
            "signature": request.signature.hex(),
            "content": dict(request.content),
            "requested_at": request.at,
            "purpose": validated.purpose,
            "plan": str(digest),
            "rules": [[str(table), rule] for table, rule in validated.rules],
            "versions": [[str(table), upload.number] for table in plan.tables for upload in taken_in[table]],
            "references": [[table.name, str(table.digest)] for table in plan.references],
            "releases": [
                release_details(release, each) for release, each in zip(plan.releases, due.releases, strict=True)
            ],
            "cohorts": [sorted(cohort) for cohort in validated.cohorts],
            "charges": [[str(each.account), each.loss.pico] for each in reservation.charges],
            "deltas": [
                [str(each.account), str(each.delta_threshold)] for each in reservation.charges if each.delta_threshold
            ],
        },
    )
    charged: Charged = object.__new__(Charged)
    for name, value in {
        "validated": validated,
        "due": due,
        "reservation": reservation,
        "uploads": uploads,
        "catalogs": {table: declared[table].catalog for table in plan.tables},
        "log_index": index,
    }.items():
        object.__setattr__(charged, name, value)
    return charged


def release_details(release: Plan, each: DueRelease) -> dict[str, object]:
    """Return the public bounds of one release, the stored draws it is made of, and the scales of what is drawn.

    Whoever checks the charge has nothing else to go by (`noise_cost`, docs/spec/charges.md).
    """
    bounds = release.bounds
    answered: dict[str, object] = {
        "plan": str(release.digest()),
        "from": list(each.names),
        "source": source_of(each.due).value,
    }
    if isinstance(each.due, Answered):
        return answered
    noise = each.due.noise
    return {
        **answered,
        "tables": [str(table) for table in release.tables],
        "cells": bounds.cells,
        "max_rows": bounds.max_rows,
        "max_groups": bounds.max_groups,
        "norm": str(bounds.norm),
        "pure": bounds.pure,
        "numbers": len(bounds.components),
        "signed": bounds.signed,
        "scale": noise.scale.hex(),
        "quantiles": [[each.below, each.above, each.candidates, str(each.norm)] for each in bounds.quantiles],
        "quantile_scales": [scale.hex() for scale in noise.quantiles],
        "distinct_keys": bounds.distinct_keys,
        "key_noise": None if noise.keys is None else [noise.keys.scale.hex(), noise.keys.threshold],
        "threshold": bounds.threshold,
        **_choice_details(bounds, noise),
    }


def _choice_details(bounds: Bounds, noise: Noise) -> dict[str, object]:
    """Return how a bound is to be chosen, where one is, and for each candidate what would be drawn then."""
    if bounds.choice is None or noise.choice is None:
        return {}
    choice = bounds.choice
    return {
        "auto": [choice.sized.value, list(choice.candidates), noise.choice.scale.hex(), noise.choice.target],
        "auto_counts": [choice.above, choice.below],
        "auto_noise": [
            _outcome_details(bounds_then, noise_then)
            for bounds_then, noise_then in zip(choice.bounds, noise.choice.settled, strict=True)
        ],
    }


def _outcome_details(bounds: Bounds, noise: Noise) -> list[object]:
    pairs = zip(bounds.quantiles, noise.quantiles, strict=True)
    quantiles = [[str(each.norm), scale.hex()] for each, scale in pairs]
    return [str(bounds.norm), noise.scale.hex(), bounds.signed, quantiles]


def open_data_keys(
    connection: sqlite3.Connection, keyring: Keyring, journal: Journal, charged: Charged, *, at: int
) -> Mapping[UploadId, SecretKey]:
    """Log the use of the keys of a charged plan's uploads, durably, then unwrap them and no others.

    Returns:
        For each upload's id its data key.
    """
    reservation_id = charged.reservation.reservation_id
    with transaction(connection):
        held = ledger.reservation(connection, reservation_id)
        if (
            held is None
            or held.state is not ReservationState.RESERVED
            or held.plan_digest != charged.validated.plan.digest()
            or held.charges != charged.reservation.charges
            or not is_genuine(charged.validated)
            or not {upload.table for upload in charged.uploads} <= set(charged.validated.plan.tables)
        ):
            raise InvariantBroken("the ledger holds no open reservation for this plan")
        ledger.mark_data_read(connection, reservation_id)
        known = registry.parties(connection)
        journal.append(
            connection,
            EventType.KEY_USED,
            at=registry.advance_clock(connection, at),
            actor=charged.validated.party,
            ordinals={known[upload.table.owner].ordinal for upload in charged.uploads},
            caused_by=charged.log_index,
            details={"request": reservation_id, "uploads": [upload.upload for upload in charged.uploads]},
        )
    return {upload.upload: keyring.open(connection, KeyId(KeyKind.DATA, upload.upload)) for upload in charged.uploads}
