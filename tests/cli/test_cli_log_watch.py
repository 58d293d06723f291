"""`log watch`: each entry that touches a member, numbered without gaps, wherever the log is; and what hides one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from cli_room import Cooperative

from audit_log import HttpServer
from cleanroom.room.log_server import LogServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from audit_log import Reply

MEMBER = "nuits_claires"
ATOM = "{http://www.w3.org/2005/Atom}"


@contextmanager
def served(
    room: Path, change: Callable[[str, Reply], Reply] = lambda _, reply: reply, export: Path | None = None
) -> Iterator[str]:
    """Serve a room's log, and an export's details, through something in between."""
    log = LogServer(room, export)
    server = HttpServer("127.0.0.1", 0, lambda *asked: change(asked[1], log.answer(*asked)), most_bytes=1 << 20)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        log.close()


@pytest.fixture
def own(room: Cooperative, tmp_path: Path) -> Cooperative:
    """A copy of the room with the keys of everybody, for watching in place."""
    shutil.copytree(room.room, tmp_path / "room")
    shutil.copytree(room.home, tmp_path / "home")
    return Cooperative(tmp_path / "room", tmp_path / "home", tmp_path, {})


@pytest.fixture
def member(own: Cooperative, tmp_path: Path) -> Cooperative:
    """The member's own machine, with nothing of the room."""
    return Cooperative(own.room, tmp_path / "member", tmp_path, {})


def touching(own: Cooperative) -> list[int]:
    """Return the indexes of the entries that bear the member's bit, counted by another way."""
    ran = own("log", "read", own.room, "--format", "json")
    return [each["index"] for each in json.loads(ran.out) if MEMBER in each["parties"]]


def lines(ran: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in ran.out.splitlines()]  # type: ignore[attr-defined]


def test_each_entry_once_and_numbered_without_gaps(own: Cooperative) -> None:
    expected = touching(own)
    first = own("log", "watch", own.room, "--as", MEMBER, "--format", "jsonl")
    assert first.code == 0, first.err
    assert [(each["counter"], each["index"]) for each in lines(first)] == list(enumerate(expected, 1))
    assert all(each["details"] for each in lines(first))
    assert lines(own("log", "watch", own.room, "--as", MEMBER, "--format", "jsonl")) == []
    asked = own(
        *("preview", own.room, "--as", "theatre_fleuve", "--purpose", "audience_overlap"),
        "SELECT COUNT(DISTINCT person) FROM theatre_fleuve.visits JOIN nuits_claires.visits USING (person)",
    )
    assert asked.code == 0, asked.err
    (new,) = lines(own("log", "watch", own.room, "--as", MEMBER, "--format", "jsonl"))
    assert (new["counter"], new["type"], new["actor"]) == (len(expected) + 1, "query.previewed", "theatre_fleuve")
    assert "JOIN" in str(new["details"])
    everything = lines(own("log", "watch", own.room, "--as", MEMBER, "--format", "jsonl", "--all"))
    assert [each["counter"] for each in everything] == list(range(1, len(expected) + 2))


def test_the_reading_is_entered_once_and_is_no_use_of_data(own: Cooperative) -> None:
    for _ in range(3):
        assert own("log", "watch", own.room, "--as", MEMBER).code == 0
    read = json.loads(own("log", "read", own.room, "--event", "log.read", "--format", "json").out)
    watched = [each for each in read if each["actor"] == MEMBER]
    assert [each["parties"] for each in watched] == [[], [], []]
    assert all(each["details"]["signature"] for each in watched)


@pytest.mark.parametrize(("lang", "words"), [("fr", "sans lacune"), ("en", "without a gap")])
def test_text_says_who_what_and_why(own: Cooperative, lang: str, words: str) -> None:
    ran = own("log", "watch", own.room, "--as", MEMBER, lang=lang)
    assert ran.code == 0
    assert words in ran.err
    assert {"fr": "n° 1 · ", "en": "no. 1 · "}[lang] in ran.out
    assert {"fr": "données déposées (fait) · par", "en": "data handed in (done) · by"}[lang] in ran.out


