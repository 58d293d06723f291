"""`upload` with its choices, `upload --dry-run`, `opt-out`: through the command, as a ticket office would."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_room import Ran, run

from cleanroom.cli.console import Console
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.client import Stage
from cleanroom.errors import Language

SETTINGS = "purposes: [statistics]\nbudget: {epsilon: 10, delta: 1e-6, window: never}\n"
DECLARATION = """\
table: fleuve.{table}
unit: {{name: person, from: {source}, kind: {kind}}}
columns:
  region: {{type: category, domain: [laval, estrie]}}
  jour: {{type: date, range: [2024-01-01, 2024-12-31]}}
  montant: {{type: decimal, resolution: 0.01, bounds: [0, 100], unit: CAD}}
limits: {{max_rows_per_person: 2}}
defaults: {{max_rows_contributed: 2, max_groups_contributed: 2}}
budget: {{epsilon: 10, delta: 1e-7, window: never}}
rules:
  - name: counts
    parties: [observatoire]
    purposes: [statistics]
    analyses: [aggregate]
    functions: [count_persons]
    dimensions: [region]
    threshold: 2
    default_epsilon: 1
"""
SALES = (
    "courriel;region;jour;montant;prénom\r\n"
    "anne@b.ca;Laval;03/02/2024;12,50;Anne\r\n"
    "ANNE@b.ca;estrie;04/02/2024;250;Anne\r\n"
    "anne@b.ca;estrie;05/02/2024;3;Anne\r\n"
    "luc@b.ca;estrie;05/02/2024;3;Luc\r\n"
    "n/a;estrie;05/02/2024;3;Zoé\r\n"
    "eve@b.ca;ailleurs;31/02/2024;3;Ève\r\n"
).encode("cp1252")


@dataclass(frozen=True, slots=True)
class Office:
    """A room with one member's table, and its files."""

    place: Path

    def run(self, *arguments: object, lang: str = "en") -> Ran:
        return run(self.place / "home", *arguments, lang=lang)

    @property
    def room(self) -> Path:
        return self.place / "room"

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.place / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def upload(self, *options: object, lang: str = "en") -> Ran:
        return self.run("upload", self.room, "fleuve.visits", self.place / "ventes.csv", *options, lang=lang)

    def held(self) -> list[Path]:
        return sorted((self.place / "home").rglob("*"))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.file("ventes.csv", SALES)
    made.file("map.csv", "écrit,voulu\nLaval,laval\nHull,estrie\n")
    made.file("non.txt", "Luc@b.ca\n")
    assert made.run("init", made.room, "--settings", made.file("room.yaml", SETTINGS)).code == 0
    for party, role in (("fleuve", "member"), ("observatoire", "observatoire")):
        assert made.run("party", "add", made.room, party, "--role", role).code == 0
    visits = made.file("visits.yaml", DECLARATION.format(table="visits", source="courriel", kind="email"))
    assert made.run("declare", made.room, visits).code == 0
    return made


def test_without_a_choice_everything_is_refused_with_its_kinds(office: Office) -> None:
    ran = office.upload()
    assert ran.code == 1
    assert "4 values break the declaration, in 3 rows; nothing was uploaded" in ran.err
    assert "2 × 'region': not in the declared domain" in ran.err
    assert "ventes.csv, row 1, column 'region', 'Laval'" in ran.err
    assert ran.out == ""


