"""The members' guides: each question that they show is admitted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rooms import bind
from test_corpus import MADE

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("language", ["fr", "en"])
def test_each_question_of_the_guide_is_admitted(language: str) -> None:
    text = (DOCS / f"members.{language}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"test_members_sql.py[^`]*```sql\n(.*?)```", text, re.DOTALL)
    questions = [each for each in block.split(";\n") if each.strip()]
    assert len(questions) >= 9
    for sql in questions:
        assert bind(sql, None, MADE).releases
