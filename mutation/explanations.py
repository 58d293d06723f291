"""Why mutants that no test notices are left: `mutation/survivors.yaml`, kept true by a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

from mutation.scope import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from mutation.mutants import Mutant
    from mutation.scope import Scope

FILE: Final = ROOT / "mutation" / "survivors.yaml"
Explanations = dict[tuple[str, str, str], str]


def explanations(file: Path = FILE) -> Explanations:
    """Read the file: module, then definition, then change, then the reason."""
    if not file.exists():
        return {}
    tree = yaml.safe_load(file.read_text("utf-8")) or {}
    return {
        (module, within, change): " ".join(reason.split())
        for module, definitions in tree.items()
        for within, changes in definitions.items()
        for change, reason in changes.items()
    }


def explained(mutant: Mutant, reasons: Explanations) -> str | None:
    """Return the reason why a mutant may survive."""
    return reasons.get(mutant.identity)


def stale(scope: Scope, reasons: Explanations) -> list[str]:
    """Return what is wrong with the file: entries for which the source has no mutant any more, or without a reason."""
    wrong = []
    for (module, within, change), reason in reasons.items():
        known = {mutant.identity for mutant in scope.mutants(module)} if module in scope.modules else set()
        if (module, within, change) not in known:
            wrong.append(f"{module} {within}: {change}: no such mutant")
        elif len(reason) < 20:
            wrong.append(f"{module} {within}: {change}: no reason")
    return wrong
