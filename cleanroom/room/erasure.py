"""Erase people from a member's tables: every table of the member gets a new version, whoever was in it (S5).

Two entries, each before its effect. `key.used` is durable before a data key is opened; then every file of the member is
written anew under a fresh key that is in memory only. `dataset.erased` commits with the new versions: from then on no
version has the old files, their keys are destroyed and they are removed, now or at the next opening (`retirement`).
Killed before it, the room is as it was, and what was written opens with no key there is. Nothing of who was erased is
kept: the sealed list is dropped, the log holds a commitment whose opening nobody keeps (`partition.erasure`).

What is done, entered, said and shown is a function of the request and of what is public: which tables and how many
files. Whether anybody of the list was there changes the bytes of the new files and nothing else. Stored answers that
read these tables are destroyed either way; what was spent stays spent (S4), no account changes.

The new files are the room's. Each is bound to what its member signed: its manifest names the package that it is made
from and the request, the entry holds the request's signature and the digest of each new manifest, and the scan holds
it to the declaration as it does any file (S7).
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.errors import Bilingual, CleanroomError, Fault, NotVerified, UsageError
from cleanroom.identifiers import Digest, ErasureGround, UploadId
from cleanroom.partition.erasure import ErasureList
from cleanroom.partition.intent import Erase
from cleanroom.room import registry
from cleanroom.room.answer import Receipt
from cleanroom.room.answer_store import take_away
from cleanroom.room.database import transaction
from cleanroom.room.locks import taking_in
from cleanroom.room.retirement import finish, remove_orphans, retire
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.witnesses import receipt_of
from cleanroom.storage.erasure import rewrite
from key_management import KeyId, KeyKind, SecretKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanroom.identifiers import PartyId, RoomId, TableName
    from cleanroom.room.home import Home
    from cleanroom.room.registry import Party, Upload
    from cleanroom.room.room import Room
    from cleanroom.storage.partition_store import StoredPartition

ACTION: Final = "erase"
_FIELDS: Final = frozenset({"ground", "tables", "list"})


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """What a member hands to the room: what it signed, and the list that it signed for, sealed to the room."""

    request: SignedRequest
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Erased:
    """A table of an erasure.

    Args:
        before: its version when the member signed.
        number: its version from now on.
    """

    table: TableName
    before: int
    number: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a member gets for an erasure: the same whether anybody of the list was there.

    Args:
        at: Unix time in seconds, the log's.
        leaf: the log's entry, which `receipt` proves.
        finished: whether old keys and files are gone already; if not, the next opening sees to it.
    """

    request: SignedRequest
    ground: ErasureGround
    tables: tuple[Erased, ...]
    at: int
    leaf: bytes
    receipt: Receipt
    finished: bool


@dataclass(frozen=True, slots=True)
class _Rewritten:
    """A file written anew, and the key that opens it, which the record is about to keep."""

    old: Upload
    made: StoredPartition
    key: SecretKey


def sign_erasure(
    home: Home,
    room: RoomId,
    transport_key: bytes,
    party: PartyId,
    ground: ErasureGround,
    tables: Mapping[TableName, int],
    listed: ErasureList,
    *,
    at: int,
) -> ErasureOrder:
    """Sign, with the party's key on this machine, that people are erased from all its tables as they are.

    Args:
        transport_key: the room's public key for sealing, 1216 bytes.
        tables: every declared table of the party with its version.

    Raises:
        Fault: the signing key is not here.
    """
    request = SignedRequest.sign(
        home.signing_key(party),
        room=room,
        party=party,
        action=ACTION,
        content={
            "ground": ground.value,
            "tables": [[str(table), tables[table]] for table in sorted(tables)],
            "list": listed.commitment(),
        },
        at=at,
    )
    return ErasureOrder(request, listed.sealed(transport_key, room, party))


def versions_of(room: Room, party: PartyId) -> dict[TableName, int]:
    """Return every declared table of a party, in order, and its version."""
    mine = sorted(table for table in registry.declarations(room.connection) if table.owner == party)
    return {table: registry.version(room.connection, table) for table in mine}


