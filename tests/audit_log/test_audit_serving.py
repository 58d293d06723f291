"""The log served as C2SP tiles, and verified where it is served: all of it, or what is new."""

import gzip
import shutil
import sqlite3
from contextlib import closing, suppress

import pytest
from audit_samples import (
    ORIGIN,
    READERS,
    VKEY,
    add,
    connect,
    cosigned_note,
    naive_files,
    new_log,
    signer,
    witness_lines,
)
from hypothesis import example, given
from hypothesis import strategies as st
from loopback import served

from audit_log import (
    Checkpoint,
    DirectorySource,
    Finding,
    HttpSource,
    InsideTransaction,
    LogFault,
    LogUnreachable,
    MalformedTile,
    Memory,
    NotVerified,
    Reply,
    TrustPolicy,
    explain,
    export_log,
    open_checkpoint,
    serve,
    store_cosigned,
    verify_database,
    verify_directory,
    verify_source,
)
from audit_log.checkpoint import sign_checkpoint
from audit_log.tiles import Resource

SIZE = 300
POLICY = TrustPolicy.parse(witness_lines("2"))


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "room.db"
    connection, log = new_log(path, SIZE)
    export_log(connection, log.verifier, path.parent / "out")
    connection.close()
    return path


@pytest.fixture
def connection(room):
    with closing(sqlite3.connect(room, isolation_level=None, check_same_thread=False)) as opened:
        yield opened


@pytest.fixture
def copy(room, tmp_path):
    """A copy of the log that a test may change, with its connection."""
    shutil.copy(room, tmp_path / "room.db")
    connection, log = connect(tmp_path / "room.db"), signer()
    with closing(connection):
        yield connection, log


def test_every_file_of_the_export_is_served(connection, room):
    for path in (room.parent / "out").rglob("*"):
        if path.is_file():
            reply = serve(connection, "/" + path.relative_to(room.parent / "out").as_posix(), VKEY)
            assert (reply.status, reply.body) == (200, path.read_bytes())
            tile = "tile" in path.parts
            assert reply.content_type == ("application/octet-stream" if tile else "text/plain; charset=utf-8")
            assert reply.cache_control == ("private, max-age=31536000, immutable" if tile else "no-cache")
    assert "public" in serve(connection, "/tile/0/000", VKEY, public=True).cache_control


def test_partial_tiles_of_every_earlier_checkpoint_are_served(connection):
    leaves = [bytes(leaf) for (leaf,) in connection.execute("SELECT leaf FROM audit_entry ORDER BY idx")]
    for size in (1, 2, 255, 256, 257, 299, 300):
        for path, content in naive_files(leaves[:size]).items():
            if path.startswith("tile/"):
                assert serve(connection, f"/{path}", VKEY).body == content


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "checkpoint",
        "/checkpoint/",
        "/Checkpoint",
        "/tile",
        "/tile/0/001",  # not full yet
        "/tile/0/001.p/45",
        "/tile/0/002.p/1",
        "/tile/1/000",
        "/tile/1/000.p/2",
        "/tile/2/000.p/1",
        "/tile/8/000",
        "/tile/00/000",
        "/tile/0/0",
        "/tile/0/x000/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/000.p/01",
        "/tile/entries/001",
        "/tile/entries/000.p/",
        "/tile/0/../0/000",
        "//tile/0/000",
        "/tile/0/%30%30%30",
        "/tile/0/000?x",
        "/tile/0/\u0660\u0660\u0660",
        "/tile/0/x999/x999/x999/x999/x999/999",
        "/tile/0/" + "x001/" * 50 + "000",
    ],
)
def test_whatever_else_is_not_there(connection, path):
    assert serve(connection, path, VKEY).status == 404


@given(st.from_regex(r"\A(tile|x|entries|[0-9./p])*\Z") | st.text(max_size=30))
@example("tile/0/x001/x234/067.p/8")
def test_a_path_has_one_spelling(path):
    with suppress(MalformedTile):
        assert Resource.parse(path).path() == path


@given(st.none() | st.integers(0, 7), st.integers(0, 10**12), st.integers(1, 256))
def test_paths_read_as_written(level, number, width):
    assert Resource.parse(Resource(level, number, width).path()) == Resource(level, number, width)


def test_nothing_is_served_before_it_is_durable(connection):
    connection.execute("BEGIN")
    with pytest.raises(InsideTransaction):
        serve(connection, "/checkpoint", VKEY)


def test_the_cosigned_state_is_served_to_whoever_asks_for_witnesses(copy):
    connection, key = copy
    connection.execute("BEGIN IMMEDIATE")
    assert store_cosigned(connection, key.verifier, cosigned_note(serve_note(connection), 0, 2), POLICY)
    connection.execute("COMMIT")
    from audit_log import Log

    add(connection, Log(ORIGIN, key), 5)

    class Served:
        def __init__(self, cosigned):
            self.cosigned = cosigned

        def read(self, path, most):
            reply = serve(connection, f"/{path}", VKEY, cosigned=self.cosigned)
            return reply.body[: most + 1] if reply.status == 200 else None

    assert verify_source(Served(True), VKEY, policy=POLICY)[0].checkpoint.size == SIZE
    assert verify_source(Served(True), VKEY, policy=POLICY)[0].ok
    newest, _ = verify_source(Served(False), VKEY, policy=POLICY)
    assert (newest.code, newest.names) == (Finding.QUORUM_MISSING, ())
    assert verify_source(Served(False), VKEY)[0].checkpoint.size == SIZE + 5
    assert verify_database(connection, VKEY, policy=POLICY).ok
    connection.execute("UPDATE audit_cosigned SET size = 200")
    assert verify_database(connection, VKEY).place == "audit_cosigned"


