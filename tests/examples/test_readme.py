"""The README's first question works as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_first_question_in_five_minutes(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- tests/examples/test_readme.py [^\n]*-->\n```sh\n(.*?)```", text, re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
    # The Python block follows in the same terminal, and shows what it names.
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "same.py").write_text(f"{code}\n    print('free:', {{float(each.rho) for each in answer.cost}})\n")
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", f"{block}\npython same.py"],
        cwd=tmp_path,
        env={**inherited, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "±" in done.stdout or "+/-" in done.stdout
    assert "Everything agrees" in done.stdout
    assert "free: {0.0}" in done.stdout
    assert list((tmp_path / "trial" / "keys" / "rooms").glob("*/root.key"))