def erase(room: Room, order: ErasureOrder) -> Erasure:
    """Erase people from every table of a member, as it signed.

    Raises:
        NotVerified: the request is not signed by its party, was taken before, its list is another, or its tables have
            moved on since; or a file was altered.
        UsageError: the party has no table, the request another form, the ground is none, or the list is of other
            epochs than the files.
        Fault: a file is missing, the disk or the database failed; the tables are as they were.
    """
    party = room.verified(order.request, ACTION)
    ground = _ground(order.request)
    with taking_in(room.path):
        listed = ErasureList.opened(
            order.sealed,
            room.room_id,
            party.party,
            str(order.request.content.get("list")),
            room.transport_key().open,
        )
        _require_epochs(room, party, listed)
        before, opened = _enter(room, party, order.request)
        with suppress(OSError):
            remove_orphans(room)
        rewritten = _rewrite(room, order.request, before, listed)
        index = _record(room, party, order.request, ground, before, rewritten, opened)
        # It is done: that this machine could not note the checkpoint must not lose the receipt.
        with suppress(OSError):
            room.remember_log()
        return Erasure(
            order.request,
            ground,
            tuple(Erased(table, number, number + 1) for table, number in before.items()),
            room.journal.log.entry(room.connection, index).event.t,
            room.journal.log.leaf(room.connection, index),
            receipt_of(room, index),
            finish(room),
        )


def _ground(request: SignedRequest) -> ErasureGround:
    if set(request.content) != _FIELDS:
        # The log keeps what was signed: nothing may be said in it beside what is asked.
        raise UsageError(
            Bilingual("cette demande d'effacement n'a pas la forme voulue", "this order to erase is not of its form"),
            code="no_erasure_order",
        )
    try:
        return ErasureGround(str(request.content.get("ground")))
    except ValueError:
        known = ", ".join(ErasureGround)
        raise UsageError(
            Bilingual(f"base légale inconnue ; il y a : {known}", f"unknown legal ground; there is: {known}"),
            code="unknown_ground",
        ) from None


def _require_epochs(room: Room, party: Party, listed: ErasureList) -> None:
    """Refuse a list that could not find anybody in some of the party's files: their people have other tokens (S10)."""
    uploads = (each for each in registry.uploads(room.connection) if each.table.owner == party.party)
    lacking = {each.manifest.epoch for each in uploads} - {each.epoch for each in listed.groups}
    for epoch in sorted(lacking):
        raise UsageError(
            Bilingual(
                f"la demande n'a aucun jeton de l'époque {epoch}, que des dépôts ont ; sa clé d'appariement manquait",
                f"the order has no tokens of epoch {epoch}, which uploads have; its linkage key was missing",
            ),
            code="linkage_key_missing",
        )


def _enter(room: Room, party: Party, request: SignedRequest) -> tuple[dict[TableName, int], int]:
    """Take the request and enter that keys are opened for it; return the tables' versions and the entry's index."""
    with transaction(room.connection):
        now = room.take(request)
        before = _required(room, party, request)
        uploads = [each.upload for table in before for each in registry.uploads(room.connection, table)]
        index = room.journal.append(
            room.connection,
            EventType.KEY_USED,
            at=now,
            actor=party.party,
            ordinals=(party.ordinal,),
            details={
                "act": ACTION,
                **request.entered(),
                "content": dict(request.content),
                "uploads": uploads,
            },
        )
    return before, index


def _required(room: Room, party: Party, request: SignedRequest) -> dict[TableName, int]:
    """Return the party's tables and versions if they are those that it signed for."""
    before = versions_of(room, party.party)
    if not before:
        raise UsageError(
            Bilingual(f"{party.party} n'a aucune table dans cette salle", f"{party.party} has no table in this room"),
            code="unknown_table",
        )
    if request.content.get("tables") != [[str(table), number] for table, number in before.items()]:
        raise NotVerified(
            Bilingual(
                f"les tables de {party.party} ne sont pas, ou plus, celles de la demande signée ; redemandez",
                f"the tables of {party.party} are not, or no longer, those of the signed request; ask again",
            ),
            code="table_moved_on",
        )
    return before


