"""What searches try: how many examples, of which seeds. The only place that reads it from the environment.

`make test` tries the same examples each time. `make soak` tries other ones each time: Hypothesis' own, and for what is
searched by seeds those from `SOAK_SEED` on, which it draws and prints; the seeds are in the tests' names. `SOAK` is how
many nights' worth. The numbers that tests give here are for one night of two cores in all; what each costs was measured
(docs/soak.md). Where something is gone through whole, such as every call that a process may be stopped at, it is that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NIGHTS = float(os.environ.get("SOAK", "1"))
FIRST_SEED = int(os.environ.get("SOAK_SEED", "0"))

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
# `make mutation` wants to know that a test fails, not the smallest example of it.
settings.register_profile(
    "unshrunk",
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

LIMITS = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
"""Of tests of whole rooms and questions, which take what they take."""


def nightly(examples: int) -> int:
    """Return how many examples to try where a night's share is so many."""
    return max(1, round(examples * NIGHTS))


def by_seeds(examples: int, *, at_once: int) -> pytest.MarkDecorator:
    """Give a test, as `seeds`, each of the ranges that a night's share of so many seeds comes in.

    Args:
        examples: seeds of one night, in all.
        at_once: seeds of one test, which is named by the first.
    """
    end = FIRST_SEED + nightly(examples)
    ranges = [range(first, min(first + at_once, end)) for first in range(FIRST_SEED, end, at_once)]
    return pytest.mark.parametrize("seeds", ranges, ids=[str(each.start) for each in ranges])


def try_each(seeds: Iterable[int], check: Callable[[int], object]) -> None:
    """Check each seed, and let what fails say which it was."""
    for seed in seeds:
        try:
            check(seed)
        except Exception as error:
            error.add_note(f"seed {seed}; alone: SOAK_SEED={seed}, and the test's name with [{seed}]")
            raise
