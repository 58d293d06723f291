"""The matching example: by hand on a few persons; on FEBRL's files, where they are, the figures that pages state."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cleanroom.errors import Language
from examples import linkage_quality
from examples.story import Story

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("CLEANROOM_FEBRL", ROOT.parent / "shared" / "data" / "febrl"))
"""Named by the variable, or beside the checkout; the files are no part of the product."""

HEADER = (
    "rec_id, given_name, surname, street_number, address_1, address_2, suburb, postcode, state, date_of_birth, "
    "soc_sec_id"
)
OURS = (
    "rec-1-org, ann, de boer, 1, rue a, , x, 1000, q, 19500101, 0000001",
    "rec-2-org, ben, roy, 2, rue b, , x, 1000, q, 19500102, 1000002",
    "rec-3-org, ben, roy, 3, rue c, , x, 1000, q, 19500103, 1000003",
    "rec-4-org, eve, ,4, rue d, , x, 1000, q, , 1000004",
)
THEIRS = (
    "rec-2-dup-0, ben, roy, 2, rue b, , x, 1000, q, 19500102, 1000002",
    "rec-1-dup-0, ann, deboer, 1, rue a, , x, 1000, q, 19500101, 0000001",  # a blank less
    "rec-4-dup-0, eve, zoe, 4, rue d, , x, , q, 19500104, 1000005",  # no postcode; a wrong digit
    "rec-3-dup-0, ben, roy, 3, rue e, , x, 1000, q, 19500103, 1000003",  # another street
)


def write(directory: Path, ours: tuple[str, ...] = OURS) -> Path:
    for name, rows in zip(linkage_quality.FILES, (ours, THEIRS), strict=True):
        (directory / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return directory


def measure(directory: Path, language: Language = Language.EN) -> list[linkage_quality.Found]:
    sides = [linkage_quality.read_persons(directory / name) for name in linkage_quality.FILES]
    return linkage_quality.tell(Story(language), *sides)


def test_figures_by_hand(tmp_path: Path) -> None:
    found = {each.identifier.en.split(",")[0]: each for each in measure(write(tmp_path))}
    figures = {name: (each.with_it, each.written, each.matched, each.false) for name, each in found.items()}
    assert figures == {
        "insurance number": (4, 0, 3, 0),
        "phone made of that number": (4, 0, 3, 0),
        "e-mail given.surname@gmail.com": (3, 0, 3, 2),  # both Ben Roys, each with the other
        "surname and birth": (3, 0, 2, 0),
        "given name": (3, 0, 2, 0),
        "address": (3, 0, 2, 0),
    }


@pytest.mark.parametrize(("language", "said"), [("fr", "La salle ne l'offre pas"), ("en", "does not offer it")])
def test_it_runs_in_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str, said: str
) -> None:
    assert linkage_quality.main([str(write(tmp_path)), "--lang", language]) == 0
    assert said in " ".join(capsys.readouterr().out.split())


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        linkage_quality.main([str(tmp_path)])
    write(tmp_path, (*OURS, OURS[0]))
    with pytest.raises(SystemExit):
        linkage_quality.main([str(tmp_path)])
    (tmp_path / linkage_quality.FILES[0]).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        linkage_quality.main([str(tmp_path)])
    assert "rec_id" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_dir(), reason=f"FEBRL's files are not at {REAL}; CLEANROOM_FEBRL says where they are")
@pytest.mark.parametrize(("page", "language"), [("linkage.md", Language.EN), ("linkage.fr.md", Language.FR)])
def test_the_pages_state_what_is_measured(page: str, language: Language) -> None:
    text = re.sub(r"[\u202f\u00a0 ](?=\d{3}\b|%)", "", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text).replace(",", ".")
    lines = [[cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines() if line.count("|") == 6]
    stated = [[int(have), int(matched), share, int(wrong)] for have, matched, share, wrong in lines[2:]]
    found = measure(REAL, language)
    assert stated == [[each.with_it, each.matched, f"{each.matched / 50:.1f}%", each.false] for each in found]
    assert {each.written for each in found} == {0}
    sides = [linkage_quality.read_persons(REAL / name) for name in linkage_quality.FILES]
    either = linkage_quality.matched_by_either(*(linkage_quality.IDENTIFIERS[n] for n in (0, 2)), *sides)
    for number in (5000 - found[0].matched, either, f"{either / 50:.1f}%", found[2].false):
        assert str(number) in text


@pytest.mark.skipif(not REAL.is_dir(), reason=f"FEBRL's files are not at {REAL}; CLEANROOM_FEBRL says where they are")
def test_the_measurement_agrees_with_plain_python() -> None:
    """An oracle without tokens or Polars' joins: dictionaries of lower-case text."""
    sides = []
    for name in linkage_quality.FILES:
        lines = (REAL / name).read_text(encoding="utf-8").splitlines()
        head, *rows = ([field.strip() for field in line.split(",")] for line in lines if line.strip())
        sides.append([dict(zip(head, row, strict=True)) for row in rows])

    def by(*parts: str) -> tuple[int, int]:
        held: list[dict[tuple[str, ...], list[str]]] = [{}, {}]
        for side, table in zip(held, sides, strict=True):
            for row in table:
                value = tuple(row[part] for part in parts)
                if all(value):
                    side.setdefault(value, []).append(row["rec_id"].split("-")[1])
        pairs = [(a, b) for value, people in held[0].items() for a in people for b in held[1].get(value, [])]
        return sum(a == b for a, b in pairs), sum(a != b for a, b in pairs)

    found = [(each.matched, each.false) for each in measure(REAL)]
    assert found[0] == found[1] == by("soc_sec_id")
    assert found[3] == by("surname", "date_of_birth")
    assert found[4] == by("given_name", "surname", "date_of_birth")
    assert found[5] == by("street_number", "address_1", "postcode")
