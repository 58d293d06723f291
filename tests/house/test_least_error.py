"""What docs/accuracy.md says of the least error that one count can have at a given rho, computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEPS, FAR = 1_000, 10.0


def least() -> tuple[Floats, Floats]:
    """Return where, and the density there, of the noise X with the least E|X| + I/4, I its Fisher information.

    With the density f = g^2 that is the integral of |x|·g^2 + g'^2: the ground state of a particle in that potential,
    an Airy function on either side of 0. Scaling X trades E|X| for I, so that it is the least for any given I.
    """
    step = FAR / STEPS
    x = (np.arange(STEPS) + 0.5) * step
    energy = (
        np.diag(2 / step**2 + x) - np.diag(np.ones(STEPS - 1), 1) / step**2 - np.diag(np.ones(STEPS - 1), -1) / step**2
    )
    # Even: what is on the other side of 0 is the same.
    energy[0, 0] -= 1 / step**2
    half = np.linalg.eigh(energy)[1][:, 0] ** 2
    density = np.concatenate([half[::-1], half])
    return np.concatenate([-x[::-1], x]), density / (density.sum() * step)


def test_no_noise_errs_much_less_than_a_gaussian_at_the_same_rho() -> None:
    """A shift by one of noise of scale s costs rho = I/2 where s is large; a Gaussian has I = 1/sigma^2."""
    x, density = least()
    step = x[1] - x[0]
    error = float((np.abs(x) * density).sum() * step)
    roots = np.sqrt(density)
    information = float(4 * (np.diff(roots) ** 2).sum() / step)
    assert math.sqrt(information) * error == pytest.approx(0.7916, abs=2e-4)
    assert math.sqrt(2 / math.pi) == pytest.approx(0.7979, abs=1e-4)


def test_on_whole_numbers_it_errs_by_a_hundredth_less() -> None:
    deviation = 4.98
    x, density = least()
    information = float(4 * (np.diff(np.sqrt(density)) ** 2).sum() / (x[1] - x[0]))
    whole = np.arange(-40, 41)
    chance = np.interp(whole, x * math.sqrt(information) * deviation, density)
    chance /= chance.sum()
    assert float((np.abs(whole) * chance).sum()) == pytest.approx(3.93, abs=0.005)
    assert deviation * math.sqrt(2 / math.pi) == pytest.approx(3.97, abs=0.005)
    # At none of these orders is its loss greater than the Gaussian's.
    rho = 1 / (2 * deviation**2)
    for order in (1.01, 1.5, 2.0, 4.0, 8.0, 16.0):
        loss = math.log(float((chance[1:] ** order * chance[:-1] ** (1 - order)).sum())) / (order - 1)
        assert loss <= order * rho
