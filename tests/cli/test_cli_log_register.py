"""The register of accesses: by member, party, purpose and period; and every way to falsify it is found."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from cli_room import Cooperative, run
from falsified_registers import FALSIFIED, A, B, C
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_log import DatabaseSource
from cleanroom.errors import InvalidDeclaration, UsageError
from cleanroom.policies import read_settings
from cleanroom.room.database import connect
from cleanroom.room.log_memory import read_key_file
from cleanroom.room.register_check import check

SETTINGS = b"""\
purposes: [audience_overlap, statistics]
budget: {epsilon: 20, delta: 1e-6, window: never}
register:
  controller: Cooperative fictive
  officer: responsable@example.org
  purposes:
    audience_overlap: {legal: qc-12, text: Mesurer les publics communs}
"""
OVERLAP = "SELECT COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits JOIN nuits_claires.visits USING (person)"
ALONE = "SELECT region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits GROUP BY region"
PARTS = (
    "SELECT a.region, a.n, b.m FROM (SELECT region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits"
    " GROUP BY region) AS a JOIN (SELECT region, COUNT(*) AS m FROM nuits_claires.visits GROUP BY region) AS b"
    " ON a.region = b.region"
)
ASKED = (
    (A, OVERLAP, "0.1"),
    (B, OVERLAP.replace("AS n", "AS m"), "0.1"),  # the same numbers: all from the store
    (A, ALONE, "0.1"),
    (A, PARTS, "0.1"),  # the numbers of A from the store, those of B drawn
    (B, OVERLAP, "0.2"),  # one more draw, combined with the first
    (A, OVERLAP, "0.2"),
    (A, ALONE, "0.1"),
    (C, OVERLAP, "0.1"),  # by somebody else than the draws were charged to
)


@pytest.fixture(scope="module")
def own(room: Cooperative, tmp_path_factory: pytest.TempPathFactory) -> Cooperative:
    """A room whose settings say its legal grounds, with questions answered, also from the store, and one refused."""
    base = tmp_path_factory.mktemp("register")
    made = Cooperative(base / "room", base / "home", room.files, {})
    (base / "room.yaml").write_bytes(SETTINGS)

    def step(*arguments: object) -> None:
        ran = made(*arguments)
        assert ran.code == 0, ran.err

    step("init", made.room, "--settings", base / "room.yaml")
    for member in (A, B):
        step("party", "add", made.room, member, "--role", "member")
        text = (room.files / f"{member}.visits.yaml").read_text()
        (base / f"{member}.yaml").write_text(text.replace("sector_statistics", "statistics"))
        step("declare", made.room, base / f"{member}.yaml")
        step("upload", made.room, f"{member}.visits", room.files / f"{member}.visits.csv")
    step("party", "add", made.room, C, "--role", "member")
    step("party", "add", made.room, "vera", "--role", "auditor")
    step("log", "mandate", "give", made.room, "vera", "--as", "operator")
    for asker, sql, epsilon in ASKED:
        step("query", made.room, "--as", asker, "--purpose", "audience_overlap", "--epsilon", epsilon, sql)
    assert made("query", made.room, "--as", B, "--purpose", "audience_overlap", "SELECT nothing").code == 3
    step("erase", made.room, "--as", B, "--ground", "qc-28", "personne.nulle.part@courriel.example")
    return made


def drawn(own: Cooperative, *arguments: object) -> dict[str, Any]:
    ran = own("log", "register", "access", own.room, "--format", "json", *arguments)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def asked(own: Cooperative, *kinds: str) -> list[dict[str, Any]]:
    ran = own("log", "read", own.room, "--format", "json")
    return [each for each in json.loads(ran.out) if each["type"] in kinds]


def test_each_row_says_who_what_why_and_what_came_of_it(own: Cooperative) -> None:
    register = drawn(own, "--as", "vera")
    accesses = asked(own, "query.charged", "query.reused")
    assert len(accesses) == len(ASKED)
    expected = [(each["index"], table.split(".")[0]) for each in accesses for table, _ in each["details"]["rules"]]
    assert sorted((row["entry"], row["member"]) for row in register["rows"]) == sorted(expected)
    assert expected
    for row in register["rows"]:
        assert (row["legal"], row["purpose"]) == ("qc-12", "audience_overlap")
        assert row["purpose_text"] == "Mesurer les publics communs"
        assert row["outcome"] in {"released", "reused"}
        assert row["recipients"] == [row["party"]]
        assert row["tables"] == [f"{row['member']}.visits v1"]
        assert {"region", "discipline"} <= set(row["columns"])
        assert "visits" in row["question"]
    assert (register["controller"], register["officer"]) == ("Cooperative fictive", "responsable@example.org")
    # The counters of the rows are among the member's own, which have no gap.
    for member, said in register["completeness"].items():
        counters = [counter for counter, _, _ in said["entries"]]
        assert counters == list(range(said["before"] + 1, said["before"] + 1 + len(counters)))
        assert {row["counter"] for row in register["rows"] if row["member"] == member} <= set(counters)


def test_a_row_says_what_of_an_answer_was_stored_and_what_first_charged_it(own: Cooperative) -> None:
    rows = {(row["entry"], row["member"]): row for row in drawn(own, "--as", "vera")["rows"]}
    accesses = [each["index"] for each in asked(own, "query.charged", "query.reused")]
    overlap, reused, alone, parts, dearer, dearer_reused, alone_reused, others = accesses
    first = {
        (overlap, A): [],
        (overlap, B): [],
        (reused, A): [overlap],
        (reused, B): [overlap],
        (alone, A): [],
        (parts, A): [alone],
        (parts, B): [],
        (dearer, A): [overlap],
        (dearer, B): [overlap],
        (dearer_reused, A): [overlap, dearer],
        (dearer_reused, B): [overlap, dearer],
        (alone_reused, A): [alone],
        (others, A): [overlap, dearer],
        (others, B): [overlap, dearer],
    }
    assert {key: row["charged_by"] for key, row in rows.items()} == first
    stored = {reused, dearer_reused, alone_reused, others}
    for (entry, member), row in rows.items():
        free = entry in stored or (entry, member) == (parts, A)
        assert (row["cost"] == "0") == free
        # No key of a member is opened for what is answered from the store.
        assert (row["key_entry"] is None) == free
        assert row["outcome"] == ("reused" if entry in stored else "released")
        assert (row["outcome_entry"] == entry) == (entry in stored)
        assert row["answered_at"] >= row["at"]
    # Who asked first is told to those whose data it is, or who asked, not to whoever asks again.
    again = [row for row in drawn(own, "--as", C)["rows"] if row["entry"] == others]
    assert [(row["member"], row["outcome"], row["charged_by"]) for row in again] == [
        (A, "reused", []),
        (B, "reused", []),
    ]
    assert {tuple(row["charged_by"]) for row in drawn(own, "--as", B, "--party", C)["rows"]} == {(overlap, dearer)}


def test_an_auditors_register_covers_what_its_mandates_do_and_is_checked_as_such(
    own: Cooperative, tmp_path: Path
) -> None:
    """A mandate of one member alone: the rows of what touches it or what it asked, all of them, and no others."""
    assert own("party", "add", own.room, "alma", "--role", "auditor").code in {0, 2}
    assert drawn(own, "--as", "alma")["rows"] == []
    kinds = ("--event", "query.charged", "--event", "query.reused")
    assert own("log", "mandate", "give", own.room, "alma", "--as", B, *kinds).code == 0
    register = drawn(own, "--as", "alma")
    assert [(each["giver"], each["events"]) for each in register["mandates"]] == [
        (B, ["query.charged", "query.reused"])
    ]
    whole = drawn(own)["rows"]
    accesses = {each["index"]: each for each in asked(own, "query.charged", "query.reused")}
    mandated = {at for at, each in accesses.items() if B in each["parties"] or each["actor"] == B}
    expected = [(row["entry"], row["member"]) for row in whole if row["entry"] in mandated]
    assert [(row["entry"], row["member"]) for row in register["rows"]] == expected
    assert 0 < len(expected) < len(whole)
    place = tmp_path / "register.json"
    place.write_text(json.dumps(register))
    fine = own("log", "register", "check", place, own.room, lang="en")
    assert (fine.code, f"covers the mandate of {B}: query.charged, query.reused" in fine.out) == (0, True)
    taken = {**register, "rows": register["rows"][1:]}
    place.write_text(json.dumps(taken))
    assert own("log", "register", "check", place, own.room).code == 4
    place.write_text(json.dumps({**register, "mandates": [{"giver": "nobody"}]}))
    assert own("log", "register", "check", place, own.room).code == 2
    assert own("log", "mandate", "withdraw", own.room, "alma", "--as", B).code == 0
    assert drawn(own, "--as", "alma")["rows"] == []


@pytest.mark.parametrize("reader", [None, "vera", A, B, C])
def test_everybodys_register_is_complete(own: Cooperative, tmp_path: Path, reader: str | None) -> None:
    """Also of a period that begins after the charge that a stored answer goes back to."""
    entry = asked(own, "query.reused")[-1]["index"]
    for number, wanted in enumerate(((), ("--entries", entry))):
        signed = () if reader is None else ("--as", reader)
        assert drawn(own, *signed, *wanted)["rows"]
        assert (
            own("log", "register", "access", own.room, *signed, *wanted, "--output", tmp_path / f"{number}").code == 0
        )
        ran = own("log", "register", "check", tmp_path / f"{number}" / "register.json", own.room)
        assert ran.code == 0, ran.err


def test_erasures_are_in_it(own: Cooperative, tmp_path: Path) -> None:
    (entry,) = asked(own, "dataset.erased")
    for reader in ((), ("--as", "vera"), ("--as", A), ("--as", B)):
        (said,) = drawn(own, *reader)["erasures"]
        assert (said["member"], said["entry"], said["legal"]) == (B, entry["index"], "qc-28")
    assert drawn(own, "--member", A)["erasures"] == []
    assert drawn(own, "--until", "2020-01-01")["erasures"] == []
    told = own("log", "register", "access", own.room, "--output", tmp_path / "told", lang="fr")
    assert f"effacement de personnes par {B}" in told.out
    assert "qc-28" in told.out


def test_filters(own: Cooperative) -> None:
    everything = drawn(own)["rows"]
    assert [row for row in everything if row["member"] == B] == drawn(own, "--member", B)["rows"]
    assert [row for row in everything if row["party"] == B] == drawn(own, "--party", B)["rows"]
    assert drawn(own, "--purpose", "audience_overlap")["rows"] == everything
    assert drawn(own, "--purpose", "statistics")["rows"] == []
    assert drawn(own, "--until", "2020-01-01")["rows"] == []
    entry = everything[0]["entry"]
    assert {row["entry"] for row in drawn(own, "--entries", entry)["rows"]} == {entry}
    mine = drawn(own, "--as", B)["rows"]
    assert mine == [row for row in everything if B in {row["member"], row["party"]}]


@pytest.mark.parametrize(
    ("lang", "heading", "outcome"),
    [
        ("fr", "Base légale", ("réponse bruitée communiquée", "réponse conservée communiquée de nouveau")),
        ("en", "Legal ground", ("noised answer communicated", "stored answer communicated again")),
    ],
)
def test_csv_has_headings_in_both_languages(
    own: Cooperative, lang: str, heading: str, outcome: tuple[str, ...]
) -> None:
    ran = own("log", "register", "access", own.room, lang=lang)
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert rows[0][heading] == "qc-12"
    assert set(outcome) <= {value for row in rows for value in row.values()}
    assert len(rows) == len(drawn(own)["rows"])


@pytest.fixture
def auditor(own: Cooperative, tmp_path: Path) -> tuple[Cooperative, Path, Path]:
    """An auditor's machine with a register and an export that is newer."""
    assert own("log", "register", "access", own.room, "--as", "vera", "--output", tmp_path / "out").code == 0
    assert own("budget", own.room).code == 0
    assert own("log", "export", own.room, tmp_path / "log").code == 0
    shutil.copy(own.room / "log.vkey", tmp_path / "given.vkey")
    return Cooperative(own.room, tmp_path / "auditor", tmp_path, {}), tmp_path / "out" / "register.json", tmp_path


