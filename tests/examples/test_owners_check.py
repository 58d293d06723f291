"""The members' guides: an owner tests rules in continuous integration, as the guides show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from examples.cooperative import declaration

DOCS = Path(__file__).parents[2] / "docs"
OWNERS = ("theatre_fleuve", "nuits_claires")


def shown(language: str) -> tuple[str, str, str]:
    """Return the commands, the questions to be admitted and those to be refused."""
    text = (DOCS / f"members.{language}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"test_owners_check.py[^\n]*-->\n```sh\n(.*?)```", text, re.DOTALL)
    admitted, refused = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return block, admitted, refused


def run(directory: Path, block: str, *, rule: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess[str]:
    for owner in OWNERS:
        content = declaration(owner)
        assert rule[0] in content
        (directory / f"{owner}.visits.yaml").write_text(content.replace(*rule), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
    return subprocess.run(
        ["/bin/sh", "-e", "-c", block],
        cwd=directory,
        env={**inherited, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_both_guides_show_the_same() -> None:
    assert shown("fr") == shown("en")


def test_rules_as_signed_pass_and_a_looser_one_does_not(tmp_path: Path) -> None:
    block, admitted, refused = shown("en")
    for name in ("signed", "looser"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "admitted.jsonl").write_text(admitted, encoding="utf-8")
        (directory / "refused.jsonl").write_text(refused, encoding="utf-8")
    passed = run(tmp_path / "signed", block)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert passed.stdout.count('"admitted": false') == len(refused.splitlines())
    looser = ("functions: [count_persons, count_rows]", "functions: [count_persons, count_rows, sum]")
    stopped = run(tmp_path / "looser", block, rule=looser)
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
