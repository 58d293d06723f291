"""Files written anew without somebody: the rows that stay, in their order and ranges, and nothing of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partition_samples import NAMES, Forger, Row, frame, prepared, read_form, rows, stored_form, verified

from cleanroom.errors import InvalidUpload, NotVerified
from cleanroom.identifiers import UploadId
from cleanroom.partition import table_layout
from cleanroom.partition.intent import Erase
from cleanroom.partition.manifest import Manifest
from cleanroom.partition.table_file import RowGroup, TableFile, Texts
from cleanroom.storage import erasure
from cleanroom.storage.erasure import rewrite
from cleanroom.storage.partition_store import PartitionStore, StoredPartition
from key_management.secret import SecretKey

MADE = rows(400, people=30)
EXPECTED = stored_form(MADE)
TOKENS = sorted({row[0] for row in EXPECTED})  # type: ignore[type-var]
NEW, INTENT = UploadId("a" * 32), Erase(UploadId("b" * 32), "c" * 32)

Placed = tuple[PartitionStore, StoredPartition, SecretKey]


def placed(made: list[Row], tmp_path: Path) -> Placed:
    path = tmp_path / "a.package"
    prepared(frame(made), path)
    taken = verified(path)
    store = PartitionStore(tmp_path / "store")
    return store, store.place(taken), taken.data_key


@pytest.fixture(params=[131_072, 16], ids=["one range", "many ranges"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Placed:
    monkeypatch.setattr(table_layout, "ROWS_PER_GROUP", request.param)
    found = placed(MADE, tmp_path)
    assert (found[1].manifest.group_bits > 3) == (request.param == 16)
    return found


def rewritten(held: Placed, erased: list[bytes]) -> tuple[StoredPartition, SecretKey]:
    store, stored, key = held
    new = SecretKey.generate()
    store.remove(StoredPartition(replace(stored.manifest, upload=NEW)))
    return rewrite(store, stored, key, erased, upload=NEW, intent=INTENT, after=4, new_key=new), new


def read(store: PartitionStore, stored: StoredPartition, key: SecretKey, bits: int = 0, prefix: int = 0) -> list[Row]:
    with store.open(stored, key) as reader:
        return read_form(reader.read(bits, prefix, NAMES))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(TOKENS)), st.lists(st.binary(min_size=16, max_size=16), max_size=3))
def test_the_rows_of_others_stay_as_they_are(held: Placed, gone: set[bytes], nobody: list[bytes]) -> None:
    store, stored, key = held
    made, new = rewritten(held, [*gone, *nobody])
    kept = [row for row in EXPECTED if row[0] not in gone]
    assert read(store, made, new) == kept
    before, after = stored.manifest, made.manifest
    assert after == replace(before, upload=NEW, group_rows=after.group_rows, file=after.file, intent=INTENT, after=4)
    assert (len(after.group_rows), after.row_count) == (len(before.group_rows), len(kept))
    assert Manifest.parse(after.encode()) == after
    # A slice of any width has its tokens' rows, as before.
    for bits in {0, 1, before.group_bits, before.group_bits + 2}:
        slices = [read(store, made, new, bits, prefix) for prefix in range(1 << bits)]
        assert [row for each in slices for row in each] == kept
    assert read(store, stored, key) == EXPECTED
    assert sorted(path.name for path in store.path(stored).parent.iterdir()) == sorted(
        f"{each}.parquet" for each in (stored.upload, NEW)
    )


def test_nobody_erased_is_written_anew_all_the_same(held: Placed) -> None:
    store, stored, key = held
    made, new = rewritten(held, [])
    assert read(store, made, new) == EXPECTED
    assert made.manifest.group_rows == stored.manifest.group_rows
    assert made.manifest.file.digest != stored.manifest.file.digest
    with pytest.raises(NotVerified):
        read(store, made, key)


@pytest.mark.parametrize("made", [[], rows(1, people=1), rows(50, people=1)], ids=["no rows", "one row", "one person"])
def test_small_files(made: list[Row], tmp_path: Path) -> None:
    held = placed(made, tmp_path)
    expected = stored_form(made)
    for erased in ([], [bytes(row[0]) for row in expected[:1]]):  # type: ignore[call-overload]
        after, new = rewritten(held, erased)
        assert read(held[0], after, new) == ([] if erased else expected)


def test_a_word_goes_with_the_last_person_who_had_it(tmp_path: Path) -> None:
    """Of texts the file keeps a dictionary, which must not keep what nobody has."""
    forger, tokens = Forger(tmp_path), [bytes([number]) * 16 for number in range(4)]
    table = forger.table(tokens)
    words = pa.array(["mot-de-tous", "mot-de-un", "mot-de-deux", "mot-de-tous"])
    taken = verified(forger.package([table.set_column(4, table.schema.field("salle"), words)]))
    store = PartitionStore(tmp_path / "store")
    held = store, store.place(taken), taken.data_key

    def dictionary(stored: StoredPartition, key: SecretKey) -> set[str]:
        with (
            store.path(stored).open("rb") as source,
            TableFile.open(source, stored.manifest, key, texts=Texts.CODED) as file,
        ):
            (batch,) = file.batches(0, RowGroup.ROWS)
            return set(batch.column("salle").dictionary.to_pylist())

    assert dictionary(*held[1:]) == {"mot-de-tous", "mot-de-un", "mot-de-deux"}
    made, new = rewritten(held, [tokens[1]])
    assert dictionary(made, new) == {"mot-de-tous", "mot-de-deux"}
    assert [row[4] for row in read(store, made, new)] == ["mot-de-tous", "mot-de-deux", "mot-de-tous"]


def test_an_altered_file_is_noticed_and_nothing_is_left(held: Placed) -> None:
    store, stored, key = held
    path = store.path(stored)
    content = path.read_bytes()
    for at in range(10, len(content) - stored.manifest.file.footer_bytes, 997):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(NotVerified):
            rewritten((store, stored, key), [TOKENS[0]])  # type: ignore[list-item]
        assert list(path.parent.iterdir()) == [path]


def test_what_was_written_is_read_before_anybody_relies_on_it(held: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    store, stored, key = held
    whole = erasure.write_table_file

    def damaged(target: Path, *given: object, **rest: object) -> tuple[int, ...]:
        made = whole(target, *given, **rest)  # type: ignore[arg-type]
        content = target.read_bytes()
        target.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        return made

    monkeypatch.setattr(erasure, "write_table_file", damaged)
    with pytest.raises((NotVerified, InvalidUpload)):
        rewritten((store, stored, key), [TOKENS[0]])  # type: ignore[list-item]
    assert list(store.path(stored).parent.iterdir()) == [store.path(stored)]
