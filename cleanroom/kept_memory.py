"""Let the allocator keep the memory of one slice for the next.

A slice's columns are some megabytes each, made and given back a dozen times a second. The C library by itself maps and
unmaps every one of them, and the kernel clears each page anew: two fifths of a question's CPU time before this. What it
keeps now is bounded, and so is each piece that it keeps (mallopt(3)). Where the C library has no such setting nothing
is done, and nothing but speed depends on it.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""The parameters' numbers in malloc.h."""

LARGEST_KEPT: Final = 32 << 20
"""Bytes of a piece of memory that is kept; glibc takes no more."""

MOST_KEPT: Final = 128 << 20
"""Bytes at the end of the heap that are kept unused."""


@cache
def keep_memory() -> bool:
    """Set it for this process, the first time; return whether the C library took it."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(mallopt(_TRIM_THRESHOLD, MOST_KEPT))
