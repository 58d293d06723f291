"""`log verify` as an auditor uses it: an export, a URL, receipts, witnesses; and `log read` by its filters."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from cli_room import Cooperative
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log import Cosigner, HttpServer, serve
from audit_log.cosignature import merge_signatures
from audit_log.note import parse_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit_log.reply import Reply


@pytest.fixture
def auditor(room: Cooperative, tmp_path: Path) -> Cooperative:
    """Somebody with a machine of their own, the log's key from a member, and an export."""
    assert room("log", "export", room.room, tmp_path / "log").code == 0
    shutil.copy(room.room / "log.vkey", tmp_path / "given.vkey")
    return Cooperative(room.room, tmp_path / "auditor", tmp_path, {})


@contextmanager
def served(database: Path, vkey: str) -> Iterator[str]:
    """Serve a room's log, as the room's server would."""

    def answer(method: str, path: str, body: bytes) -> Reply:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            return serve(connection, path, vkey)

    server = HttpServer("127.0.0.1", 0, answer, most_bytes=0)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_url_is_verified_like_a_directory_and_then_only_what_is_new(room: Cooperative, auditor: Cooperative) -> None:
    vkey = (room.room / "log.vkey").read_text().strip()
    with served(room.room / "room.db", vkey) as url:
        first = auditor("log", "verify", url, "--vkey", auditor.files / "given.vkey", lang="en")
        assert (first.code, "Everything agrees" in first.out, "new ones" in first.out) == (0, True, False)
        assert room("budget", room.room).code == 0
        second = auditor("log", "verify", url, lang="en")
        assert (second.code, "The 1 new ones were verified" in second.out) == (0, True)
        assert "contains, unchanged, the" in second.out
        assert "None of them is new" in auditor("log", "verify", url, lang="en").out
        assert "Aucune n'est nouvelle" in auditor("log", "verify", url, lang="fr").out
        whole = auditor("log", "verify", url, "--whole", lang="fr")
        assert (whole.code, "nouvelles" in whole.out) == (0, False)
    gone = auditor("log", "verify", url)
    assert (gone.code, "log_unreachable" in gone.err) == (1, True)
    assert auditor("log", "verify", "http://[bad").code == 2


def test_a_room_restored_behind_the_auditors_back_is_refused(room: Cooperative, auditor: Cooperative) -> None:
    older = auditor.files / "older"
    shutil.copytree(auditor.files / "log", older)
    assert room("log", "export", room.room, auditor.files / "log").code == 0
    for target in (auditor.files / "log", older):
        ran = auditor("log", "verify", target, "--vkey", auditor.files / "given.vkey")
    assert (ran.code, ran.out) == (4, "")
    assert "[rolled-back]" in ran.err
    assert "Le journal a reculé" in ran.err
    assert "faites exporter le journal de nouveau" in ran.err


def test_receipts_are_honoured_or_named(room: Cooperative, auditor: Cooperative) -> None:
    receipts = sorted(next((room.home / "rooms").glob("*/receipts")).glob("*.tlog-proof"))
    options = [part for path in receipts for part in ("--receipt", path)]
    ran = auditor("log", "verify", auditor.files / "log", "--vkey", auditor.files / "given.vkey", *options, lang="en")
    assert (ran.code, f"receipts honoured: {len(receipts)}" in ran.out) == (0, True)
    forged = auditor.files / "forged.tlog-proof"
    index = int(receipts[0].name.split(".")[0])
    forged.write_bytes(receipts[0].read_bytes().replace(b"index %d\n" % index, b"index %d\n" % (index - 1)))
    for lang, words in (("fr", "Le reçu ne prouve pas"), ("en", "The receipt does not prove")):
        ran = auditor("log", "verify", auditor.files / "log", "--receipt", forged, lang=lang)
        assert ran.code == 4
        assert words in ran.err
        assert str(forged) in ran.err
    forged.write_text("no receipt")
    assert "[receipt-malformed]" in auditor("log", "verify", auditor.files / "log", "--receipt", forged).err
    assert auditor("log", "verify", auditor.files / "log", "--receipt", auditor.files / "none").code == 2


