"""Settle how much of one person is in each release: as the question says, else by the tables' defaults (S29)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import Contribution, TableCatalog
from cleanroom.query.algebra import scans
from cleanroom.query.bound import Bounds, Measured, bounds_of, require_depth
from cleanroom.query.cells import set_sizes
from cleanroom.query.choosing import chosen_groups, chosen_rows, chosen_total
from cleanroom.query.plan import Plan
from cleanroom.query.precision import LARGEST_MARGIN, Auto, not_precise, require_contribution
from cleanroom.query.statistics import CountPersons, CountRows, Sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanroom.identifiers import TableName
    from cleanroom.query.binding.personal import Release

MOST_ROWS: Final = 65_535
PURE_TOTALS: Final = 2
"""In L1 a person's totals add up over cells, so that `auto` must choose among wider ones: up to as many times what the
default's rows give (docs/adr/0014 §8)."""


@dataclass(frozen=True, slots=True)
class AskedBounds:
    """What a question says of a person's part in it.

    Args:
        max_rows: rows of a person that count in a cell; None for the tables' default.
        max_groups: cells of a person that count in full; None for the tables' default.
        max_sum: greatest size of a person's total in a cell, in the sum's unit; None for what the rows give.
    """

    max_rows: int | Auto | None = None
    max_groups: int | Auto | None = None
    max_sum: Decimal | Auto | None = None

    def __post_init__(self) -> None:
        require_contribution(self.counted, self.grouped)
        if isinstance(self.max_sum, Decimal) and not (self.max_sum.is_finite() and 0 < self.max_sum <= LARGEST_MARGIN):
            raise not_precise("{max_sum} est un nombre positif, ou auto", "{max_sum} is a positive number, or auto")
        if [self.max_rows, self.max_groups, self.max_sum].count(Auto.AUTO) > 1:
            raise not_precise(
                "auto choisit une borne à la fois : {max_rows_contributed}, {max_groups_contributed} ou {max_sum}",
                "auto chooses one bound at a time: {max_rows_contributed}, {max_groups_contributed} or {max_sum}",
            )

    @property
    def counted(self) -> int | None:
        """Rows of a person that count, where a number of them was given."""
        return None if isinstance(self.max_rows, Auto) else self.max_rows

    @property
    def grouped(self) -> int | None:
        """Cells of a person that count in full, where a number of them was given."""
        return None if isinstance(self.max_groups, Auto) else self.max_groups


def require_sums(releases: Sequence[Release], asked: AskedBounds) -> None:
    """Refuse a bound of totals for a question without a sum, or where a release has several.

    Raises:
        Refused: with what to do.
    """
    if asked.max_sum is None:
        return
    counts = [len({each for each in release.statistics if isinstance(each, Sum)}) for release in releases]
    if not any(counts):
        raise not_precise(
            "{max_sum} borne une somme ; la question n'en a pas", "{max_sum} bounds a sum; there is none here"
        )
    if max(counts) > 1:
        raise not_precise(
            "{max_sum} borne une seule somme ; posez une question par somme",
            "{max_sum} bounds one sum; ask for one at a time",
        )


def planned(
    release: Release,
    asked: AskedBounds,
    catalogs: Mapping[TableName, TableCatalog],
    threshold: int,
    shares: tuple[Fraction, ...] = (),
    *,
    pure: bool = False,
) -> Plan:
    """Set the bounds of a release.

    Args:
        threshold: the largest of the owners' rules, in persons; 0 for none.
        shares: the weight of each statistic; none for equal ones.
        pure: whether a table's budget is pure (S11).

    Raises:
        Refused: it nests too deep, has too many cells, or sums that are not exact.
    """
    require_depth(release.relation)
    defaults = [catalogs[table].contribution for table in sorted({scan.table for scan in scans(release.relation)})]
    summed = next((each for each in release.statistics if isinstance(each, Sum)), None)

    def bounds(max_rows: int | None, max_sum: int | None = None, groups: int | None = asked.grouped) -> Bounds:
        contributions = [Contribution(max_rows or each.max_rows, groups or each.max_groups) for each in defaults]
        return bounds_of(
            release.keys, release.sets, release.statistics, contributions, threshold, shares, max_sum, pure=pure
        )

    given = None
    if isinstance(asked.max_sum, Decimal) and summed is not None:
        given = max(1, math.floor(Fraction(asked.max_sum) / Fraction(summed.resolution)))
    settled = bounds(asked.counted, given)
    # The norm alone is chosen: a bound of each cell below it would cut more and save no noise.
    added = any(isinstance(each, CountRows | Sum) for each in release.statistics)
    groups = asked.grouped or (1 if added else None)
    choice = None
    if asked.max_rows is Auto.AUTO and settled.max_rows:
        choice = chosen_rows(
            release.statistics, settled.max_rows, MOST_ROWS, lambda max_rows: bounds(max_rows, given, groups)
        )
    if asked.max_sum is Auto.AUTO and summed is not None:
        rows = asked.counted
        given_none = asked.counted is None and asked.grouped is None
        if pure and given_none and all(isinstance(each, Sum | CountPersons) for each in release.statistics):
            # Rows decide on nothing but how wide a total may be.
            rows = min(MOST_ROWS, PURE_TOTALS * settled.max_rows)
        wide = bounds(rows, None, groups)
        widest = next(each.natural for each in wide.components if each.measured is Measured.TOTAL)
        choice = chosen_total(summed, widest, lambda max_sum: bounds(rows, max_sum, groups))
    if asked.max_groups is Auto.AUTO:
        if settled.distinct_keys:
            raise not_precise(
                "avec des clés sans domaine, {max_groups_contributed} est un nombre",
                "with keys without a domain {max_groups_contributed} is a number",
            )
        if not settled.components:
            raise not_precise(
                "pour des quantiles seuls, {max_groups_contributed} est un nombre",
                "for quantiles alone {max_groups_contributed} is a number",
            )
        choice = chosen_groups(
            max(each.max_groups for each in defaults),
            max(set_sizes(release.keys, release.sets)),
            lambda cells: bounds(asked.counted, given, cells),
        )
    if choice is not None:
        settled = replace(choice.bounds[-1], choice=choice)
    return Plan(release.relation, release.keys, release.statistics, release.outputs, settled, release.sets)
