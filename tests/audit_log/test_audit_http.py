"""The server that carries a log and a witness: what a client can and cannot do to it."""

import socket
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from audit_samples import VKEY, add, new_log
from loopback import served

from audit_log import Checkpoint, DatabaseSource, Envelope, Finding, Verifier, export_log, verify_source
from audit_log.checkpoint import open_checkpoint
from audit_log.reply import Reply
from audit_log.source import DirectorySource


def echo(method, path, body):
    if path == "/fails":
        raise RuntimeError("secret")
    return Reply(200, f"{method} {path} {len(body)}".encode())


@pytest.fixture
def address():
    with served(echo, most_bytes=1000) as url:
        parts = urlsplit(url)
        yield parts.hostname, parts.port


def ask(address, method, path, body=None, headers=None):
    connection = HTTPConnection(*address, timeout=10)
    with closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_requests_are_handed_on_as_they_came(address):
    assert ask(address, "GET", "/tile/../x?y") == (200, b"GET /tile/../x?y 0")
    assert ask(address, "POST", "/add", b"x" * 1000) == (200, b"POST /add 1000")
    assert ask(address, "HEAD", "/") == (200, b"")


def test_a_body_too_long_or_of_unknown_length_is_refused_unread(address):
    assert ask(address, "POST", "/add", b"x" * 1001)[0] == 413
    for raw in (
        b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
        b"POST /add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ):
        with closing(socket.create_connection(address, timeout=10)) as client:
            client.sendall(raw)
            first = client.recv(4096)
            assert first.split(b" ")[1] in {b"411", b"413"}
            while more := client.recv(4096):
                first += more
            assert first.count(b"HTTP/1.1") == 1, "the body was read as a request"


def test_what_fails_says_nothing(address):
    status, body = ask(address, "GET", "/fails")
    assert (status, b"secret" in body) == (500, False)


def test_too_many_connections_are_closed_and_others_served_again(address):
    idle = [socket.create_connection(address, timeout=10) for _ in range(80)]
    refused = 0
    for each in idle:
        each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            refused += each.recv(100) == b""
        except ConnectionResetError:
            refused += 1
    for each in idle:
        each.close()
    assert 0 < refused <= 16
    for _ in range(100):  # the closed ones are noticed one after the other
        try:
            if ask(address, "GET", "/")[0] == 200:
                break
        except OSError:
            continue
    else:
        pytest.fail("nobody is served any more")


def test_tables_are_a_source_like_the_files(tmp_path):
    connection, log = new_log(tmp_path / "room.db", 300)
    with closing(connection):
        export_log(connection, log.verifier, tmp_path / "out")
        seen = []
        for source in (DatabaseSource(connection, VKEY), DirectorySource(tmp_path / "out")):
            got = []
            verdict, note = verify_source(
                source, VKEY, seen=lambda first, leaves, got=got: got.extend(enumerate(leaves, first))
            )
            assert verdict.ok
            assert open_checkpoint(note, Verifier.from_vkey(VKEY)).size == 300
            assert [index for index, _ in got] == list(range(300))
            assert all(Envelope.parse_at(index, leaf) == log.entry(connection, index) for index, leaf in got)
            seen.append(got)
        assert seen[0] == seen[1]


@pytest.mark.parametrize("known", [1, 100, 255, 256, 257, 300])
def test_only_new_entries_are_handed_over(tmp_path, known):
    connection, log = new_log(tmp_path / "room.db", known)
    with closing(connection):
        before = open_checkpoint(log.checkpoint(connection), log.verifier)
        add(connection, log, 20)
        got = []
        verdict, _ = verify_source(
            DatabaseSource(connection, VKEY),
            VKEY,
            remembered=before,
            incremental=True,
            seen=lambda first, leaves: got.extend(range(first, first + len(leaves))),
        )
        assert (verdict.ok, verdict.since) == (True, known)
        assert got == list(range(known, known + 20))


def test_every_checkpoint_known_from_elsewhere_must_be_contained(tmp_path):
    connection, log = new_log(tmp_path / "room.db", 10)
    with closing(connection):
        ten = open_checkpoint(log.checkpoint(connection), log.verifier)
        add(connection, log, 10)
        source = DatabaseSource(connection, VKEY)
        twenty = open_checkpoint(log.checkpoint(connection), log.verifier)
        assert verify_source(source, VKEY, contains=[ten, twenty])[0].ok
        other = Checkpoint(ten.origin, 10, bytes(32))
        assert verify_source(source, VKEY, contains=[ten, other])[0].code is Finding.HISTORY_REWRITTEN
        more = Checkpoint(ten.origin, 21, bytes(32))
        assert verify_source(source, VKEY, contains=[ten, more])[0].code is Finding.ROLLED_BACK
