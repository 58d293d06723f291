"""Which released number a column of a finish is, if it is one unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.query.public.language import PublicJoin, PublicSelect, Ref, ReleaseTable

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
