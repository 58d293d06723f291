"""Tests, and what they made of a mutant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Test:
    """A test.

    Args:
        name: as pytest has it.
        seconds: CPU seconds that it usually takes.
        spare: CPU seconds that it may take besides.
        breadth: how many lines of the mutated modules it runs.
    """

    name: str
    seconds: float
    spare: float = 10
    breadth: int = 0


@dataclass(frozen=True)
class Outcome:
    """What tests made of a mutant.

    Args:
        verdict: `green`, `red`, `cpu` (used up), `idle` (waited for ever), `ended` by a signal, or `fault` of the run.
        by: the test at which it ended.
        why: the exception.
        passed: tests that passed, with the CPU seconds each took.
        lines: for each passed test the lines that it ran, where that was asked for.
    """

    verdict: str
    by: str = ""
    why: str = ""
    passed: tuple[Test, ...] = ()
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    @property
    def killed(self) -> bool:
        """Whether a test noticed."""
        return self.verdict in {"red", "cpu", "idle", "ended"}

    def followed_by(self, other: Outcome) -> Outcome:
        """Return what both made of it, the other after this one noticed nothing."""
        return replace(other, passed=(*self.passed, *other.passed))


def outcome(reply: dict[str, Any]) -> Outcome:
    """Read what a process reported."""
    return Outcome(
        reply.get("verdict", "fault"),
        reply.get("by", ""),
        reply.get("why", ""),
        tuple(Test(name, seconds) for name, seconds in reply.get("passed", ())),
        reply.get("lines", {}),
    )
