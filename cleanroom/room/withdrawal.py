"""Take a whole table back: no version has its uploads any more, its declaration ends, its keys are destroyed.

Stored answers that read the table are destroyed in the same transaction. What was spent on it stays spent, and charged
answers stay charged: declaring the table again finds its account as it was left, and meanwhile its spending counts
against each of the owner's other tables, of whatever name (S4).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId
from cleanroom.errors import Bilingual, NotVerified, UsageError
from cleanroom.room import registry
from cleanroom.room.answer import Receipt
from cleanroom.room.answer_store import take_away
from cleanroom.room.database import transaction
from cleanroom.room.locks import taking_in
from cleanroom.room.retirement import finish, retire
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.witnesses import receipt_of

if TYPE_CHECKING:
    from cleanroom.identifiers import PartyId, TableName
    from cleanroom.room.room import Room

ACTION: Final = "withdraw"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What an owner gets for taking a table back.

    Args:
        number: the table's version from now on, which has no rows.
        retired: how many uploads left with it.
        finished: whether keys and files are gone already; if not, the next opening sees to it.
    """

    table: TableName
    number: int
    retired: int
    finished: bool
    receipt: Receipt


def sign_withdrawal(room: Room, party: PartyId, table: TableName) -> SignedRequest:
    """Sign, with the party's key on this machine, that a table as it is now is taken back."""
    return SignedRequest.sign(
        room.home.signing_key(party),
        room=room.room_id,
        party=party,
        action=ACTION,
        content={"table": str(table), "version": registry.version(room.connection, table)},
        at=room.now(),
    )


def withdraw(room: Room, request: SignedRequest) -> Withdrawal:
    """Take a table back, as its owner signed.

    Raises:
        UsageError: the party has no such table, or it has moved on since the request was signed.
        NotVerified: the request is not signed by its party, or was taken before.
    """
    party = room.verified(request, ACTION)
    with taking_in(room.path):
        with transaction(room.connection):
            now = room.take(request)
            declared = registry.declarations(room.connection)
            table = next((each for each in declared if str(each) == request.content.get("table")), None)
            if table is None or table.owner != party.party:
                # Another member's table and none at all read the same.
                raise UsageError(
                    Bilingual(f"{party.party} n'a pas cette table", f"{party.party} has no such table"),
                    code="unknown_table",
                )
            version = registry.version(room.connection, table)
            if request.content.get("version") != version:
                raise NotVerified(
                    Bilingual(
                        f"{table} a changé depuis la signature de la demande",
                        f"{table} has changed since the request was signed",
                    ),
                    code="table_moved_on",
                )
            uploads = registry.uploads(room.connection, table)
            answers = take_away(room, table)
            index = room.journal.append(
                room.connection,
                EventType.DATASET_WITHDRAWN,
                at=now,
                actor=party.party,
                ordinals=(party.ordinal,),
                policy=declared[table].digest,
                details={
                    "table": str(table),
                    "number": version + 1,
                    "retires": [each.upload for each in uploads],
                    "answers_removed": answers,
                    **request.entered(),
                },
            )
            room.connection.execute(
                "INSERT INTO withdrawal (table_name, number, declaration, log_index)"
                " SELECT ?1, ?2, max(version), ?3 FROM declaration WHERE table_name = ?1",
                (str(table), version + 1, index),
            )
            ledger.end_account(room.connection, AccountId(table))
            retire(room.connection, uploads, number=version + 1, log_index=index)
        # It is done: that this machine could not note the checkpoint must not lose the receipt.
        with suppress(OSError):
            room.remember_log()
        receipt = receipt_of(room, index)
        return Withdrawal(table, version + 1, len(uploads), finish(room), receipt)
