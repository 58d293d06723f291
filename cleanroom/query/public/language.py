"""Relations that depend on nobody: released tables, reference tables, and what SQL makes of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    """The released, noised table of release number `release` of the question.

    Args:
        names: of its columns, in the order of the release's outputs; folded labels.
    """

    release: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Columns of a released table as they are, under labels: what a plain question of aggregates answers.

    Args:
        columns: label as written, and place among the release's outputs.
    """

    table: ReleaseTable
    columns: tuple[tuple[str, int], ...]


PublicRelation = ReleaseTable | Chosen
