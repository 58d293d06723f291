"""Logs to test with, and a naive oracle of RFC 6962 and tlog-tiles that shares no code with the library."""

import base64
import hashlib
import sqlite3
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log import Cosigner, Envelope, Event, EventType, Log, Outcome, Signer, fresh_id, prepare
from audit_log.cosignature import merge_signatures
from audit_log.note import parse_note
from audit_log.tables import pack, read_head, store_leaves

ORIGIN = "dcr.example/room-1"
SEED = hashlib.sha256(b"audit_log test key, never used elsewhere").digest()
KEK = hashlib.sha256(b"auditor").digest()
READERS = {"auditor": KEK, "m:1": hashlib.sha256(b"m:1").digest()}


def signer(origin=ORIGIN):
    return Signer(origin, Ed25519PrivateKey.from_private_bytes(SEED))


VKEY = signer().verifier.vkey


def event(**changes):
    values = {
        "room": "r-1",
        "id": fresh_id(),
        "t": 1795398136,
        "type": EventType.QUERY_CHARGED,
        "outcome": Outcome.OK,
        "actor": "a:5f0c",
        "org": "m:17",
        "parties": frozenset({0, 3}),
    }
    return Event(**(values | changes))


def seal(event, details, readers):
    """Seal an entry's details; return its envelope, read from the leaf, and what lies beside it."""
    entry = prepare(event, details, readers)
    return Envelope.parse(entry.leaf), entry.sealed


def connect(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    return connection


def new_log(path, entries=0):
    """Make a log with some entries; return its connection and the log."""
    connection = connect(path)
    log = Log(ORIGIN, signer())
    connection.execute("BEGIN IMMEDIATE")
    log.create_schema(connection)
    connection.execute("COMMIT")
    add(connection, log, entries)
    return connection, log


def add(connection, log, entries, **changes):
    connection.execute("BEGIN IMMEDIATE")
    indexes = [
        log.append(connection, event(parties=frozenset({number % 3}), **changes), {"sql": "SELECT é"}, READERS)
        for number in range(entries)
    ]
    connection.execute("COMMIT")
    return indexes


def fixed_leaves(count):
    """Return leaves that never change, for golden vectors."""
    return [
        Envelope(
            event(id=f"{number:032x}", t=1795398136 + number, caused_by=number - 1),
            hashlib.sha256(b"commit %d" % number).hexdigest(),
            hashlib.sha256(b"sealed %d" % number).hexdigest(),
        ).leaf()
        for number in range(count)
    ]


def naive_root(hashes):
    """RFC 6962 §2.1, as written there."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()


def naive_path(index, hashes):
    """RFC 6962 §2.1.1, as written there."""
    if len(hashes) == 1:
        return []
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if index < split:
        return [*naive_path(index, hashes[:split]), naive_root(hashes[split:])]
    return [*naive_path(index - split, hashes[split:]), naive_root(hashes[:split])]


def naive_consistency(old, hashes, whole=True):
    """RFC 6962 §2.1.2, as written there."""
    if old == len(hashes):
        return [] if whole else [naive_root(hashes)]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if old <= split:
        return [*naive_consistency(old, hashes[:split], whole), naive_root(hashes[split:])]
    return [*naive_consistency(old - split, hashes[split:], False), naive_root(hashes[:split])]


def naive_leaf_hash(leaf):
    return hashlib.sha256(b"\x00" + leaf).digest()


def naive_note(size, root):
    text = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]
    line = base64.b64encode(key_id + key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {ORIGIN} {line}\n".encode()


def naive_files(leaves):
    """Return every file of the exported log, written from the specification's words (below 256^2 entries)."""
    hashes = [naive_leaf_hash(leaf) for leaf in leaves]
    files = {"checkpoint": naive_note(len(leaves), naive_root(hashes)), "log.vkey": f"{VKEY}\n".encode()}
    tops = [naive_root(hashes[at : at + 256]) for at in range(0, len(hashes) // 256 * 256, 256)]
    for level, row in (("entries", leaves), ("0", hashes), ("1", tops)):
        for number in range((len(row) + 255) // 256):
            part = row[number * 256 : number * 256 + 256]
            path = f"tile/{level}/{number:03d}" + ("" if len(part) == 256 else f".p/{len(part)}")
            prefix = level == "entries"
            files[path] = b"".join((len(each).to_bytes(2, "big") if prefix else b"") + each for each in part)
    return files


def write_files(directory, files):
    for path, content in files.items():
        target = Path(directory) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def read_files(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in Path(directory).rglob("*")
        if path.is_file()
    }


WITNESSES = [
    Cosigner(f"member-{name}.example/w", Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))
    for name in "abc"
]


def witness_lines(quorum="any"):
    """Return a policy over the three witnesses."""
    lines = [f"witness {index} {each.verifier.vkey} http://w{index}.example" for index, each in enumerate(WITNESSES)]
    return "\n".join([f"log {VKEY}", *lines, f"group q {quorum} 0 1 2", "quorum q", ""]).encode()


def bare_log(path, leaves):
    """Make a log of given leaves, under one checkpoint, without sealed details: what an export shows needs none."""
    connection, log = new_log(path)
    grow(connection, log, leaves)
    return connection, log


def grow(connection, log, leaves):
    """Append leaves to a log in one transaction, under one checkpoint."""
    head = read_head(connection)
    frontier = head.frontier
    for leaf in leaves:
        frontier = frontier.push(naive_leaf_hash(leaf))
    note = naive_note(frontier.size, frontier.root())
    connection.execute("BEGIN IMMEDIATE")
    store_leaves(connection, head.size, leaves, [naive_leaf_hash(leaf) for leaf in leaves])
    connection.execute(
        "UPDATE audit_head SET size = ?, root = ?, frontier = ?, note = ?",
        (frontier.size, frontier.root(), pack(frontier), note),
    )
    connection.execute("INSERT OR REPLACE INTO audit_checkpoint (size, note) VALUES (?, ?)", (frontier.size, note))
    connection.execute("COMMIT")


def cosigned_note(note, *which, at=1_700_000_000):
    """Return a checkpoint with cosignatures of some of the witnesses."""
    text = parse_note(note).text
    return merge_signatures(note, [WITNESSES[each].cosign(text, at + each) for each in which])
