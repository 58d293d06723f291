"""`log key`, `party key`, `log mandate`, `log export --details`, `log read --key`: as members and auditors use them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_room import Cooperative, Ran, run

from cleanroom.room.sealed_export import sealed_path

MEMBER = "theatre_fleuve"


@pytest.fixture
def own(room: Cooperative, tmp_path: Path) -> Cooperative:
    """A copy, so that what is registered and exported here changes nothing for others."""
    shutil.copytree(room.room, tmp_path / "room")
    shutil.copytree(room.home, tmp_path / "home")
    return Cooperative(tmp_path / "room", tmp_path / "home", tmp_path, {})


def key_file(own: Cooperative, party: str = MEMBER) -> Path:
    return own.home / "parties" / party / "reading.key"


def at_home(own: Cooperative, export: Path, key: Path, *arguments: object, lang: str | None = None) -> Ran:
    """Read on a machine that has the export, the key and the log's public key, and nothing of the room."""
    return run(own.files / "elsewhere", "log", "read", export, "--key", key, "--vkey", vkey(own), *arguments, lang=lang)


def vkey(own: Cooperative) -> Path:
    return Path(shutil.copy(own.room / "log.vkey", own.files / "given.vkey"))


def test_a_member_reads_its_own_at_home(own: Cooperative) -> None:
    said = own("log", "export", own.room, own.files / "log", "--details", lang="en")
    assert (said.code, "each reads its own there" in said.out) == (0, True)
    key = shutil.copy(key_file(own), own.files / "member.key")
    ran = at_home(own, own.files / "log", Path(key), "--format", "json", lang="en")
    entries = json.loads(ran.out)
    assert ran.code == 0
    assert "these are the details of theatre_fleuve (no. 1, mandates: 0)" in ran.err
    through = json.loads(own("log", "read", own.room, "--as", MEMBER, "--format", "json").out)
    assert [each["details"] for each in entries] == [each["details"] for each in through][: len(entries)]
    assert any(each["withheld"] for each in entries)
    assert {name for each in entries for name in each["parties"] if not name.isdecimal()} == {MEMBER}
    table = at_home(own, own.files / "log", Path(key), "--event", "dataset.uploaded", lang="fr")
    assert "theatre_fleuve.visits, v1" in table.out
    assert "(scellé pour d'autres)" in table.out
    assert "Journal vérifié" in table.err


def test_a_key_made_at_home_is_registered_and_an_auditor_reads_by_mandate(own: Cooperative) -> None:
    made = run(own.files / "vera", "log", "key", "--as", "vera", "--output", own.files / "vera.pub", lang="en")
    assert (made.code, "for the operator" in made.out) == (0, True)
    signing = "11" * 32
    assert own("party", "add", own.room, "vera", "--role", "auditor", "--key", signing, lang="en").code == 0
    without = own("log", "export", own.room, own.files / "log", "--details", lang="fr")
    assert "rien de scellé pour : vera" in without.out
    told = own("log", "mandate", "give", own.room, "vera", "--as", MEMBER, lang="en")
    assert (told.code, "has no reading key" in told.out or "without a reading key" in told.out) == (0, True)
    # Registered by a party whose signing key is here: another auditor, with a key of its own from elsewhere.
    arguments = ("--role", "auditor", "--key", "22" * 32, "--reading-key", own.files / "vera.pub")
    assert own("party", "add", own.room, "alma", *arguments).code == 0
    assert own("log", "mandate", "give", own.room, "alma", "--as", MEMBER, "--event", "dataset.uploaded").code == 0
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    key = own.files / "vera" / "parties" / "vera" / "reading.key"
    entries = json.loads(at_home(own, own.files / "log", key, "--format", "json").out)
    opened = [each["type"] for each in entries if each["details"]]
    assert sorted(opened) == ["dataset.uploaded", "mandate.given", "party.added"]
    assert own("log", "mandate", "withdraw", own.room, "alma", "--as", MEMBER, lang="fr").code == 0
    assert own("log", "mandate", "withdraw", own.room, "alma", "--as", MEMBER).code == 2
    assert own("party", "add", own.room, "berthe", *arguments).code == 2  # the reading key is taken
    assert own("party", "key", own.room, "--as", MEMBER, "--reading-key", own.files / "given.vkey").code == 2


