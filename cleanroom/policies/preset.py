"""Table files that a cultural organisation of Québec starts from; sources of their vocabularies: docs/presets.md."""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from cleanroom.errors import InvariantBroken
from cleanroom.policies.reader import read_declaration

if TYPE_CHECKING:
    from cleanroom.errors import Language
    from cleanroom.identifiers import TableName

_OWNER: Final = "member"
"""Who owns the tables of the files as they lie in the package."""


class Preset(StrEnum):
    """What a table holds, one row each."""

    TICKETING = "ticketing"
    WEB_VISITS = "web-visits"
    MEMBERSHIP = "membership"
    SURVEY = "survey"


def preset_file(preset: Preset, *, table: TableName, language: Language) -> bytes:
    """Return a table's file to start from, with comments that explain each decision.

    Args:
        language: of the comments and rules' names; columns and domains are the same in both.
    """
    text = files("cleanroom.policies").joinpath("presets", f"{preset}.{language}.yaml").read_text(encoding="utf-8")
    named = f"table: {_OWNER}.{preset.replace('-', '_')}\n"
    own = f"parties: [{_OWNER}]\n"
    if text.count(named) != 1 or text.count(own) != 1:
        raise InvariantBroken(f"the preset {preset} does not say once which table it is, and once who owns it")
    content = text.replace(named, f"table: {table}\n").replace(own, f"parties: [{table.owner}]\n").encode()
    if read_declaration(content).catalog.table != table:
        raise InvariantBroken(f"the preset {preset} declares another table")
    return content
