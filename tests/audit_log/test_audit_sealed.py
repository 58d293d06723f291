"""Details on their way out: only their readers' keys open them, and the file tells nobody else whose they are."""

import base64
import contextlib
import hashlib
import hmac
import io
import json
import secrets
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from audit_samples import KEK, READERS, event, new_log, seal
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_log import (
    DirectorySource,
    EntryReader,
    Envelope,
    EventType,
    MalformedEntry,
    NotVerified,
    SealedFile,
    details,
    export_log,
    open_checkpoint,
    unveil,
    write_sealed,
)
from audit_log.details import MAX_DETAILS_BYTES, WRAPPED_BYTES, SealedDetails, Veiled, veil, veiled_length

DETAILS = {"sql": "SELECT é", "cost": "1/2"}


def cut(keys, count):
    envelope, sealed = seal(event(), DETAILS, READERS)
    return envelope, cover(envelope, sealed, keys, count)


def cover(envelope, sealed, keys, count, **more):
    wrapped = sealed.wraps["auditor"]
    return veil(envelope, sealed.ciphertext, wrapped, reader="auditor", kek=KEK, keys=keys, count=count, **more)


@given(st.integers(0, 6), st.integers(0, 6))
def test_each_reader_opens_and_nobody_else_does(readers, empty):
    keys = [secrets.token_bytes(32) for _ in range(readers)]
    envelope, found = cut(keys, readers + empty)
    assert len(found.slots) == readers + empty
    assert {len(each) for each in found.slots} <= {WRAPPED_BYTES}
    assert found.slots == tuple(sorted(found.slots))
    for key in keys:
        assert unveil(envelope, found, kek=key) == DETAILS
    assert unveil(envelope, found, kek=secrets.token_bytes(32)) is None
    assert unveil(envelope, found, kek=KEK) is None  # a reader in the room is none outside


@pytest.mark.parametrize(
    ("size", "least", "blocks"), [(1, 1, 1), (4000, 1, 1), (4090, 1, 4), (1, 4, 4), (16000, 1, 4), (17000, 4, 16)]
)
def test_the_length_tells_a_power_of_four_of_blocks(size, least, blocks):
    key = secrets.token_bytes(32)
    envelope, sealed = seal(event(), {"x": "y" * size}, READERS)
    found = cover(envelope, sealed, [key], 1, least_blocks=least)
    assert len(found.content) == veiled_length(blocks)
    assert unveil(envelope, found, kek=key) == {"x": "y" * size}
    assert sealed.ciphertext[:64] not in found.content  # nothing that the leaf's digest could be tried against


def test_the_longest_details_leave_and_come_back():
    longest = {"x": "y" * (MAX_DETAILS_BYTES - 10)}
    key = secrets.token_bytes(32)
    envelope, sealed = seal(event(), longest, READERS)
    found = cover(envelope, sealed, [key], 1)
    note = b"note"
    head = b"dcr-audit-sealed-v1\n" + len(note).to_bytes(4, "big") + note + bytes(4)
    body = len(found.content).to_bytes(4, "big") + (1).to_bytes(2, "big") + found.content + found.slots[0]
    (read,) = SealedFile(io.BytesIO(head + body)).entries(1)
    assert unveil(envelope, read, kek=key) == longest


def test_more_readers_than_slots_are_refused():
    with pytest.raises(MalformedEntry):
        cut([secrets.token_bytes(32)] * 2, 1)