def serve_note(connection):
    return bytes(connection.execute("SELECT note FROM audit_head").fetchone()[0])


def test_a_note_that_is_not_of_this_log_is_not_kept(copy):
    connection, key = copy
    connection.execute("BEGIN IMMEDIATE")
    for checkpoint in (Checkpoint(ORIGIN, SIZE, bytes(32)), Checkpoint(ORIGIN, SIZE + 1, bytes(32))):
        with pytest.raises(NotVerified):
            store_cosigned(connection, key.verifier, cosigned_note(sign_checkpoint(checkpoint, key), 0), POLICY)


def test_a_log_is_verified_over_http(connection):
    asked = []

    def answer(method, path, _):
        asked.append(path)
        return serve(connection, path, VKEY)

    seen = []
    with served(answer) as url, closing(HttpSource(url, timeout=20)) as source:
        verdict, note = verify_source(source, VKEY, progress=lambda done, of: seen.append((done, of)))
        assert verdict.ok
        assert open_checkpoint(note, signer().verifier) == verdict.checkpoint
        assert seen == [(256, 300), (300, 300)]
        assert set(asked) == {
            "/checkpoint",
            "/tile/entries/000",
            "/tile/entries/001.p/44",
            "/tile/0/000",
            "/tile/0/001.p/44",
            "/tile/1/000.p/1",
        }
        with closing(HttpSource(url + "/elsewhere")) as elsewhere:
            gone, _ = verify_source(elsewhere, VKEY)
        assert (gone.code, gone.place) == (Finding.FILE_MISSING, "checkpoint")


def changed_source(room, changes):
    """A source that answers otherwise for some paths: None for gone."""

    class Changed(DirectorySource):
        def read(self, path, most):
            content = super().read(path, most)
            return changes[path](content)[: most + 1] if changes.get(path) else None if path in changes else content

    return Changed(room.parent / "out")


@pytest.mark.parametrize(
    ("path", "change", "code", "index"),
    [
        ("tile/entries/000", lambda content: b"\x04\x00" + bytes(1024) + content[1026:], Finding.ENTRY_ALTERED, 0),
        ("tile/entries/001.p/44", lambda content: content[:-1], Finding.FILE_LENGTH, 299),
        ("tile/entries/000", lambda content: content * 9, Finding.FILE_LENGTH, 256),
        ("tile/0/001.p/44", lambda content: content[:-1] + b"x", Finding.TILE_ALTERED, 299),
        ("tile/0/000", None, Finding.FILE_MISSING, -1),
        ("tile/1/000.p/1", lambda content: content + content, Finding.FILE_LENGTH, 0),
        ("checkpoint", lambda content: content * 2, Finding.SIGNATURE_WRONG, -1),
        ("checkpoint", lambda content: b"x" * 3_000_000, Finding.CHECKPOINT_MALFORMED, -1),
    ],
)
def test_what_is_served_wrongly_is_named(room, path, change, code, index):
    verdict, _ = verify_source(changed_source(room, {path: change}), VKEY)
    assert (verdict.code, verdict.place, verdict.index) == (code, path, index)


def test_partial_tiles_may_be_gone_once_they_are_full(connection, room):
    """An older checkpoint, whose partial tiles a log need not keep, verifies from the full ones."""
    with closing(sqlite3.connect(":memory:")):
        older = connection.execute("SELECT note FROM audit_checkpoint WHERE size = 200").fetchone()[0]
    gone = {"tile/entries/000.p/200": None, "tile/0/000.p/200": None, "checkpoint": lambda _: bytes(older)}
    verdict, _ = verify_source(changed_source(room, gone), VKEY)
    assert verdict.ok
    assert verdict.checkpoint.size == 200


@pytest.mark.parametrize("known", [0, 1, 255, 256, 257, 299, 300])
def test_only_what_is_new_is_read(room, connection, known):
    from audit_log import Log

    log = Log(ORIGIN, signer())
    note = connection.execute("SELECT note FROM audit_checkpoint WHERE size = ?", (known,)).fetchone()[0]
    remembered = open_checkpoint(bytes(note), log.verifier)
    read = []

    class Watched(DirectorySource):
        def read(self, path, most):
            read.append(path)
            return super().read(path, most)

    verdict, _ = verify_source(Watched(room.parent / "out"), VKEY, remembered=remembered, incremental=True)
    assert verdict.ok
    assert verdict.since == known
    assert ("tile/entries/000" in read) is (known < 256)
    assert verify_directory(room.parent / "out", VKEY, remembered=remembered, incremental=True).since == known
    assert verify_database(connection, VKEY, remembered, readers=READERS, incremental=True).since == known
    if known == 300:
        assert "Aucune n'est nouvelle" in explain(verdict, "fr")
        assert "None of them is new" in explain(verdict, "en")
    elif known:
        assert f"les {known} premières" in explain(verdict, "fr")
        assert f"The {300 - known} new ones" in explain(verdict, "en")