def test_a_register_is_verified_without_any_key(auditor: tuple[Cooperative, Path, Path]) -> None:
    machine, register, place = auditor
    for lang, words in (("fr", "Le registre est complet"), ("en", "The register is complete")):
        ran = machine(*("log", "register", "check", register, place / "log", "--vkey", place / "given.vkey"), lang=lang)
        assert ran.code == 0, ran.err
        assert words in ran.out
    assert (place / "out" / "register.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert run(machine.home, "log", "register", "check", place / "given.vkey", place / "log").code == 2


@pytest.mark.parametrize("name", FALSIFIED)
def test_a_falsified_register_is_found(auditor: tuple[Cooperative, Path, Path], name: str) -> None:
    machine, register, place = auditor
    said = json.loads(register.read_bytes())
    FALSIFIED[name](said)
    register.write_text(json.dumps(said))
    ran = machine("log", "register", "check", register, place / "log", "--vkey", place / "given.vkey")
    assert (ran.code, ran.out) == (4, ""), name
    assert "[register_differs]" in ran.err or "[signature-wrong]" in ran.err


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_change_of_a_register_is_judged_not_tripped_over(own: Cooperative, data: st.DataObject) -> None:
    """Whatever a register holds, it is complete, or differs, or is no register."""
    said = whole(own)
    at: Any = said
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], (dict, list)) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(JSON)
    verifier = read_key_file(own.room / "log.vkey")
    with closing(connect(own.room / "room.db")) as connection, suppress(UsageError):
        check(json.dumps(said).encode(), DatabaseSource(connection, verifier.vkey), verifier)


