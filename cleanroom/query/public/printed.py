"""A value over released tables as it is printed: itself, its margin, whether something behind it was withheld."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.query.public.sources import is_exact

if TYPE_CHECKING:
    from cleanroom.query.public.language import PublicRelation

NO_MARGIN: Final = "CAST(NULL AS DOUBLE)"
NO_FLAG: Final = "FALSE"


@dataclass(frozen=True, slots=True)
class Triple:
    """A term as printed: value, margin, whether something behind it was withheld.

    Args:
        margin: None for a value without noise.
    """

    value: str
    margin: str | None
    flag: str

    @property
    def margin_or_null(self) -> str:
        """The margin, NULL for none."""
        return self.margin if self.margin is not None else NO_MARGIN


def held(name: str, relation: PublicRelation, index: int) -> Triple:
    """Return a column of a relation; what a public table says, and a key, is exact."""
    margin = None if is_exact(relation, index) else f'{name}."m{index}"'
    return Triple(f'{name}."v{index}"', margin, f'{name}."s{index}"')
