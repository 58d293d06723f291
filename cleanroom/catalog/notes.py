"""Keep what a draft says of an owner's data out of what that owner signs (S25)."""

from __future__ import annotations

import re
from typing import Final

NOTE: Final = "#~"
"""What a line of a draft begins with that speaks of the data; to YAML it is a comment."""

_NOTES: Final = re.compile(rb"^[ \t]*#~.*\n?", re.MULTILINE)


def first_note(content: bytes) -> int | None:
    """Return the line, from 1, of a file's first note; None without any."""
    found = _NOTES.search(content)
    return None if found is None else content.count(b"\n", 0, found.start()) + 1


def without_notes(content: bytes) -> bytes:
    """Return a reviewed draft as it is signed."""
    return _NOTES.sub(b"", content)
