"""Load the profile of Hypothesis before any test is read."""

from __future__ import annotations

import searches  # noqa: F401
