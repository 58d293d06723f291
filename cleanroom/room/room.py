"""A room on one machine: one directory, one SQLite file, no server.

`Room` holds what is open (database, keyring, log, store) and nothing else; what happens in it is in `question`,
`hand_in` and `views`, each one way from a signed request to a logged effect.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit_log import EventType, LogFault, Outcome, open_checkpoint
from audit_log import NotVerified as LogNotVerified
from cleanroom.accounting import ledger
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.identifiers import Digest, InvalidName, PartyId, Role, RoomId, party_id
from cleanroom.room import registry
from cleanroom.room.creation import (
    DATABASE,
    LOG_DETAILS,
    LOG_SIGNING,
    PARTITIONS,
    SETTINGS,
    TRANSPORT,
    create_room,
    log_of,
)
from cleanroom.room.database import connect, transaction
from cleanroom.room.declaring import declare, sign_declaration_here
from cleanroom.room.home import OPERATOR, Home
from cleanroom.room.journal import Journal
from cleanroom.room.locks import nobody_asking
from cleanroom.room.log_memory import remember
from cleanroom.room.machine import question_memory
from cleanroom.room.reading_key import key_facts, make_reading_key, require_unused
from cleanroom.room.retirement import finish_after_crash
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.unverified import require_seen, unverified
from cleanroom.storage.partition_store import PartitionStore, StoredPartition
from key_management import KeyId, KeyKind, KeyManagementError, Keyring, TransportKey

if TYPE_CHECKING:
    import sqlite3

    from cleanroom.identifiers import TableName
    from cleanroom.room.registry import Party, Upload
    from cleanroom.room.session import Session


class Room:
    """An open room; made by `Room.create` or `Room.open`."""

    def __init__(
        self,
        path: Path,
        home: Home,
        connection: sqlite3.Connection,
        keyring: Keyring,
        journal: Journal,
        facts: registry.RoomFile,
        memory: int,
    ) -> None:
        self.path = path
        self.home = home
        self.connection = connection
        self.keyring = keyring
        self.journal = journal
        self.facts = facts
        self.store = PartitionStore(path / PARTITIONS)
        self.memory = memory

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        home: Home | None = None,
        settings: bytes | None = None,
        shares: tuple[int, int] | None = None,
    ) -> Self:
        """Make a room and open it; see `create_room`."""
        chosen = home or Home.default()
        create_room(Path(path), chosen, settings=settings, shares=shares)
        return cls.open(path, home=chosen)

    @classmethod
    def open(cls, path: str | Path, *, home: Home | None = None) -> Self:
        """Open a room with the root key of this machine.

        Raises:
            Fault: no room here, or its root key does not open it.
            NotVerified: the log is not what was signed, or is older than what this machine verified before.
            UsageError: `$CLEANROOM_MEMORY` is no size.
        """
        where, chosen, memory = Path(path), home or Home.default(), question_memory()
        connection = connect(where / DATABASE)
        try:
            facts = registry.room_file(connection)
            _require_settings(where / SETTINGS, connection)
            keyring = Keyring(chosen.root_key(facts.room))
            keyring.verify_root(connection)
            log = log_of(facts.room, keyring.open(connection, LOG_SIGNING))
            seen = chosen.room(facts.room) / "checkpoint"
            remembered = open_checkpoint(seen.read_bytes(), log.verifier) if seen.exists() else None
            require_seen(log, connection, remembered)
            journal = Journal(facts.room, log, keyring.open(connection, LOG_DETAILS), facts.settings.record)
        except (LogFault, LogNotVerified) as error:
            connection.close()
            raise unverified(error) from None
        except KeyManagementError as error:
            connection.close()
            raise Fault(
                Bilingual(f"les clés de la salle ne s'ouvrent pas : {error}", f"the room's keys do not open: {error}"),
                code="keys_refused",
            ) from None
        except BaseException:
            connection.close()
            raise
        room = cls(where, chosen, connection, keyring, journal, facts, memory)
        room._close_unfinished()
        finish_after_crash(room)
        room.remember_log()
        return room

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    def remember_log(self) -> None:
        """Keep the log's checkpoint with this machine's keys, outside the room.

        A database restored from before it, which would give budget back, is then refused at the next opening.
        """
        log = self.journal.log
        remember(self.home, self.room_id, log.verifier.vkey, log.checkpoint(self.connection))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def room_id(self) -> RoomId:
        """The room's id."""
        return self.facts.room

    @staticmethod
    def now() -> int:
        """Return the machine's time; the room's own never goes back (`registry.advance_clock`)."""
        return int(time.time())

    def session(self, party: str) -> Session:
        """Return a party's way to ask; its requests are signed with its key on this machine."""
        # The engine is loaded here: making a room, uploads and the log do without it.
        from cleanroom.room.session import Session

        known = registry.party_named(self.connection, _party_id(party))
        return Session(self, known.party, self.home.signing_key(known.party))

    def verified(self, request: SignedRequest, action: str) -> Party:
        """Return who signed a request for this very action, else raise `NotVerified`; that is logged too.

        Whom a forged request claims to be from is in the sealed details only: it is no act of theirs.
        """
        party = registry.party_named(self.connection, request.party)
        try:
            request.verify(party.public_key, self.room_id, action)
        except NotVerified as error:
            with transaction(self.connection):
                self.journal.append(
                    self.connection,
                    EventType.ACCESS_REFUSED,
                    at=registry.advance_clock(self.connection, self.now()),
                    actor=OPERATOR,
                    outcome=Outcome.REFUSED,
                    ordinals=(0,),
                    details={
                        "reason": error.code,
                        "claimed": request.party,
                        "action": action,
                        "digest": str(Digest.of(request.encode())),
                    },
                )
            raise
        return party

    def take(self, request: SignedRequest) -> int:
        """Take a request once, inside the caller's transaction; return the room's time."""
        taken = self.connection.execute(
            "INSERT OR IGNORE INTO request (request, party) VALUES (?, ?)", (request.request_id, request.party)
        ).rowcount
        if taken != 1:
            raise NotVerified(
                Bilingual("cette demande a déjà été reçue", "this request was already received"),
                code="request_repeated",
            )
        return registry.advance_clock(self.connection, self.now())

    def stored(self, upload: Upload) -> StoredPartition:
        """Return the partition of an upload."""
        return StoredPartition(upload.manifest)

    def transport_key(self) -> TransportKey:
        """Return the key that packages are sealed to."""
        return TransportKey.from_seed(self.keyring.open(self.connection, TRANSPORT))

    # What the operator and owners change

    def add_party(
        self, name: str, role: Role, public_key: Ed25519PublicKey | None = None, reading_key: bytes | None = None
    ) -> Party:
        """Register a party; without a signing key, make both its keys on this machine, for trials.

        Args:
            reading_key: the public half of what it reads its own details of the log with; a party that brings a
                signing key and no reading key has none until it registers one.
        """
        party = _party_id(name)
        if party == OPERATOR:
            raise UsageError(Bilingual("l'opérateur existe déjà", "the operator exists already"), code="party_exists")
        key = public_key or self.home.make_signing_key(party)
        reading = reading_key if reading_key or public_key else make_reading_key(self.home, party)
        raw = key.public_bytes_raw()
        with transaction(self.connection):
            existing = registry.parties(self.connection)
            if party in existing or any(each.public_key.public_bytes_raw() == raw for each in existing.values()):
                raise UsageError(
                    Bilingual(f"« {party} » ou sa clé existe déjà", f"{party!r} or its key exists already"),
                    code="party_exists",
                )
            if reading is not None:
                require_unused(self, party, reading)
            ordinal = len(existing)
            if ordinal >= registry.MOST_PARTIES:
                raise UsageError(
                    Bilingual(
                        f"une salle a au plus {registry.MOST_PARTIES} parties",
                        f"a room has at most {registry.MOST_PARTIES} parties",
                    ),
                    code="too_many_parties",
                )
            self.connection.execute(
                "INSERT INTO party (party, role, ordinal, public_key, reading_key) VALUES (?, ?, ?, ?, ?)",
                (party, role.value, ordinal, raw, reading),
            )
            facts = {} if reading is None else key_facts(self, party, reading)
            if role is Role.MEMBER:
                self.keyring.create(self.connection, KeyId(KeyKind.MEMBER, party), KeyId.root())
            self.journal.append(
                self.connection,
                EventType.PARTY_ADDED,
                at=registry.advance_clock(self.connection, self.now()),
                actor=OPERATOR,
                ordinals=(ordinal,),
                details={"party": party, "role": role.value, "public_key": raw.hex(), **facts},
            )
        return registry.party_named(self.connection, party)

    def declare(self, content: bytes) -> TableName:
        """Take a table's file, signed by its owner's key on this machine; see `declaring.declare`."""
        return declare(self, sign_declaration_here(self, content)).table

    def _close_unfinished(self) -> None:
        """Enter as failed what a crash cut short between charge and release; it stays charged."""
        with nobody_asking(self.path) as alone:
            if not alone or not ledger.unfinished(self.connection):
                return
            self._fail_unfinished()

    def _fail_unfinished(self) -> None:
        with transaction(self.connection):
            for held in ledger.unfinished(self.connection):
                ledger.mark_failed(self.connection, held.reservation_id)
                self.journal.append(
                    self.connection,
                    EventType.QUERY_FAILED,
                    at=registry.advance_clock(self.connection, self.now()),
                    actor=held.party,
                    outcome=Outcome.ERROR,
                    caused_by=self.journal.charge_of(self.connection, held.reservation_id),
                    details={"request": held.reservation_id, "found": "at start-up"},
                )


def _party_id(text: str) -> PartyId:
    try:
        return party_id(text)
    except InvalidName:
        raise UsageError(
            Bilingual(
                f"{text!r} n'est pas un nom de partie (minuscules ASCII, chiffres et _, une lettre d'abord)",
                f"{text!r} is not a party's name (lowercase ASCII letters, digits and _, a letter first)",
            ),
            code="invalid_name",
        ) from None


def _require_settings(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a room whose `room.yaml` says something else than what was approved: editing it changes nothing."""
    (approved,) = connection.execute("SELECT settings FROM room").fetchone()
    try:
        shown = path.read_bytes()
    except OSError:
        shown = b""
    if shown != approved:
        raise Fault(
            Bilingual(
                f"{path} ne dit pas ce qui a été approuvé à la création ; remettez le fichier d'origine",
                f"{path} does not say what was approved at creation; put the original file back",
            ),
            code="settings_changed",
        )
