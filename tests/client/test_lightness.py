"""A member's machine has no engine: the client imports none, nor pandas."""

from __future__ import annotations

import subprocess
import sys


def test_the_client_imports_no_engine() -> None:
    program = (
        "import sys, cleanroom.client\n"
        "print([name for name in ('duckdb', 'opendp', 'sqlglot', 'numba', 'pandas', 'Crypto') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
