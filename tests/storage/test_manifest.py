"""A manifest has one encoding, such as is published, and no column the token's name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from partition_samples import (
    CATALOG,
    EPOCH,
    LINKAGE,
    ROOM,
)

from cleanroom.catalog import TableCatalog
from cleanroom.errors import InvalidUpload
from cleanroom.identifiers import Digest, IdentifierKind
from cleanroom.partition import (
    Append,
    Manifest,
    sealing_info,
    storage_schema,
)


def test_manifests_have_one_encoding() -> None:
    content = Manifest(
        room=ROOM,
        table=CATALOG.table,
        upload="0" * 32,  # type: ignore[arg-type]
        epoch=EPOCH,
        kind=IdentifierKind.EMAIL,
        declaration=Digest.of(b""),
        columns=storage_schema(CATALOG),
        group_rows=(1, 0),
        file=_facts(),
        linkage_check=LINKAGE.check(),
        intent=Append(),
        after=0,
    ).encode()
    assert Manifest.parse(content).encode() == content
    for other in (
        content + b"\n",
        content.replace(b":[1,0]", b":[1,0.0]"),
        content.replace(b":[1,0]", b":[1, 0]"),
        content.replace(b":[1,0]", b":[1,0,0]"),
        content.replace(b":[1,0]", b":[true,0]"),
        content.replace(b":[1,0]", b":[-1,0]"),
        content.replace(b'"kind":"email"', b'"kind":"email","kind":"email"'),
        content.replace(b'"kind":"email"', b'"kind":"fax"'),
        content.replace(b'"kind":"email"', b'"kind":"email:tnm"'),
        content.replace(b'"kind":"email",', b""),
        content.replace(b'"kind":', b'"kin":1,"kind":'),
        content.replace(b'"owner":"tnm"', b'"owner":"TNM"'),
        content.replace(b"sha256:", b"sha512:"),
        content.replace(b'"after":0', b'"after":-1'),
        content.replace(b'"after":0', b'"after":"0"'),
        content.replace(b'"act":"append"', b'"act":"merge"'),
        content.replace(b'"act":"append"', b'"act":"correct"'),
        content.replace(b'"act":"append"', b'"act":"append","upload":"' + b"0" * 32 + b'"'),
        content.replace(b'"act":"append"', b'"act":"correct","upload":"none"'),
        content.replace(b'"intent":{"act":"append"}', b'"intent":"append"'),
        content.replace(b'"intent":{"act":"append"},', b""),
        content.replace(b"partition/v4", b"partition/v3"),
        b"[]",
        b"\xff",
        b"[" * 100_000,
    ):
        assert other != content
        with pytest.raises(InvalidUpload, match="invalid manifest"):
            Manifest.parse(other)


def test_the_published_vectors_hold() -> None:
    path = Path(__file__).parents[2] / "docs" / "spec" / "manifest-vectors.json"
    vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    assert {json.loads(each["manifest"])["intent"]["act"] for each in vectors} == {"append", "replace", "correct"}
    for each in vectors:
        manifest = Manifest.parse(each["manifest"].encode())
        assert manifest.encode().decode() == each["manifest"]
        assert hashlib.sha256(manifest.encode()).hexdigest() == each["sha256"]
        assert sealing_info(manifest).hex() == each["info"]


def _facts() -> object:
    from cleanroom.partition import TableFileFacts

    return TableFileFacts(100, Digest.of(b"a"), 10, Digest.of(b"b"))


def test_no_column_may_be_called_as_the_token_is() -> None:
    from cleanroom.errors import UsageError

    named: TableCatalog = replace(CATALOG, columns=(replace(CATALOG.columns[0], name="u"),))
    with pytest.raises(UsageError, match="person's token"):
        storage_schema(named)