_WHOLE: dict[Path, bytes] = {}


def whole(own: Cooperative) -> dict[str, Any]:
    if own.room not in _WHOLE:
        _WHOLE[own.room] = json.dumps(drawn(own)).encode()
    found: dict[str, Any] = json.loads(_WHOLE[own.room])
    return found


def test_against_an_older_export_one_is_told_to_export_again(own: Cooperative, tmp_path: Path) -> None:
    log, register = tmp_path / "log", tmp_path / "register"
    assert own("log", "export", own.room, log).code == 0
    assert own("log", "register", "access", own.room, "--output", register).code == 0
    check = ("log", "register", "check", register / "register.json", log)
    size = json.loads((register / "register.json").read_bytes())["size"]
    for lang, words in (("fr", "faites exporter le journal de nouveau"), ("en", "have the log exported again")):
        older = own(*check, lang=lang)
        assert (older.code, "[rolled-back]" in older.err, words in older.err) == (4, True, True)
        assert f" {size} ent" in older.err
    assert own("log", "export", own.room, log).code == 0
    assert own(*check).code == 0


def test_the_drawing_is_entered_first(own: Cooperative) -> None:
    drawn(own, "--as", "vera", "--member", B)
    read = json.loads(own("log", "read", own.room, "--event", "log.read", "--party", "vera", "--format", "json").out)
    assert read[-1]["details"]["read"] == "register access"
    assert read[-1]["details"]["wanted"] == {"member": B}


@pytest.mark.parametrize(
    "said",
    [
        b"  purposes:\n    other: {legal: qc-12}\n",
        b"  purposes:\n    statistics: {legal: 'no code'}\n",
        b"  purposes:\n    statistics: {ground: qc-12}\n",
        b"  color: red\n",
    ],
)
def test_settings_say_grounds_of_their_own_purposes_only(said: bytes) -> None:
    with pytest.raises(InvalidDeclaration):
        read_settings(SETTINGS.split(b"  controller")[0] + said)
