"""A verifier in Go, on the packages that verify Go's checksum database, agrees with ours on what holds and what not."""

import base64
import shutil
from contextlib import closing
from itertools import pairwise

import pytest
from audit_samples import (
    ORIGIN,
    VKEY,
    WITNESSES,
    add,
    bare_log,
    cosigned_note,
    fixed_leaves,
    grow,
    new_log,
    signer,
    witness_lines,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from go_verifier import go_says, missing

from audit_log import (
    Checkpoint,
    Finding,
    NotVerified,
    Signer,
    TrustPolicy,
    Verifier,
    export_log,
    store_cosigned,
    verify_directory,
    verify_receipt,
)
from audit_log.checkpoint import sign_checkpoint

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"{missing()}; nothing independent verified the log")

SIZES = (0, 1, 255, 256, 257, 65535, 65536, 65537, 70000)
WITNESS_KEYS = [argument for each in WITNESSES for argument in ("-witness", each.verifier.vkey)]
POLICY = TrustPolicy.parse(witness_lines("2"))


def test_go_accepts_what_we_export(tmp_path):
    """One log, exported again and again into one directory as it grows."""
    leaves = fixed_leaves(SIZES[-1])
    connection, log = bare_log(tmp_path / "room.db", [])
    out = tmp_path / "out"
    remembered = None
    with closing(connection):
        for before, size in pairwise((0, *SIZES)):
            if size > before:
                grow(connection, log, leaves[before:size])
            checkpoint = export_log(connection, log.verifier, out)
            verdict = verify_directory(out, VKEY, remembered=remembered, incremental=True)
            assert (verdict.ok, verdict.since) == (True, before)
            remembered = checkpoint
            accepted, said = go_says(out, VKEY)
            assert (accepted, said) == (True, f"{size} {base64.b64encode(checkpoint.root).decode()}")
    assert verify_directory(out, VKEY).ok
    shutil.rmtree(out)