def test_a_lost_key_is_replaced(own: Cooperative) -> None:
    old = shutil.move(key_file(own), own.files / "old.key")
    assert own("party", "key", own.room, "--as", MEMBER, lang="en").code == 0
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    assert at_home(own, own.files / "log", key_file(own)).code == 0
    refused = at_home(own, own.files / "log", Path(old), lang="fr")
    assert (refused.code, "n'ouvre rien" in refused.err) == (4, True)


def test_what_is_wrong_is_said(own: Cooperative) -> None:
    log = own.files / "log"
    assert own("log", "export", own.room, log, "--details").code == 0
    key = key_file(own)
    for arguments in (("--as", MEMBER), ("--party", MEMBER), ("--member", MEMBER)):
        assert at_home(own, log, key, *arguments).code == 2
    assert at_home(own, log, own.files / "none.key").code == 1
    assert own("log", "export", own.room, log, "--details", "--cosigned").code == 2
    bundle = log / "tile" / "entries" / "000.p"
    (path,) = bundle.iterdir()
    changed = bytearray(path.read_bytes())
    changed[700] ^= 1
    path.write_bytes(changed)
    ran = at_home(own, log, key, lang="en")
    assert (ran.code, "Do not rely on this log" in ran.err) == (4, True)
    sealed_path(log).unlink()
    assert at_home(own, log, key).code == 2


def test_a_member_watches_from_home_with_details(own: Cooperative) -> None:
    log = own.files / "log"
    assert own("log", "export", own.room, log, "--details").code == 0
    home = Cooperative(own.room, own.files / "elsewhere", own.files, {})
    watch = ("log", "watch", log, "--as", MEMBER, "--ordinal", "1", "--vkey", vkey(own), "--format", "jsonl")
    told = [json.loads(line) for line in home(*watch, "--key", key_file(own)).out.splitlines()]
    through = json.loads(own("log", "read", own.room, "--member", MEMBER, "--format", "json").out)
    assert [each["details"] for each in told] == [each["details"] for each in through][: len(told)]
    assert told[0]["details"]["party"] == MEMBER
    assert home(*watch, "--key", key_file(own)).out == ""  # told once
    another = home(*watch, "--all", "--key", key_file(own, "nuits_claires"), lang="en")
    assert (another.code, "that of nuits_claires" in another.err) == (2, True)
    assert home(*watch[:2], own.room, *watch[3:], "--key", key_file(own)).code == 2
    sealed_path(log).unlink()
    assert home(*watch, "--all", "--key", key_file(own)).code == 2
    assert home(*watch, "--all").code == 0  # envelopes need nothing of it


def test_key_and_mandates_are_signed_at_home(own: Cooperative) -> None:
    """The member's signing key never comes to the room's machine: what it signs does."""
    home = Cooperative(own.room, own.files / "member", own.files, {})
    shutil.move(own.home / "parties" / MEMBER, home.home / "parties" / MEMBER)
    assert own("party", "add", own.room, "vera", "--role", "auditor").code == 0
    assert own("log", "mandate", "give", own.room, "vera", "--as", MEMBER).code == 1  # its key is not here
    key_file(home).unlink()
    pub, signed = own.files / "new.pub", ("--vkey", vkey(own), "--output")
    assert home("log", "key", "--as", MEMBER, "--output", pub).code == 0
    unsigned = own("party", "key", own.room, "--reading-key", pub, lang="en")
    assert (unsigned.code, "signed at home" in unsigned.err) == (2, True)
    assert home("log", "key", "--as", MEMBER, *signed, pub).code == 0
    assert own("party", "key", own.room, "--reading-key", pub).code == 0
    assert own("party", "key", own.room, "--reading-key", pub).code == 4  # a request is taken once

    mandate = own.files / "mandate.json"
    assert home("log", "mandate", "sign", "vera", "--as", MEMBER, *signed, mandate, "--since", "2026-01-01").code == 0
    taken = own("log", "mandate", "take", own.room, mandate, lang="en")
    assert (taken.code, f"has a mandate from {MEMBER}" in taken.out) == (0, True)
    said = json.loads(mandate.read_bytes())
    for changed in ({"party": "nuits_claires"}, {"content": {**said["content"], "since": 0}}, {"action": "log"}):
        mandate.write_text(json.dumps(said | {"id": "0" * 32} | changed))
        assert own("log", "mandate", "take", own.room, mandate).code == 4, changed
    for nonsense in (b"", b"{}", b"[]", json.dumps(said | {"content": []}).encode(), b"\xff"):
        mandate.write_bytes(nonsense)
        assert own("log", "mandate", "take", own.room, mandate).code == 2, nonsense
    mandate.write_text(json.dumps(said | {"content": {"auditor": "vera"}}))
    assert own("log", "mandate", "take", own.room, mandate).code == 2

    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    assert at_home(own, own.files / "log", key_file(home)).code == 0
    withdrawal = ("log", "mandate", "sign", "vera", "--as", MEMBER, "--withdraw", *signed)
    there = home(*withdrawal, mandate, lang="fr")
    assert (there.code, "existe déjà" in there.err, mandate.read_bytes()) == (
        2,
        True,
        json.dumps(said | {"content": {"auditor": "vera"}}).encode(),
    )
    assert home(*withdrawal, own.files / "withdrawal.json").code == 0
    gone = own("log", "mandate", "take", own.room, own.files / "withdrawal.json", lang="fr")
    assert (gone.code, "sont retirés" in gone.out) == (0, True)
    assert own("log", "verify", own.room).code == 0