def _rewrite(
    room: Room, request: SignedRequest, before: Mapping[TableName, int], listed: ErasureList
) -> tuple[_Rewritten, ...]:
    """Write every file of the tables anew; their keys are in memory only. If one cannot be, none is left."""
    made = []
    try:
        for table, number in before.items():
            for old in registry.uploads(room.connection, table):
                key = SecretKey.generate()
                stored = rewrite(
                    room.store,
                    room.stored(old),
                    room.keyring.open(room.connection, KeyId(KeyKind.DATA, old.upload)),
                    listed.tokens(old.manifest.epoch, old.manifest.kind),
                    upload=UploadId(secrets.token_hex(16)),
                    intent=Erase(old.package, request.request_id),
                    after=number,
                    new_key=key,
                )
                made.append(_Rewritten(old, stored, key))
    except BaseException as error:
        _leave_nothing(room)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise Fault(
                Bilingual(
                    f"effacement impossible : {reason} ; les tables sont comme avant",
                    f"cannot erase: {reason}; the tables are as before",
                ),
                code="storage_failed",
            ) from None
        raise
    return tuple(made)


def _record(
    room: Room,
    party: Party,
    request: SignedRequest,
    ground: ErasureGround,
    before: Mapping[TableName, int],
    rewritten: Sequence[_Rewritten],
    opened: int,
) -> int:
    """Put the new files in the old ones' place, in one transaction with the entry; return its index.

    If the database fails, the new files stay: a commit whose sync failed may be found done by the next opening. If it
    is not, they are orphans that no key opens, and the next intake or erasure removes them.
    """
    connection = room.connection
    with transaction(connection):
        try:
            # Only a declaration can have come in between: the intake lock holds off the rest.
            _required(room, party, request)
        except CleanroomError:
            _leave_nothing(room)
            raise
        now = registry.advance_clock(connection, room.now())
        for each in rewritten:
            data_key = KeyId(KeyKind.DATA, each.made.upload)
            room.keyring.adopt(connection, data_key, KeyId(KeyKind.MEMBER, party.party), each.key)
        answers = [name for table in before for name in take_away(room, table)]
        index = room.journal.append(
            connection,
            EventType.DATASET_ERASED,
            at=now,
            actor=party.party,
            ordinals=(party.ordinal,),
            caused_by=opened,
            legal=ground.value,
            details={
                "ground": ground.value,
                **request.entered(),
                "content": dict(request.content),
                "tables": [[str(table), number + 1] for table, number in before.items()],
                # Of one length each: a manifest's own would tell of the number of rows.
                "files": [
                    [each.old.upload, each.made.upload, str(each.made.table), manifest_digest(each.made)]
                    for each in rewritten
                ],
                "answers_removed": answers,
            },
        )
        connection.executemany(
            "INSERT INTO erasure (table_name, number, log_index) VALUES (?, ?, ?)",
            [(str(table), number + 1, index) for table, number in before.items()],
        )
        for place, each in enumerate(rewritten):
            made = each.made
            connection.execute(
                "INSERT INTO upload (upload, table_name, number, place, manifest, log_index) VALUES (?, ?, ?, ?, ?, ?)",
                (made.upload, str(made.table), before[made.table] + 1, place, made.manifest.encode(), index),
            )
        for table, number in before.items():
            old = [each.old for each in rewritten if each.old.table == table]
            retire(connection, old, number=number + 1, log_index=index)
    return index


def manifest_digest(stored: StoredPartition) -> str:
    """Return what the log says of a file that the room wrote anew: the digest of its manifest."""
    return str(Digest.of(stored.manifest.encode()))


def _leave_nothing(room: Room) -> None:
    """Remove what was written and not recorded; what cannot be removed now opens with no key."""
    with suppress(OSError, CleanroomError):
        remove_orphans(room)
