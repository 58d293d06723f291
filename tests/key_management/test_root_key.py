"""The root key's file: private, durable, never overwritten."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from key_management import KeyFileRefused, SecretKey, read_key_file, write_key_file

if TYPE_CHECKING:
    from pathlib import Path

ROOT = SecretKey.adopt(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    write_key_file(path, ROOT)
    assert read_key_file(path) == ROOT
    assert path.read_text("ascii") == f"key_management/root-key-file/v1\n{bytes(range(32)).hex()}\n"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o377])
def test_the_mode_is_0600_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_key_file(path, ROOT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    written(path, b"precious")
    with pytest.raises(KeyFileRefused, match="never overwritten") as refusal:
        write_key_file(path, ROOT)
    assert refusal.value.path == path
    assert path.read_bytes() == b"precious"


def test_a_link_in_the_files_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileRefused):
        write_key_file(path, ROOT)
    assert not (tmp_path / "elsewhere").exists()


def test_file_and_directory_are_synchronised(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronised: list[bool] = []
    real = os.fsync

    def spy(descriptor: int) -> None:
        synchronised.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    write_key_file(path, ROOT)
    assert synchronised == [False, True]


def test_a_failed_write_leaves_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_key_file(path, ROOT)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    write_key_file(path, ROOT)
    path.chmod(mode)
    with pytest.raises(KeyFileRefused, match=f"mode {mode:04o}"):
        read_key_file(path)


GOOD = f"key_management/root-key-file/v1\n{bytes(range(32)).hex()}\n".encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "wrong length"),
        (GOOD[:-1], "wrong length"),
        (GOOD + b"\n", "wrong length"),
        (GOOD * 100, "wrong length"),
        (GOOD.replace(b"/v1", b"/v2"), "not of the form"),
        (GOOD.upper(), "not of the form"),
        (GOOD.replace(b"0f10", b"0F10"), "not of the form"),
        (GOOD.replace(b"0f10", b"0\xc3\xa9\x31"), "not of the form"),
        (GOOD.replace(b"\n", b" "), "not of the form"),
    ],
)
def test_another_form_is_refused_without_quoting_it(path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(KeyFileRefused, match=reason) as refusal:
        read_key_file(written(path, content))
    assert "0001020304" not in str(refusal.value)


def test_directories_and_pipes_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(KeyFileRefused, match="regular"):
        read_key_file(pipe)
    directory = tmp_path / "directory"
    directory.mkdir(mode=0o700)
    with pytest.raises((KeyFileRefused, IsADirectoryError)):
        read_key_file(directory)


def test_a_missing_file_is_an_ordinary_fault(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_key_file(path)