def test_the_mandates_in_force_are_listed(own: Cooperative) -> None:
    empty = own("log", "mandate", "list", own.room, lang="fr")
    assert (empty.code, empty.out) == (0, "Aucun mandat.\n")
    assert own("party", "add", own.room, "vera", "--role", "auditor").code == 0
    give = ("log", "mandate", "give", own.room, "vera", "--as")
    assert own(*give, MEMBER, "--event", "dataset.uploaded", "--since", "2026-01-01").code == 0
    assert own(*give, "nuits_claires", "--until", "2030-01-01").code == 0
    assert own("log", "mandate", "withdraw", own.room, "vera", "--as", MEMBER).code == 0
    found = json.loads(own("log", "mandate", "list", own.room, "--format", "json", "--all").out)
    (ended, kept), entries = found["mandates"], json.loads(own("log", own.room, "--format", "json").out)
    assert (found["hidden"], ended["state"], kept["state"]) == (0, "withdrawn", "in force")
    assert (ended["giver"], ended["auditor"], ended["events"]) == (MEMBER, "vera", ["dataset.uploaded"])
    assert (ended["since"], ended["until"], kept["since"]) == (1767225600, None, 0)
    by_index = {each["index"]: each for each in entries}
    assert (by_index[ended["entry"]]["type"], by_index[ended["entry"]]["time"]) == ("mandate.given", ended["given"])
    assert (by_index[ended["ended_by"]]["type"], by_index[ended["ended_by"]]["time"]) == (
        "mandate.withdrawn",
        ended["ended"],
    )
    read = [each["details"]["wanted"] for each in entries if each["type"] == "log.read" and each["details"]]
    assert {"events": ["mandate.given", "mandate.withdrawn"]} in read  # listing them is a reading, and was entered
    table = own("log", "mandate", "list", own.room, "--all", lang="en").out.splitlines()
    assert table[0].split()[-1] == "state"
    assert "2026-01-01 00:00:00  …" in table[2]
    assert f"withdrawn at entry {ended['ended_by']}" in table[2]
    assert table[3].endswith("in force")
    (only,) = own("log", "mandate", "list", own.room, "--as", "vera", lang="fr").out.splitlines()[2:]
    assert (only.endswith("en vigueur"), "tous" in only, "2030-01-01 00:00:00" in only) == (True, True, True)
    others = own("log", "mandate", "list", own.room, "--as", "guichet_nord", lang="en")
    assert (others.code, others.out) == (0, "No mandate.\n")
    assert "or were erased: 2." in others.err
    key = own.home / "parties" / "vera" / "reading.key"
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    home = Cooperative(own.room, own.files / "elsewhere", own.files, {})
    listed = ("log", "mandate", "list", own.files / "log", "--vkey", vkey(own), "--key", key)
    assert json.loads(home(*listed, "--format", "json", "--all").out) == found
    assert home(*listed, lang="en").out.splitlines()[2].endswith("in force")
    assert home(*listed, "--as", MEMBER).code == 2