def test_a_policy_demands_its_witnesses(room: Cooperative, auditor: Cooperative) -> None:
    witnesses = [Cosigner(f"{name}.example/witness", Ed25519PrivateKey.generate()) for name in ("a", "b")]
    policy = auditor.files / "policy"
    lines = [f"witness {each.name[0]} {each.verifier.vkey}\n" for each in witnesses]
    policy.write_text("".join([*lines, "group both all a b\n", "quorum both\n"]))
    arguments = ("log", "verify", auditor.files / "log", "--vkey", auditor.files / "given.vkey", "--policy", policy)
    alone = auditor(*arguments, lang="fr")
    assert (alone.code, "[quorum-missing]" in alone.err) == (4, True)
    assert "n'ont pas tous contresigné" in alone.err
    checkpoint = auditor.files / "log" / "checkpoint"
    note = checkpoint.read_bytes()
    text = parse_note(note).text
    checkpoint.write_bytes(merge_signatures(note, [each.cosign(text, 1_795_000_000) for each in witnesses]))
    both = auditor(*arguments, lang="en")
    assert both.code == 0
    assert "cosigned by a.example/witness, 2026-11-18" in both.out
    assert "cosigned by b.example/witness" in both.out
    policy.write_text("quorum both\n")
    assert (auditor(*arguments).code, "ligne 1" in auditor(*arguments).err) == (2, True)


def test_what_this_machine_remembers_is_not_replaced_in_silence(room: Cooperative, auditor: Cooperative) -> None:
    log = auditor.files / "log"
    assert auditor("log", "verify", log, "--vkey", auditor.files / "given.vkey").code == 0
    (kept,) = (auditor.home / "rooms").glob("*/verified/*.checkpoint")
    origin, size, rest = kept.read_bytes().split(b"\n", 2)
    kept.write_bytes(b"\n".join([origin, b"%d" % (int(size) - 1), rest]))
    ran = auditor("log", "verify", log)
    assert (ran.code, "remembered_checkpoint_damaged" in ran.err) == (4, True)
    other = auditor.files / "other.vkey"
    other.write_text((room.room / "log.vkey").read_text().replace("cleanroom/r-", "cleanroom/r-0", 1)[:-2])
    assert auditor("log", "verify", log, "--vkey", other).code == 4


def read(room: Cooperative, *filters: object) -> list[dict[str, object]]:
    ran = room("log", "read", room.room, "--format", "json", *filters)
    assert ran.code == 0, ran.err
    found: list[dict[str, object]] = json.loads(ran.out)
    return found


def test_filters_that_an_auditor_expects(room: Cooperative) -> None:
    room("query", room.room, "--as", "theatre_fleuve", "--purpose", "statistics", "SELECT nothing")
    everything = read(room)
    by = read(room, "--party", "theatre_fleuve")
    assert by == [each for each in everything if each["actor"] == "theatre_fleuve"]
    touched = read(room, "--member", "nuits_claires", "--entries", f"0-{len(everything) - 1}")
    assert touched == [each for each in everything if "nuits_claires" in each["parties"]]  # type: ignore[operator]
    refused = read(room, "--refused")
    assert {each["type"] for each in refused} == {"query.refused"}
    events = read(room, "--event", "party.added", "--event", "table.declared")
    assert {each["type"] for each in events} == {"party.added", "table.declared"}
    assert [each["index"] for each in read(room, "--entries", "2-4")] == [2, 3, 4]
    assert [each["index"] for each in read(room, "--entries", "2")] == [2]
    assert read(room, "--entries", "2-")[0]["index"] == 2
    moment = everything[3]["t"]
    assert all(each["t"] < moment for each in read(room, "--until", moment))  # type: ignore[operator]
    assert room("log", "read", room.room, "--event", "nothing").code == 2
    assert room("log", "read", room.room, "--entries", "4-2").code == 2


def test_everybody_reads_what_is_theirs(room: Cooperative) -> None:
    assert room("party", "add", room.room, "vera", "--role", "auditor").code in {0, 2}
    assert room("log", "mandate", "give", room.room, "vera", "--as", "operator").code == 0
    theirs = read(room, "--as", "guichet_nord")
    for each in theirs:
        mine = each["actor"] == "guichet_nord" or "guichet_nord" in each["parties"]  # type: ignore[operator]
        assert each["withheld"] is not mine
        assert (each["details"] is None) is not mine
    assert any(each["withheld"] for each in theirs)
    assert all(each["details"] for each in read(room, "--as", "vera") if each["type"] != "query.failed")
    # The reading itself is entered, under the reader's own name, before anything was shown.
    last = read(room)[-2:]
    assert [(each["type"], each["actor"]) for each in last] == [("log.read", "vera"), ("log.read", "operator")]
    assert last[0]["details"]["signature"]  # type: ignore[index]
    assert "(scellé pour d'autres)" in room("log", "read", room.room, "--as", "guichet_nord").out
