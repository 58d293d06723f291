"""Keep the keys of whoever works on this machine: `$CLEANROOM_HOME`, never under the room's directory (DESIGN §9).

parties/ID/signing.key          a party's Ed25519 seed, mode 0600
rooms/ROOM_ID/root.key          the operator's root key, or
rooms/ROOM_ID/shares/*.share    the board's shares of it, when the room was made with --shares
rooms/ROOM_ID/linkage/EPOCH.key the members' linkage key
rooms/ROOM_ID/checkpoint        the last checkpoint of the log that this machine verified
rooms/ROOM_ID/log.vkey          the log's public key, as first seen
rooms/ROOM_ID/operator.pub      the operator's public key, once a member has compared it (`upload --operator-key`)
rooms/ROOM_ID/outbox/*.package  uploads that the room has not acknowledged yet: ciphertext
rooms/ROOM_ID/receipts/N.tlog-proof
rooms/ROOM_ID/erasures/N.json    certificates of erasures; N is the log's entry
rooms/ROOM_ID/{opt-out,erased}/PARTY.EPOCH  a member's lists of tokens
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.identifiers import PartyId, RoomId
from cleanroom.partition.package import replacing
from key_management.errors import KeyManagementError

if TYPE_CHECKING:
    from key_management import SecretKey

_SIGNING_LABEL: Final = "cleanroom/signing-key/v1"
OPERATOR: Final = PartyId("operator")
_OPERATOR_KEY: Final = "operator.pub"
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Home:
    """A directory of keys, mode 0700."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """Return `$CLEANROOM_HOME`, or `~/.config/cleanroom`."""
        given = os.environ.get("CLEANROOM_HOME")
        return cls(Path(given) if given else Path.home() / ".config" / "cleanroom")

    def room(self, room: RoomId) -> Path:
        """Return where the keys of a room lie."""
        return self.path / "rooms" / room

    def signing_key_path(self, party: PartyId) -> Path:
        """Return where a party's signing key is kept."""
        return self.path / "parties" / party / "signing.key"

    def make_signing_key(self, party: PartyId) -> Ed25519PublicKey:
        """Make a party's signing key, or keep the one there is; return its public half."""
        path = self.signing_key_path(party)
        if not path.exists():
            private_directory(path.parent)
            write_private(path, f"{_SIGNING_LABEL}\n{secrets.token_hex(32)}\n".encode())
        return self.signing_key(party).public_key()

    def signing_key(self, party: PartyId) -> Ed25519PrivateKey:
        """Return a party's signing key.

        Raises:
            Fault: it is not on this machine, or others may read it.
        """
        path = self.signing_key_path(party)
        return Ed25519PrivateKey.from_private_bytes(
            read_seed(path, _SIGNING_LABEL, missing=_missing_signing_key(party, path))
        )

    def operator_public_key(self) -> str:
        """Return the public key of this machine's operator, 64 hexadecimal digits."""
        return self.signing_key(OPERATOR).public_key().public_bytes_raw().hex()

    def write_root_key(self, room: RoomId, root: SecretKey) -> Path:
        """Keep the root key of a room in one file."""
        from key_management import write_key_file

        path = self.room(room) / "root.key"
        private_directory(path.parent)
        write_key_file(path, root)
        return path

    def write_root_shares(self, room: RoomId, root: SecretKey, *, threshold: int, shares: int) -> tuple[Path, ...]:
        """Write the root key as shares, one file each, to be handed to the board and removed from here."""
        # Shares need a library that a member's machine does without.
        from key_management import split

        directory = self.room(room) / "shares"
        private_directory(directory)
        paths = []
        for number, share in enumerate(split(root, threshold, shares), start=1):
            path = directory / f"{number:02}.share"
            write_private(path, share.reveal_share_text().encode())
            paths.append(path)
        return tuple(paths)

    def root_key(self, room: RoomId) -> SecretKey:
        """Unseal a room's root key from its file, or from the shares at hand.

        Raises:
            Fault: neither is here, too few shares, or a file is damaged or open to others.
        """
        from key_management import combine, parse_share, read_key_file

        path, directory = self.room(room) / "root.key", self.room(room) / "shares"
        try:
            if path.exists():
                return read_key_file(path)
            files = sorted(directory.glob("*.share")) if directory.is_dir() else []
            if files:
                texts = [read_private(each, _refused(each, "absente", "missing")).decode("ascii") for each in files]
                return combine(parse_share(text) for text in texts)
        except (KeyManagementError, UnicodeDecodeError) as error:
            raise Fault(
                Bilingual(f"la clé racine ne s'ouvre pas : {error}", f"the root key does not open: {error}"),
                code="root_key_refused",
            ) from None
        raise Fault(
            Bilingual(
                f"ni clé racine ni parts pour cette salle : {path}",
                f"neither root key nor shares for this room: {path}",
            ),
            code="root_key_missing",
        )

    def operator_key(self, room: RoomId) -> str | None:
        """Return the operator's public key as this machine's member compared it, or None before that."""
        path = self.room(room) / _OPERATOR_KEY
        return path.read_text("ascii").strip() if path.exists() else None

    def trust_operator(self, room: RoomId, key: str) -> None:
        """Keep the operator's public key, 64 hexadecimal digits, once its owner said it by another way."""
        path = self.room(room) / _OPERATOR_KEY
        private_directory(path.parent)
        replace_durably(path, f"{key}\n".encode("ascii"))


