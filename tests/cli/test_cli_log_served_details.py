"""`log serve --details`, `log read URL --key`: a real server, and readers who have nothing of the room but its URL."""

from __future__ import annotations

import json
import shutil
import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cli_room import Cooperative, Ran, run
from test_cli_log_watch import served
from test_cli_log_witness import process

from cleanroom.room import served_details
from cleanroom.room.sealed_export import sealed_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit_log import Reply

MEMBER = "theatre_fleuve"


@pytest.fixture
def own(room: Cooperative, tmp_path: Path) -> Cooperative:
    """A copy with an export beside it, whose details are served."""
    shutil.copytree(room.room, tmp_path / "room")
    shutil.copytree(room.home, tmp_path / "home")
    copy = Cooperative(tmp_path / "room", tmp_path / "home", tmp_path, {})
    assert copy("log", "export", copy.room, copy.files / "log", "--details").code == 0
    return copy


@pytest.fixture
def url(own: Cooperative) -> Iterator[str]:
    """The command's own server, which needs no key: it runs where none is."""
    arguments = ("log", "serve", own.room, "--details", own.files / "log", "--listen", "127.0.0.1:0")
    with process(own.files / "nobody", *arguments) as at:
        yield at


def key_file(own: Cooperative, party: str = MEMBER) -> Path:
    return own.home / "parties" / party / "reading.key"


def at_home(own: Cooperative, place: object, key: Path, *arguments: object, lang: str = "en") -> Ran:
    vkey = shutil.copy(own.room / "log.vkey", own.files / "given.vkey")
    return run(own.files / "elsewhere", "log", "read", place, "--key", key, "--vkey", vkey, *arguments, lang=lang)