def test_a_dry_run_needs_no_root_key_and_keeps_nothing(office: Office) -> None:
    (root,) = (office.place / "home").rglob("root.key")
    root.rename(office.place / "root.key")
    before = office.held()
    options = ("--map", f"region={office.place / 'map.csv'}", "--clip", "--skip-bad-rows", "--opt-out")
    ran = office.upload(*options, office.place / "non.txt", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert office.held() == before
    for said in (
        "fleuve.visits: 3 rows",
        "ventes.csv: 6 rows, Windows-1252, semicolon",
        "'jour': DD/MM/YYYY, day first",
        "columns left at home (not declared): prénom",
        "rows left out (no usable identifier): 1",
        "rows left out (people who said no, 1 on the list): 1",
        "rows left out (breaking the declaration): 1",
        "'montant': values brought to the lower bound: 0, to the upper: 1",
        "'region': values replaced: 1; words never seen: Hull",
        "persons: 1",
        "1 of them have more rows than max_rows_per_person: 1 will never count",
        "encrypted bytes would travel, token ranges: 1; nothing is written or handed in",
        "tokens are of a trial key",
        "jour: code of its declaration, 2 bytes",
        "0 = laval 33 = 2024-02-03 1250 = 12.50 CAD",
        "1 = estrie 34 = 2024-02-04 10000 = 100.00 CAD",
    ):
        assert said in " ".join(ran.out.split()), said
    assert "anne" not in ran.out.lower()
    french = office.upload(*options, office.place / "non.txt", "--dry-run", lang="fr")
    assert "rien n'est écrit ni déposé" in french.out
    assert "jour : code de sa déclaration, 2 octets" in french.out


def test_those_who_said_no_are_remembered_and_counted(office: Office) -> None:
    clean = office.file(
        "clean.csv", "courriel,region,jour,montant\nanne@b.ca,laval,2024-02-03,1\nluc@b.ca,laval,2024-02-03,1\n"
    )
    ran = office.run("upload", office.room, "fleuve.visits", clean, "--opt-out", office.place / "non.txt")
    assert (ran.code, "fleuve.visits: 1 rows" in ran.out) == (0, True)
    # From now on by itself, also for files that were never seen.
    clean.write_text("courriel,region,jour,montant\nLUC@b.ca,estrie,2024-02-04,2\n", "utf-8")
    ran = office.run("upload", office.room, "fleuve.visits", clean, "--dry-run")
    assert "rows left out (people who said no, 1 on the list): 1" in ran.out
    assert office.run("opt-out", office.room, "--as", "fleuve").out == "fleuve: 1 on the opt-out list\n"
    more = office.file("more.csv", "nom;courriel\nÈve;eve@b.ca\nLuc;luc@b.ca\n")
    added = office.run("opt-out", office.room, "--as", "fleuve", "--add", more)
    assert "fleuve: 2 on the opt-out list" in added.out
    removed = office.run("opt-out", office.room, "--as", "fleuve", "--remove", office.place / "non.txt", lang="fr")
    assert removed.out == "fleuve : 1 sur la liste de refus\n"
    for held in office.held():
        if held.is_file():
            assert b"@b.ca" not in held.read_bytes()


def test_a_damaged_list_stops_the_upload(office: Office) -> None:
    assert office.run("opt-out", office.room, "--as", "fleuve", "--add", office.place / "non.txt").code == 0
    (path,) = (office.place / "home").rglob("opt-out/fleuve.*")
    path.write_bytes(path.read_bytes()[:-1])
    clean = office.file("clean.csv", "courriel,region,jour,montant\nanne@b.ca,laval,2024-02-03,1\n")
    for arguments in (("upload", office.room, "fleuve.visits", clean), ("opt-out", office.room, "--as", "fleuve")):
        ran = office.run(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert "opt-out list" in ran.err
        assert "[opt_out_refused]" in ran.err


def test_a_list_is_refused_by_its_lines(office: Office) -> None:
    wrong = office.file("non.txt", "luc@b.ca\nLuc Tremblay\n")
    ran = office.run("opt-out", office.room, "--as", "fleuve", "--add", wrong)
    assert ran.code == 1
    assert "line 2, 'Luc Tremblay'" in ran.err
    assert office.run("opt-out", office.room, "--as", "fleuve").out == "fleuve: 0 on the opt-out list\n"


def test_two_kinds_of_identifiers_must_be_told_apart(office: Office) -> None:
    numbers = office.file("cards.yaml", DECLARATION.format(table="cards", source="carte", kind="opaque"))
    assert office.run("declare", office.room, numbers).code == 0
    ran = office.run("opt-out", office.room, "--as", "fleuve", "--add", office.place / "non.txt")
    assert (ran.code, "--table, one of fleuve.cards, fleuve.visits" in ran.err) == (2, True)
    for table in ("fleuve.cards", "fleuve.visits"):
        added = office.run(
            "opt-out", office.room, "--as", "fleuve", "--table", table, "--add", office.place / "non.txt"
        )
        assert added.code == 0
    assert "2 on the opt-out list" in added.out
    assert office.run("opt-out", office.room, "--as", "observatoire").code == 2


def test_a_waiting_package_is_spoken_of_when_somebody_says_no(office: Office) -> None:
    clean = office.file("clean.csv", "courriel,region,jour,montant\nluc@b.ca,laval,2024-02-03,1\n")
    (root,) = (office.place / "home").rglob("root.key")
    root.rename(office.place / "root.key")
    assert office.run("upload", office.room, "fleuve.visits", clean).code == 1
    (waiting,) = (office.place / "home").rglob("*.package")
    ran = office.run("opt-out", office.room, "--as", "fleuve", "--add", office.place / "non.txt")
    assert str(waiting) in ran.err
    # The same command would now make another package: the one made before is not handed in unseen.
    (office.place / "root.key").rename(root)
    ran = office.run("upload", office.room, "fleuve.visits", clean)
    assert (ran.code, "[upload_waiting]" in ran.err) == (2, True)
    waiting.unlink()
    ran = office.run("upload", office.room, "fleuve.visits", clean)
    assert (ran.code, "fleuve.visits: 0 rows" in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--encoding", "ebcdic"), "--encoding 'ebcdic': one of utf-8"),
        (("--delimiter", "x"), "--delimiter 'x': one of comma"),
        (("--decimal", ";"), "--decimal ';': one of point"),
        (("--dates", "jour=YYYY"), "--dates 'jour=YYYY': one of YYYY-MM-DD"),
        (("--dates", "YYYY-MM-DD", "--dates", "DD/MM/YYYY"), "--dates without a column is said once"),
        (("--dates", "montant=DD/MM/YYYY"), "'montant' is no column of dates of fleuve.visits; there is: jour"),
        (("--map", "region"), "--map 'region': one of COLUMN=FILE"),
        (("--map", "region=/nowhere"), "no such file: /nowhere"),
        (("--opt-out", "/nowhere"), "no such file: /nowhere"),
    ],
)
def test_options_that_are_not_as_documented(office: Office, options: tuple[str, ...], said: str) -> None:
    ran = office.upload(*options)
    assert ran.code == 2
    assert said in ran.err


def test_given_forms_are_taken(office: Office) -> None:
    path = office.file("us.csv", "courriel|region|jour|montant\nanne@b.ca|laval|03/04/2024|1,5\n".encode("utf-16"))
    ran = office.run(
        *("upload", office.room, "fleuve.visits", path, "--encoding", "utf-16", "--delimiter", "pipe"),
        *("--dates", "jour=MM/DD/YYYY", "--decimal", "comma", "--dry-run"),
    )
    assert "2024-03-04" in ran.out
    assert "150 = 1.50 CAD" in ran.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stderr", "seen"), [(Terminal(), True), (io.StringIO(), False)])
def test_progress_is_drawn_on_a_terminal_alone(
    stderr: io.StringIO, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    with ProgressLine(Console(Language.FR)) as progress:
        for done in range(1001):
            progress(Stage.READING, done, 1000)
        progress(Stage.WRITING, 0, 0)
    drawn = stderr.getvalue()
    if not seen:
        assert drawn == ""
        return
    lines = drawn.split("\r\x1b[K")
    assert lines[1:3] == [f"lecture [{'.' * 24}]   0 %", f"lecture [{'.' * 24}]   1 %"]
    assert lines[101] == f"lecture [{'#' * 24}] 100 %"
    assert lines[102] == f"tri et chiffrement [{'.' * 24}]   0 %"
    assert lines[103:] == [""]
