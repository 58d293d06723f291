"""Make a room: keys, log, database, settings. Nothing of it exists until all of it does."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log import EventType, Log, Signer
from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM
from cleanroom.accounting.privacy_loss import Budget, Window
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.identifiers import Digest, Role, RoomId
from cleanroom.policies import BudgetTerms, read_settings
from cleanroom.room.database import SCHEMA, connect, transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.journal import Journal
from key_management import KeyId, KeyKind, Keyring, SecretKey, TransportKey

if TYPE_CHECKING:
    from cleanroom.identifiers import Purpose
    from cleanroom.room.home import Home

FIRST_EPOCH: Final = "1"
DATABASE: Final = "room.db"
PARTITIONS: Final = "partitions"
SETTINGS: Final = "room.yaml"
LOG_KEY: Final = "log.vkey"

LOG_SIGNING: Final = KeyId(KeyKind.LOG_SIGNING, "1")
LOG_DETAILS: Final = KeyId(KeyKind.LOG_DETAILS, "1")
TRANSPORT: Final = KeyId(KeyKind.TRANSPORT, "1")
ANSWERS: Final = KeyId(KeyKind.ANSWER, "room")
"""Wraps the keys of stored draws, and makes the tags that they are found by."""

DEFAULT_SETTINGS: Final = b"""\
# Les buts pour lesquels on peut poser des questions (liste fermee), et le budget de la salle entiere.
# The purposes that questions may have (a closed list), and the budget of the whole room.
purposes: [audience_overlap, sector_statistics, statistics]
budget: {epsilon: 20, delta: 1e-6, window: never}
"""


def ordinary_purposes() -> tuple[Purpose, ...]:
    """Return the purposes of a room that was made without settings of its own."""
    return read_settings(DEFAULT_SETTINGS).purposes


def origin(room: RoomId) -> str:
    """Return the name of a room's log."""
    return f"cleanroom/{room}"


def budget_of(terms: BudgetTerms) -> Budget:
    """Return a budget as the ledger knows it."""
    return Budget(terms.epsilon, terms.delta, Window(terms.window.value))


def create_room(
    path: Path, home: Home, *, settings: bytes | None = None, shares: tuple[int, int] | None = None
) -> RoomId:
    """Make a room at `path`.

    Args:
        settings: the text of `room.yaml`: purposes and budget, as the quorum approved them; None for the defaults.
        shares: (k, n) to write the root key as n shares of which k open it, instead of one file.

    Raises:
        UsageError: `path` is not empty, or the settings are not as documented.
        Fault: the disk; nothing is left behind but keys that open nothing.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            Bilingual(f"{path} existe et n'est pas vide", f"{path} exists and is not empty"), code="room_exists"
        )
    content = DEFAULT_SETTINGS if settings is None else settings
    terms = read_settings(content)
    room = RoomId(f"r-{secrets.token_hex(8)}")
    operator_key = home.make_signing_key(OPERATOR)
    root = SecretKey.generate()
    if shares is None:
        home.write_root_key(room, root)
    else:
        home.write_root_shares(room, root, threshold=shares[0], shares=shares[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise Fault(
            Bilingual(f"{path.parent} : écriture impossible ({error.strerror})", f"{path.parent}: {error.strerror}"),
            code="storage_failed",
        ) from None
    try:
        keyring = Keyring(root)
        transport = TransportKey.generate()
        connection = connect(staging / DATABASE, create=True)
        with transaction(connection):
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            keyring.create_schema(connection)
            ledger.create_schema(connection)
            signing = keyring.create(connection, LOG_SIGNING, KeyId.root())
            details = keyring.create(connection, LOG_DETAILS, KeyId.root())
            keyring.adopt(connection, TRANSPORT, KeyId.root(), transport.seed())
            keyring.create(connection, ANSWERS, KeyId.root())
            log = log_of(room, signing)
            log.create_schema(connection)
            now = int(time.time())
            connection.execute(
                "INSERT INTO room (id, room, settings, transport_key, epoch, clock) VALUES (1, ?, ?, ?, ?, ?)",
                (room, content, transport.public_bytes(), FIRST_EPOCH, now),
            )
            connection.execute(
                "INSERT INTO party (party, role, ordinal, public_key) VALUES (?, ?, 0, ?)",
                (OPERATOR, Role.OPERATOR.value, operator_key.public_bytes_raw()),
            )
            ledger.open_account(connection, ROOM, budget_of(terms.budget))
            journal = Journal(room, log, details, terms.record)
            journal.append(
                connection,
                EventType.ROOM_CREATED,
                at=now,
                actor=OPERATOR,
                ordinals=(0,),
                policy=Digest.of(content),
                details={"settings": content.decode("utf-8"), "operator_key": operator_key.public_bytes_raw().hex()},
            )
        connection.close()
        (staging / PARTITIONS).mkdir()
        (staging / SETTINGS).write_bytes(content)
        (staging / LOG_KEY).write_text(f"{log.verifier.vkey}\n", "ascii")
        if path.exists():
            path.rmdir()
        staging.rename(path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return room


def log_of(room: RoomId, signing: SecretKey) -> Log:
    """Return a room's log, signed with this seed."""
    name = origin(room)
    return Log(name, Signer(name, Ed25519PrivateKey.from_private_bytes(signing.reveal_secret_bytes())))