def test_a_stored_answer_that_leaves_again_is_told(own: Cooperative, member: Cooperative) -> None:
    """No data is read for it, but it is said from the member's data: in the room with its question, elsewhere too."""
    sql = "SELECT COUNT(DISTINCT person) FROM theatre_fleuve.visits JOIN nuits_claires.visits USING (person)"
    for asker in ("theatre_fleuve", "guichet_nord"):
        ran = own("query", own.room, "--as", asker, "--purpose", "audience_overlap", "--epsilon", "0.1", sql)
        assert ran.code == 0, ran.err
    vkey = shutil.copy(own.room / "log.vkey", member.files / "given.vkey")
    assert own("log", "export", own.room, member.files / "log").code == 0
    *_, told = lines(own("log", "watch", own.room, "--as", MEMBER, "--format", "jsonl"))
    assert (told["type"], told["actor"], told["purpose"]) == ("query.reused", "guichet_nord", "audience_overlap")
    assert sql in str(told["details"])
    away = ("log", "watch", member.files / "log", "--as", MEMBER, "--vkey", vkey, "--ordinal", registered(own), "--all")
    for lang, words in (("fr", "réponse conservée ressortie"), ("en", "stored answer released again")):
        for ran in (own("log", "watch", own.room, "--as", MEMBER, "--all", lang=lang), member(*away, lang=lang)):
            assert ran.code == 0, ran.err
            (line,) = [each for each in ran.out.splitlines() if words in each]
            assert f" {told['counter']} · " in line
    # Nor is it told to a member whose data it is not.
    machine = Cooperative(own.room, member.files / "other", member.files, {})
    number = registered(own, "observatoire")
    other = machine(
        *("log", "watch", member.files / "log", "--as", "observatoire", "--vkey", vkey, "--ordinal", number), lang="fr"
    )
    assert (other.code, "ressortie" in other.out) == (0, False), other.err


def test_away_from_the_room_envelopes_are_counted_alike(own: Cooperative, member: Cooperative) -> None:
    expected = touching(own)
    vkey = shutil.copy(own.room / "log.vkey", member.files / "given.vkey")
    with served(own.room) as url:
        watch = ("log", "watch", url, "--as", MEMBER, "--vkey", vkey, "--format", "jsonl")
        unknown = member(*watch)
        assert (unknown.code, "[ordinal_unknown]" in unknown.err) == (2, True)
        number = own.said.get("number") or registered(own)
        found = lines(member(*watch, "--ordinal", number))
        assert [(each["counter"], each["index"]) for each in found] == list(enumerate(expected, 1))
        assert all(each["details"] is None for each in found)
        assert lines(member(*watch)) == []
        assert "[another_ordinal]" in member(*watch, "--ordinal", int(number) + 1).err
    assert own("log", "export", own.room, member.files / "log").code == 0
    exported = member("log", "watch", member.files / "log", "--as", MEMBER, "--format", "jsonl", "--all")
    assert [each["counter"] for each in lines(exported)] == list(range(1, len(expected) + 1))


def registered(own: Cooperative, party: str = MEMBER) -> int:
    with closing(sqlite3.connect(own.room / "room.db")) as connection:
        return int(connection.execute("SELECT ordinal FROM party WHERE party = ?", (party,)).fetchone()[0])


def test_anothers_number_is_found_by_the_receipts_of_ones_own_uploads(own: Cooperative, member: Cooperative) -> None:
    """An operator who tells a member somebody else's number would have it watch over somebody else's data."""
    ran = own("log", "read", own.room, "--event", "dataset.uploaded", "--party", MEMBER, "--format", "json")
    index = json.loads(ran.out)[0]["index"]
    (receipts,) = (own.home / "rooms").glob("*/receipts")
    kept = member.home / receipts.relative_to(own.home)
    kept.mkdir(parents=True)
    shutil.copy(receipts / f"{index}.tlog-proof", kept)
    vkey = shutil.copy(own.room / "log.vkey", member.files / "given.vkey")
    assert own("log", "export", own.room, member.files / "log").code == 0
    watch = ("log", "watch", member.files / "log", "--as", MEMBER, "--vkey", vkey, "--ordinal")
    wrong = member(*watch, registered(own) + 1)
    assert (wrong.code, "[ordinal_not_yours]" in wrong.err) == (4, True)
    for words in (f"party no. {registered(own) + 1}", "that is not its number", "without another party's receipts"):
        assert words in member(*watch, registered(own) + 1, lang="en").err
    assert member(*watch, registered(own)).code == 0