@pytest.mark.soak
def test_go_accepts_a_million_entries(tmp_path):
    connection, log = bare_log(tmp_path / "room.db", [])
    with closing(connection):
        for _ in range(100):
            grow(connection, log, fixed_leaves(10_000))
        export_log(connection, log.verifier, tmp_path / "out")
    # The same leaves again and again: their causes lie before them, so they are entries as good as any.
    assert verify_directory(tmp_path / "out", VKEY).ok
    assert go_says(tmp_path / "out", VKEY)[0]
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A log of 300 entries, cosigned by two of three witnesses."""
    folder = tmp_path_factory.mktemp("export")
    connection, log = new_log(folder / "room.db", 300)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        note = connection.execute("SELECT note FROM audit_head").fetchone()[0]
        assert store_cosigned(connection, log.verifier, cosigned_note(note, 0, 1), POLICY)
        connection.execute("COMMIT")
        export_log(connection, log.verifier, folder / "out")
        (folder / "receipt").write_bytes(log.receipt(connection, 258, cosigned=True))
        (folder / "leaf").write_bytes(log.leaf(connection, 258))
    return folder


def both(directory, policy=None, vkey=VKEY):
    """Return what each verifier says; they must agree."""
    ours = verify_directory(directory, vkey, policy=policy)
    arguments = [*WITNESS_KEYS, "-cosigned", "2"] if policy is not None else []
    accepted, said = go_says(*arguments, directory, vkey)
    assert ours.ok == accepted, (ours, said)
    return ours


def flip(at):
    def change(directory, path):
        content = bytearray((directory / path).read_bytes())
        content[at] ^= 1
        (directory / path).write_bytes(content)

    return change


def write(change):
    def changed(directory, path):
        (directory / path).write_bytes(change((directory / path).read_bytes()))

    return changed


def swap(other):
    def change(directory, path):
        first, second = (directory / path).read_bytes(), (directory / other).read_bytes()
        (directory / path).write_bytes(second)
        (directory / other).write_bytes(first)

    return change


def swap_entries(content):
    return content[1026:2052] + content[:1026] + content[2052:]


def other_signature(note):
    return note[:120] + (b"A" if note[120:121] != b"A" else b"B") + note[121:]


def sign(checkpoint, key=None):
    def change(directory, path):
        (directory / path).write_bytes(sign_checkpoint(checkpoint, key or signer()))

    return change


STRANGER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
ENTRIES, REST = "tile/entries/000", "tile/entries/001.p/44"

TAMPERING = {
    "a byte of an entry": (ENTRIES, flip(500), Finding.ENTRY_ALTERED),
    "a byte of the last entry": (REST, flip(-1), Finding.ENTRY_ALTERED),
    "an entry's length": (ENTRIES, flip(1), Finding.ENTRY_MALFORMED),
    "two entries swapped": (ENTRIES, write(swap_entries), Finding.ENTRY_ALTERED),
    "an entry removed": (ENTRIES, write(lambda content: content[1026:]), Finding.FILE_LENGTH),
    "an entry added": (REST, write(lambda content: content + content[:1026]), Finding.FILE_LENGTH),
    "an entry twice": (REST, write(lambda content: content[1026:] + content[-1026:]), Finding.ENTRY_ALTERED),
    "a bundle cut": (REST, write(lambda content: content[:-1]), Finding.FILE_LENGTH),
    "a bundle missing": (ENTRIES, lambda directory, path: (directory / path).unlink(), Finding.FILE_MISSING),
    "bundle and tile swapped": (ENTRIES, swap("tile/0/000"), Finding.FILE_LENGTH),
    "a byte of a full tile": ("tile/0/000", flip(77), Finding.TILE_ALTERED),
    "a byte of a partial tile": ("tile/0/001.p/44", flip(77), Finding.TILE_ALTERED),
    "a byte of a tile above": ("tile/1/000.p/1", flip(3), Finding.TILE_ALTERED),
    "a tile longer": ("tile/1/000.p/1", write(lambda content: content * 2), Finding.FILE_LENGTH),
    "a tile missing": ("tile/0/000", lambda directory, path: (directory / path).unlink(), Finding.FILE_MISSING),
    "a file added": ("tile/0/002", lambda directory, path: (directory / path).write_bytes(b"x"), Finding.FILE_EXTRA),
    "the size edited": (
        "checkpoint",
        write(lambda note: note.replace(b"\n300\n", b"\n299\n")),
        Finding.SIGNATURE_WRONG,
    ),
    "the signature": ("checkpoint", write(other_signature), Finding.SIGNATURE_WRONG),
    "another root, signed": ("checkpoint", sign(Checkpoint(ORIGIN, 300, bytes(32))), Finding.ROOT_DIFFERS),
    "another size, signed": ("checkpoint", sign(Checkpoint(ORIGIN, 299, bytes(32))), Finding.FILE_MISSING),
    "another key": ("checkpoint", sign(Checkpoint(ORIGIN, 300, bytes(32)), STRANGER), Finding.SIGNATURE_WRONG),
    "no checkpoint": ("checkpoint", lambda directory, path: (directory / path).unlink(), Finding.FILE_MISSING),
    "a checkpoint without signatures": (
        "checkpoint",
        write(lambda note: note[: note.index("\u2014".encode())]),
        Finding.CHECKPOINT_MALFORMED,
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_both_refuse_what_was_tampered_with(export, tmp_path, name):
    shutil.copytree(export / "out", tmp_path / "out")
    assert both(tmp_path / "out").ok
    path, change, found = TAMPERING[name]
    change(tmp_path / "out", path)
    assert both(tmp_path / "out").code is found


def without_witness(note, name):
    return b"".join(line for line in note.splitlines(keepends=True) if name.encode() not in line)


def other_time(note):
    """Change the time of a cosignature, which it signs."""
    lines = note.decode().split("\n")
    at = next(number for number, line in enumerate(lines) if "member-a" in line)
    head, _, encoded = lines[at].rpartition(" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1
    lines[at] = f"{head} {base64.b64encode(raw).decode()}"
    return "\n".join(lines).encode()


COSIGNATURES = {
    "one dropped": (lambda note: without_witness(note, "member-a"), Finding.QUORUM_MISSING),
    "all dropped": (lambda note: without_witness(note, "member-"), Finding.QUORUM_MISSING),
    "another time": (other_time, Finding.POLICY_UNMET),
    "of another witness": (lambda note: note.replace(b"member-a", b"member-c"), Finding.QUORUM_MISSING),
}


@pytest.mark.parametrize("name", COSIGNATURES)
def test_both_refuse_what_witnesses_did_not_cosign(export, tmp_path, name):
    shutil.copytree(export / "out", tmp_path / "out")
    assert both(tmp_path / "out", POLICY).ok
    change, found = COSIGNATURES[name]
    place = tmp_path / "out" / "checkpoint"
    place.write_bytes(change(place.read_bytes()))
    assert both(tmp_path / "out", POLICY).code is found
    assert both(tmp_path / "out").ok  # it is the log's own, and nobody asked for more


RECEIPTS = {
    "as it is": (lambda receipt: receipt, True),
    "another index": (lambda receipt: receipt.replace(b"index 258", b"index 257"), False),
    "an index too large": (lambda receipt: receipt.replace(b"index 258", b"index 558"), False),
    "a hash fewer": (lambda receipt: b"\n".join([*receipt.split(b"\n")[:2], *receipt.split(b"\n")[3:]]), False),
    "a hash more": (lambda receipt: receipt.replace(b"index 258\n", b"index 258\n" + b"A" * 43 + b"=\n"), False),
    "another size": (lambda receipt: receipt.replace(b"\n300\n", b"\n301\n"), False),
    "not cosigned": (lambda receipt: without_witness(receipt, "member-b"), False),
    "extra data": (lambda receipt: receipt.replace(b"index", b"extra QUJD\nindex", 1), True),
}


@pytest.mark.parametrize("name", RECEIPTS)
def test_both_judge_receipts_alike(export, tmp_path, name):
    change, holds = RECEIPTS[name]
    receipt, leaf = change((export / "receipt").read_bytes()), (export / "leaf").read_bytes()
    (tmp_path / "receipt").write_bytes(receipt)
    arguments = [*WITNESS_KEYS, "-cosigned", "2", "-proof", tmp_path / "receipt", "-leaf", export / "leaf", VKEY]
    assert go_says(*arguments)[0] is holds
    verifier = Verifier.from_vkey(VKEY)
    if holds:
        assert verify_receipt(receipt, leaf, verifier, POLICY)[0] == 258
    else:
        with pytest.raises(NotVerified):
            verify_receipt(receipt, leaf, verifier, POLICY)
    with pytest.raises(NotVerified):
        verify_receipt(receipt, leaf[:-1] + b" ", verifier)


def test_go_knows_no_other_key(export):
    assert not both(export / "out", vkey=STRANGER.verifier.vkey).ok


def test_go_agrees_after_every_kind_of_growth(tmp_path):
    """Single entries, groups, and what is exported while the log grows."""
    connection, log = new_log(tmp_path / "room.db", 3)
    with closing(connection):
        for more in (1, 252, 1, 1, 300):
            add(connection, log, more)
            export_log(connection, log.verifier, tmp_path / "out")
            assert both(tmp_path / "out").ok
