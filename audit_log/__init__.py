"""A transparency log in the caller's SQLite database (RFC 6962, c2sp.org/tlog-tiles); see docs/spec/log.md."""

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.entry import MAX_PARTIES, Envelope, Event, EventType, Outcome, Retention, fresh_id
from audit_log.errors import (
    DetailsErased,
    InsideTransaction,
    LogDamaged,
    LogFault,
    MalformedCheckpoint,
    MalformedEntry,
    MalformedNote,
    MalformedReceipt,
    MalformedTile,
    NoSuchEntry,
    NotAReader,
    NotDurable,
    NotVerified,
    OutsideTransaction,
)
from audit_log.log import Log
from audit_log.note import Signer, Verifier
from audit_log.receipt import Receipt, verify_receipt
from audit_log.tables import require_durable

__all__ = [
    "MAX_PARTIES",
    "Checkpoint",
    "DetailsErased",
    "Envelope",
    "Event",
    "EventType",
    "InsideTransaction",
    "Log",
    "LogDamaged",
    "LogFault",
    "MalformedCheckpoint",
    "MalformedEntry",
    "MalformedNote",
    "MalformedReceipt",
    "MalformedTile",
    "NoSuchEntry",
    "NotAReader",
    "NotDurable",
    "NotVerified",
    "Outcome",
    "OutsideTransaction",
    "Receipt",
    "Retention",
    "Signer",
    "Verifier",
    "fresh_id",
    "open_checkpoint",
    "require_durable",
    "verify_receipt",
]