def test_a_party_without_tables_watches_on_a_machine_that_holds_others_receipts(own: Cooperative) -> None:
    """On one machine for all, as in a trial, the room itself says that it made none of those uploads."""
    for party in ("observatoire", "operator"):
        found = own("log", "watch", own.room, "--as", party, "--format", "jsonl")
        assert found.code == 0, found.err
    assert (
        next(
            each["type"]
            for each in lines(own("log", "watch", own.room, "--as", "observatoire", "--all", "--format", "jsonl"))
        )
        == "party.added"
    )


def test_an_omission_on_the_way_is_found(own: Cooperative, member: Cooperative) -> None:
    """Whoever serves the log cannot leave out, blank or swap one of the member's entries."""
    vkey = shutil.copy(own.room / "log.vkey", member.files / "given.vkey")
    victim = touching(own)[1]

    def blank(path: str, reply: Reply) -> Reply:
        if "tile/entries" not in path:
            return reply
        body = bytearray(reply.body)
        at = body.index(b'"parties":"', victim * 1026) + len(b'"parties":"')
        body[at : at + 128] = b"0" * 128
        return replace(reply, body=bytes(body))

    def drop(path: str, reply: Reply) -> Reply:
        body = reply.body[: victim * 1026] + reply.body[(victim + 1) * 1026 :]
        return replace(reply, body=body) if "tile/entries" in path else reply

    for change, code in ((blank, "entry-altered"), (drop, "file-length")):
        with served(own.room, change) as url:
            ran = member(
                *("log", "watch", url, "--as", MEMBER, "--vkey", vkey, "--ordinal", registered(own)), lang="en"
            )
            assert (ran.code, ran.out) == (4, "")
            assert f"[{code}]" in ran.err


def test_what_was_told_is_held_against_the_log(own: Cooperative) -> None:
    assert own("log", "watch", own.room, "--as", MEMBER).code == 0
    (kept,) = (own.home / "rooms").glob(f"*/watch/{MEMBER}.json")
    state = json.loads(kept.read_bytes())
    kept.write_text(json.dumps(state | {"counter": state["counter"] + 1}))
    ran = own("log", "watch", own.room, "--as", MEMBER, "--all")
    assert (ran.code, "[counter_differs]" in ran.err) == (4, True)
    kept.write_text("{}")
    assert "[remembered_checkpoint_damaged]" in own("log", "watch", own.room, "--as", MEMBER).err


def test_a_receipt_that_the_log_no_longer_honours_is_told(own: Cooperative) -> None:
    (receipts,) = (own.home / "rooms").glob("*/receipts")
    some = sorted(receipts.glob("*.tlog-proof"))[0]
    index = int(some.name.split(".")[0])
    some.write_bytes(some.read_bytes().replace(b"index %d\n" % index, b"index %d\n" % (index + 1)))
    ran = own("log", "watch", own.room, "--as", MEMBER)
    assert (ran.code, "[receipt-wrong]" in ran.err) == (4, True)


def test_the_feed_is_well_formed_and_numbered(own: Cooperative) -> None:
    expected = touching(own)
    for _ in range(2):  # a feed shows the last ones, told or not
        ran = own("log", "watch", own.room, "--as", MEMBER, "--format", "atom")
        assert ran.code == 0, ran.err
        feed = ET.fromstring(ran.raw)  # noqa: S314  # our own output
        ids = [each.findtext(f"{ATOM}id") or "" for each in feed.iter(f"{ATOM}entry")]
        assert [int(each.rsplit(":", 1)[1]) for each in ids] == list(range(len(expected), 0, -1))
        assert len(set(ids)) == len(ids)
        assert feed.findtext(f"{ATOM}updated")


def test_without_the_members_key_there_are_envelopes_only(own: Cooperative) -> None:
    shutil.rmtree(own.home / "parties" / MEMBER)
    found = lines(own("log", "watch", own.room, "--as", MEMBER, "--format", "jsonl"))
    assert found
    assert all(each["details"] is None for each in found)
    assert own("log", "watch", own.room, "--as", "nobody").code == 2
