"""What intake takes and refuses: damage is named, forgery and mismatch too; no message holds a value of a row."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from partition_samples import (
    CATALOG,
    FORGED,
    ROOM,
    SIGNING,
    Forger,
    claiming,
    frame,
    prepared,
    rows,
    verified,
)

from cleanroom.errors import CleanroomError, InvalidUpload, NotVerified
from cleanroom.identifiers import Digest, Epoch, IdentifierKind, RoomId, TableName, UploadId
from cleanroom.partition import (
    MAGIC,
    Append,
    Correct,
    Manifest,
    PersonsRows,
    Replace,
    StorageType,
    aad_prefix,
    arrow_schema,
    read_package,
    sealing_info,
    storage_schema,
    table_writing,
)
from cleanroom.storage.intake import VerifiedPackage
from key_management.transport import TransportKey

LOW, MIDDLE, HIGH = b"\x01" + bytes(15), b"\x40" + bytes(15), b"\xc0" + bytes(15)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("member") / "visits.package"
    prepared(frame(rows(5, people=3)), path)
    return path


def test_a_right_package_is_verified(package: Path) -> None:
    taken = verified(package)
    assert taken.manifest.row_count == 5
    assert verified(package, linkage_check=None).manifest == taken.manifest
    assert Manifest.parse(taken.manifest.encode()) == taken.manifest


def test_a_verified_package_cannot_be_made_by_hand_or_copied(package: Path) -> None:
    taken = verified(package)
    with pytest.raises(TypeError):
        VerifiedPackage(read_package(package), taken.data_key, issued=object())
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(taken)
    with pytest.raises(AttributeError):
        taken.other = 1  # type: ignore[attr-defined]


def test_every_flipped_byte_is_detected_and_its_part_named(package: Path, tmp_path: Path) -> None:
    content = package.read_bytes()
    parts = read_package(package)
    manifest_end = len(MAGIC) + 160 + len(parts.manifest.encode())
    sealed_end = manifest_end + len(parts.sealed_key)
    ends = {
        "magic": len(MAGIC),
        "index": len(MAGIC) + 160,
        "manifest": manifest_end,
        "sealed key": sealed_end,
        "signature": sealed_end + 64,
        "table file": len(content),
    }
    assert ends["signature"] == parts.table_file_offset
    damaged = tmp_path / "damaged.package"
    # Every byte of the head; the table file is digested whole, so every 37th byte of it will do.
    places = [*range(parts.table_file_offset), *range(parts.table_file_offset, len(content), 37), len(content) - 1]
    for place in places:
        name = next(name for name, end in ends.items() if place < end)
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x20]) + content[place + 1 :])
        with pytest.raises(CleanroomError) as refused:
            verified(damaged)
        assert isinstance(refused.value, InvalidUpload | NotVerified)
        assert name in refused.value.message.en, place


def test_every_truncation_and_any_extension_is_refused(package: Path, tmp_path: Path) -> None:
    content = package.read_bytes()
    cut = tmp_path / "cut.package"
    for length in [*range(0, len(content), 41), len(content) - 1]:
        cut.write_bytes(content[:length])
        with pytest.raises(InvalidUpload):
            verified(cut)
    cut.write_bytes(content + b"\0")
    with pytest.raises(InvalidUpload, match="impossible length: table file"):
        verified(cut)


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"member_key": Ed25519PrivateKey.generate().public_key()}, "wrong_signature", "not 'tnm''s"),
        ({"open_sealed": TransportKey.generate().open}, "sealed_key", "sealed to another room"),
        ({"room": RoomId("autre")}, "mismatched_upload", "room"),
        ({"epoch": Epoch("2026")}, "mismatched_upload", "epoch"),
        ({"declaration_digest": Digest.of(b"another")}, "mismatched_upload", "declaration"),
        ({"catalog": replace(CATALOG, table=TableName.parse("tnm.sales"))}, "mismatched_upload", "table"),
        ({"catalog": replace(CATALOG, columns=CATALOG.columns[1:])}, "mismatched_upload", "columns"),
        (
            {"catalog": replace(CATALOG, unit=replace(CATALOG.unit, kind=IdentifierKind.OPAQUE))},
            "mismatched_upload",
            "kind",
        ),
        ({"linkage_check": bytes(32)}, "wrong_linkage_key", "another linkage key"),
    ],
)
def test_what_is_not_meant_for_this_room_is_refused(
    package: Path, changed: dict[str, object], code: str, said: str
) -> None:
    with pytest.raises((InvalidUpload, NotVerified)) as refused:
        verified(package, **changed)
    assert refused.value.code == code
    assert said in refused.value.message.en
    assert refused.value.message.fr != refused.value.message.en


def test_a_forger_can_make_a_right_package(tmp_path: Path) -> None:
    forger = Forger(tmp_path)
    taken = verified(forger.package([forger.table([LOW, MIDDLE]), forger.table([HIGH])]))
    assert taken.manifest.group_rows == (2, 1)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([[MIDDLE, LOW]], "token range 0: tokens unsorted or repeated"),
        ([[HIGH, HIGH, bytes(15) + b"\1", bytes(16)]], "token range 0: tokens unsorted or repeated"),
        ([[bytes(15) + b"\2", bytes(15) + b"\1"]], "token range 0: tokens unsorted or repeated"),
        ([[LOW, HIGH], [HIGH]], "token range 0: token outside its range"),
        ([[LOW], [MIDDLE, HIGH]], "token range 1: token outside its range"),
        ([[HIGH], [LOW]], "token range 0: token outside its range"),
        ([[], [LOW]], "token range 1: token outside its range"),
        ([[LOW], [], [MIDDLE], [HIGH]], "token range 2: token outside its range"),
    ],
)
def test_unsorted_tokens_and_wrongly_cut_groups_are_refused(
    tmp_path: Path, groups: list[list[bytes]], said: str
) -> None:
    forger = Forger(tmp_path)
    with pytest.raises(InvalidUpload) as refused:
        verified(forger.package([forger.table(tokens) for tokens in groups]))
    assert refused.value.message.en == said
    assert refused.value.message.fr.startswith("plage de jetons")


def test_a_disorder_between_batches_is_seen(tmp_path: Path) -> None:
    forger = Forger(tmp_path)
    tokens = [number.to_bytes(16, "big") for number in range(131_073)]
    verified(forger.package([forger.table(tokens)]))
    tokens[131_071], tokens[131_072] = tokens[131_072], tokens[131_071]
    with pytest.raises(InvalidUpload, match="tokens unsorted or repeated"):
        verified(forger.package([forger.table(tokens)]))


TWO = [LOW, LOW, HIGH]
FORGED_GROUPS = {
    "no tokens": (0, "u", [None], "person without a token or a row"),
    "a token that is cut off": (0, "u", [LOW + HIGH[:15]], "persons cut off"),
    "a person without a token": (0, "u", [LOW], "person without a token or a row"),
    "no counts": (0, "u#rows", [None], "person without a token or a row"),
    "a count that is cut off": (0, "u#rows", [b"\2\0\0\0\1"], "persons cut off"),
    "a person without a count": (0, "u#rows", [b"\2\0\0\0"], "person without a token or a row"),
    "a person without rows": (0, "u#rows", [b"\3\0\0\0\0\0\0\0"], "person without a token or a row"),
    "rows that are nobody's": (0, "u#rows", [b"\1\0\0\0\1\0\0\0"], "row count"),
    "rows that are not there": (0, "u#rows", [b"\2\0\0\0\2\0\0\0"], "row count"),
    "counts that overflow": (0, "u#rows", [b"\xff\xff\xff\xff\4\0\0\0"], "row count"),
    "a person twice": (0, "u", [HIGH + HIGH], "tokens unsorted or repeated"),
    "a value among persons": (0, "montant", [b"\5\0\0\0"], "column outside its row group"),
    "a text among persons": (0, "canal", ["caché"], "column outside its row group"),
    "a text that must be there among persons": (0, "salle", ["caché"], "column outside its row group"),
    "a token among rows": (1, "u", [None, None, HIGH], "column outside its row group"),
    "a count among rows": (1, "u#rows", [b"\1\0\0\0", None, None], "column outside its row group"),
    "a missing value": (1, "montant", [b"\0" * 4, b"\xff" * 4, b"\0" * 4], "missing value"),
    "a missing category": (1, "genre", [b"\1", b"\xff", b"\1"], "missing value"),
}


@pytest.mark.parametrize("case", FORGED_GROUPS)
def test_row_groups_that_are_not_persons_and_their_rows_are_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    place, name, values, said = FORGED_GROUPS[case]
    whole = table_writing._row_groups

    def forged(held: PersonsRows, schema: pa.Schema) -> list[pa.Table]:
        made = list(whole(held, schema))
        field = schema.field(name)
        column = pa.array(values, field.type)
        made[place] = made[place].set_column(schema.get_field_index(name), field, column)
        return made

    forger = Forger(tmp_path)
    assert verified(forger.package([forger.table(TWO)])).manifest.group_rows == (3,)
    monkeypatch.setattr(table_writing, "_row_groups", forged)
    with pytest.raises(InvalidUpload) as refused:
        verified(forger.package([forger.table(TWO)]))
    assert refused.value.message.en == f"token range 0: {said}"


def test_row_groups_in_another_order_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table_writing._row_groups
    forger = Forger(tmp_path)
    monkeypatch.setattr(table_writing, "_row_groups", lambda *held: tuple(reversed(whole(*held))))
    with pytest.raises(InvalidUpload, match="not the manifest's: row groups"):
        verified(forger.package([forger.table(TWO)]))
    # As many rows as a range's persons are: the counts are not there.
    with pytest.raises(InvalidUpload, match=r"person without a token or a row|column outside its row group"):
        verified(forger.package([forger.table([LOW])]))
    monkeypatch.setattr(table_writing, "_row_groups", lambda *held: whole(*held)[1:])
    with pytest.raises(InvalidUpload, match="not the manifest's: row groups"):
        verified(forger.package([forger.table(TWO)]))


def test_rows_without_persons_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range whose persons are an empty row group, which no reader would miss."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole, write = table_writing._row_groups, pq.ParquetWriter.write_table

    def nobody(held: PersonsRows, schema: pa.Schema) -> tuple[pa.Table, pa.Table]:
        persons, rows = whole(held, schema)
        return persons.slice(0, 0), rows

    def written(self: pq.ParquetWriter, table: pa.Table, row_group_size: int) -> None:
        write(self, table, row_group_size=max(1, row_group_size))

    monkeypatch.setattr(table_writing, "_row_groups", nobody)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", written)
    forger = Forger(tmp_path)
    package = forger.package([forger.table(TWO)])
    with pytest.raises((InvalidUpload, NotVerified)):
        verified(package)


def test_another_schema_under_a_right_manifest_is_refused(tmp_path: Path) -> None:

    forger = Forger(tmp_path)
    columns = storage_schema(CATALOG)
    texts = tuple(replace(each, storage=StorageType.STRING) if each.name == "genre" else each for each in columns)
    table = forger.table([LOW]).cast(arrow_schema(texts))
    with pytest.raises(InvalidUpload, match="not the manifest's: columns"):
        verified(forger.package([table], written_as=texts))
    with pytest.raises(InvalidUpload, match="not the manifest's: columns"):
        verified(forger.package([forger.table([LOW]).select(range(3))], written_as=columns[:3]))
    # A text that may not be missing is required in the file, so that there is no way to leave it out.
    optional = tuple(replace(each, nullable=True) if each.name == "salle" else each for each in columns)
    with pytest.raises(InvalidUpload, match="not the manifest's: columns"):
        verified(forger.package([forger.table([LOW]).cast(arrow_schema(optional))], written_as=optional))


@pytest.mark.parametrize("group_rows", [(1,), (3,), (2, 0), (0, 2), (1, 1, 0, 0)])
def test_a_manifest_that_counts_other_groups_is_refused(tmp_path: Path, group_rows: tuple[int, ...]) -> None:
    honest = Forger(tmp_path).table([LOW, LOW])
    if group_rows == (2, 0):  # the same row group, said to be half the tokens: that is right
        verified(claiming(tmp_path, group_rows=group_rows).package([honest]))
        return
    with pytest.raises(InvalidUpload):
        verified(claiming(tmp_path, group_rows=group_rows).package([honest]))


def test_a_table_file_of_another_upload_does_not_open(tmp_path: Path) -> None:
    forger = Forger(tmp_path)
    other = aad_prefix(ROOM, CATALOG.table, forger.upload.replace("f", "e"))  # type: ignore[arg-type]
    with pytest.raises(NotVerified, match="footer or data key"):
        verified(forger.package([forger.table([LOW])], aad=other))


def test_a_lying_footer_digest_is_refused(tmp_path: Path) -> None:
    forger = Forger(tmp_path, claim=lambda said: replace(said, file=replace(said.file, footer_digest=Digest.of(b""))))
    with pytest.raises(NotVerified, match="footer"):
        verified(forger.package([forger.table([LOW])]))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    forger = Forger(tmp_path)
    table = forger.table([LOW])
    wrong = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
    table = table.set_column(4, table.schema.field(4), wrong)
    with pytest.raises((InvalidUpload, NotVerified)) as refused:
        verified(forger.package([table]))
    assert refused.value.message.en == "token range 0: malformed values"


def test_each_intent_has_an_encoding_of_its_own(package: Path) -> None:
    manifest = read_package(package).manifest
    intents = (Append(), Replace(), Correct(UploadId("0" * 32)), Correct(UploadId("1" * 32)))
    encoded = {replace(manifest, intent=intent).encode(): intent for intent in intents}
    assert len(encoded) == len(intents)
    assert all(Manifest.parse(content).intent == intent for content, intent in encoded.items())
    assert Manifest.parse(replace(manifest, after=7).encode()).after == 7
    with pytest.raises(ValueError, match="intent"):
        Correct(UploadId("0" * 31))


def test_the_sealed_key_is_bound_to_the_whole_manifest(package: Path) -> None:
    manifest = read_package(package).manifest
    others = [
        replace(manifest, room=RoomId("autre")),
        replace(manifest, table=TableName.parse("tnm.sales")),
        replace(manifest, upload=FORGED),
        replace(manifest, epoch=Epoch("2026")),
        replace(manifest, file=replace(manifest.file, digest=Digest.of(b""))),
        replace(manifest, intent=Replace()),
        replace(manifest, after=1),
    ]
    assert len({sealing_info(each) for each in (manifest, *others)}) == 8


def test_the_signature_covers_the_sealed_key(package: Path, tmp_path: Path) -> None:
    from cleanroom.partition import verify_signature

    parts = read_package(package)
    verify_signature(parts, SIGNING.public_key())
    with pytest.raises(NotVerified):
        verify_signature(replace(parts, sealed_key=parts.sealed_key[:-1] + b"\0"), SIGNING.public_key())
    for other in ({"epoch": Epoch("2026")}, {"intent": Replace()}, {"after": 1}):
        with pytest.raises(NotVerified):
            verify_signature(replace(parts, manifest=replace(parts.manifest, **other)), SIGNING.public_key())  # type: ignore[arg-type]
