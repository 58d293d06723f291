"""The room's keys, each wrapped under its parent, in the caller's SQLite connection and transaction.

The caller owns the connection (``PRAGMA secure_delete = ON`` is required, ``isolation_level=None`` is wise) and the
transaction, so that a key and the log entry that speaks of it become durable together or not at all.
"""

from __future__ import annotations

import hmac
import sqlite3
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, final

from key_management.binding import bind
from key_management.envelope import unwrap, wrap
from key_management.errors import (
    InTransaction,
    InvalidKeyId,
    KeyDestroyed,
    KeyExists,
    KeyringDamaged,
    NotInTransaction,
    PurgeIncomplete,
    SecureDeleteOff,
    UnknownKey,
    WrongRootKey,
)
from key_management.key_id import KeyId, KeyKind, KeyState, permitted_parents
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["CONTEXT_LABEL", "ROOT_CHECK_LABEL", "KeyId", "KeyKind", "KeyState", "Keyring"]

CONTEXT_LABEL: Final = b"key_management/keyring/v1"
ROOT_CHECK_LABEL: Final = b"key_management/root-check/v1"

# PRAGMA secure_delete: 1 is ON; 2 is FAST, which leaves the freelist's pages as they are.
_SECURE_DELETE_ON: Final = 1

_SCHEMA: Final = (
    """
    CREATE TABLE keyring_root (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        check_value BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE keyring_keys (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        parent_kind TEXT NOT NULL,
        parent_name TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        wrapped BLOB,
        PRIMARY KEY (kind, name),
        CHECK ((state = 'A') = (wrapped IS NOT NULL)),
        CHECK (state IN ('A', 'D'))
    ) STRICT
    """,
    "CREATE INDEX keyring_children ON keyring_keys (parent_kind, parent_name)",
)


def _rows(connection: sqlite3.Connection, statement: str, *parameters: str | int | bytes) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.row_factory = None  # the caller's row factory is the caller's business
    return cursor.execute(statement, parameters).fetchall()


def _require_secure_delete(connection: sqlite3.Connection) -> None:
    if _rows(connection, "PRAGMA secure_delete") != [(_SECURE_DELETE_ON,)]:
        raise SecureDeleteOff


