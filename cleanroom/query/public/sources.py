"""Where a column of a finish comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.query.public.language import Call, PublicJoin, PublicSelect, Ref, ReferenceRows, ReleaseTable, Value

if TYPE_CHECKING:
    from cleanroom.query.public.language import PublicRelation, PublicTerm


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
    """Return whether no noise decided a column's values: a public table's, a release's key, a function of these."""
    match relation:
        case ReferenceRows():
            return True
        case ReleaseTable(columns=columns):
            return not columns[place].behind
        case PublicSelect(source=source, outputs=outputs, groups=None):
            return _says_what_is_exact(outputs[place], source)
        case PublicJoin(left=left, right=right):
            width = len(left.columns)
            return is_exact(left, place) if place < width else is_exact(right, place - width)
    return False


def _says_what_is_exact(term: PublicTerm, source: PublicRelation) -> bool:
    match term:
        case Value():
            return True
        case Ref(index=index):
            return is_exact(source, index)
        case Call(arguments=arguments):
            return all(_says_what_is_exact(each, source) for each in arguments)
    return False
