"""An answer drawn and described: error bars as long as margins, whole sheets, nothing paid in vain."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from cli_room import MEMBERS, Cooperative

from cleanroom.cli.console import Console
from cleanroom.cli.formats import Table
from cleanroom.cli.plot import MOST_LINES, plot
from cleanroom.cli.sheet import Bullets, Code, Grid, Heading, Paragraph, as_html, as_markdown
from cleanroom.errors import Language
from examples.season import make_season

OBSERVATORY = ("--as", "observatoire", "--purpose", "sector_statistics")
ARMS = " UNION ALL ".join(
    f"SELECT person, discipline, purchased, tickets, amount FROM {member}.visits"  # noqa: S608
    for member in MEMBERS
)
SECTOR = f"SELECT discipline, COUNT(*) AS ventes, AVG(amount) AS prix FROM ({ARMS}) AS s GROUP BY 1"  # noqa: S608
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("$x_1$")</script> | `a` *b* [c](d)'
ROWS = (
    ("nord", 5_000.0, 80.0, "released", 30.0, 5.0, "released"),
    ("sud", 1_000.0, 80.0, "released", 40.0, 20.0, "released"),
    ("est", None, None, "suppressed", None, None, "suppressed"),
    ("ouest", 2_500.0, 160.0, "released", 35.0, 10.0, "released"),
)
TABLE = Table(("région", "n", "n_margin95", "n_state", "prix", "prix_margin95", "prix_state"), ROWS)


def charged(room: Cooperative) -> int:
    return sum(entry["type"] == "query.charged" for entry in json.loads(room("log", room.room, "--format", "json").out))


def texts(svg: bytes) -> str:
    return " ".join(each.text or "" for each in ET.fromstring(svg).iter(f"{SVG}text"))  # noqa: S314 - our own


def bars(svg: bytes, panel: int) -> list[tuple[float, float]]:
    """Return both ends of each error bar of a panel."""
    group = next(each for each in ET.fromstring(svg).iter(f"{SVG}g") if each.get("id") == f"margins_{panel}")  # noqa: S314
    paths = [each.get("d", "") for each in group.iter(f"{SVG}path")]
    found = [[float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)] for path in paths]
    return [(numbers[0], numbers[2]) for numbers in found]


def test_bars_are_as_long_as_margins_and_stand_where_the_values_are() -> None:
    svg = plot(Console(Language.FR), TABLE, ".svg", caption="Reçu : entrée 7")
    shown = [row for row in ROWS if row[1] is not None]
    for panel, column in ((0, 1), (1, 4)):
        drawn = bars(svg, panel)
        assert len(drawn) == len(shown)
        middles = [(low + high) / 2 for low, high in drawn]
        halves = [(high - low) / 2 for low, high in drawn]
        values, margins = ([float(str(row[at])) for row in shown] for at in (column, column + 1))
        # One scale for places and lengths alike.
        scale = (middles[1] - middles[0]) / (values[1] - values[0])
        assert middles == pytest.approx([middles[0] + scale * (value - values[0]) for value in values], abs=1e-3)
        assert halves == pytest.approx([abs(scale) * margin for margin in margins], abs=1e-3)
    assert "retenu" in texts(svg)
    assert "Reçu : entrée 7" in texts(svg)
    assert svg == plot(Console(Language.FR), TABLE, ".svg", caption="Reçu : entrée 7")
    assert "withheld" in texts(plot(Console(Language.EN), TABLE, ".svg", caption=""))


def test_labels_are_drawn_as_they_are_and_long_answers_are_cut_aloud() -> None:
    rows = tuple((f"{HOSTILE[:30]}{at}", float(at), 1.0, "released") for at in range(MOST_LINES + 3))
    table = Table(("k", "$\\frac{", "$\\frac{_margin95", "$\\frac{_state"), rows)
    svg = plot(Console(Language.EN), table, ".svg", caption="\x1b[31m")
    assert b"<script" not in svg
    assert b"\x1b" not in svg
    assert "$\\frac{" in texts(svg)
    assert "3 more lines are not drawn" in texts(svg)
    assert len(bars(svg, 0)) == MOST_LINES


def test_months_run_along_the_axis(room: Cooperative, tmp_path: Path) -> None:
    question = (
        f"SELECT date_trunc('month', purchased) AS mois, discipline, COUNT(*) AS n FROM ({ARMS}) AS s "  # noqa: S608
        "WHERE discipline IN ('theatre', 'musique') GROUP BY 1, 2"
    )
    drawn = tmp_path / "a.svg"
    ran = room("query", room.room, *OBSERVATORY, "--epsilon", "0.5", "--plot", drawn, question)
    assert (ran.code, ran.err) == (0, "")
    words = texts(drawn.read_bytes())
    assert {"theatre", "musique", "2023-09"} <= set(words.split())


def test_a_sheet_holds_the_whole_answer(room: Cooperative, tmp_path: Path) -> None:
    for lang, ending in (("fr", "md"), ("en", "html")):
        path, kept = tmp_path / f"fiche.{ending}", tmp_path / "answer.json"
        files = ("--sheet", path, "--format", "json", "--output", kept)
        ran = room("query", room.room, *OBSERVATORY, "--epsilon", "1", *files, SECTOR, lang=lang)
        assert ran.code == 0, ran.err
        sheet, answer = path.read_text(encoding="utf-8"), json.loads(kept.read_text(encoding="utf-8"))
        for line in answer["receipt"]["proof"].splitlines():
            assert line in sheet
        for cost in answer["cost"]:
            assert cost["rho"] in sheet
        assert f"{answer['receipt']['index']}" in sheet
        assert sheet.count("sha256:") == 2
        assert "SELECT discipline, COUNT(*) AS ventes" in sheet
        for member in MEMBERS:
            assert re.search(rf"{member.replace('_', '.?_')}\.visits ?: (dépôts|uploads) 1\b", sheet)
        kept_lines = [row for row in answer["rows"] if row[3] == "released"]
        digits = re.sub(r"[\u202f,]", "", sheet)
        assert kept_lines
        assert all(re.search(rf"(?<!\d){abs(round(row[1]))} ± ", digits) for row in kept_lines)
        assert ("19 fois sur 20" if lang == "fr" else "19 times out of 20") in sheet
        assert ("au plus 10 lignes" if lang == "fr" else "at most 10 rows") in sheet


def test_a_median_of_a_pure_table_is_answered_and_described(tmp_path: Path) -> None:
    """From the declaration to the sheet, as a member types it."""
    member = MEMBERS[0]
    mine = Cooperative(tmp_path / "room", tmp_path / "home", tmp_path / "files", {})
    make_season(persons=300, seed=6).write(mine.files)
    yaml = mine.files / f"{member}.visits.yaml"
    text = yaml.read_text("utf-8")
    pure = text.replace("delta: 1e-7", "delta: 0").replace("[count_persons, count_rows]", "[count_persons, quantile]")
    assert "delta: 0" in pure
    assert "quantile" in pure
    yaml.write_text(pure, "utf-8")
    for step in (
        ("init", mine.room),
        ("party", "add", mine.room, member, "--role", "member"),
        ("declare", mine.room, yaml),
        ("upload", mine.room, f"{member}.visits", mine.files / f"{member}.visits.csv"),
    ):
        ran = mine(*step)
        assert ran.code == 0, ran.err
    asking = (mine.room, "--as", member, "--purpose", "audience_overlap", "--epsilon", "0.5")
    question = f"SELECT MEDIAN(amount) AS milieu FROM {member}.visits"  # noqa: S608
    assert mine("preview", *asking, question, lang="en").code == 0
    sheet, kept = tmp_path / "fiche.md", tmp_path / "answer.json"
    ran = mine("query", *asking, "--sheet", sheet, "--format", "json", "--output", kept, question, lang="fr")
    assert ran.code == 0, ran.err
    (row,) = json.loads(kept.read_text("utf-8"))["rows"]
    assert row[0] is None or row[0] >= 0
    said = sheet.read_text("utf-8")
    assert "lectures par case, bruit de Laplace discret" in said
    assert "19 fois sur 20, pour chaque case" in said
    assert "maximum bruité" not in said


def test_a_sheet_escapes_what_parties_wrote() -> None:
    blocks = (Heading(1, HOSTILE), Paragraph(HOSTILE), Bullets((HOSTILE,)), Code((HOSTILE,)))
    page = as_html((*blocks, Grid((HOSTILE,), ((HOSTILE,),), frozenset({0}))), "fr")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 7
    assert "<script" not in as_markdown(blocks[:3])
    assert as_markdown((Grid(("a",), ((HOSTILE,),), frozenset()),)).splitlines()[2].count("|") == 3


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("--plot", "a.gif"), "usage"),
        (("--sheet", "a.txt"), "usage"),
        (("--plot", "none/a.svg"), "unwritable_output"),
        (("--sheet", "none/a.md"), "unwritable_output"),
        (("--plot", "a.svg", "--sheet", "a.md", "--output", "./a.md"), "usage"),
    ],
)
def test_what_cannot_be_written_is_known_before_it_is_paid(
    room: Cooperative, tmp_path: Path, given: tuple[str, ...], code: str
) -> None:
    before = charged(room)
    places = [tmp_path / each if option.startswith("--") else each for option, each in pairwise(("", *given))]
    ran = room("query", room.room, *OBSERVATORY, "--epsilon", "1", *places, SECTOR)
    assert ran.code == 2
    assert f"[{code}]" in ran.err
    assert charged(room) == before
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_plotting_library_says_so_first(
    room: Cooperative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = charged(room)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    ran = room("query", room.room, *OBSERVATORY, "--plot", tmp_path / "a.svg", SECTOR, lang="en")
    assert ran.code == 2
    assert "pip install 'cleanroom[plot]'" in ran.err
    assert charged(room) == before


def test_a_bound_is_chosen_and_shown(room: Cooperative, tmp_path: Path) -> None:
    question = f"SELECT discipline, SUM(amount) AS recette FROM ({ARMS}) AS s GROUP BY 1"  # noqa: S608
    asked = (*OBSERVATORY, "--epsilon", "1", "--max-sum", "auto", "--format", "json")
    preview = json.loads(room("preview", room.room, *asked, question, lang="en").out)
    widest, narrowest = preview["rows"][0][1], preview["least_margins"]["recette"]
    assert 0 < narrowest < widest / 100
    sheet = tmp_path / "a.md"
    ran = room("query", room.room, *asked, "--sheet", sheet, question, lang="en")
    assert ran.code == 0, ran.err
    answer = json.loads(ran.out)
    chosen = next(note for note in answer["notes"] if note.startswith("auto: "))
    picked = float(re.findall(r"cell is ([\d.]+), chosen among", chosen)[0])
    assert f"to {picked:g}" in sheet.read_text(encoding="utf-8")
    margins = {row[2] for row in answer["rows"] if row[3] == "released"}
    assert margins
    # The widest may be what is chosen; the preview's figures are rounded for reading.
    assert all(narrowest * (1 - 1e-6) <= margin <= widest * (1 + 1e-6) for margin in margins)
    # The choice is in the log, and what is charged was said before.
    entries = json.loads(room("log", room.room, "--format", "json").out)
    assert any("picked" in json.dumps(entry) for entry in entries)
    assert [cost["rho"] for cost in answer["cost"]] == [cost["rho"] for cost in preview["cost"]]


def test_cells_that_add_up_are_labelled_and_free_beside_the_same_as_drawn(room: Cooperative, tmp_path: Path) -> None:
    question = f"SELECT discipline, COUNT(*) AS ventes FROM ({ARMS}) AS s GROUP BY ROLLUP (discipline)"  # noqa: S608
    asked = (*OBSERVATORY, "--epsilon", "1", "--format", "json")
    drawn = json.loads(room("query", room.room, *asked, question, lang="en").out)
    before = charged(room)
    preview = json.loads(room("preview", room.room, *asked, "--consistent", question, lang="fr").out)
    assert any("ajustés pour s'additionner" in note for note in preview["notes"])
    sheet = tmp_path / "a.md"
    ran = room("query", room.room, *asked, "--consistent", "--sheet", sheet, question, lang="en")
    assert ran.code == 0, ran.err
    answer = json.loads(ran.out)
    assert answer["sources"] == ["stored"]
    assert charged(room) == before
    columns = answer["columns"]
    values = {row[0]: row[columns.index("ventes")] for row in answer["rows"]}
    margins = {row[0]: row[columns.index("ventes_margin95")] for row in answer["rows"]}
    as_drawn = {row[0]: row[columns.index("ventes")] for row in drawn["rows"]}
    assert values[None] == pytest.approx(sum(value for key, value in values.items() if key is not None))
    assert as_drawn[None] != pytest.approx(sum(value for key, value in as_drawn.items() if key is not None))
    assert all(margins[row[0]] < row[columns.index("ventes_margin95")] for row in drawn["rows"])
    assert any("adjusted afterwards by least squares" in note for note in answer["notes"])
    assert "adjusted afterwards by least squares" in sheet.read_text(encoding="utf-8")
    assert answer["noise_scale"] == {"ventes": None}
    # The log says what was asked for; what it digests is what was drawn.
    reused = [
        each for each in json.loads(room("log", room.room, "--format", "json").out) if each["type"] == "query.reused"
    ]
    assert reused[-1]["details"]["content"]["consistent"] is True


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("SELECT discipline, COUNT(*) AS n FROM ({arms}) AS s GROUP BY 1", "ROLLUP"),
        ("SELECT discipline, COUNT(DISTINCT person) AS n FROM ({arms}) AS s GROUP BY ROLLUP (discipline)", "persons"),
        ("SELECT discipline, COUNT(*) * 2 AS n FROM ({arms}) AS s GROUP BY ROLLUP (discipline)", "compute"),
    ],
)
def test_what_cannot_add_up_is_refused_before_it_is_charged(room: Cooperative, question: str, word: str) -> None:
    before = charged(room)
    ran = room("query", room.room, *OBSERVATORY, "--consistent", question.format(arms=ARMS), lang="en")
    assert (ran.code, ran.out) == (3, "")
    assert word in ran.err
    assert charged(room) == before


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("--max-sum", "auto"), 3),
        (("--max-sum", "-5"), 3),
        (("--max-sum", "beaucoup"), 2),
        (("--max-rows", "automatic"), 2),
        (("--max-rows", "auto", "--max-sum", "auto"), 3),
        (("--max-rows", "auto", "--max-groups", "auto"), 3),
        (("--max-groups", "automatic"), 2),
    ],
)
def test_bounds_that_make_no_sense_are_refused(room: Cooperative, given: tuple[str, ...], code: int) -> None:
    before = charged(room)
    question = f"SELECT COUNT(*) AS n FROM ({ARMS}) AS s"  # noqa: S608
    ran = room("query", room.room, *OBSERVATORY, *given, question)
    assert (ran.code, ran.out) == (code, "")
    assert charged(room) == before
