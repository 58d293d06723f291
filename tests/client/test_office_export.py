"""An export as a ticket office makes it, uploaded through the command: Windows-1252, semicolons, decimal commas."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import polars as pl

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