@given(st.data())
@settings(max_examples=60)
def test_whatever_is_altered_does_not_open_as_something_else(data):
    """One flipped bit of the slot is no key of the reader's any more; of ciphertext or leaf, it is told."""
    key = secrets.token_bytes(32)
    envelope, found = cut([key], 1)
    what = data.draw(st.sampled_from(["slot", "content", "commit", "id"]))
    if what == "slot":
        at = data.draw(st.integers(0, WRAPPED_BYTES * 8 - 1))
        changed = bytearray(found.slots[0])
        changed[at // 8] ^= 1 << at % 8
        assert unveil(envelope, Veiled(found.content, (bytes(changed),)), kek=key) is None
    elif what == "content":
        at = data.draw(st.integers(0, len(found.content) * 8 - 1))
        changed = bytearray(found.content)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(NotVerified, match="does not open"):
            unveil(envelope, Veiled(bytes(changed), found.slots), kek=key)
    else:
        # Bound to its entry: in another's place the key does not even open.
        other = replace(envelope, commit="0" * 64) if what == "commit" else replace(envelope, event=event(id="0" * 32))
        assert unveil(other, found, kek=key) is None


def test_a_key_that_opens_other_details_is_told():
    """Whoever holds the room's key can wrap any key for a reader; the leaf's commitment finds it out."""
    key = secrets.token_bytes(32)
    envelope, found = cut([key], 1)
    forged = details._wrap(
        secrets.token_bytes(32),
        reader="slot",
        kek=key,
        binding=details._binding(envelope),
        nonce=secrets.token_bytes(12),
    )
    with pytest.raises(NotVerified, match="does not open"):
        unveil(envelope, Veiled(found.content, (forged,)), kek=key)


def test_another_entrys_details_under_the_right_key_are_told():
    """Veiled again by whoever holds the entry's key, around another ciphertext: the leaf's digest finds it out."""
    key = secrets.token_bytes(32)
    envelope, sealed = seal(event(), DETAILS, READERS)
    other = SealedDetails(bytes(4112), sealed.wraps)
    with pytest.raises(NotVerified, match="not the ciphertext"):
        unveil(envelope, cover(envelope, other, [key], 1), kek=key)


def test_two_files_have_no_slot_in_common_and_empty_ones_look_alike():
    """Over 4000 slots each, held and empty: bytes at every place are as good as uniform (chi square, 255 degrees)."""
    key = secrets.token_bytes(32)
    held, empty = Counter(), Counter()
    envelope, sealed = seal(event(), DETAILS, READERS)
    seen = set()
    for _ in range(4000):
        (one,) = cover(envelope, sealed, [key], 1).slots
        (none,) = cover(envelope, sealed, [], 1).slots
        held.update(one)
        empty.update(none)
        seen |= {one, none}
    assert len(seen) == 8000
    expected = 4000 * WRAPPED_BYTES / 256
    for counted in (held, empty):
        # P(chi² with 255 degrees of freedom > 410) < 1e-9.
        assert sum((counted[each] - expected) ** 2 / expected for each in range(256)) < 410


@pytest.fixture
def exported(tmp_path):
    """A log of 300 entries, exported, with sealed details for two readers of what is theirs."""
    keys = {0: b"0" * 32, 1: b"1" * 32}
    connection, log = new_log(tmp_path / "room.db", 300)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        log.erase(connection, 7, event(type=EventType.DETAILS_ERASED, caused_by=7), {}, READERS)
        connection.execute("COMMIT")
        checkpoint = export_log(connection, log.verifier, tmp_path / "out")
        note = (tmp_path / "out" / "checkpoint").read_bytes()
        target = io.BytesIO()
        write_sealed(
            target,
            connection,
            note=note,
            size=checkpoint.size,
            boxes=[b"box 1", b"box 2"],
            room_reader=("auditor", KEK),
            keys_of=lambda _, each: [keys[at] for at in each.event.parties & keys.keys()],
            slots_of=lambda each: len(each.event.parties) + 1,
            least_blocks=lambda _: 1,
        )
        assert not connection.in_transaction
    assert open_checkpoint(note, log.verifier) == checkpoint
    return tmp_path / "out", checkpoint, target.getvalue(), keys


def test_the_file_holds_each_entry_for_its_readers(exported):
    directory, checkpoint, content, keys = exported
    file = SealedFile(io.BytesIO(content))
    assert (file.note, file.boxes) == ((directory / "checkpoint").read_bytes(), (b"box 1", b"box 2"))
    reader = EntryReader(DirectorySource(directory), checkpoint)
    for _ in range(2):  # as often as one likes
        pairs = list(zip(reader.entries(), file.entries(checkpoint.size), strict=True))
        assert len(pairs) == 301
        for (index, envelope), sealed in pairs:
            if index == 7:
                assert sealed == Veiled(b"", ())
                continue
            assert len(sealed.slots) == len(envelope.event.parties) + 1
            for ordinal, key in keys.items():
                opened = unveil(envelope, sealed, kek=key)
                assert (opened is not None) is (ordinal in envelope.event.parties)


def test_a_file_cut_anywhere_or_longer_is_refused(exported):
    _, checkpoint, content, _ = exported
    ends = [*range(400), *range(400, len(content), 4001), len(content) - 1]
    for end in ends:
        with pytest.raises(NotVerified):
            list(SealedFile(io.BytesIO(content[:end])).entries(checkpoint.size))
    with pytest.raises(NotVerified, match="follow the last"):
        list(SealedFile(io.BytesIO(content + b"\0")).entries(checkpoint.size))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_file_or_refused(content):
    for tried in (content, b"dcr-audit-sealed-v1\n" + content):
        try:
            for _ in SealedFile(io.BytesIO(tried)).entries(3):
                pass
        except NotVerified:
            continue


def test_entries_that_are_not_the_checkpoints_are_refused(exported):
    directory, checkpoint, _, _ = exported
    source = DirectorySource(directory)
    with pytest.raises(NotVerified, match="root"):
        list(EntryReader(source, replace(checkpoint, root=bytes(32))).entries())
    reader = EntryReader(source, checkpoint)
    list(reader.entries())
    bundle = directory / "tile" / "entries" / "000"
    content = bytearray(bundle.read_bytes())
    at = content.index(b'"pad":"') + 7
    content[at : at + 1] = b"1"
    bundle.write_bytes(content)
    with pytest.raises(NotVerified, match="changed"):
        list(reader.entries())
    bundle.unlink()
    with pytest.raises(NotVerified, match="missing"):
        list(EntryReader(source, checkpoint).entries())


def test_the_committed_file_opens_as_the_specification_says():
    """Read by hand from docs/spec/log.md, without the library; and by the library: so the form stays what it is."""
    vector = json.loads((Path(__file__).parent / "sealed_vector.json").read_text("utf-8"))
    content, leaf, key = base64.b64decode(vector["file"]), vector["leaf"].encode(), bytes.fromhex(vector["key"])
    rest = io.BytesIO(content)
    take = rest.read
    number = lambda length: int.from_bytes(take(length), "big")  # noqa: E731
    assert take(20) == b"dcr-audit-sealed-v1\n"
    assert take(number(4)).decode() == vector["note"]
    count, length = number(2), number(2)
    assert [take(length) for _ in range(count)] == [b"box"]
    veiled_bytes, count = number(4), number(2)
    veiled, held = take(veiled_bytes), [take(60) for _ in range(count)]
    assert rest.read() == b""

    values = json.loads(leaf)
    unsealed = json.dumps(values | {"sealed": "0" * 64}, sort_keys=True, separators=(",", ":")).encode()
    binding = hashlib.sha256(unsealed).digest()
    opened = []
    for slot in held:
        with contextlib.suppress(InvalidTag):
            opened.append(AESGCM(key).decrypt(slot[:12], slot[12:], b"dcr-audit-wrap-v1\0" + binding + b"slot"))
    (entry_key,) = opened
    derive = lambda info, length: HKDF(SHA256(), length, None, info).derive(entry_key)  # noqa: E731
    framed = AESGCM(derive(b"dcr-audit-veil-v1", 32)).decrypt(veiled[:12], veiled[12:], binding)
    ciphertext = framed[4 : 4 + int.from_bytes(framed[:4], "big")]
    assert hashlib.sha256(ciphertext).hexdigest() == values["sealed"]
    stream = derive(b"dcr-audit-details-v1", 44)
    padded = AESGCM(stream[:32]).decrypt(stream[32:], ciphertext, binding)
    canonical = padded[4 : 4 + int.from_bytes(padded[:4], "big")]
    assert hmac.digest(entry_key, b"dcr-audit-commit-v1\0" + canonical, "sha256").hex() == values["commit"]
    assert json.loads(canonical) == vector["details"]

    (read,) = SealedFile(io.BytesIO(content)).entries(1)
    assert unveil(Envelope.parse(leaf), read, kek=key) == vector["details"]
