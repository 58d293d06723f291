"""The way of one question, in one screen: signed request, gate, charge and log, keys, slices, noise, log, answer.

Nothing is read before the reservation and its entry are durable; nothing leaves before the entry of its release is,
and with that entry what was drawn is stored. What is answered already is neither read nor paid again (S40).
A refusal is logged too, and what it says does not depend on rows: it is made before any partition is opened (S12, S42).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.accounting.privacy_loss import Rho, shown_epsilon
from cleanroom.catalog.reference import DAMAGED
from cleanroom.errors import Bilingual, Fault, NotVerified, Refused
from cleanroom.query.combining import answered
from cleanroom.query.consistent import PREVIEWED, consistency_notes, consistent
from cleanroom.query.contribution import exact_vector
from cleanroom.query.drawing import draw, picked_bound, released_keys
from cleanroom.query.drawn import STORED_DAMAGED, Drawn
from cleanroom.query.finishing import require_runnable
from cleanroom.query.gate import ValidatedPlan, admit
from cleanroom.query.mechanisms import settled_noise
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.notes import question_notes
from cleanroom.query.refusals import described, refusal
from cleanroom.query.release import NoisedRelease
from cleanroom.query.reuse import Added, Answered, noise_answered, noise_with, source_of
from cleanroom.room import references, registry
from cleanroom.room.admission import Admission
from cleanroom.room.affordability import lacking, possible
from cleanroom.room.answer import (
    AccountCost,
    Answer,
    Preview,
    answer_table,
    known,
    least_margins,
    noise_scales,
    preview_margins,
    preview_split,
    rank_margins,
)
from cleanroom.room.charge import Charged, charge, open_data_keys
from cleanroom.room.database import transaction
from cleanroom.room.provenance import provenance, versions_of
from cleanroom.room.question_entries import (
    LARGEST_LOGGED_REQUEST,
    check_digest,
    encoded_lines,
    log_failure,
    log_refusal,
    log_release,
    log_reuse,
    ordinals_of,
    request_details,
)
from cleanroom.room.question_reader import asks_margin, question_from, question_of
from cleanroom.room.stored_releases import QuestionDue, due_of
from cleanroom.room.witnesses import SILENT, receipt_of, require_witnessed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Digest, TableName, UploadId
    from cleanroom.room.registry import Party
    from cleanroom.room.room import Room
    from cleanroom.room.signed_request import SignedRequest
    from cleanroom.storage.partition_store import PartitionReader
    from key_management import SecretKey

TICK_SECONDS: Final = 0.25
PARTITION_MISSING: Final = "partition_missing"


def ask(room: Room, request: SignedRequest) -> Answer:
    """Answer a signed question.

    Raises:
        NotVerified: the request is not signed by its party.
        Refused: with every reason; logged, nothing charged, no data touched.
        Fault: something failed; if it was charged, it stays charged.
    """
    connection = room.connection
    party = room.verified(request, "query")
    try:
        require_witnessed(room)
        # One transaction, so that the rules, versions and balances that admit the question are those it is charged by.
        with transaction(connection):
            now = room.take(request)
            book = registry.rulebook(connection)
            validated = admit(question_of(request, party), book)
            read = references.tables_of(connection, validated.plan)
            catalogs = {table: book.declarations[table].catalog for table in validated.plan.tables}
            require_runnable(validated.plan, read, catalogs)
            due = due_of(room, validated)
            versions = versions_of(connection, validated)
            if due.charges:
                charged = charge(connection, room.journal, validated, due, request, at=now)
                _require_partitions(room, charged)
            else:
                charged, releases = None, due.answers(validated.plan.releases)
                index = log_reuse(room, validated, due, releases, request, at=now)
    except Refused as refused:
        log_refusal(room, request, refused)
        raise
    except Fault as fault:
        if fault.code in {PARTITION_MISSING, DAMAGED, SILENT, STORED_DAMAGED}:
            log_refusal(room, request, fault)
        raise
    if charged is None:
        shown = _shown(validated, releases)
        table, suppressed = answer_table(validated.plan, shown, read)
    else:
        shown, table, suppressed, index = _paid_answer(room, charged, read)
    # The answer is paid and logged; that this machine could not note the checkpoint must not lose it.
    with suppress(OSError):
        room.remember_log()
    noises = [noise_answered(each.due, one.picked) for each, one in zip(due.releases, shown, strict=True)]
    settled = replace(validated.plan, releases=tuple(each.plan for each in shown))
    return Answer(
        table,
        suppressed,
        due_epsilon(room, validated, due),
        noise_scales(validated.plan, shown),
        question_notes(validated.plan, settled.releases, noises)
        + (consistency_notes(shown) if validated.consistent else ()),
        costs(room, validated, due, entered=True),
        provenance(validated, due, shown, versions, at=now),
        receipt_of(room, index),
        tuple(source_of(each.due) for each in due.releases),
        rank_margins(settled, noises),
    )


def _paid_answer(
    room: Room, charged: Charged, read: Mapping[Digest, ReferenceTable]
) -> tuple[tuple[NoisedRelease, ...], DataFrame, int, int]:
    """Return what a charged question answers: its releases as shown, table, number of withheld cells, log entry."""
    started = time.monotonic()
    try:
        room.remember_log()
        keys = open_data_keys(room.connection, room.keyring, room.journal, charged, at=room.now())
        releases, drawn = _releases(room, charged, keys, read)
        shown = _shown(charged.validated, releases)
        table, suppressed = answer_table(charged.validated.plan, shown, read)
        wait_for_tick(started)
        return shown, table, suppressed, log_release(room, charged, releases, drawn)
    except BaseException as error:
        wait_for_tick(started)
        # If even this cannot be entered, the reservation stays open and the next opening enters it as failed.
        with suppress(Exception):
            log_failure(room, charged, error)
        if isinstance(error, Exception):
            # What failed may depend on rows: the analyst learns only that it did, by one message (S23).
            raise failed_after_charge() from None
        raise


def _shown(validated: ValidatedPlan, releases: tuple[NoisedRelease, ...]) -> tuple[NoisedRelease, ...]:
    """Return what is shown of releases: as they are logged and stored, or with cells that add up."""
    return tuple(map(consistent, releases)) if validated.consistent else releases


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
    party = room.verified(request, "preview")
    try:
        validated = admit(question_of(request, party), registry.rulebook(connection))
    except Refused as refused:
        log_refusal(room, request, refused)
        raise
    except Fault as fault:
        if fault.code == DAMAGED:
            log_refusal(room, request, fault)
        raise
    with transaction(connection):
        now = room.take(request)
        due = due_of(room, validated)
        room.journal.append(
            connection,
            EventType.QUERY_PREVIEWED,
            at=now,
            actor=request.party,
            ordinals=ordinals_of(room, validated),
            policy=validated.policy_digest,
            purpose=validated.purpose,
            details={**request_details(request), "from": [list(each.names) for each in due.releases]},
        )
        left = possible(connection, validated, now)
        declared = registry.declarations(connection)
        short = lacking(connection, validated, due.charges, declared, now, by_margin=asks_margin(request))
    bounds = [release.bounds for release in validated.plan.releases]
    plan, noises = known(validated, due), [noise_with(each.due) for each in due.releases]
    return Preview(
        preview_margins(validated, due),
        question_notes(validated.plan, plan.releases, noises) + ((PREVIEWED,) if validated.consistent else ()),
        sum(each.cells for each in bounds),
        max(each.max_rows for each in bounds),
        max(each.max_groups for each in bounds),
        due_epsilon(room, validated, due),
        costs(room, validated, due, entered=False),
        min(each.questions for each in left),
        left,
        *preview_split(validated),
        () if short is None else short.refusals,
        least_margins(validated, due),
        tuple(source_of(each.due) for each in due.releases),
        rank_margins(plan, noises),
    )


def check(room: Room, request: SignedRequest, lines: Sequence[object]) -> list[dict[str, object]]:
    """Decide each line of a file of questions; reads no data, charges nothing; one log entry for the file.

    The texts of others are read by a worker that may be killed (`room.admission`); it gets neither keys nor the room.

    Args:
        lines: as `check_digest` digests them; the signed request holds that digest.
    """
    connection = room.connection
    party = room.verified(request, "check")
    if request.content.get("questions") != check_digest(lines):
        raise NotVerified(
            Bilingual("ces questions ne sont pas celles qui ont été signées", "these are not the questions signed"),
            code="request_not_signed",
        )
    try:
        book = registry.rulebook(connection)
        with Admission(book) as admission:
            decisions = [_decided(line, request, party, admission) for line in lines]
    except Fault as fault:
        if fault.code == DAMAGED:
            log_refusal(room, request, fault)
        raise
    with transaction(connection):
        room.journal.append(
            connection,
            EventType.QUERY_PREVIEWED,
            at=room.take(request),
            actor=request.party,
            ordinals=(party.ordinal,),
            purpose=next((each for each in book.purposes if each == request.content.get("purpose")), None),
            details={
                **request_details(request),
                "lines": len(decisions),
                "asked": asked if len(asked := encoded_lines(lines)) <= LARGEST_LOGGED_REQUEST else "",
                "admitted": sum(1 for decision in decisions if decision["admitted"]),
            },
        )
    return decisions


def _decided(line: object, request: SignedRequest, party: Party, admission: Admission) -> dict[str, object]:
    if not isinstance(line, Mapping):
        return {"id": None, "admitted": False, "refusals": [described(refusal("not_a_select"))]}
    content = {**request.content, "sql": line.get("sql"), "parameters": line.get("params")}
    try:
        decided = admission.decide(question_from(content, party))
    except Refused as refused:
        decided = {"admitted": False, "refusals": [described(each) for each in refused.refusals]}
    return {"id": line.get("id"), **decided}


def _releases(
    room: Room, charged: Charged, keys: Mapping[UploadId, SecretKey], read: Mapping[Digest, ReferenceTable]
) -> tuple[tuple[NoisedRelease, ...], dict[int, Drawn]]:
    """Compute, bound and noise what is due of a charged plan; the only use of the exact vectors.

    Returns:
        The releases, and what was drawn for them, by the number of the release.
    """
    validated = charged.validated
    drawn: dict[int, Drawn] = {}
    with ExitStack() as opened:
        readers: dict[TableName, list[PartitionReader]] = {
            table: [] for table in charged.due.tables(validated.plan.releases)
        }
        for upload in charged.uploads:
            reader = room.store.open(room.stored(upload), keys[upload.upload])
            opened.callback(reader.close)
            readers[upload.table].append(reader)
        found = []
        for number, (plan, each) in enumerate(zip(validated.plan.releases, charged.due.releases, strict=True)):
            if isinstance(each.due, Answered):
                found.append(answered(plan, each.due.stored))
                continue
            noise, paid = each.due.noise, each.due.paid
            tables = {table: (charged.catalogs[table], readers[table]) for table in plan.tables}
            rows = sum(upload.manifest.row_count for upload in charged.uploads if upload.table in tables)
            backend = MergeBackend(tables, rows, memory=room.memory, references=read)
            room_charge = next(charge for charge in paid if charge.account == AccountId(None))
            surviving = released_keys(plan, noise, backend, room_charge)
            picked = picked_bound(plan, noise, backend, surviving, room_charge)
            settled, settled_with = plan.settled(picked), settled_noise(noise, picked)
            exact = exact_vector(settled, backend, surviving)
            made = draw(settled, settled_with, exact, surviving, room_charge, picked)
            drawn[number] = made
            earlier = each.due.stored if isinstance(each.due, Added) else ()
            found.append(answered(plan, [*earlier, made]))
    return tuple(found), drawn


def _require_partitions(room: Room, charged: Charged) -> None:
    """Undo the charge if a partition is missing or cut short; sizes are the manifest's, no row is read."""
    for upload in charged.uploads:
        path = room.store.path(room.stored(upload))
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None or not S_ISREG(found.st_mode) or found.st_size != upload.manifest.file.size_bytes:
            raise Fault(
                Bilingual(
                    f"une partition de {upload.table} manque ou est tronquée ; rien n'a été imputé",
                    f"a partition of {upload.table} is missing or cut short; nothing was charged",
                ),
                code=PARTITION_MISSING,
            )


