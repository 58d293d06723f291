"""Questions through the command: every form of answer, refusals with their place, decisions line by line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cli_room import MEMBERS, Cooperative

from cleanroom.cli.formats import Table, as_csv, as_json, as_parquet
from cleanroom.errors import Refused
from cleanroom.room import Home, Room

OVERLAP = (
    "SELECT theatre_fleuve.visits.region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits"
    " JOIN guichet_nord.visits USING (person) GROUP BY 1"
)
ARMS = " UNION ALL ".join(
    f"SELECT person, discipline, purchased, tickets, amount FROM {member}.visits"  # noqa: S608
    for member in MEMBERS
)
SECTOR = f"SELECT discipline, SUM(tickets) AS billets, AVG(amount) AS prix FROM ({ARMS}) AS s GROUP BY 1"  # noqa: S608
MONTHS = f"SELECT date_trunc('month', purchased) AS mois, COUNT(*) AS ventes FROM ({ARMS}) AS s GROUP BY 1"  # noqa: S608
AS_MEMBER = ("--as", "theatre_fleuve", "--purpose", "audience_overlap")
AS_OBSERVATORY = ("--as", "observatoire", "--purpose", "sector_statistics")


def entries(room: Cooperative, kind: str) -> int:
    return sum(entry["type"] == kind for entry in json.loads(room("log", room.room, "--format", "json").out))


def test_a_table_in_french_and_in_english(room: Cooperative) -> None:
    french = room("query", room.room, *AS_OBSERVATORY, "--epsilon", "6", SECTOR)
    english = room("--lang", "en", "query", room.room, *AS_OBSERVATORY, "--epsilon", "6.0", SECTOR)
    assert (french.code, english.code, french.err, english.err) == (0, 0, "", "")
    assert re.search(r"^discipline +billets +prix$", french.out, re.MULTILINE)
    # Whether a cell is withheld is up to the noise; how it is shown is not.
    for line in french.out.splitlines()[2:10]:
        assert re.fullmatch(r"[a-z_]+ +(retenu +retenu|−?[\d\u202f]+ ± [\d\u202f]+ +\d+(,\d+)? ± \d+(,\d+)?)", line)
    for line in english.out.splitlines()[2:10]:
        assert re.fullmatch(r"[a-z_]+ +(withheld +withheld|−?[\d,]+ ± [\d,]+ +\d+(\.\d+)? ± \d+(\.\d+)?)", line)
    assert "19 fois sur 20" in french.out
    assert "19 times out of 20" in english.out
    assert re.search(r"toute la salle +\d,\d+ +\d+(,\d)?\u202f%", french.out)
    # Asked again, it is the same answer for nothing.
    assert re.search(r"whole room +0 +\d+(\.\d)?%", english.out)
    assert "Already answered, free: " in english.out
    assert "gratuit" not in french.out
    again = room("preview", room.room, *AS_OBSERVATORY, "--epsilon", "6", SECTOR)
    assert (again.code, "Déjà répondu, gratuit : " in again.out) == (0, True)
    index = re.search(r"Reçu : entrée (\d+) du journal, (\S+)", french.out)
    assert index is not None
    assert Path(index[2]).name == f"{index[1]}.tlog-proof"
    assert Path(index[2]).exists()


def test_months_read_as_months(room: Cooperative) -> None:
    shown = room("query", room.room, *AS_OBSERVATORY, "--epsilon", "2", MONTHS).out
    assert re.search(r"^2024-02 ", shown, re.MULTILINE)
    assert "2024-02-01" not in shown


def test_json_holds_the_answer_and_its_receipt(room: Cooperative) -> None:
    ran = room("query", room.room, *AS_MEMBER, "--format", "json", OVERLAP, "--max-rows", "2", "--max-groups", "1")
    read = json.loads(ran.out)
    assert ran.code == 0
    assert read["columns"] == ["region", "n", "n_margin95", "n_state"]
    assert len(read["rows"]) == 17
    assert read["suppressed"] == sum(row[3] == "suppressed" for row in read["rows"])
    assert all((row[1] is None) == (row[3] == "suppressed") for row in read["rows"])
    assert read["epsilon"] == pytest.approx(0.2)
    assert [cost["account"] for cost in read["cost"]] == ["room", "guichet_nord.visits", "theatre_fleuve.visits"]
    assert read["receipt"]["proof"].startswith("c2sp.org/tlog-proof")
    assert "Reçu" in ran.err


def test_csv_on_standard_output_and_in_a_file(room: Cooperative, tmp_path: Path) -> None:
    question = OVERLAP.replace("AS n", 'AS "=cmd|/c calc"')
    kept = tmp_path / "réponse.csv"
    shown = room("query", room.room, *AS_MEMBER, "--format", "csv", "-", stdin=question.encode())
    written = room("query", room.room, *AS_MEMBER, "--format", "csv", "--output", kept, question)
    assert (shown.code, written.code, written.out) == (0, 0, "")
    for content in (shown.out, kept.read_text()):
        header, *rows = csv.reader(io.StringIO(content))
        assert header == ["region", "'=cmd|/c calc", "'=cmd|/c calc_margin95", "'=cmd|/c calc_state"]
        assert len(rows) == 17
    assert [path.name for path in tmp_path.iterdir()] == ["réponse.csv"]


def test_the_formats_hold_the_same(room: Cooperative) -> None:
    with Room.open(room.room, home=Home(room.home)) as opened:
        answer = opened.session("observatoire").query(MONTHS, purpose="sector_statistics", epsilon=1)
    table = Table.of(answer.table)
    shape = [
        (name, None if value is None else str(value))
        for row in table.rows
        for name, value in zip(table.columns, row, strict=True)
    ]
    document = json.loads(as_json({"rows": table.rows}))
    from_json = [
        (name, None if value is None else str(value))
        for row in document["rows"]
        for name, value in zip(table.columns, row, strict=True)
    ]
    header, *lines = csv.reader(io.StringIO(as_csv(table).decode()))
    from_csv = [(name, value or None) for row in lines for name, value in zip(header, row, strict=True)]
    arrow = pq.read_table(io.BytesIO(as_parquet(table, {"receipt": 3})))
    from_parquet = [
        (name, None if value is None else str(value)) for row in arrow.to_pylist() for name, value in row.items()
    ]
    assert shape == from_json == from_csv == from_parquet
    assert json.loads(arrow.schema.metadata[b"cleanroom"]) == {"receipt": 3}


def test_parquet_in_a_file(room: Cooperative, tmp_path: Path) -> None:
    target = tmp_path / "a.parquet"
    ran = room("query", room.room, *AS_MEMBER, "--format", "parquet", "--output", target, OVERLAP)
    arrow = pq.read_table(target)
    assert ran.code == 0
    assert arrow.column_names == ["region", "n", "n_margin95", "n_state"]
    assert [str(kind) for kind in arrow.schema.types] == ["string", "double", "double", "string"]
    assert json.loads(arrow.schema.metadata[b"cleanroom"])["receipt"]["index"] > 0
    piped = room("query", room.room, *AS_MEMBER, "--format", "parquet", OVERLAP)
    assert pq.read_table(io.BytesIO(piped.raw)).column_names == arrow.column_names


def test_where_the_answer_goes_is_known_before_it_is_paid(room: Cooperative, tmp_path: Path) -> None:
    before = entries(room, "query.charged")
    for target in (tmp_path, tmp_path / "none" / "a.csv"):
        ran = room("query", room.room, *AS_MEMBER, "--format", "csv", "--output", target, OVERLAP, lang="en")
        assert ran.code == 2
        assert "unwritable_output" in ran.err
    assert entries(room, "query.charged") == before


def test_parameters_arrive_exactly(room: Cooperative) -> None:
    by_name = f"SELECT COUNT(*) AS n FROM ({ARMS}) AS s WHERE discipline = $d"  # noqa: S608
    named = room(
        "check", room.room, *AS_OBSERVATORY, stdin=json.dumps({"sql": by_name, "params": {"d": "danse"}}).encode()
    )
    assert json.loads(named.out)["admitted"] is True
    previewed = room("preview", room.room, *AS_OBSERVATORY, "--params", '{"d": "danse"}', "--format", "json", by_name)
    assert previewed.code == 0
    positional = by_name.replace("$d", "?")
    assert room("preview", room.room, *AS_OBSERVATORY, "--params", '["danse"]', positional).code == 0
    wrong = room("preview", room.room, *AS_OBSERVATORY, "--params", '["danse", 0.10]', positional)
    assert wrong.code == 3
    assert "parameters" in wrong.err


def test_a_preview_charges_nothing(room: Cooperative) -> None:
    before = entries(room, "query.charged")
    french = room("preview", room.room, *AS_OBSERVATORY, "--epsilon", "1", SECTOR)
    english = room("preview", room.room, *AS_OBSERVATORY, "--epsilon", "1", SECTOR, lang="en")
    assert re.search(r"^billets : ±[\d\u202f]+, 19 fois sur 20 ; [\d,]+\u202f% du prix$", french.out, re.MULTILINE)
    assert re.search(r"^billets: ±[\d,]+, 19 times out of 20; [\d.]+% of the price$", english.out, re.MULTILINE)
    assert "prix : la marge dépendra" in french.out
    assert "Cases : 8" in french.out
    assert re.search(r"Il reste de quoi poser \d+ questions comme celle-ci", french.out)
    assert re.search(r"\d+ such questions can still be asked", english.out)
    read = json.loads(room("preview", room.room, *AS_MEMBER, "--margin", "250.0", "--format", "json", OVERLAP).out)
    assert read["columns"] == ["value", "margin95"]
    assert read["rows"][0][0] == "n"
    assert 0 < read["rows"][0][1] <= 250
    assert read["repetitions"] == min(each["questions"] for each in read["possible"]) > 1
    assert sum(read["split"].values()) + read["split_threshold"] + read["split_keys"] == pytest.approx(1)
    weighted = room("preview", room.room, *AS_OBSERVATORY, "--epsilon", "1", "--weights", '{"billets": 50}', SECTOR)
    assert weighted.code == 0, weighted.err
    assert weighted.out.splitlines()[0] != french.out.splitlines()[0]
    assert room("preview", room.room, *AS_OBSERVATORY, "--weights", "[1]", SECTOR).code == 2
    assert room("preview", room.room, *AS_OBSERVATORY, "--weights", '{"x": 1}', SECTOR).code == 3
    assert room("preview", room.room, *AS_MEMBER, "--format", "csv", OVERLAP).out.startswith("value,margin95\r\nn,")
    assert entries(room, "query.charged") == before


def test_a_refusal_shows_every_reason_and_its_place(room: Cooperative) -> None:
    question = "SELECT COUNT(*), MIN(amount),\n       MAX(amount) FROM nuits_claires.visits"
    french = room("query", room.room, *AS_MEMBER, question)
    assert (french.code, french.out) == (3, "")
    assert "2 raisons" in french.err
    lines = french.err.splitlines()
    second = next(at for at, line in enumerate(lines) if "(ligne 2, colonne 8)" in line)
    assert lines[second].startswith("aggregate_not_admitted (ligne 2, colonne 8) : l'agrégat MAX")
    assert lines[second + 1] == "  2 |        MAX(amount) FROM nuits_claires.visits"
    assert lines[second + 2].index("^") == lines[second + 1].index("MAX")
    # With MIN still in it, no question that it could propose would be admitted; with MAX alone, one is.
    assert "piste" not in french.err
    alone = room("query", room.room, *AS_MEMBER, question.replace("MIN(amount)", "1"))
    assert "QUANTILE_DISC(amount, 0.99)" in alone.err
    english = room("query", room.room, *AS_MEMBER, question, lang="en")
    assert "aggregate_not_admitted (2:8): the aggregate MAX is not admitted here" in english.err


def test_a_hint_is_in_the_language_asked_for(room: Cooperative) -> None:
    assert "piste : --epsilon 0.5" in room("query", room.room, *AS_MEMBER, "--epsilon", "3", OVERLAP).err
    assert "hint: --epsilon 0.5" in room("query", room.room, *AS_MEMBER, "--epsilon", "3", OVERLAP, lang="en").err


def test_hostile_sql_is_shown_harmless(room: Cooperative) -> None:
    ran = room("query", room.room, *AS_MEMBER, "SELECT\t\x1b[31mregion\x07 FROM x.y")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert "␛[31mregion␇" in ran.err
    source, caret = next(pair for pair in pairs(ran.err.splitlines()) if pair[1].strip("| ") == "^")
    assert source[caret.index("^")] == "␛"


def pairs(lines: list[str]) -> Iterator[tuple[str, str]]:
    return pairwise(lines)


def test_check_decides_line_by_line(room: Cooperative) -> None:
    before = entries(room, "query.charged")
    lines = [
        {"id": 1, "sql": OVERLAP},
        {"id": "deux", "sql": "SELECT * FROM nuits_claires.visits", "comment": "ignored"},
        {"sql": OVERLAP.replace("GROUP BY 1", "WHERE tickets > ? GROUP BY 1"), "params": ["\x1b"]},
        {"id": 4, "sql": "SELECT nothing"},
    ]
    stdin = "\n\n".join(json.dumps(line) for line in lines).encode()
    ran = room("check", room.room, *AS_MEMBER, stdin=stdin)
    decisions = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [(each["id"], each["admitted"]) for each in decisions] == [
        (1, True),
        ("deux", False),
        (None, False),
        (4, False),
    ]
    for each in decisions:
        assert set(each) == {"id", "admitted", "refusals", "releases"}
        assert bool(each["refusals"]) != bool(each["releases"])
    assert {"statistics", "bounds", "cells", "norm"} <= set(decisions[0]["releases"][0])
    (refusal,) = decisions[1]["refusals"]
    assert set(refusal) == {"code", "message", "position", "hint"}
    assert refusal["position"] == {"line": 1, "column": 8}
    assert "lignes de personnes" in refusal["message"]
    english = room("check", room.room, *AS_MEMBER, stdin=stdin, lang="en").out.splitlines()
    assert "rows of people" in json.loads(english[1])["refusals"][0]["message"]
    assert entries(room, "query.charged") == before


def test_check_ends_as_an_owner_s_pipeline_wants(room: Cooperative) -> None:
    good, bad = json.dumps({"id": 1, "sql": OVERLAP}).encode(), b'{"id": 2, "sql": "SELECT nothing"}'
    for stdin, on, code in (
        (good, "refused", 0),
        (good + b"\n" + bad, "refused", 3),
        (bad, "admitted", 0),
        (good + b"\n" + bad, "admitted", 3),
    ):
        assert room("check", room.room, *AS_MEMBER, "--fail-on", on, stdin=stdin).code == code


@pytest.mark.parametrize(
    "line",
    [
        b"SELECT 1",
        b'{"id": 1}',
        b'{"sql": 3}',
        b'{"sql": "SELECT 1", "sql": "SELECT 2"}',
        b'{"sql": "SELECT 1", "params": "x"}',
        b'{"sql": "SELECT 1", "params": [NaN]}',
        b'{"sql": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_line_is_named(line: bytes, room: Cooperative) -> None:
    ran = room("check", room.room, *AS_MEMBER, stdin=b'{"sql":"SELECT 1"}\n\n' + line, lang="en")
    assert (ran.code, ran.out) == (2, "")
    assert "line 3: " in ran.err


def test_unknown_and_forbidden_purposes_read_alike(room: Cooperative) -> None:
    said = [
        room("query", room.room, "--as", "theatre_fleuve", "--purpose", purpose, OVERLAP)
        for purpose in ("sector_statistics", "not_a_purpose_here")
    ]
    assert [ran.code for ran in said] == [3, 3]
    assert said[0].err.replace("sector_statistics", "P") == said[1].err.replace("not_a_purpose_here", "P")


MEANS = SECTOR.replace("SUM(tickets) AS billets, ", "")
NAMED = {
    "two bounds by auto": (
        SECTOR,
        ("--max-rows", "auto", "--max-groups", "auto"),
        {"max_rows_contributed": "auto", "max_groups_contributed": "auto"},
        {"--max-rows": "max_rows_contributed", "--max-groups": "max_groups_contributed", "--max-sum": "max_sum"},
    ),
    "too many rows": (
        SECTOR,
        ("--max-rows", "70000"),
        {"max_rows_contributed": 70_000},
        {"--max-rows": "max_rows_contributed", "--max-groups": "max_groups_contributed"},
    ),
    "no sum to bound": (MONTHS, ("--max-sum", "auto"), {"max_sum": "auto"}, {"--max-sum": "max_sum"}),
    "a margin of nothing": (MONTHS, ("--margin", "0"), {"margin": 0}, {"--margin": "margin"}),
    "a margin of means": (MEANS, ("--margin", "3"), {"margin": 3}, {"--epsilon": "epsilon"}),
    "weights of nothing": (SECTOR, ("--weights", "{}"), {"weights": {}}, {"--weights": "weights"}),
    "dearer than allowed": (OVERLAP, ("--epsilon", "3"), {"epsilon": 3}, {"--epsilon 0.5": "epsilon=0.5"}),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_refusal_names_what_each_door_calls_it(room: Cooperative, name: str) -> None:
    """A person who typed an option reads of an option; a program reads of its parameter."""
    sql, typed, given, names = NAMED[name]
    who = AS_MEMBER if sql == OVERLAP else AS_OBSERVATORY
    parameters = {"max_rows_contributed", "max_groups_contributed", "max_sum", "epsilon=", "margin="}
    for command in ("query", "preview"):
        for lang in ("fr", "en"):
            ran = room(command, room.room, *who, *typed, sql, lang=lang)
            assert ran.code == 3
            assert [each for each in names if each not in ran.err] == []
            assert [each for each in parameters if each in ran.err] == []
    with Room.open(room.room, home=Home(room.home)) as opened, pytest.raises(Refused) as caught:
        opened.session(who[1]).query(sql, purpose=who[3], **given)  # type: ignore[arg-type]
    words = "".join(f"{reason.message}{reason.hint or ''}" for reason in caught.value.refusals)
    assert [each for each in names.values() if each not in words] == []
    assert "--" not in words
