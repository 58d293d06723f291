"""`declare --preset`: prints or writes a file that `declare` takes, never over another."""

from __future__ import annotations

from pathlib import Path

from cli_room import run

from cleanroom.errors import Language
from cleanroom.identifiers import TableName
from cleanroom.policies import Preset, preset_file


def test_a_preset_is_printed_written_and_declared(tmp_path: Path) -> None:
    home, room, file = tmp_path / "home", tmp_path / "room", tmp_path / "visits.yaml"
    for preset in Preset:
        for language in Language:
            printed = run(home, "--lang", language, "declare", "--preset", preset, "--table", "tnm.visits")
            assert printed.code == 0
            table = TableName.parse("tnm.visits")
            assert printed.raw == preset_file(preset, table=table, language=language)
    written = run(home, "declare", f"--preset={Preset.TICKETING}", "--table", "tnm.visits", "--output", file)
    assert written.code == 0
    assert "relisez-le" in written.out
    assert not home.exists()
    assert run(home, "init", room).code == 0
    assert run(home, "party", "add", room, "tnm", "--role", "member").code == 0
    declared = run(home, "declare", room, file)
    assert (declared.code, declared.err) == (0, "")
    assert "namespace" not in declared.out


def test_what_an_owner_has_changed_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "visits.yaml"
    file.write_text("mine", encoding="utf-8")
    asked = ("--lang", "en", "declare", "--preset", "survey", "--table", "tnm.visits", "--output")
    refused = run(tmp_path / "home", *asked, file)
    assert refused.code == 2
    assert "exists already" in refused.err
    assert file.read_text(encoding="utf-8") == "mine"
    assert run(tmp_path / "home", *asked, tmp_path / "no" / "file.yaml").code == 2


def test_wrong_names_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run(home, "declare", "--preset", "survey", "--table", "public.visits").code == 2
    assert run(home, "declare", "--preset", "theatre", "--table", "tnm.visits").code == 2
    assert run(home, "declare", "--preset", "survey").code == 2


def test_numbers_of_the_whole_room_are_said_to_be_so(tmp_path: Path) -> None:
    home, room, file = tmp_path / "home", tmp_path / "room", tmp_path / "visits.yaml"
    assert run(home, "init", room).code == 0
    assert run(home, "party", "add", room, "tnm", "--role", "member").code == 0
    text = preset_file(Preset.SURVEY, table=TableName.parse("tnm.visits"), language=Language.EN).decode()
    for kind, said in (("opaque", True), ("opaque, namespace: tnm", False), ("phone", False)):
        file.write_text(text.replace("kind: email", f"kind: {kind}", 1).replace("email, kind", "id, kind"), "utf-8")
        declared = run(home, "declare", room, file)
        assert (declared.code, "namespace" in declared.out) == (0, said), declared.err
        shown = run(home, "--lang", "en", "catalog", room, "--as", "tnm").out
        known = {"opaque": "by the room's common number", "phone": "by phone"}.get(kind, "by number of tnm")
        assert f"a person: person ({known})" in " ".join(shown.split())
