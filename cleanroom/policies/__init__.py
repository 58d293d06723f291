"""What is allowed: analysis rules, budgets, purposes, and the files that say so. Pure."""

from cleanroom.policies.preset import Preset, preset_file
from cleanroom.policies.reader import read_declaration, read_settings
from cleanroom.policies.rule import (
    Analysis,
    AnalysisRule,
    BudgetTerms,
    Declaration,
    Dimension,
    Function,
    PartyTerms,
    RoomSettings,
    SpendingWindow,
)

__all__ = [
    "Analysis",
    "AnalysisRule",
    "BudgetTerms",
    "Declaration",
    "Dimension",
    "Function",
    "PartyTerms",
    "Preset",
    "RoomSettings",
    "SpendingWindow",
    "preset_file",
    "read_declaration",
    "read_settings",
]