def asked(url: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask for a path as it is written, with nothing made of it on the way."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_whoever_has_a_key_reads_from_the_url_what_it_reads_from_the_export(own: Cooperative, url: str) -> None:
    for party in ("nuits_claires", MEMBER):
        key = key_file(own, party)
        offline = at_home(own, own.files / "log", key, "--format", "json")
        online = at_home(own, url, key, "--format", "json")
        assert (online.code, online.out) == (0, offline.out)
        assert any(each["details"] for each in json.loads(online.out))
        assert any(each["withheld"] for each in json.loads(online.out))
        assert f"these are the details of {party}" in online.err
    own("log", own.room)  # an entry more: the log has grown, and the details say up to where they go
    grown = at_home(own, url, key_file(own), "--format", "json", lang="fr")
    entries = json.loads(online.out)
    assert (grown.code, json.loads(grown.out)) == (0, entries)
    assert f"jusqu'à l'entrée {len(entries) - 1}" in grown.err
    listed = run(
        own.files / "elsewhere", "log", "mandate", "list", url, "--key", key_file(own), "--format", "json", lang="en"
    )
    assert (listed.code, json.loads(listed.out)) == (0, {"mandates": [], "hidden": 0})
    keyless = run(own.files / "elsewhere", "log", "read", url, lang="en")
    assert (keyless.code, "is read with --key" in keyless.err) == (2, True)


def test_the_file_is_served_as_it_is_and_nothing_beside_it(own: Cooperative, url: str) -> None:
    content = sealed_path(own.files / "log").read_bytes()
    status, head = asked(url, "/details")
    name, length = head.decode().split()
    assert (status, int(length)) == (200, len(content))
    pieces = [
        asked(url, f"/details/{name}/{number}") for number in range(-(-len(content) // served_details.PIECE_BYTES))
    ]
    assert {status for status, _ in pieces} == {200}
    assert b"".join(piece for _, piece in pieces) == content
    assert {len(piece) for _, piece in pieces[:-1]} <= {served_details.PIECE_BYTES}
    for path in (
        f"/details/{name}/{len(pieces)}",
        f"/details/{name}/00",
        f"/details/{name}/-1",
        f"/details/{name}/0/",
        f"/details/{name}/0/../../room.db",
        f"/details/{'0' * 64}/0",
        f"/details/{name.upper()}/0",
        f"/details/{name}",
        "/details/",
        "/details/../room.db",
        "/details/%2e%2e/room.db",
        "/newest/details",
        "/log.details",
    ):
        assert asked(url, path)[0] == 404, path
    assert asked(url, "/details", "POST")[0] == 405
    assert asked(url, "/checkpoint")[0] == 200


@pytest.mark.parametrize("end", ["a mandate is withdrawn", "a reading key is replaced"])
def test_what_a_later_export_would_not_hold_is_served_no_longer(own: Cooperative, url: str, end: str) -> None:
    assert own("party", "add", own.room, "vera", "--role", "auditor").code == 0
    assert own("log", "mandate", "give", own.room, "vera", "--as", MEMBER).code == 0
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    vera = key_file(own, "vera")
    before = json.loads(at_home(own, url, vera, "--format", "json").out)
    assert any(each["type"] == "dataset.uploaded" and each["details"] for each in before)
    _, head = asked(url, "/details")
    name = head.split()[0].decode()
    if end == "a mandate is withdrawn":
        assert own("log", "mandate", "withdraw", own.room, "vera", "--as", MEMBER).code == 0
    else:
        shutil.move(vera, own.files / "old.key")
        assert own("party", "key", own.room, "--as", "vera").code == 0
    assert {asked(url, path)[0] for path in ("/details", f"/details/{name}/0")} == {404}
    refused = at_home(own, url, key_file(own), lang="fr")
    assert (refused.code, "les scelle à nouveau" in refused.err) == (2, True)
    # Served again once it was sealed again, by the same server; the old file is never taken for it.
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    assert at_home(own, url, key_file(own)).code == 0
    assert asked(url, f"/details/{name}/0")[0] == 404
    if end == "a mandate is withdrawn":
        after = json.loads(at_home(own, url, vera, "--format", "json").out)
        assert not any(each["type"] == "dataset.uploaded" and each["details"] for each in after)
    else:
        assert at_home(own, url, own.files / "old.key").code == 4


def test_a_server_that_began_before_the_end_or_after_refuses_alike(own: Cooperative) -> None:
    assert own("party", "add", own.room, "vera", "--role", "auditor").code == 0
    assert own("log", "mandate", "give", own.room, "vera", "--as", MEMBER).code == 0
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    assert own("log", "mandate", "withdraw", own.room, "vera", "--as", MEMBER).code == 0
    arguments = ("log", "serve", own.room, "--details", own.files / "log", "--listen", "127.0.0.1:0")
    with process(own.files / "nobody", *arguments) as url:
        assert asked(url, "/details")[0] == 404
    with process(own.files / "nobody", *arguments[:3], *arguments[5:]) as url:  # without --details
        assert asked(url, "/details")[0] == 404
        assert at_home(own, url, key_file(own)).code == 2


def test_another_rooms_details_or_none_are_not_served(own: Cooperative, url: str) -> None:
    place = sealed_path(own.files / "log")
    kept = place.read_bytes()
    for content in (b"", b"nothing", kept[:10], kept.replace(b"\n\xe2\x80\x94 ", b"\n\xe2\x80\x94  ", 1)):
        place.with_suffix(".new").write_bytes(content)
        place.with_suffix(".new").replace(place)
        assert asked(url, "/details")[0] == 404, content[:20]
    place.unlink()
    assert asked(url, "/details")[0] == 404
    place.write_bytes(kept)
    assert at_home(own, url, key_file(own)).code == 0


@pytest.mark.parametrize("broken", ["a bit", "the length", "the head", "cut short", "the end", "gone"])
def test_what_a_server_changes_on_the_way_is_told(own: Cooperative, broken: str) -> None:
    """What lies between says something else than the room: nothing of it is shown as verified."""

    def change(path: str, reply: Reply) -> Reply:
        body = reply.body
        if path == "/details" and broken in {"the length", "the head"}:
            name, length = body.split()
            longer = served_details.MOST_BYTES + 1
            body = b"%s %d\n" % (name, longer) if broken == "the length" else b"%s %s" % (name, length)
        elif path.startswith("/details/"):
            match broken:
                case "a bit":
                    body = body[:-40_000] + bytes([body[-40_000] ^ 1]) + body[-39_999:]
                case "cut short":
                    body = body[:-1]
                case "the end":
                    body = body[:-1] + bytes([body[-1] ^ 1])
                case "gone":
                    return type(reply)(type(reply.status)(404))
        return type(reply)(reply.status, body, reply.content_type, reply.cache_control)

    with served(own.room, change, own.files / "log") as url:
        ran = at_home(own, url, key_file(own, "nuits_claires"))
    if broken == "gone":
        assert (ran.code, "replaced while" in ran.err) == (1, True)
    elif broken in {"a bit", "the end"}:
        # One of many slots or somebody else's details: told if it is this reader's, and never shown otherwise.
        honest = at_home(own, own.files / "log", key_file(own, "nuits_claires"))
        assert ran.code == 4 or ran.out == honest.out
    else:
        assert (ran.code, "not sealed details" in ran.err) == (4, True)


def test_details_of_a_state_that_the_log_does_not_contain_are_refused(own: Cooperative, tmp_path: Path) -> None:
    """The room was put back and went on otherwise; the old details are signed, and of another history."""
    shutil.copytree(own.room, tmp_path / "earlier")
    assert own("log", own.room).code == 0
    assert own("log", "export", own.room, own.files / "log", "--details").code == 0
    forked = Cooperative(tmp_path / "earlier", own.files / "fork", own.files, {})
    shutil.copytree(own.home, forked.home)
    for seen in (forked.home / "rooms").glob("*/checkpoint"):
        seen.unlink()
    for _ in range(3):
        forked("log", forked.room)
    arguments = ("log", "serve", forked.room, "--listen", "127.0.0.1:0", "--details", own.files / "log")
    with process(own.files / "nobody", *arguments) as url:
        assert asked(url, "/details")[0] == 404  # an honest server of the fork finds it out by itself
    size = int((own.files / "log" / "checkpoint").read_text().splitlines()[1])
    bundle = f"/tile/entries/000.p/{size}"
    with served(own.room, export=own.files / "log") as true_url:
        _, head = asked(true_url, "/details")
        name = head.split()[0].decode()
        told = {path: asked(true_url, path)[1] for path in (*(f"/details/{name}/{n}" for n in range(4)), bundle)}
    assert len(told[bundle]) == size * 1026

    def lying(path: str, reply: Reply) -> Reply:
        """Show the fork, and for the reading of details the entries of the other history, which its root proves."""
        path = path.removeprefix("/newest")
        body = head if path == "/details" else told.get(path, reply.body)
        status = type(reply.status)(200) if path.startswith("/details") else reply.status
        return type(reply)(status, body, reply.content_type, reply.cache_control)

    with served(forked.room, lying) as url:
        ran = at_home(own, url, key_file(own))
    assert (ran.code, ran.out) == (4, "")


def test_an_address_that_does_not_answer_is_said(own: Cooperative) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = at_home(own, f"http://127.0.0.1:{port}", key_file(own))
    assert (ran.code, "cannot be reached" in ran.err) == (1, True)
