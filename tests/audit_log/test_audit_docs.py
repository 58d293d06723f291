"""The specification names everything that can stand in a log or a verdict, and nothing that cannot."""

import re
from dataclasses import fields
from pathlib import Path

from audit_log import Event, EventType, Finding, Outcome, Retention
from audit_log.entry import LEAF_BYTES, MAX_PARTIES
from audit_log.tables import SCHEMA

TEXT = (Path(__file__).parents[2] / "docs" / "spec" / "log.md").read_text(encoding="utf-8")


def test_everything_is_documented():
    names = [each.value for closed in (EventType, Finding, Outcome, Retention) for each in closed]
    names += [each.name for each in fields(Event)]
    names += [table for statement in SCHEMA for table in re.findall(r"CREATE TABLE (\w+)", statement)]
    assert [name for name in names if f"`{name}`" not in TEXT] == []
    assert f"exactly {LEAF_BYTES} bytes" in TEXT
    assert f"{MAX_PARTIES} bits" in TEXT


def test_no_event_is_documented_that_does_not_exist():
    section = TEXT.split("### Types")[1].split("## Details")[0]
    assert set(re.findall(r"`([a-z]+\.[a-z]+)`", section)) == {each.value for each in EventType}
