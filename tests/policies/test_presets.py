"""Presets: read by the reader that everybody's files meet, alike in both languages, and of one vocabulary."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from cleanroom.catalog import Category, Date, Number, Text
from cleanroom.errors import Language
from cleanroom.identifiers import IDENTIFIER, Role, TableName
from cleanroom.policies import Analysis, Declaration, Function, Preset, preset_file, read_declaration, read_settings
from cleanroom.room.creation import DEFAULT_SETTINGS
from examples.cooperative import REGIONS

ROOT = Path(__file__).parents[2]
TABLE = TableName.parse("tnm.visits")
BOTH = list(product(Preset, Language))


def text(preset: Preset, language: Language) -> str:
    return preset_file(preset, table=TABLE, language=language).decode()


def declared(preset: Preset, language: Language) -> Declaration:
    return read_declaration(text(preset, language).encode())


@pytest.mark.parametrize(("preset", "language"), BOTH)
def test_each_is_the_owners_and_fits_a_new_room(preset: Preset, language: Language) -> None:
    declaration = declared(preset, language)
    assert declaration.catalog.table == TABLE
    overlaps, sector, own = declaration.rules
    purposes = set(read_settings(DEFAULT_SETTINGS).purposes)
    assert overlaps.purposes | sector.purposes | own.purposes <= purposes
    assert (overlaps.parties, sector.parties, own.parties) == (Role.MEMBER, Role.OBSERVATOIRE, {"tnm"})
    assert (overlaps.analyses, sector.analyses) == ({Analysis.OVERLAP}, {Analysis.SECTOR})
    # Other members learn how many, and nothing of anybody's money.
    assert overlaps.functions == {Function.COUNT_PERSONS}
    assert overlaps.threshold >= 20
    assert overlaps.per_party is not None
    assert sector.threshold >= 20
    assert sector.min_parties >= 3
    assert not any(isinstance(column.type, Text) for column in declaration.catalog.columns)
    assert "member." not in text(preset, language)


@pytest.mark.parametrize("preset", Preset)
def test_both_languages_declare_the_same(preset: Preset) -> None:
    french, english = (declared(preset, language) for language in Language)
    assert replace(french.catalog, unit=english.catalog.unit) == english.catalog
    assert french.budget == english.budget
    assert [replace(rule, name="") for rule in french.rules] == [replace(rule, name="") for rule in english.rules]
    comments = [re.findall(r"# .*", text(preset, language)) for language in Language]
    assert len(comments[0]) == len(comments[1]) > 60
    assert {rule.name for rule in french.rules}.isdisjoint(rule.name for rule in english.rules)


@pytest.mark.parametrize(("preset", "language"), BOTH)
def test_every_decision_has_its_reason(preset: Preset, language: Language) -> None:
    """Each column, rule and figure stands below a comment, or beside one."""
    lines = text(preset, language).splitlines()
    assert max(map(len, lines)) <= 120
    for place, line in enumerate(lines):
        if re.match(r"  \w+:|  - name:|unit|limits|defaults|budget", line):
            above = lines[place - 1].lstrip()
            assert above.startswith("#") or "# " in line, line


@pytest.mark.parametrize(("preset", "language"), BOTH)
def test_shared_columns_are_the_same_everywhere(preset: Preset, language: Language) -> None:
    """So that tables of all four presets unite in one question on the sector."""
    catalog, first = declared(preset, language).catalog, declared(Preset.TICKETING, Language.FR).catalog
    for name in ("region", "discipline", "activity_day"):
        assert catalog.column(name) == first.column(name)
    for name in ("age_bracket", "language"):
        if catalog.column(name) is not None:
            assert catalog.column(name) == declared(Preset.MEMBERSHIP, Language.FR).catalog.column(name)


@pytest.mark.parametrize(("preset", "language"), BOTH)
def test_values_are_named_as_the_project_names_things(preset: Preset, language: Language) -> None:
    for column in declared(preset, language).catalog.columns:
        match column.type:
            case Category(domain):
                assert all(IDENTIFIER.fullmatch(value) for value in domain)
            case Date(first, last):
                assert (last - first).days < 6 * 366
            case Number(resolution, lower, upper):
                assert 0 <= lower < upper <= 100_000, resolution
            case _:
                pytest.fail(column.name)


def test_regions_are_the_17_in_the_order_of_their_codes() -> None:
    written = text(Preset.TICKETING, Language.FR)
    coded = re.findall(r"- (\w+) +# (\d\d) (.+)", written)
    assert [int(code) for _, code, _ in coded] == list(range(1, 18))
    assert [value for value, _, _ in coded] == list(REGIONS)
    unaccented = str.maketrans("éèôÉÎ–-", "eeoEI__")
    assert [value for value, _, _ in coded] == [name.translate(unaccented).lower() for _, _, name in coded]
    region = declared(Preset.TICKETING, Language.FR).catalog.column("region")
    assert region is not None
    assert isinstance(region.type, Category)
    assert region.type.domain == (*REGIONS, "hors_quebec")


def test_the_wheel_holds_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("cleanroom/policies/presets/")}
    assert held == {f"cleanroom/policies/presets/{preset}.{language}.yaml" for preset, language in BOTH}
