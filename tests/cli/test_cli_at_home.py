"""Three machines that share nothing but files carried by hand: two members at home, and the operator."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

import pytest
from cli_room import Cooperative, Ran, run

MEMBERS = ("theatre_fleuve", "nuits_claires")


class Machine:
    """A machine of its own: a home for keys, and a directory."""

    def __init__(self, path: Path) -> None:
        self.path, self.home = path, path / "keys"
        path.mkdir()

    def __call__(self, *arguments: object, code: int = 0, lang: str | None = None) -> Ran:
        ran = run(self.home, *arguments, lang=lang)
        assert ran.code == code, (arguments, ran.out, ran.err)
        return ran

    def receive(self, *files: Path) -> None:
        for file in files:
            shutil.copy(file, self.path)


def public(ran: Ran) -> str:
    """Return the public key that a command said, as it would be told on the telephone."""
    return re.search(r"\b[0-9a-f]{64}\b", ran.out)[0]  # type: ignore[index]


@pytest.fixture
def first(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "second")


@pytest.fixture
def operator(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "operator")
    machine("init", machine.path / "room")
    return machine


def test_from_nothing_to_an_overlap_on_three_machines(
    room: Cooperative, first: Machine, second: Machine, operator: Machine
) -> None:
    where = operator.path / "room"
    told: dict[str, str] = {}
    for machine, name in zip((first, second), MEMBERS, strict=True):
        machine.receive(where / "log.vkey", *room.files.glob(f"{name}.*"))
        told[name] = public(machine("party", "new", name, "--output", machine.path / "own.pub"))
        machine("log", "key", "--as", name, "--output", machine.path / "own.reading.pub")
        # The operator's files come from the members; nothing else does.
        key, reading = machine.path / "own.pub", machine.path / "own.reading.pub"
        operator("party", "add", where, name, "--role", "member", "--key", key, "--reading-key", reading)
        package = machine.path / "declaration"
        vkey = machine.path / "log.vkey"
        made = machine("declare", machine.path / f"{name}.visits.yaml", "--vkey", vkey, "--package", package)
        assert "Rien n'est encore déclaré" in " ".join(made.out.split())
        assert f"{name}.visits est déclarée, signée par {name}." in operator("intake", where, package).out
        facts = operator("facts", where, f"{name}.visits", lang="en")
        (machine.path / "facts").write_bytes(facts.raw)
        told["operator"] = re.search(r"\b[0-9a-f]{64}\b", facts.err)[0]  # type: ignore[index]

    def pack(machine: Machine, name: str, code: int = 0) -> Ran:
        given = ("upload", "--facts", machine.path / "facts", f"{name}.visits", machine.path / f"{name}.visits.csv")
        return machine(*given, "--operator-key", told["operator"], "--package", machine.path / "p", code=code)

    assert "clé d'appariement de la salle, créée à l'instant" in pack(first, MEMBERS[0]).out
    operator("intake", where, first.path / "p")
    facts = operator("facts", where, "nuits_claires.visits")
    (second.path / "facts").write_bytes(facts.raw)
    assert "linkage ask" in pack(second, MEMBERS[1], code=1).err

    asked = second(
        "linkage", "ask", "--as", MEMBERS[1], "--vkey", second.path / "log.vkey", "--output", second.path / "ask"
    )
    assert public(asked) == told[MEMBERS[1]]
    given = ("linkage", "give", second.path / "ask", "--as", MEMBERS[0], "--output", first.path / "sealed")
    assert "member_key_differs" in first(*given, "--member-key", told["operator"], code=4).err
    first(*given, "--member-key", told[MEMBERS[1]])
    taken = ("linkage", "take", first.path / "sealed", "--as", MEMBERS[1], "--member-key")
    assert "member_key_differs" in second(*taken, told["operator"], code=4).err
    assert "gardée" in second(*taken, told[MEMBERS[0]]).out
    assert "had it already" in second(*taken, told[MEMBERS[0]], lang="en").out
    assert "créée" not in pack(second, MEMBERS[1]).out.replace("colonnes", "")
    operator("intake", where, second.path / "p")

    assert not list(operator.home.rglob("linkage/*"))
    assert "Tout concorde" in operator("log", "verify", where).out


def test_a_party_makes_its_key_once(first: Machine) -> None:
    output = first.path / "own.pub"
    made = first("party", "new", "theatre_fleuve", "--output", output, lang="en")
    key = first.home / "parties" / "theatre_fleuve" / "signing.key"
    assert output.read_text() == f"{public(made)}\n"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (first.home, key.parent, key)] == [0o700, 0o700, 0o600]
    kept = key.read_bytes()
    again = first("party", "new", "theatre_fleuve", "--output", output, lang="en")
    assert (public(again), "has a key here already" in again.out) == (public(made), True)
    output.write_text("something else\n")
    for name in ("theatre_fleuve", "nuits_claires"):
        assert "file_exists" in first("party", "new", name, "--output", output, code=2).err
    assert (output.read_text(), key.read_bytes()) == ("something else\n", kept)
    assert not (first.home / "parties" / "nuits_claires").exists()
    assert "party_exists" in first("party", "new", "operator", code=2).err
    key.chmod(0o644)
    assert "key_refused" in first("party", "new", "theatre_fleuve", code=1).err


def test_what_declaring_at_home_refuses(room: Cooperative, first: Machine, operator: Machine) -> None:
    where, package, vkey = operator.path / "room", first.path / "d", operator.path / "room" / "log.vkey"
    yaml = room.files / "theatre_fleuve.visits.yaml"
    sign = ("declare", yaml, "--vkey", vkey, "--package", package)
    assert "signing_key_missing" in first(*sign, code=1).err
    told = public(first("party", "new", "theatre_fleuve"))
    first(*sign)
    assert "unknown_party" in operator("intake", where, package, code=2).err
    operator("party", "add", where, "theatre_fleuve", "--role", "member", "--key", told)
    whole = package.read_bytes()
    package.write_bytes(whole.replace(b"threshold: 20", b"threshold: 10"))
    assert "declaration_not_signed" in operator("intake", where, package, code=4).err
    package.write_bytes(whole)
    taken = operator("intake", where, package, lang="en")
    assert re.search(r"receipt, for the member: \S+\.tlog-proof", taken.out)
    assert "taken before, no. 1 of the table" in operator("intake", where, package, lang="en").out
    here = operator("declare", where, yaml, code=1, lang="en").err
    assert ("signing_key_missing" in here, "it signs the declaration there" in here) == (True, True)
    assert "vkey" in first("declare", yaml, "--package", package, code=2).err
    unknown = first.path / "unknown.yaml"
    unknown.write_bytes(yaml.read_bytes().replace(b"audience_overlap", b"resale"))
    first("declare", unknown, "--vkey", vkey, "--package", package)
    refused = operator("intake", where, package, code=2, lang="en").err
    assert "purposes unknown to the room: resale; it has: audience_overlap" in refused


def test_a_draft_needs_no_room(room: Cooperative, first: Machine) -> None:
    sample, made = room.files / "theatre_fleuve.visits.csv", first.path / "draft.yaml"
    said = first("declare", "--draft", sample, "--table", "theatre_fleuve.visits", "--output", made, lang="en")
    assert "--reviewed --vkey log.vkey --package draft.declaration" in " ".join(said.out.split())
    assert "audience_overlap" in made.read_text()
    here = room("declare", room.room, "--draft", sample, "--table", "theatre_fleuve.visits", lang="en").out
    assert here == made.read_text()
    turned = room("declare", "--draft", sample, "--table", "theatre_fleuve.visits", room.room, lang="en").out
    assert here == turned


def test_what_cannot_be_written_is_said(first: Machine) -> None:
    ran = first("party", "new", "theatre_fleuve", "--output", first.path / "none" / "own.pub", code=2, lang="en")
    assert "unwritable_output" in ran.err
    # The key is there all the same, and is shown.
    assert "has a key here already" in " ".join(first("party", "new", "theatre_fleuve", lang="en").out.split())