def public_key(text: str) -> Ed25519PublicKey:
    """Read an Ed25519 public key as 64 hexadecimal digits, or from a file that holds them."""
    written = text.strip().lower()
    if _HEX_KEY.fullmatch(written) is None:
        try:
            written = Path(text).read_text("ascii").strip().lower()
        except (OSError, UnicodeDecodeError, ValueError):
            written = ""
    if _HEX_KEY.fullmatch(written) is None:
        raise UsageError(
            Bilingual(
                "la clé publique s'écrit en 64 chiffres hexadécimaux, ou le fichier qui les contient",
                "the public key is written as 64 hexadecimal digits, or as the file that holds them",
            ),
            code="invalid_public_key",
        )
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(written))


def private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for their owner alone."""
    if path.exists():
        return
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Create a file that its owner alone may read; durable; never over an existing one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: bytes) -> None:
    """Put a small file in the place of another; a crash leaves the one or the other."""
    with replacing(path) as file:
        file.write(content)


def receipt_path(home: Home, room: RoomId, index: int) -> Path:
    """Return where the receipt of a log entry is kept."""
    return home.room(room) / "receipts" / f"{index}.tlog-proof"


def keep_receipt(home: Home, room: RoomId, index: int, proof: bytes) -> Path:
    """Keep a receipt, durably.

    Raises:
        OSError: the disk.
    """
    path = receipt_path(home, room, index)
    private_directory(path.parent)
    replace_durably(path, proof)
    return path


def read_private(path: Path, missing: Fault) -> bytes:
    """Read a small file that nobody else may read, else raise."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        raise missing from None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise _refused(path, "lisible par d'autres (chmod 600)", "readable by others (chmod 600)")
        return file.read(1 << 16)


def read_seed(path: Path, label: str, *, missing: Fault | None = None) -> bytes:
    """Read a key's seed from its file: the label's line, and 64 hexadecimal digits.

    Raises:
        Fault: it is not there, others may read it, or it is malformed.
    """
    content = read_private(path, missing or _refused(path, "absente", "missing"))
    lines = content.decode("ascii", "replace").split("\n")
    if len(lines) != 3 or lines[0] != label or not _HEX_KEY.fullmatch(lines[1]) or lines[2]:
        raise _refused(path, "clé de signature mal formée", "malformed signing key")
    return bytes.fromhex(lines[1])


def _missing_signing_key(party: PartyId, path: Path) -> Fault:
    return Fault(
        Bilingual(
            f"la clé de signature de {party} n'est pas sur cette machine : {path}",
            f"the signing key of {party} is not on this machine: {path}",
        ),
        code="signing_key_missing",
    )


def _refused(path: Path, fr: str, en: str) -> Fault:
    return Fault(Bilingual(f"{path} : {fr}", f"{path}: {en}"), code="key_refused")
