"""Keep a root key in a file of one machine, readable by its owner alone."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from key_management.errors import KeyFileRefused
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from pathlib import Path

VERSION_LINE: Final = "key_management/root-key-file/v1"
_FILE: Final = re.compile(rf"{re.escape(VERSION_LINE)}\n([0-9a-f]{{64}})\n", re.ASCII)
_FILE_BYTES: Final = len(VERSION_LINE) + 1 + 64 + 1
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_key_file(path: Path, root: SecretKey) -> None:
    """Write a root key to a new file of mode 0600, durable when this returns.

    The file and its directory are synchronised: a room must not outlive the only copy of its root key.

    Args:
        path: a file that does not exist yet, in a directory that does.
        root: the root key.

    Raises:
        KeyFileRefused: the file exists; a root key is never overwritten.
        OSError: the directory is missing or cannot be written.
    """
    content = f"{VERSION_LINE}\n{root.reveal_secret_bytes().hex()}\n".encode("ascii")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise KeyFileRefused(path, "exists already; a root key is never overwritten") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # whatever the umask took away
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_key_file(path: Path) -> SecretKey:
    """Read a root key from a file that only its owner can read.

    Args:
        path: a file that `write_key_file` wrote.

    Raises:
        KeyFileRefused: not a regular file, open to group or others, or of another form or length.
        OSError: the file is missing or cannot be read.
    """
    # O_NONBLOCK: a pipe in the file's place must be refused, not waited for. The checks are on the opened file.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileRefused(path, "is not a regular file")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise KeyFileRefused(path, f"is open to group or others (mode {mode:04o}); chmod 600 it")
        content = file.read(_FILE_BYTES + 1)
    if len(content) != _FILE_BYTES:
        raise KeyFileRefused(path, f"has a wrong length; {_FILE_BYTES} bytes are expected")
    matched = _FILE.fullmatch(content.decode("ascii", errors="replace"))
    if matched is None:
        raise KeyFileRefused(path, f"is not of the form {VERSION_LINE}")
    return SecretKey.adopt(bytes.fromhex(matched.group(1)))
