"""Public tables through the command: add, list, show, and a question that joins one; in both languages."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from cli_room import MEMBERS, Cooperative

from examples.season import REGIONS

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = ("--source", "Institut de la statistique du Québec, 2025")
ROWS = [(name, ("est", "ouest")[at % 2], f"{100 * at + 1}", f"{at:02d}") for at, name in enumerate(REGIONS)]
ARMS = " UNION ALL ".join(f"SELECT person, region, tickets FROM {member}.visits" for member in MEMBERS)  # noqa: S608
BY_ZONE = (
    f"SELECT z.zone, SUM(tickets) AS billets FROM ({ARMS}) AS s JOIN public.zones AS z ON s.region = z.region"  # noqa: S608
    " GROUP BY z.zone"
)
AS_OBSERVATORY = ("--as", "observatoire", "--purpose", "sector_statistics")


@pytest.fixture(scope="module")
def ours(room: Cooperative, tmp_path_factory: pytest.TempPathFactory) -> Cooperative:
    """Copy the room and its keys, and add one public table."""
    base = tmp_path_factory.mktemp("references")
    shutil.copytree(room.room, base / "room")
    shutil.copytree(room.home, base / "home")
    (base / "files").mkdir()
    file = base / "files" / "zones.csv"
    lines = ["Région;Zone;Population;Code", *(";".join(row) for row in ROWS)]
    file.write_bytes("\n".join(lines).encode("cp1252"))
    made = Cooperative(base / "room", base / "home", base / "files", {})
    made.said["none"] = made("reference", "list", made.room)
    made.said["add"] = made("reference", "add", made.room, "zones", file, *SOURCE)
    return made


def test_a_table_is_added_and_said(ours: Cooperative) -> None:
    assert (ours.said["none"].code, ours.said["none"].out) == (0, "Aucune table publique.\n")
    added = ours.said["add"]
    assert (added.code, added.err) == (0, "")
    assert re.search(r"^public\.zones \(version 1\) : 17 lignes, sha256:[0-9a-f]{64}$", added.out, re.MULTILINE)
    assert re.search(r"approuvée par l'opérateur seul ; entrée \d+ du journal", added.out)
    # An accent is no part of a name; a code with a leading 0 is a text.
    assert re.search(r"^  region : ", added.out, re.MULTILINE)
    again = ours("reference", "add", ours.room, "zones", ours.files / "zones.csv", *SOURCE, lang="en")
    assert again.code == 2
    assert "public.zones has this content already" in again.err
    assert again.out == ""


def test_it_is_listed_and_shown(ours: Cooperative) -> None:
    for lang, source in (("fr", "source : "), ("en", "source: ")):
        listed = ours("reference", "list", ours.room, lang=lang)
        assert listed.code == 0
        assert "public.zones" in listed.out
        assert source + SOURCE[1] in listed.out
        catalog = ours("catalog", ours.room, "--as", MEMBERS[0], lang=lang)
        assert "public.zones" in catalog.out
    shown = ours("reference", "show", ours.room, "zones", "--format", "csv")
    header, *rows = csv.reader(io.StringIO(shown.out.removeprefix("\ufeff")))
    assert header == ["region", "zone", "population", "code"]
    assert [(row[0], row[1], f"{float(row[2]):g}", row[3]) for row in rows] == ROWS
    read = json.loads(ours("reference", "show", ours.room, "zones", "--format", "json").out)
    assert read["columns"] == header
    assert [tuple(row) for row in read["rows"]] == [(a, b, float(c), d) for a, b, c, d in ROWS]
    assert len(ours("reference", "show", ours.room, "zones").out.splitlines()) >= len(ROWS)


def test_what_is_not_there_is_said(ours: Cooperative) -> None:
    for lang, words in (("fr", "aucune table publique « zone »"), ("en", "no public table 'zone'")):
        ran = ours("reference", "show", ours.room, "zone", lang=lang)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err


def test_a_question_joins_it(ours: Cooperative) -> None:
    ran = ours("query", ours.room, *AS_OBSERVATORY, "--format", "json", "--epsilon", "2", BY_ZONE)
    assert ran.code == 0, ran.err
    read = json.loads(ran.out)
    assert [row[0] for row in read["rows"]] == ["est", "ouest"]
    other = ours("query", ours.room, *AS_OBSERVATORY, BY_ZONE.replace("public.zones", "public.zonage"), lang="en")
    assert other.code == 3
    assert "unknown name: public.zonage" in other.err


@pytest.mark.parametrize(
    ("content", "arguments", "fr", "en"),
    [
        (b"", SOURCE, "le fichier est vide", "the file is empty"),
        (b"zone,courriel\na,b\n", SOURCE, "identifiant de personne", "identifier of persons"),
        (b"zone,x\na,y@exemple.ca\n", SOURCE, "une adresse courriel", "an e-mail address"),
        (b"zone,x\na,b\n", ("--source", " "), "la source se dit", "the source is said"),
        (b"zone,x\na,b\n", (*SOURCE, "--text", "y"), "aucune colonne « y »", "no column 'y'"),
    ],
)
def test_a_refusal_says_why_and_leaves_nothing(
    ours: Cooperative, tmp_path: Path, content: bytes, arguments: tuple[str, ...], fr: str, en: str
) -> None:
    file = tmp_path / "autre.csv"
    file.write_bytes(content)
    for lang, words in (("fr", fr), ("en", en)):
        ran = ours("reference", "add", ours.room, "autre", file, *arguments, lang=lang)
        assert ran.code not in {0, 70}
        assert ran.out == ""
        assert words in " ".join(ran.err.split())
        assert "exemple.ca" not in ran.err
    assert "public.autre" not in ours("reference", "list", ours.room).out
