"""Stand between a process and its disk: count what it writes, kill it there, tear the write, or say the disk is full.

Linux asks a supervisor before each watched system call (seccomp user notification, seccomp_unotify(2), kernel 5.5), so
Python, SQLite and Arrow are all seen, whatever thread writes. Nothing is patched in the process under test.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_NUMBERS = {
    "x86_64": {
        "write": 1,
        "pwrite64": 18,
        "writev": 20,
        "fsync": 74,
        "fdatasync": 75,
        "ftruncate": 77,
        "rename": 82,
        "mkdir": 83,
        "link": 86,
        "unlink": 87,
        "mkdirat": 258,
        "unlinkat": 263,
        "renameat": 264,
        "linkat": 265,
        "renameat2": 316,
        "seccomp": 317,
    },
    "aarch64": {
        "write": 64,
        "pwrite64": 68,
        "writev": 66,
        "fsync": 82,
        "fdatasync": 83,
        "ftruncate": 46,
        "mkdirat": 34,
        "unlinkat": 35,
        "linkat": 37,
        "renameat": 38,
        "renameat2": 276,
        "seccomp": 277,
    },
}
_WITH_DESCRIPTOR = {"write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate"}
_NEEDS_SPACE = {"write", "pwrite64", "writev", "mkdir", "mkdirat", "link", "linkat", "fsync", "fdatasync"}
_PATH_ARGUMENT = {"rename": 1, "link": 1, "renameat": 3, "renameat2": 3, "linkat": 3, "mkdirat": 1, "unlinkat": 1}

_RANDOM = re.compile(r"[0-9a-f]{16,}|-[a-z0-9_]{8}(?=/|$)")
_SET_NO_NEW_PRIVS, _FILTER_MODE, _NEW_LISTENER = 38, 1, 8
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1


class Fault(Enum):
    """What befalls the process at a watched call."""

    KILL = "killed before it"
    TEAR = "killed with half of it written"
    FULL = "the disk is full from it on"


@dataclass(frozen=True)
class Call:
    """A watched call that changes, or makes durable, something under the watched directory."""

    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.name} {self.path}"

    @property
    def kind(self) -> tuple[str, str]:
        """What is done to which file, whatever random name it has."""
        return self.name, _RANDOM.sub("", self.path)


@dataclass(frozen=True, order=True)
class Place:
    """Where a call stands, such that it stands there in every execution: its run of like calls, and the call in that.

    How many calls a run has may differ: names are random, so that SQLite writes a page more or less.
    """

    run: int
    call: int


def places(calls: Iterable[Call]) -> Iterator[Place]:
    """Yield where each call stands."""
    place, before = Place(-1, 0), None
    for each in calls:
        place = Place(place.run, place.call + 1) if each.kind == before else Place(place.run + 1, 0)
        before = each.kind
        yield place


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class _Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction))]


def _numbers() -> dict[str, int]:
    return _NUMBERS.get(platform.machine(), {})


def _install() -> int:
    """Have the kernel ask before watched calls, in this process and all its threads to come; return whom it asks."""
    numbers = [number for name, number in _numbers().items() if name != "seccomp"]
    program = [_Instruction(0x20, 0, 0, 0)]  # load the call's number
    program += [_Instruction(0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [_Instruction(0x06, 0, 0, _ALLOW), _Instruction(0x06, 0, 0, _NOTIFY)]
    libc = ctypes.CDLL(None, use_errno=True)
    filled = (_Instruction * len(program))(*program)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(
        _numbers()["seccomp"], _FILTER_MODE, _NEW_LISTENER, ctypes.byref(_Program(len(program), filled))
    )
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def available() -> bool:
    """Tell whether this machine lets a process be watched so."""
    if platform.system() != "Linux" or not _numbers() or not hasattr(socket, "send_fds"):
        return False
    child = os.fork()
    if child == 0:
        try:
            _install()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@dataclass(frozen=True)
class Ran:
    """What became of a watched process."""

    calls: tuple[Call, ...]
    code: int | None
    out: str
    err: str

    def stopped(self, at: Place) -> str:
        """Return the call that a fault at this place befell first; "(none)" if there was none."""
        found = (call for place, call in zip(places(self.calls), self.calls, strict=True) if place >= at)
        return str(next(found, "(none)"))


def run(action: Callable[[], int], under: Path, *, at: Place | None = None, fault: Fault = Fault.KILL) -> Ran:
    """Run `action` in a process of its own, and let `fault` befall it at the first watched call at a place or after.

    Args:
        action: returns the exit code; its standard output and error are kept.
        under: only calls on files of this directory count.

    Returns:
        The calls made, the exit code (None if it was killed), and what it said.
    """
    ours, theirs = socket.socketpair()
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        ours.close()
        os.dup2(out_end, 1)
        os.dup2(err_end, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        listener = _install()
        socket.send_fds(theirs, [b"."], [listener])
        os.close(listener)
        theirs.close()
        code = 70
        try:
            code = action()
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    for end in (out_end, err_end):
        os.close(end)
    theirs.close()
    (listener,) = socket.recv_fds(ours, 1, 1)[1]
    ours.close()
    calls = _supervise(listener, child, str(under.resolve()), at, fault)
    os.close(listener)
    said = [_drain(out), _drain(err)]
    status = os.waitpid(child, 0)[1]
    return Ran(tuple(calls), None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), *said)


def _drain(end: int) -> str:
    with os.fdopen(end, "rb") as file:
        return file.read().decode("utf-8", "replace")


def _supervise(listener: int, child: int, under: str, at: Place | None, fault: Fault) -> list[Call]:
    names = {number: name for name, number in _numbers().items()}
    calls: list[Call] = []
    placed = places(calls)  # which grows
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        (_, ready), *_ = poll.poll()
        if not ready & select.POLLIN:  # all of the process is gone
            return calls
        asked = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, asked)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR}:
                continue
            return calls
        call_id, pid, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", asked)
        answer = 0
        path = _path(pid, names[number], arguments)
        if path is not None and path.startswith(under):
            calls.append(Call(names[number], path[len(under) + 1 :]))
            place = next(placed)
            if at is not None and place >= at and fault is not Fault.FULL:
                if fault is Fault.TEAR:
                    _write_half(pid, names[number], arguments)
                os.kill(child, signal.SIGKILL)
                continue
            if at is not None and place >= at and fault is Fault.FULL and names[number] in _NEEDS_SPACE:
                answer = -errno.ENOSPC
        try:
            fcntl.ioctl(listener, _SEND, struct.pack("QqiI", call_id, 0, answer, 0 if answer else _CONTINUE))
        except OSError as error:
            if error.errno != errno.ENOENT:  # it was killed meanwhile
                raise


def _path(pid: int, name: str, arguments: list[int]) -> str | None:
    try:
        if name in _WITH_DESCRIPTOR:
            return str(Path(f"/proc/{pid}/fd/{arguments[0]}").readlink())
        text = _memory(pid, arguments[_PATH_ARGUMENT.get(name, 0)], 4096).split(b"\0")[0].decode()
        return text if text.startswith("/") else None
    except OSError:
        return None


def _memory(pid: int, address: int, size: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        content = memory.read(min(size, 4096 - address % 4096))
        while len(content) < size:
            memory.seek(address + len(content))
            more = memory.read(min(size - len(content), 4096))
            if not more:
                break
            content += more
            if b"\0" in content and size == 4096:
                break
        return content


def _write_half(pid: int, name: str, arguments: list[int]) -> None:
    """Write the first half of what a call would have written, as a disk that loses its power may."""
    if name not in {"write", "pwrite64"}:
        return
    descriptor, address, size = arguments[:3]
    content = _memory_exactly(pid, address, size // 2)
    position = arguments[3] if name == "pwrite64" else _position(pid, descriptor)
    target = os.open(f"/proc/{pid}/fd/{descriptor}", os.O_WRONLY)
    try:
        os.pwrite(target, content, position)
    finally:
        os.close(target)


def _memory_exactly(pid: int, address: int, size: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size)


def _position(pid: int, descriptor: int) -> int:
    for line in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text("ascii").splitlines():
        if line.startswith("pos:"):
            return int(line.split()[1])
    return 0