def test_what_was_verified_before_is_read_again_when_something_is_wrong(room, connection, tmp_path):
    """Old bytes are not read while all is well; another history is found, and looked for from its beginning."""
    out = tmp_path / "out"
    shutil.copytree(room.parent / "out", out)
    notes = dict(connection.execute("SELECT size, note FROM audit_checkpoint").fetchall())
    remembered = open_checkpoint(bytes(notes[280]), signer().verifier)
    old = out / "tile" / "entries" / "000"
    old.write_bytes(old.read_bytes().replace(b"query.charged", b"query.refused", 1))
    assert verify_directory(out, VKEY, remembered=remembered, incremental=True).ok
    found = verify_directory(out, VKEY, remembered=remembered)
    assert (found.code, found.index) == (Finding.ENTRY_ALTERED, 0)
    new = out / "tile" / "entries" / "001.p" / "44"
    new.write_bytes(new.read_bytes()[:-1] + b" ")
    found = verify_directory(out, VKEY, remembered=remembered, incremental=True)
    assert (found.code, found.index, found.since) == (Finding.ENTRY_ALTERED, 0, 0)
    for size in (256, 280, 300):
        forged = Checkpoint(ORIGIN, size, bytes(32))
        other = verify_directory(room.parent / "out", VKEY, remembered=forged, incremental=True)
        assert (other.code, other.since) == (Finding.HISTORY_REWRITTEN, 0)
        assert verify_database(connection, VKEY, forged, incremental=True).code is Finding.HISTORY_REWRITTEN
    ahead = Checkpoint(ORIGIN, 301, bytes(32))
    assert verify_directory(room.parent / "out", VKEY, remembered=ahead, incremental=True).code is Finding.ROLLED_BACK


def test_a_verifier_remembers_what_it_verified(connection, tmp_path):
    notes = dict(connection.execute("SELECT size, note FROM audit_checkpoint").fetchall())
    log, memory = signer().verifier, Memory(tmp_path / "state" / "log")
    assert memory.recall(log) is None
    for size, kept in ((5, 5), (300, 300), (200, 300), (300, 300)):
        memory.remember(log, bytes(notes[size]))
        assert memory.recall(log).size == kept
    other = signer("other.example/log")
    memory.remember(other.verifier, sign_checkpoint(Checkpoint("other.example/log", 7, bytes(32)), other))
    assert memory.recall(log).size == 300
    with pytest.raises(NotVerified, match="another history"):
        memory.remember(log, sign_checkpoint(Checkpoint(ORIGIN, 300, bytes(32)), signer()))
    with pytest.raises(NotVerified):
        memory.remember(log, b"x")
    assert sorted(path.suffix for path in (tmp_path / "state" / "log").iterdir()) == ["", ".checkpoint", ".checkpoint"]
    for path in (tmp_path / "state" / "log").glob("*.checkpoint"):
        path.write_bytes(b"damaged")
    with pytest.raises(LogFault, match="does not hold"):
        memory.recall(log)


def test_a_server_can_make_a_verifier_fail_but_not_follow_or_fill_up():
    body = b"x" * 100_000
    answers = {
        "/long": Reply(200, body),
        "/elsewhere": Reply(302, b""),
        "/broken": Reply(500, b""),
        "/gone": Reply(410, b""),
    }
    with served(lambda method, path, _: answers[path]) as url, closing(HttpSource(url)) as source:
        assert source.read("long", 50) == b"x" * 51
        assert source.read("gone", 50) is None
        assert source.read("long", 100_000) == body
        for path in ("elsewhere", "broken"):
            with pytest.raises(LogUnreachable):
                source.read(path, 50)
    with pytest.raises(LogUnreachable):
        source.read("long", 50)
    for url in (
        "file:" + 3 * "/" + "etc/passwd",
        "ftp://x",
        "http://",
        "http://a b",
        "http://u:p@h",
        "http://h?q",
        "http://h:99999",
    ):
        with pytest.raises(LogUnreachable):
            HttpSource(url)


def test_compressed_answers_are_read_within_bounds():
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    bodies = {
        "/ok": gzip.compress(b"a" * 500),
        "/bomb": gzip.compress(bytes(50_000_000)),
        "/cut": gzip.compress(b"a" * 500)[:-9],
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Encoding", "br" if self.path == "/other" else "gzip")
            self.end_headers()
            self.wfile.write(bodies.get(self.path, b"\x00"))

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with closing(HttpSource(f"http://127.0.0.1:{server.server_port}")) as source:
            assert source.read("ok", 500) == b"a" * 500
            assert source.read("bomb", 500) == bytes(501)
            for path in ("cut", "other"):
                with pytest.raises(LogUnreachable):
                    source.read(path, 500)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
