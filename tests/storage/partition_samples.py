"""A room, a member and rows of every type, for the tests of intake and store."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog, Text
from cleanroom.client import LinkageKey, PreparedUpload, RoomFacts, Source, prepare
from cleanroom.client.tokens import token
from cleanroom.identifiers import Digest, Epoch, IdentifierKind, RoomId, TableName, UploadId
from cleanroom.partition import (
    Append,
    Manifest,
    PersonsRows,
    StoredColumn,
    aad_prefix,
    arrow_schema,
    file_facts,
    rows_under_tokens,
    sealing_info,
    storage_schema,
    token_array,
    write_package,
    write_table_file,
)
from cleanroom.storage.intake import VerifiedPackage, verify_package
from key_management.secret import SecretKey
from key_management.transport import TransportKey, seal

ROOM, EPOCH = RoomId("observatoire"), Epoch("2025")
REGIONS = ("montreal", "laval", "québec", "marqueur-de-categorie")
CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("region", Category(REGIONS, nullable=True)),
        Column("genre", Category(("théâtre", "danse"), nullable=False)),
        Column("canal", Text(nullable=True)),
        Column("salle", Text(nullable=False)),
        Column("achat", Date(date(2023, 9, 1), date(2025, 8, 31), nullable=True)),
        Column("billets", Number(Decimal(1), 1, 12, nullable=True)),
        Column("montant", Number(Decimal("0.05"), -100, 100_000, nullable=False)),
    ),
    max_rows_per_person=200,
    contribution=Contribution(10, 4),
)
NAMES = tuple(column.name for column in CATALOG.columns)
TRANSPORT = TransportKey.generate()
SIGNING = Ed25519PrivateKey.generate()
LINKAGE = LinkageKey(ROOM, EPOCH, SecretKey.generate())
FACTS = RoomFacts(ROOM, TRANSPORT.public_bytes(), EPOCH, Digest.of(b"the signed declaration"))
FORGED = UploadId("f" * 32)

Row = tuple[object, ...]


def rows(count: int, *, people: int, seed: int = 1) -> list[Row]:
    """Return rows of the declared columns after an e-mail address, in source form."""
    draw = random.Random(seed)
    made: list[Row] = []
    for _ in range(count):
        made.append(
            (
                f"marqueur-personne-{draw.randrange(people)}@exemple.ca",
                draw.choice([*REGIONS, None]),
                draw.choice(["théâtre", "danse"]),
                draw.choice(["web", "marqueur-de-texte", None]),
                "grande salle",
                draw.choice([date(2023, 9, 1) + timedelta(days=draw.randrange(700)), None]),
                draw.choice([1, 2, 12, None]),
                Decimal(draw.randrange(-100, 100_001)) * 5 / 100,
            )
        )
    return made


def frame(made: list[Row]) -> pl.DataFrame:
    """Return rows as a data frame."""
    schema = {
        "courriel": pl.String,
        **dict.fromkeys(("region", "genre", "canal", "salle"), pl.String),
        "achat": pl.Date,
        "billets": pl.Int64,
        "montant": pl.Decimal(12, 2),
    }
    return pl.DataFrame(made, schema=schema, orient="row")


def stored_form(made: list[Row]) -> list[Row]:
    """Return what the table file must hold for these rows, computed without the code under test."""
    held = []
    for email, region, genre, canal, salle, achat, billets, montant in made:
        unit = token(LINKAGE.secret, kind=IdentifierKind.EMAIL, epoch=EPOCH, value=str(email))
        assert isinstance(montant, Decimal)
        held.append((unit, region, genre, canal, salle, achat, billets, int(montant * 20)))
    order = {None: -1, **{region: code for code, region in enumerate(REGIONS)}, "théâtre": 0, "danse": 1}

    def key(row: Row) -> tuple[object, ...]:
        unit, region, genre, canal, salle, achat, billets, montant = row
        return (
            *(unit, order[region], order[genre], str(canal or ""), salle),  # type: ignore[index]
            *(achat or date.min, -1 if billets is None else billets, montant),
        )

    return sorted(held, key=key)  # type: ignore[arg-type]


def read_form(held: PersonsRows) -> list[Row]:
    """Return what was read in the form of `stored_form`."""
    table = rows_under_tokens(held)
    lists = [[said(name, each) for each in table.column(name).to_pylist()] for name in table.column_names]
    return [(unit.bytes, *rest) for unit, *rest in zip(*lists, strict=True)]


def said(name: str, stored: object) -> object:
    """Return what stored codes say, as docs/spec/partition.md has it; anything else as it is."""
    if not isinstance(stored, bytes):
        return stored
    code = int.from_bytes(stored, "little")
    if stored == b"\xff" * len(stored):
        return None
    match name:
        case "region":
            return REGIONS[code]
        case "genre":
            return ("théâtre", "danse")[code]
        case "achat":
            return date(2023, 9, 1) + timedelta(days=code)
        case "billets":
            return 1 + code
        case "montant":
            return code - 100
    raise AssertionError(name)


def prepared(source: Source, destination: Path) -> PreparedUpload:
    """Make a package as the member does."""
    return prepare(source, CATALOG, FACTS, SIGNING, LINKAGE, destination)


def verified(path: Path, **changed: object) -> VerifiedPackage:
    """Take a package in as the room does, but for what is `changed`."""
    expected: dict[str, object] = {
        "room": ROOM,
        "catalog": CATALOG,
        "declaration_digest": FACTS.declaration,
        "epoch": EPOCH,
        "linkage_check": LINKAGE.check(),
        "member_key": SIGNING.public_key(),
        "open_sealed": TRANSPORT.open,
    }
    return verify_package(path, **{**expected, **changed})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Forger:
    """A hostile member who signs whatever it likes, with its own right key."""

    directory: Path
    upload: UploadId = FORGED
    claim: Callable[[Manifest], Manifest] = lambda manifest: manifest

    def table(self, tokens: list[bytes]) -> pa.Table:
        """Return plain rows for these tokens, in this order."""
        columns = storage_schema(CATALOG)
        data = [
            pa.array([b"\xff"] * len(tokens), pa.binary(1)),
            pa.array([b"\0"] * len(tokens), pa.binary(1)),
            pa.array([None] * len(tokens), pa.string()),
            pa.array(["s"] * len(tokens), pa.string()),
            pa.array([b"\xff\xff"] * len(tokens), pa.binary(2)),
            pa.array([b"\xff"] * len(tokens), pa.binary(1)),
            pa.array([b"\x64\0\0\0"] * len(tokens), pa.binary(4)),
        ]
        return pa.Table.from_arrays([token_array(b"".join(tokens)), *data], schema=arrow_schema(columns))

    def package(
        self, groups: list[pa.Table], *, written_as: tuple[StoredColumn, ...] | None = None, aad: bytes | None = None
    ) -> Path:
        """Write and sign a package of these row groups."""
        columns = storage_schema(CATALOG)
        data_key = SecretKey.generate()
        encrypted = self.directory / "forged.parquet"
        group_rows = write_table_file(
            encrypted,
            written_as or columns,
            groups,
            data_key=data_key,
            aad=aad if aad is not None else aad_prefix(ROOM, CATALOG.table, self.upload),
        )
        with encrypted.open("rb") as source:
            facts = file_facts(source)
        manifest = self.claim(
            Manifest(
                room=ROOM,
                table=CATALOG.table,
                upload=self.upload,
                epoch=EPOCH,
                kind=CATALOG.unit.kind,
                declaration=FACTS.declaration,
                columns=columns,
                group_rows=group_rows,
                file=facts,
                linkage_check=LINKAGE.check(),
                intent=Append(),
                after=0,
            )
        )
        path = self.directory / "forged.package"
        write_package(
            path,
            manifest=manifest,
            sealed_key=seal(TRANSPORT.public_bytes(), data_key, sealing_info(manifest)),
            signing_key=SIGNING,
            table_file=encrypted,
        )
        return path


def claiming(directory: Path, **fields: object) -> Forger:
    """Return a forger whose manifest says something else."""
    return Forger(directory, claim=lambda manifest: replace(manifest, **fields))  # type: ignore[arg-type]
