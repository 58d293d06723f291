"""A member's own witness: its key, the logs that it knows, and what it has cosigned, with the member's other keys.

parties/ID/witness/witness.key   its Ed25519 seed, for cosignatures and nothing else
parties/ID/witness/witness.db    what it has seen of each log; lost, the witness is retired with its key
parties/ID/witness/logs/*.vkey   the public keys of the logs that it cosigns
parties/ID/witness/verified/     of a log that it goes and reads: what it has read whole
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log import Cosigner, LogFault, Memory, Verifier, Witness
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.room.home import private_directory, read_seed, replace_durably, write_private
from cleanroom.room.log_memory import read_key_file

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.identifiers import PartyId
    from cleanroom.room.home import Home

_LABEL: Final = "cleanroom/witness-key/v1"


def witness_name(party: PartyId) -> str:
    """Return the name under which a party's witness cosigns."""
    return f"cleanroom/witness/{party}"


def make_witness(home: Home, party: PartyId) -> Verifier:
    """Make a party's witness, once in the life of its key; return its public key.

    Raises:
        UsageError: it has one. A second one would cosign what the first has refused.
    """
    place = _place(home, party)
    if place.exists():
        raise UsageError(
            Bilingual(
                f"{party} a déjà un témoin : {place} ; s'il a perdu son état, retirez-le et sa clé, et dites-le à tous",
                f"{party} has a witness already: {place}; if it lost its state, retire it and its key, and tell all",
            ),
            code="witness_exists",
        )
    private_directory(place / "logs")
    write_private(place / "witness.key", f"{_LABEL}\n{secrets.token_hex(32)}\n".encode())
    verifier = _cosigner(home, party).verifier
    Witness.create(place / "witness.db", verifier)
    return verifier


def add_log(home: Home, party: PartyId, vkey_file: Path) -> Verifier:
    """Let a witness know a log, by the public key that its member had from elsewhere than the operator.

    Raises:
        NotVerified: not such a key.
        UsageError: the party has no witness, or knows this log's name under another key.
    """
    log = read_key_file(vkey_file)
    _cosigner(home, party)
    for known in logs_of(home, party):
        if known.name == log.name and known != log:
            raise UsageError(
                Bilingual(
                    f"ce témoin connaît déjà {log.name} sous une autre clé",
                    f"this witness knows {log.name} under another key already",
                ),
                code="log_key_changed",
            )
    name = hashlib.sha256(log.vkey.encode()).hexdigest()[:32]
    replace_durably(_place(home, party) / "logs" / f"{name}.vkey", f"{log.vkey}\n".encode())
    return log


def logs_of(home: Home, party: PartyId) -> tuple[Verifier, ...]:
    """Return the logs that a party's witness knows."""
    return tuple(read_key_file(path) for path in sorted((_place(home, party) / "logs").glob("*.vkey")))


def own_key(home: Home, party: PartyId) -> Verifier:
    """Return the public key of a party's witness."""
    return _cosigner(home, party).verifier


def open_witness(home: Home, party: PartyId) -> Witness:
    """Open a party's witness.

    Raises:
        UsageError: it has none, or one that knows no log.
        Fault: its key or its state is not as it must be.
    """
    cosigner = _cosigner(home, party)
    logs = logs_of(home, party)
    if not logs:
        raise UsageError(
            Bilingual("ce témoin ne connaît aucun journal : --log FICHIER", "this witness knows no log: --log FILE"),
            code="no_log",
        )
    try:
        return Witness(_place(home, party) / "witness.db", cosigner, logs)
    except LogFault as error:
        raise Fault(
            Bilingual(
                f"l'état du témoin n'est pas là ou n'est pas le sien : {error}",
                f"the witness's state is not there or not its own: {error}",
            ),
            code="witness_state",
        ) from None


def witness_memory(home: Home, party: PartyId) -> Memory:
    """Return what a party's witness has read whole of the logs that it goes and reads."""
    return Memory(_place(home, party) / "verified")


def _cosigner(home: Home, party: PartyId) -> Cosigner:
    path = _place(home, party) / "witness.key"
    if not path.exists():
        raise UsageError(
            Bilingual(
                f"{party} n'a pas de témoin sur cette machine : cleanroom log witness --as {party} --new",
                f"{party} has no witness on this machine: cleanroom log witness --as {party} --new",
            ),
            code="no_witness",
        )
    return Cosigner(witness_name(party), Ed25519PrivateKey.from_private_bytes(read_seed(path, _LABEL)))


def _place(home: Home, party: PartyId) -> Path:
    return home.path / "parties" / party / "witness"