def due_epsilon(room: Room, validated: ValidatedPlan, due: QuestionDue) -> float:
    """Return the largest charge due on any account, as an epsilon at the smallest conversion delta; 0 for none."""
    if not due.charges:
        return 0.0
    pure = [charge.loss for charge in due.charges if not isinstance(charge.loss, Rho)]
    if pure:
        # A pure question's epsilon is its own: what others pay for it in rho follows from it (S11).
        return max(shown_epsilon(loss, Fraction(0)) for loss in pure)
    budgets = [ledger.budget_of(room.connection, each.account) for each in validated.charges if each.account != ROOM]
    smallest = min(budget.delta_conversion for budget in budgets)
    return max(shown_epsilon(charge.loss, smallest) for charge in due.charges)


def costs(room: Room, validated: ValidatedPlan, due: QuestionDue, *, entered: bool) -> tuple[AccountCost, ...]:
    """Return what each account pays now, of what the question costs in full: zero for what is answered already.

    Args:
        entered: whether it was charged, or only would be.
    """
    lines = []
    paid = {charge.account: charge.loss for charge in due.charges}
    for each in validated.charges:
        balance = ledger.balance(room.connection, each.account, room.now())
        kind = type(each.loss)
        loss = paid.get(each.account, kind(0))
        before = kind(max(0, balance.spent_window.pico - (loss.pico if entered else 0)))
        lifetime = kind(balance.spent_lifetime.pico + (0 if entered else loss.pico))
        delta: Fraction = balance.budget.delta_conversion
        lines.append(
            AccountCost(
                str(each.account),
                str(loss),
                shown_epsilon(loss, delta) if loss.pico else 0.0,
                str(before),
                str(kind(before.pico + loss.pico)),
                str(balance.rho_max),
                shown_epsilon(lifetime, delta),
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
