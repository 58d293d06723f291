"""A transparency log in the caller's SQLite database (RFC 6962, c2sp.org/tlog-tiles); see docs/spec/log.md."""

from audit_log.appending import Prepared, prepare
from audit_log.checkpoint import Checkpoint, open_checkpoint, open_known_checkpoint
from audit_log.cosignature import Cosigned, Cosigner
from audit_log.cosigned import store_cosigned
from audit_log.database_verifier import verify_database
from audit_log.details import Veiled, unveil
from audit_log.entry import MAX_PARTIES, RETENTION_SECONDS, Envelope, Event, EventType, Outcome, Retention, fresh_id
from audit_log.entry_reader import EntryReader
from audit_log.erasing import erased_entries, erases
from audit_log.errors import (
    DetailsErased,
    InsideTransaction,
    LogDamaged,
    LogFault,
    LogUnreachable,
    MalformedCheckpoint,
    MalformedEntry,
    MalformedNote,
    MalformedPolicy,
    MalformedReceipt,
    MalformedRequest,
    MalformedTile,
    NoSuchEntry,
    NotAReader,
    NotDurable,
    NotVerified,
    OutsideTransaction,
    QuorumMissing,
    WriterStopped,
)
from audit_log.export import export_log
from audit_log.following import Followed, follow
from audit_log.http_server import HttpServer
from audit_log.log import Log
from audit_log.memory import Memory
from audit_log.note import Algorithm, Signer, Verifier
from audit_log.policy import KnownWitness, TrustPolicy, Witnessed
from audit_log.receipt import Receipt, verify_receipt
from audit_log.reply import Reply
from audit_log.sealed_file import SealedFile, write_sealed
from audit_log.serving import DatabaseSource, serve
from audit_log.source import DirectorySource, HttpPoster, HttpSource, Source
from audit_log.transaction import require_durable
from audit_log.verdict import Finding, Verdict, explain
from audit_log.verifier import verify_directory, verify_source
from audit_log.witness import Witness
from audit_log.witnessing import Declined, Gathered, Refusal, gather_cosignatures
from audit_log.writer import GroupWriter

__all__ = [
    "MAX_PARTIES",
    "RETENTION_SECONDS",
    "Algorithm",
    "Checkpoint",
    "Cosigned",
    "Cosigner",
    "DatabaseSource",
    "Declined",
    "DetailsErased",
    "DirectorySource",
    "EntryReader",
    "Envelope",
    "Event",
    "EventType",
    "Finding",
    "Followed",
    "Gathered",
    "GroupWriter",
    "HttpPoster",
    "HttpServer",
    "HttpSource",
    "InsideTransaction",
    "KnownWitness",
    "Log",
    "LogDamaged",
    "LogFault",
    "LogUnreachable",
    "MalformedCheckpoint",
    "MalformedEntry",
    "MalformedNote",
    "MalformedPolicy",
    "MalformedReceipt",
    "MalformedRequest",
    "MalformedTile",
    "Memory",
    "NoSuchEntry",
    "NotAReader",
    "NotDurable",
    "NotVerified",
    "Outcome",
    "OutsideTransaction",
    "Prepared",
    "QuorumMissing",
    "Receipt",
    "Refusal",
    "Reply",
    "Retention",
    "SealedFile",
    "Signer",
    "Source",
    "TrustPolicy",
    "Veiled",
    "Verdict",
    "Verifier",
    "Witness",
    "Witnessed",
    "WriterStopped",
    "erased_entries",
    "erases",
    "explain",
    "export_log",
    "follow",
    "fresh_id",
    "gather_cosignatures",
    "open_checkpoint",
    "open_known_checkpoint",
    "prepare",
    "require_durable",
    "serve",
    "store_cosigned",
    "unveil",
    "verify_database",
    "verify_directory",
    "verify_receipt",
    "verify_source",
    "write_sealed",
]