def _require_writable(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:
        raise NotInTransaction
    _require_secure_delete(connection)


@final
class _Row:
    """Hold one row as stored; nothing in it is trusted before it unwraps."""

    __slots__ = ("parent", "state", "version", "wrapped")

    def __init__(self, parent: KeyId, version: int, state: KeyState, wrapped: bytes | None) -> None:
        self.parent = parent
        self.version = version
        self.state = state
        self.wrapped = wrapped


def _read(connection: sqlite3.Connection, key_id: KeyId) -> _Row:
    rows = _rows(
        connection,
        "SELECT parent_kind, parent_name, version, state, wrapped FROM keyring_keys WHERE kind = ? AND name = ?",
        key_id.kind.value,
        key_id.name,
    )
    if not rows:
        raise UnknownKey(key_id)
    parent_kind, parent_name, version, state, wrapped = rows[0]
    try:
        parent = KeyId(KeyKind(parent_kind), parent_name)
        return _Row(parent, version, KeyState(state), wrapped)
    except ValueError:
        raise KeyringDamaged(f"the row of {key_id} was not written by a keyring") from None


def _lineage(connection: sqlite3.Connection, key_id: KeyId) -> list[tuple[KeyId, _Row]]:
    """Read the rows from a key up to the last one below the root."""
    lineage: list[tuple[KeyId, _Row]] = []
    seen = {key_id}
    current = key_id
    while current != KeyId.root():
        row = _read(connection, current)
        if row.parent in seen:
            raise KeyringDamaged(f"the parents of {key_id} form a loop")
        seen.add(row.parent)
        lineage.append((current, row))
        current = row.parent
    return lineage


def _context(key_id: KeyId, parent: KeyId, version: int) -> bytes:
    """Bind the key's id, its parent's id and its version, so that a row moved elsewhere does not unwrap."""
    return bind(
        CONTEXT_LABEL,
        key_id.kind.value.encode(),
        key_id.name.encode(),
        parent.kind.value.encode(),
        parent.name.encode(),
        version.to_bytes(8, "big", signed=True),
    )


def _require_storable(key_id: KeyId, parent: KeyId) -> None:
    if parent.kind not in permitted_parents(key_id.kind) or (parent.kind is KeyKind.ROOT and parent != KeyId.root()):
        raise InvalidKeyId(f"a key {key_id} cannot be wrapped under {parent}")


@final
class Keyring:
    """Create, open and destroy the room's keys under one root key.

    Args:
        root: the room's root key, from a key file or from the shares of the board.
    """

    __slots__ = ("__check_value", "__root")

    def __init__(self, root: SecretKey) -> None:
        if not isinstance(root, SecretKey):
            raise TypeError("the root key is a SecretKey")
        self.__root = root
        # Of the root alone, and in the database for everybody to read: each key that is opened is held against it.
        self.__check_value = hmac.digest(root.reveal_secret_bytes(), ROOT_CHECK_LABEL, "sha256")

    def create_schema(self, connection: sqlite3.Connection) -> None:
        """Create the keyring's tables and store the check value of the root key.

        Args:
            connection: the room's database, inside a transaction.

        Raises:
            NotInTransaction: the caller has begun none.
            SecureDeleteOff: ``PRAGMA secure_delete`` is not ON.
        """
        _require_writable(connection)
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO keyring_root VALUES (1, ?)", (self.__check_value,))

    def verify_root(self, connection: sqlite3.Connection) -> None:
        """Check that this keyring's root key is the one that the database was made with.

        Raises:
            WrongRootKey: it is another.
            KeyringDamaged: the check value is missing.
        """
        rows = _rows(connection, "SELECT check_value FROM keyring_root")
        if len(rows) != 1:
            raise KeyringDamaged("the check value of the root key is missing")
        if not hmac.compare_digest(rows[0][0], self.__check_value):
            raise WrongRootKey

    def create(self, connection: sqlite3.Connection, key_id: KeyId, parent: KeyId) -> SecretKey:
        """Make a fresh key and store it, wrapped under its parent.

        Args:
            connection: the room's database, inside a transaction.
            key_id: the new key's id, never used before.
            parent: the key that wraps it; `KeyId.root()` for a first-level key.

        Raises:
            NotInTransaction, SecureDeleteOff: see `create_schema`.
            InvalidKeyId: the parent's kind may not wrap this kind.
            KeyExists: the id is taken, be it by a tombstone.
            UnknownKey, KeyDestroyed, UnwrapFailed, WrongRootKey: the parent cannot be opened.
        """
        secret = SecretKey.generate()
        self.adopt(connection, key_id, parent, secret)
        return secret

    def adopt(self, connection: sqlite3.Connection, key_id: KeyId, parent: KeyId, secret: SecretKey) -> None:
        """Store a key that was made elsewhere, wrapped under its parent.

        All private keys of the room have 32-byte forms: Ed25519 seeds (RFC 8032 §5.1.5) and X-Wing seeds
        (`TransportKey.seed`).

        Args:
            connection: the room's database, inside a transaction.
            key_id: the key's id, never used before.
            parent: the key that wraps it; `KeyId.root()` for a first-level key.
            secret: the key.

        Raises:
            As `create`.
        """
        _require_writable(connection)
        _require_storable(key_id, parent)
        kek = self.__kek(connection, parent)
        version = 1
        try:
            connection.execute(
                "INSERT INTO keyring_keys VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    key_id.kind.value,
                    key_id.name,
                    parent.kind.value,
                    parent.name,
                    version,
                    KeyState.ACTIVE.value,
                    wrap(kek, secret, _context(key_id, parent, version)),
                ),
            )
        except sqlite3.IntegrityError:
            raise KeyExists(key_id) from None

    def open(self, connection: sqlite3.Connection, key_id: KeyId) -> SecretKey:
        """Unwrap a key along the chain of its parents, from the root down.

        Args:
            connection: the room's database; a transaction is not needed.
            key_id: the key to open; the root key itself is not given out.

        Raises:
            InvalidKeyId: the root key was asked for.
            UnknownKey: the keyring never held it.
            KeyDestroyed: it, or a key above it, was destroyed.
            WrongRootKey: this keyring holds another room's root key.
            UnwrapFailed: a row was altered or moved.
            KeyringDamaged: a row was not written by a keyring.
        """
        if key_id.kind is KeyKind.ROOT:
            raise InvalidKeyId("the root key is not opened through the keyring")
        return self.__kek(connection, key_id)

    def state(self, connection: sqlite3.Connection, key_id: KeyId) -> KeyState:
        """Say whether a key can still be opened; a key under a destroyed one counts as destroyed.

        Raises:
            UnknownKey: the keyring never held it.
        """
        lineage = _lineage(connection, key_id)
        if any(row.state is KeyState.DESTROYED for _, row in lineage):
            return KeyState.DESTROYED
        return KeyState.ACTIVE

    def children(self, connection: sqlite3.Connection, parent: KeyId) -> tuple[KeyId, ...]:
        """List the keys directly under a parent, tombstones included, by kind and name."""
        rows = _rows(
            connection,
            "SELECT kind, name FROM keyring_keys WHERE parent_kind = ? AND parent_name = ? ORDER BY kind, name",
            parent.kind.value,
            parent.name,
        )
        try:
            return tuple(KeyId(KeyKind(kind), name) for kind, name in rows)
        except ValueError:
            raise KeyringDamaged(f"a row under {parent} was not written by a keyring") from None

    def destroy(self, connection: sqlite3.Connection, key_id: KeyId) -> None:
        """Overwrite and delete a key's wrapped bytes for ever; its id stays as a tombstone.

        Everything encrypted under it or under its children is lost with it (crypto-shredding). The old bytes leave
        the database's files when `purge` has run after the commit. Copies of the database from before still open
        under the same root key: `rotate_root` and forgetting the old root closes those too.

        Args:
            connection: the room's database, inside a transaction.
            key_id: the key to destroy.

        Raises:
            NotInTransaction, SecureDeleteOff: see `create_schema`.
            UnknownKey: the keyring never held it.
            KeyDestroyed: it was destroyed before.
        """
        _require_writable(connection)
        if _read(connection, key_id).state is KeyState.DESTROYED:
            raise KeyDestroyed(key_id, key_id)
        place = (key_id.kind.value, key_id.name)
        # In place first, while the row keeps its size; then gone. Both, because secure_delete alone zeroes what it
        # frees, and an overwrite alone would leave something to open.
        connection.execute(
            "UPDATE keyring_keys SET wrapped = zeroblob(length(wrapped)) WHERE kind = ? AND name = ?", place
        )
        connection.execute(
            "UPDATE keyring_keys SET wrapped = NULL, state = ? WHERE kind = ? AND name = ?",
            (KeyState.DESTROYED.value, *place),
        )

    def purge(self, connection: sqlite3.Connection) -> None:
        """Take destroyed bytes out of the write-ahead log and the database file.

        In WAL mode the file keeps the old page until a checkpoint, and the log keeps it until truncated.

        Args:
            connection: the room's database, after the commit of `destroy`.

        Raises:
            InTransaction: the caller has not committed yet.
            SecureDeleteOff: see `create_schema`.
            PurgeIncomplete: another connection is reading; purge again later.
        """
        if connection.in_transaction:
            raise InTransaction
        _require_secure_delete(connection)
        try:
            outcome = _rows(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise PurgeIncomplete from error
        if not outcome or outcome[0][0] != 0:
            raise PurgeIncomplete

    def rotate_root(self, connection: sqlite3.Connection, new_root: SecretKey) -> Keyring:
        """Wrap every first-level key under a new root key; keys below them do not change.

        Once the old root key is forgotten everywhere, old copies of the database open nothing any more.

        Args:
            connection: the room's database, inside a transaction.
            new_root: the new root key, already kept safe (key file or shares).

        Raises:
            NotInTransaction, SecureDeleteOff: see `create_schema`.
            WrongRootKey, UnwrapFailed: the present root key or a row is not right.

        Returns:
            The keyring under the new root, valid once the caller commits; this one is valid if they roll back.
        """
        _require_writable(connection)
        successor = Keyring(new_root)
        root = self.__kek(connection, KeyId.root())
        for child in self.children(connection, KeyId.root()):
            row = _read(connection, child)
            if row.state is KeyState.DESTROYED or row.wrapped is None:
                continue
            secret = unwrap(root, row.wrapped, _context(child, row.parent, row.version), key_name=f"the key {child}")
            version = row.version + 1
            connection.execute(
                "UPDATE keyring_keys SET wrapped = ?, version = ? WHERE kind = ? AND name = ?",
                (
                    wrap(new_root, secret, _context(child, row.parent, version)),
                    version,
                    child.kind.value,
                    child.name,
                ),
            )
        connection.execute("UPDATE keyring_root SET check_value = ?", (successor.__check_value,))
        return successor

    def __kek(self, connection: sqlite3.Connection, key_id: KeyId) -> SecretKey:
        self.verify_root(connection)
        lineage = _lineage(connection, key_id)
        secret = self.__root
        for ancestor, row in reversed(lineage):
            if row.state is KeyState.DESTROYED or row.wrapped is None:
                raise KeyDestroyed(key_id, ancestor)
            context = _context(ancestor, row.parent, row.version)
            secret = unwrap(secret, row.wrapped, context, key_name=f"the key {ancestor}")
        return secret

    def __repr__(self) -> str:
        return "Keyring(<hidden>)"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Keyring is not pickled or copied")
