"""An export as a ticket office makes it, uploaded through the command: Windows-1252, semicolons, decimal commas."""

from __future__ import annotations

import io
import stat
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from unittest import mock

import polars as pl
import xlsxwriter

from cleanroom.cli import main
from examples.season import make_season


def run(home: Path, *arguments: object, lang: str = "fr") -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict("os.environ", {"CLEANROOM_HOME": str(home), "CLEANROOM_LANG": lang}))
        stack.enter_context(mock.patch.object(sys, "stdout", out))
        stack.enter_context(mock.patch.object(sys, "stderr", err))
        code = main([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()


def test_an_export_in_windows_1252_is_uploaded_and_shown(tmp_path: Path) -> None:
    home, room = tmp_path / "home", tmp_path / "salle"
    make_season(persons=300, seed=5).write(tmp_path)
    declared = tmp_path / "theatre_fleuve.visits.yaml"
    assert run(home, "init", room)[0] == 0
    assert run(home, "party", "add", room, "theatre_fleuve", "--role", "member")[0] == 0
    assert run(home, "declare", room, declared)[0] == 0
    clean = pl.read_csv(tmp_path / "theatre_fleuve.visits.csv", infer_schema=False)
    rows = clean.height
    dirty = clean.with_columns(
        pl.col("purchased").str.to_date().dt.strftime("%d/%m/%Y"),
        pl.col("amount").str.replace(".", ",", literal=True),
        pl.lit("déjà venu; payé « comptant »").alias("commentaire"),
    )
    export = tmp_path / "ventes été.csv"
    export.write_bytes(dirty.write_csv(separator=";", line_terminator="\r\n").encode("cp1252"))
    shown = f"{rows:,}"
    code, said, wrong = run(home, "upload", room, "theatre_fleuve.visits", export)
    assert code == 0, wrong
    assert (
        f"  ventes été.csv : {shown} lignes, Windows-1252, point-virgule\n"
        "    « purchased » : JJ/MM/AAAA, jour d'abord\n    « amount » : virgule décimale\n"
    ).replace(",", "\u202f", shown.count(",")) in said
    code, said, wrong = run(home, "upload", room, "theatre_fleuve.visits", export, lang="en")
    assert code == 0, wrong
    assert f"  ventes été.csv: {shown} rows, Windows-1252, semicolon\n" in said
    assert "    'purchased': DD/MM/YYYY, day first\n    'amount': decimal comma\n" in said


def test_a_new_member_comes_with_a_workbook(tmp_path: Path) -> None:
    """From an Excel export to an upload, by what the commands themselves say is next."""
    home, room = tmp_path / "home", tmp_path / "salle"
    assert run(home, "init", room)[0] == 0
    assert run(home, "party", "add", room, "tnm", "--role", "member")[0] == 0
    export, file = tmp_path / "Ventes été.xlsx", tmp_path / "tnm.ventes.yaml"
    with xlsxwriter.Workbook(str(export)) as book:
        sales, days = book.add_worksheet("Ventes"), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        book.add_worksheet("Notes").write(0, 0, "à relancer")
        sales.write_row(0, 0, ["Courriel", "Nom", "Région", "Date d'achat", "Montant payé"])
        for row in range(1, 301):
            sales.write_row(row, 0, [f"p{row % 90}@exemple.ca", f"Tremblay {row}", ("Montréal", "Laval")[row % 2]])
            sales.write_datetime(row, 3, datetime(2024, 1 + row % 12, 1 + row % 28, 19, 30), days)  # noqa: DTZ001
            sales.write_number(row, 4, row % 97 + 0.1)
        sales.write_blank(400, 0, None, days)
    code, said, wrong = run(home, "declare", room, "--draft", export, "--table", "tnm.ventes", "--output", file)
    assert code == 0, wrong
    assert "--reviewed" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "table déclarée" not in run(home, "log", room)[1]  # nothing entered the room
    code, _, wrong = run(home, "declare", room, file)
    assert code == 2
    assert "c'est un brouillon" in wrong
    assert run(home, "declare", room, file, "--reviewed")[0] == 0
    code, said, wrong = run(home, "upload", room, "tnm.ventes", export)
    assert code == 0, wrong
    assert (
        "  Ventes été.xlsx : 300 lignes\n    feuille « Ventes » ; feuilles non lues : Notes\n"
        "    « date_d_achat » : AAAA-MM-JJ HH:MM ; l'heure reste chez vous\n    « montant_paye » : point décimal\n"
        "  colonnes laissées chez vous (non déclarées) : Nom\n"
    ) in said
    code, _, wrong = run(home, "upload", room, "tnm.ventes", export, "--sheet", "Notes", lang="en")
    assert code == 1
    assert "the sheet 'Notes' has none of the declared columns; the other sheets: Ventes (choose by --sheet)" in wrong
    code, _, wrong = run(home, "declare", room, "--draft", export, "--output", file, lang="en")
    assert code == 2
    assert "exists already" in wrong
