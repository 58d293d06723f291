"""A transparency log in the caller's SQLite database (RFC 6962, c2sp.org/tlog-tiles); see docs/spec/log.md."""

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.database_verifier import verify_database
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
from audit_log.export import export_log
from audit_log.log import Log
from audit_log.note import Signer, Verifier
from audit_log.receipt import Receipt, verify_receipt
from audit_log.transaction import require_durable
from audit_log.verdict import Finding, Verdict, explain
from audit_log.verifier import verify_directory

__all__ = [
    "MAX_PARTIES",
    "Checkpoint",
    "DetailsErased",
    "Envelope",
    "Event",
    "EventType",
    "Finding",
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
    "Verdict",
    "Verifier",
    "explain",
    "export_log",
    "fresh_id",
    "open_checkpoint",
    "require_durable",
    "verify_database",
    "verify_directory",
    "verify_receipt",
]
