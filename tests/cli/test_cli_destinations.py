"""What the command writes to a file appears whole or not at all, over nothing that somebody keeps there."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from cli_room import Cooperative, Ran, run

from cleanroom.cli.destinations import Readers, new_file, whole_file
from cleanroom.errors import UsageError

WAYS = [whole_file, new_file]
MEMBER = "theatre_fleuve"


def write(way: AbstractContextManager[Any], *contents: bytes) -> None:
    with way as written:
        for content in contents:
            written(content)


@pytest.mark.parametrize("way", WAYS)
def test_a_file_has_all_that_was_written(way: Any, tmp_path: Path) -> None:
    write(way(tmp_path / "a"), b"one, ", b"two" * 100_000)
    assert (tmp_path / "a").read_bytes() == b"one, " + b"two" * 100_000
    assert os.listdir(tmp_path) == ["a"]  # noqa: PTH208 - hidden ones too


@pytest.mark.parametrize("way", WAYS)
def test_what_fails_before_it_is_whole_leaves_nothing(way: Any, tmp_path: Path) -> None:
    def half() -> None:
        with way(tmp_path / "a") as written:
            written(b"half")
            assert not (tmp_path / "a").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize("there", ["file", "directory", "link to nothing"])
def test_a_new_file_replaces_nothing(there: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    match there:
        case "file":
            path.write_bytes(b"a key")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError, match="existe déjà"):
        write(new_file(path), b"another")
    assert os.listdir(tmp_path) == ["kept"]  # noqa: PTH208
    assert there != "file" or path.read_bytes() == b"a key"


@pytest.mark.parametrize("links", ["links", "none"])
def test_one_that_comes_meanwhile_is_not_replaced(links: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that knows second names in one step; else by looking again."""
    path = tmp_path / "kept"

    def unknown(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if links == "none":
        monkeypatch.setattr(os, "link", unknown)

    def both() -> None:
        with new_file(path) as written:
            written(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(UsageError, match="existe déjà"):
        both()
    assert path.read_bytes() == b"theirs"
    write(new_file(tmp_path / "other"), b"ours")
    assert sorted(os.listdir(tmp_path)) == ["kept", "other"]  # noqa: PTH208


def test_what_quotes_data_is_its_owner_s(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(new_file(tmp_path / "own", Readers.OWNER), b"x")
        write(new_file(tmp_path / "usual"), b"x")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("own", "usual")] == [0o600, 0o666]


def test_what_is_there_stays_where_nothing_was_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    write(whole_file(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == b"before"


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk take a few bytes more, and then none."""
    real, left = os.write, [10]

    def write_some(descriptor: int, content: memoryview) -> int:
        if not isinstance(content, memoryview):
            return real(descriptor, content)
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        took = real(descriptor, content[: left[0]])
        left[0] -= took
        return took

    monkeypatch.setattr(os, "write", write_some)


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk_leaves_what_was_there_and_nothing_half(
    way: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way is whole_file:
        (tmp_path / "a").write_bytes(b"before")
    full(monkeypatch)
    with pytest.raises(UsageError) as caught:
        write(way(tmp_path / "a"), b"a dozen bytes and more")
    assert caught.value.code == "unwritable_output"
    assert caught.value.message.fr.endswith("a ne s'écrit pas : le disque est plein")
    assert caught.value.message.en.endswith("a cannot be written: the disk is full")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([b"before"] if way is whole_file else [])


# The commands that write what a party makes at home


def commands(room: Cooperative, output: Path) -> dict[str, tuple[object, ...]]:
    vkey, sample = room.room / "log.vkey", room.files / f"{MEMBER}.visits.csv"
    signed = ("--as", MEMBER, "--vkey", vkey, "--output", output)
    return {
        "log key": ("log", "key", "--as", "vera", "--output", output),
        "log key --vkey": ("log", "key", *signed),
        "log mandate sign": ("log", "mandate", "sign", "vera", *signed),
        "declare --draft": ("declare", "--draft", sample, "--output", output),
        "declare --preset": ("declare", "--preset", "survey", "--table", "tnm.visits", "--output", output),
        "linkage ask": ("linkage", "ask", *signed),
    }


NAMES = tuple(commands(Cooperative(Path(), Path(), Path(), {}), Path()))


@pytest.fixture
def home(room: Cooperative, tmp_path: Path) -> Path:
    """A member's machine: its signing key is there, and that of its reading is not."""
    at = tmp_path / "home"
    ran = run(at, "party", "new", MEMBER)
    assert ran.code == 0, ran.err
    return at


@pytest.mark.parametrize("name", NAMES)
def test_a_command_writes_over_no_file(name: str, room: Cooperative, home: Path) -> None:
    key = home / "parties" / MEMBER / "signing.key"
    kept = key.read_bytes()
    for lang, said in (("fr", f"{key} existe déjà"), ("en", f"{key} exists already")):
        ran = run(home, *commands(room, key)[name], lang=lang)
        assert (ran.code, said in joined(ran), "[file_exists]" in ran.err) == (2, True, True), ran.err
    assert key.read_bytes() == kept
    assert not list(home.rglob("reading.key")), "no key is made whose public half could not be handed over"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_says_what_cannot_be_written_in_both_languages(
    name: str, room: Cooperative, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "none" / "out"
    for lang, said in (("fr", "son répertoire n'existe pas"), ("en", "its directory does not exist")):
        ran = run(home, *commands(room, away)[name], lang=lang)
        assert (ran.code, said in joined(ran), "[unwritable_output]" in ran.err) == (2, True, True), ran.err
    assert not list(home.rglob("reading.key"))
    output = tmp_path / "out"
    for lang, said in (("fr", "le disque est plein"), ("en", "the disk is full")):
        with monkeypatch.context() as patched:
            full(patched)
            ran = run(home, *commands(room, output)[name], lang=lang)
        assert (ran.code, said in joined(ran), "[unwritable_output]" in ran.err) == (2, True, True), ran.err
        assert [each.name for each in tmp_path.iterdir() if each != home] == []


def joined(ran: Ran) -> str:
    """Return what was said as one line: long paths are where lines break."""
    return " ".join(ran.err.split())


def test_a_reading_key_is_handed_over_again_in_the_same_file(room: Cooperative, home: Path, tmp_path: Path) -> None:
    """First without a room, then signed for one, as the guide says; another party's is not written over."""
    output, signed = tmp_path / "own.reading.pub", ("--vkey", room.room / "log.vkey")
    make = ("log", "key", "--as", MEMBER, "--output", output)
    assert run(home, *make).code == 0
    public = output.read_bytes()
    assert run(home, *make, *signed).code == 0
    assert output.read_bytes().startswith(public)
    assert len(output.read_bytes()) > len(public)
    ran = run(home, "log", "key", "--as", "vera", "--output", output)
    assert (ran.code, "file_exists" in ran.err) == (2, True)
    assert output.read_bytes().startswith(public)


def test_a_register_is_written_whole_or_not_at_all(
    room: Cooperative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "register"
    drawn = ("log", "register", "access", room.room, "--output", out)
    with monkeypatch.context() as patched:
        full(patched)
        ran = room(*drawn, lang="fr")
    assert (ran.code, "le disque est plein" in joined(ran), list(out.iterdir())) == (2, True, [])
    assert room(*drawn).code == 0
    before = {each.name: each.read_bytes() for each in out.iterdir()}
    assert set(before) == {"register.csv", "register.json"}
    assert "file_exists" in room(*drawn).err
    assert {each.name: each.read_bytes() for each in out.iterdir()} == before
