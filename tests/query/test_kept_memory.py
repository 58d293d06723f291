"""Memory is kept where the C library can, and its absence changes nothing."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cleanroom import kept_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = """
import resource
import numpy as np
from cleanroom.kept_memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
unkept = faults()
kept = keep_memory()
faults()
print(kept, unkept, faults())
"""


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    kept_memory.keep_memory.cache_clear()
    yield
    kept_memory.keep_memory.cache_clear()


def test_pages_are_not_cleared_again_for_each_array() -> None:
    """Fifty arrays of eight megabytes: of each a page in a hundred at most, where the C library keeps memory."""
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    kept, unkept, after = run.stdout.split()
    assert (kept == "True") is (platform.libc_ver()[0] == "glibc")
    if kept == "True":
        assert int(after) < min(int(unkept), 50 * 2048) / 100 + 50


@pytest.mark.parametrize("missing", [AttributeError("mallopt"), OSError("no library")])
def test_a_c_library_without_the_setting_is_left_as_it_is(missing: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> object:
        raise missing

    monkeypatch.setattr(kept_memory.ctypes, "CDLL", load)
    assert kept_memory.keep_memory() is False
