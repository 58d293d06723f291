"""Where a column of a finish comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.query.public.language import PublicJoin, PublicSelect, Ref, ReferenceRows, ReleaseTable

if TYPE_CHECKING:
    from cleanroom.query.public.language import PublicRelation


def source_of(relation: PublicRelation, place: int) -> tuple[int, int] | None:
    """Return the release and its output that a column is, unchanged; None for what is computed."""
    match relation:
        case ReleaseTable(release=release):
            return release, place
        case PublicSelect(source=source, outputs=outputs, groups=None):
            term = outputs[place]
            return source_of(source, term.index) if isinstance(term, Ref) else None
        case PublicJoin(left=left, right=right):
            width = len(left.columns)
            return source_of(left, place) if place < width else source_of(right, place - width)
    return None


def is_exact(relation: PublicRelation, place: int) -> bool:
    """Return whether no noise decided a column's values: it is a public table's or a release's key, unchanged.

    What is computed is not followed: a column that is the sum of two that are sums of two … would double the steps.
    """
    match relation:
        case ReferenceRows():
            return True
        case ReleaseTable(columns=columns):
            return not columns[place].behind
        case PublicSelect(source=source, outputs=outputs, groups=None):
            term = outputs[place]
            return isinstance(term, Ref) and is_exact(source, term.index)
        case PublicJoin(left=left, right=right):
            width = len(left.columns)
            return is_exact(left, place) if place < width else is_exact(right, place - width)
    return False
