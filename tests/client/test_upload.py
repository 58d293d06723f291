"""`prepare`: what it tells the owner, and that a refused upload leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cleanroom.catalog import Category, Column, Contribution, Number, PrivacyUnit, TableCatalog
from cleanroom.client import LinkageKey, RoomFacts, RowsRefused, Source, prepare
from cleanroom.errors import InvalidUpload, UsageError
from cleanroom.identifiers import Digest, Epoch, IdentifierKind, RoomId, TableName
from cleanroom.partition import read_package, verify_signature
from key_management.secret import SecretKey
from key_management.transport import TransportKey

CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("region", Category(("laval", "estrie"), nullable=False)),
        Column("montant", Number(Decimal("0.01"), 0, 50_000, nullable=False)),
    ),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)
ROOM, EPOCH = RoomId("salle"), Epoch("2025")
FACTS = RoomFacts(ROOM, TransportKey.generate().public_bytes(), EPOCH, Digest.of(b"declaration"))
LINKAGE = LinkageKey(ROOM, EPOCH, SecretKey.generate())
SIGNING = Ed25519PrivateKey.generate()


def test_several_files_make_one_upload(tmp_path: Path) -> None:
    first = tmp_path / "a.csv"
    first.write_text("courriel;region;montant;nom\na@b.ca;laval;1,50;Anne\nn/a;laval;2;Luc\n", encoding="utf-8")
    second = pl.DataFrame(
        {"note": ["x"], "nom": ["y"], "region": ["estrie"], "montant": [2.5], "COURRIEL": [" A@b.ca"]}
    )
    package = tmp_path / "out.package"
    upload = prepare([first, second], CATALOG, FACTS, SIGNING, LINKAGE, package)
    assert (upload.rows, upload.without_person) == (2, 1)
    assert upload.dropped_columns == ("nom", "note")
    assert (upload.table, upload.package, upload.size_bytes) == (CATALOG.table, package, package.stat().st_size)
    assert package.stat().st_mode & 0o777 == 0o600
    manifest = read_package(package).manifest
    assert (manifest.upload, manifest.group_rows) == (upload.upload, (2,))
    verify_signature(read_package(package), SIGNING.public_key())
    assert set(tmp_path.iterdir()) == {first, package}


def test_the_same_rows_twice_share_nothing_but_their_meaning(tmp_path: Path) -> None:
    frame = pl.DataFrame({"courriel": ["a@b.ca"], "region": ["laval"], "montant": [1]})
    packages = [tmp_path / name for name in ("1", "2")]
    uploads = [prepare(frame, CATALOG, FACTS, SIGNING, LINKAGE, package) for package in packages]
    one, two = (read_package(package) for package in packages)
    assert uploads[0].upload != uploads[1].upload
    assert one.manifest.file.digest != two.manifest.file.digest
    assert one.sealed_key != two.sealed_key


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"courriel": ["a@b.ca"], "region": ["paris"], "montant": [1]}, RowsRefused),
        ({"courriel": [None], "region": ["laval"], "montant": [1]}, RowsRefused),
        ({"courriel": ["a@b.ca"], "region": ["laval"]}, InvalidUpload),
    ],
)
def test_a_refused_upload_leaves_nothing(tmp_path: Path, columns: dict[str, list[object]], error: type) -> None:
    frame: Source = pl.DataFrame(columns)
    with pytest.raises(error):
        prepare(frame, CATALOG, FACTS, SIGNING, LINKAGE, tmp_path / "out.package")
    assert list(tmp_path.iterdir()) == []


def test_wrong_room_keys_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    frame = pl.DataFrame({"courriel": ["a@b.ca"], "region": ["laval"], "montant": [1]})
    for linkage in (replace(LINKAGE, epoch=Epoch("2026")), replace(LINKAGE, room=RoomId("autre"))):
        with pytest.raises(UsageError, match="the linkage key is that of"):
            prepare(frame, CATALOG, FACTS, SIGNING, linkage, tmp_path / "out.package")
    with pytest.raises(UsageError, match="transport key is malformed"):
        prepare(frame, CATALOG, replace(FACTS, transport_key=b"x"), SIGNING, LINKAGE, tmp_path / "out.package")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_leaves_the_former_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"courriel": ["a@b.ca"], "region": ["laval"], "montant": [1]})
    package = tmp_path / "out.package"
    prepare(frame, CATALOG, FACTS, SIGNING, LINKAGE, package)
    before = package.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        prepare(frame, CATALOG, FACTS, SIGNING, LINKAGE, package)
    assert package.read_bytes() == before
    assert list(tmp_path.iterdir()) == [package]
