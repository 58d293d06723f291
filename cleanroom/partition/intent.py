"""What an upload does to its table: stand beside the earlier uploads, take the place of all of them, or of one.

A file that the room writes anew when a person is erased says so in the same place (`Erase`); no package may.

The intent is part of the manifest, so its owner signs it: nobody can hand a package in as something else. So is the
table's version that the owner knew; a package that was held back is not taken after the table has moved on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

if TYPE_CHECKING:
    from cleanroom.identifiers import UploadId

_UPLOAD: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Append:
    """Stand beside the table's earlier uploads."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Take the place of all the table's earlier uploads."""


@dataclass(frozen=True, slots=True)
class Correct:
    """Take the place of one upload.

    Raises:
        ValueError: `upload` is no upload's id.
    """

    upload: UploadId

    def __post_init__(self) -> None:
        if not is_upload(self.upload):
            raise ValueError("intent")


@dataclass(frozen=True, slots=True)
class Erase:
    """Stand in for one upload, without the rows of people who are erased; the room makes it, at its owner's request.

    Args:
        upload: the package that it is made from, whatever number of erasures lie between.
        request: the id of the owner's signed request.

    Raises:
        ValueError: `upload` is no upload's id, or `request` no request's.
    """

    upload: UploadId
    request: str

    def __post_init__(self) -> None:
        if not is_upload(self.upload) or not is_upload(self.request):
            raise ValueError("intent")


Intent = Append | Replace | Correct
"""What a member's package may do."""

Act = Intent | Erase
"""What any file of a table does: a package's, or one that the room wrote anew."""


def is_upload(text: str) -> bool:
    """Tell whether `text` can be an upload's id: 32 hexadecimal digits."""
    return _UPLOAD.fullmatch(text) is not None


def act(intent: Act) -> str:
    """Return an intent's name: `append`, `replace`, `correct` or `erase`."""
    match intent:
        case Append():
            return "append"
        case Replace():
            return "replace"
        case Correct():
            return "correct"
        case Erase():
            return "erase"
    assert_never(intent)
