"""Say in words what the numbers of a plan count and what they leave out; public facts only (S35, S37)."""

from __future__ import annotations

from cleanroom.errors import Bilingual
from cleanroom.query import algebra, statistics
from cleanroom.query.plan import Plan


def notes(plan: Plan) -> tuple[Bilingual, ...]:
    """Return what the reader of an answer must know of its bounds."""
    bounds = plan.bounds
    found: list[Bilingual] = []
    counted = {type(statistic) for statistic in plan.statistics}
    if counted & {statistics.CountRows, statistics.Sum}:
        found.append(
            Bilingual(
                f"par personne et par case : au plus {bounds.max_rows} lignes comptées, et le total d'autant",
                f"for each person and cell: at most {bounds.max_rows} rows counted, and the total of as many",
            )
        )
    if statistics.Mean in counted:
        found.append(
            Bilingual(
                f"moyenne sur au plus {bounds.max_rows} lignes par personne et par case",
                f"mean over at most {bounds.max_rows} rows of each person in a cell",
            )
        )
    if bounds.cells > bounds.max_groups == 1:
        found.append(
            Bilingual(
                "une personne compte en entier dans une seule case ; présente dans plusieurs, elle compte en partie",
                "a person counts in full in one cell; in several, in part in each",
            )
        )
    elif bounds.cells > bounds.max_groups:
        found.append(
            Bilingual(
                f"une personne présente dans plus de {bounds.max_groups} cases y compte en partie",
                f"a person in more than {bounds.max_groups} cells counts in part",
            )
        )
    shares = _shares(plan.relation)
    if shares:
        found.append(
            Bilingual(
                f"jointures : de chaque table, les {min(shares)} premières lignes d'une personne au plus",
                f"joins: of each table, a person's first {min(shares)} rows at most",
            )
        )
    if bounds.threshold:
        found.append(
            Bilingual(
                f"cases retenues sous {bounds.threshold} personnes (nombre bruité), règle des propriétaires",
                f"cells withheld below {bounds.threshold} persons (noised number), a rule of the owners",
            )
        )
    return tuple(found)


def _shares(relation: algebra.Relation) -> tuple[int, ...]:
    """Return the cuts that bound fan-out (S23)."""
    match relation:
        case algebra.Scan():
            return ()
        case algebra.FirstRows(source=source, most=most):
            return (most, *_shares(source))
        case algebra.Select(source=source) | algebra.Persons(source=source):
            return _shares(source)
        case algebra.Join(left=left, right=right):
            return _shares(left) + _shares(right)
        case algebra.Semi(source=source, other=other):
            return _shares(source) + _shares(other)
        case algebra.UnionAll(arms=arms):
            return tuple(share for arm in arms for share in _shares(arm.relation))
