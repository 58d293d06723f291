"""Quantiles over people: weights of one person's rows, scores of public candidates, and how far they can move (S36).

The candidates are a grid of the declared bounds (`query.candidates`), never data. In a cell, candidate t of the
fraction α = a/b has the score −max(0, x_t, y_t), where x_t = (b − a)·W_<(t) − a·W_≥(t) and
y_t = a·W_>(t) − (b − a)·W_≤(t), W the integer weight of the rows below t, above it, or at it as well: how much weight
would have to go for t to be a quantile of the cell. Where no row lies at t that is −|(b − a)·W_<(t) − a·W_>(t)|; where
many do, a value that a third of all rows have is no worse a median for it (docs/adr/0017). The candidate chosen is
OpenDP's noisy max. Each row of a person with n values in a cell weighs ⌊u·min(n, c)/n⌋ steps, so that no more than c
count (S35), and less where the person's weights over all cells are too long.

*Claim.* Let d_g be a person's weight in cell g, over all cells of all grouping sets. Then Σ d_g² ≤ d² = `norm`². Let
M = max(a, b − a) and m = min(a, b − a). If all rows of p go, the scores of cell g move by at most M·d_g (L∞). If p's
rows in some tables go and what is left weighs d'_g, they move by at most L_g with Σ L_g² ≤ 2(M² + m²)·d², and where
there is one cell by at most b·d.

*Proof.* The stream's rows of others are the same, as in `query.contribution`; the weights of a run of rows depend on
that run alone, and Σ (n_g·w_g)² ≤ norm² was just checked in exact arithmetic, w_g the weight of one of its n_g rows;
what fails is shrunk, at last to zero. Now x_t is a sum over persons of something in [−a·d_g, (b − a)·d_g], each row
counting once, below t or not; and y_t of something in [−(b − a)·d_g, a·d_g]. So p's going moves either by at most
M·d_g, and the greatest of these and 0 by no more than the one that moves most. If p's part of x_t was in
[−a·d_g, (b − a)·d_g] and becomes one in [−a·d'_g, (b − a)·d'_g], x_t moves by at most
max((b − a)·d'_g + a·d_g, (b − a)·d_g + a·d'_g) = M·max(d_g, d'_g) + m·min(d_g, d'_g) = L_g, and y_t, whose interval is
the same turned around, likewise. By Cauchy and Schwarz L_g² ≤ (M² + m²)(d_g² + d'_g²), and both weights are at most d
long. With one cell L ≤ (M + m)·max(d_g, d'_g) ≤ b·d. Nothing here depends on how many candidates there are, or where:
only that they are the same for both rooms. ∎

*Charge.* One noisy max of scale s is (L²/2s²)-zCDP for scores that move by at most L in L∞ (OpenDP's map: an
exponential mechanism of range 2L/s, Dong et al. 2019, bounded range η gives η²/8). The cells' choices draw their noise
independently, so their losses add up: Σ M²d_g²/2s² ≤ M²d²/2s² for the room, and 2(M² + m²)d²/2s² for a table's ledger.
More candidates cost nothing: they only share a cell's chances out more finely.

Of a pure release (S11) `norm` is L1: Σ d_g ≤ norm was checked in exact arithmetic. What is read of the weights then,
and what that costs, is in `query.bisecting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.clipping import SHRINKS, halves, sum_of_sizes, sum_of_squares

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from cleanroom.query.backend import PersonRows
    from cleanroom.query.bound import QuantileBound

    Int64s = npt.NDArray[np.int64]

LARGEST_SCORE: Final = 1 << 62
"""Scores are clamped to ±2^62, which moves no two of them further apart."""


def no_weights(quantile: QuantileBound, cells: int) -> Int64s:
    """Return the weights of nobody: a bin for each candidate and each gap between two; shape (cells, bins)."""
    return np.zeros((cells, 2 * quantile.candidates - 1), dtype=np.int64)


def add_weights(quantile: QuantileBound, max_rows: int, rows: PersonRows, cells: Int64s, count: int) -> Int64s:
    """Return the weights of the persons of one slice, in each cell and bin.

    Args:
        max_rows: rows of a person that count in a cell (c).
        cells: each row's cell in each grouping set, or -1; shape (sets, rows).
        count: how many cells there are.
    """
    weights = no_weights(quantile, count)
    _add_weights(
        rows.starts,
        cells,
        quantile.grid.bins(rows.columns[quantile.column].values),
        rows.columns[quantile.column].present,
        max_rows,
        quantile.weight,
        float(quantile.norm),
        *halves(quantile.norm**2),
        weights,
        isinstance(quantile, PureQuantileBound),
    )
    return weights


def scores(quantile: QuantileBound, weights: Int64s) -> Iterator[list[int]]:
    """Yield the scores of all candidates, cell by cell."""
    for cell in weights:
        yield _scores(quantile, cell)


def _scores(quantile: QuantileBound, cell: Int64s) -> list[int]:
    """Return -max(0, (b - a)·W_< - a·W_≥, a·W_> - (b - a)·W_≤) for every candidate."""
    below, above = quantile.below, quantile.above
    here, upto = cell[0::2], np.cumsum(cell)
    less, more = upto[0::2] - here, upto[-1] - upto[0::2]
    if int(upto[-1]) * (below + above) < LARGEST_SCORE:
        over = np.maximum(above * less - below * (more + here), below * more - above * (less + here))
        found: list[int] = (-np.maximum(over, 0)).tolist()
        return found
    each = zip(map(int, less), map(int, here), map(int, more), strict=True)
    return [
        max(-LARGEST_SCORE, -max(0, above * low - below * (high + at), below * high - above * (low + at)))
        for low, at, high in each
    ]


@njit(cache=True, nogil=True)
def _add_weights(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    starts, cells, bins, present, max_rows, unit, norm, square_high, square_low, weights, pure
):
    sets = cells.shape[0]
    cell_count = weights.shape[0]
    counts = np.zeros(cell_count, dtype=np.int64)
    each = np.zeros(cell_count, dtype=np.int64)
    touched = np.zeros(cell_count, dtype=np.int64)
    vector = np.zeros(64, dtype=np.int64)
    for person in range(starts.shape[0] - 1):
        start, end = starts[person], starts[person + 1]
        count = 0
        for row in range(start, end):
            if not present[row]:
                continue
            for number in range(sets):
                cell = cells[number, row]
                if cell < 0 or cell >= cell_count:
                    continue
                if counts[cell] == 0:
                    touched[count] = cell
                    count += 1
                counts[cell] += 1
        if count > vector.shape[0]:
            vector = np.zeros(max(count, 2 * vector.shape[0]), dtype=np.int64)
        for at in range(count):
            cell = touched[at]
            n = counts[cell]
            each[cell] = unit if n <= max_rows else unit * max_rows // n
            vector[at] = n * each[cell]
        if pure:
            _shorten_sum(counts, touched, count, each, vector, np.int64(norm))
        else:
            _shorten(counts, touched, count, each, vector, norm, square_high, square_low)
        for row in range(start, end):
            if not present[row]:
                continue
            for number in range(sets):
                cell = cells[number, row]
                if cell >= 0 and cell < cell_count:
                    weights[cell, bins[row]] += each[cell]
        for at in range(count):
            counts[touched[at]] = 0


@njit(cache=True, nogil=True)
def _shorten(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    counts, touched, count, each, vector, norm, square_high, square_low
):
    """Shrink the weights of a person's rows until those of all cells have at most `norm` in L2 (S32).

    Args:
        counts: the person's rows, by cell.
        touched: the cells that have any, `count` of them.
        each: what each of these rows weighs, by cell.
        vector: room for the weight of each touched cell, which it has now.
    """
    high, low = sum_of_squares(vector, count)
    if high > square_high or (high == square_high and low > square_low):
        factor = norm / np.sqrt(float(high) * 18446744073709551616.0 + float(low))
        fits = False
        for _ in range(SHRINKS):
            for at in range(count):
                cell = touched[at]
                vector[at] = counts[cell] * np.int64(float(each[cell]) * factor)
            high, low = sum_of_squares(vector, count)
            if high < square_high or (high == square_high and low <= square_low):
                fits = True
                break
            factor *= 1.0 - 2.0**-40
        for at in range(count):
            cell = touched[at]
            each[cell] = np.int64(float(each[cell]) * factor) if fits else 0


@njit(cache=True, nogil=True)
def _shorten_sum(counts, touched, count, each, vector, norm):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Shrink them, as `_shorten` does, until those of all cells together are at most `norm` in L1 (S11)."""
    if sum_of_sizes(vector, count, norm) <= norm:
        return
    length = 0.0
    for at in range(count):
        length += float(vector[at])
    factor = float(norm) / length
    for _ in range(SHRINKS):
        for at in range(count):
            cell = touched[at]
            vector[at] = counts[cell] * np.int64(float(each[cell]) * factor)
        if sum_of_sizes(vector, count, norm) <= norm:
            for at in range(count):
                cell = touched[at]
                each[cell] = np.int64(float(each[cell]) * factor)
            return
        factor *= 1.0 - 2.0**-40
    for at in range(count):
        each[touched[at]] = 0
