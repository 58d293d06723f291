"""What the tests of the log share; and say aloud, at the end of a run, when the independent verifier took no part."""

import pytest
from go_verifier import missing
from witness_samples import place, witness
from writer_samples import log

__all__ = ["log", "place", "witness"]


@pytest.fixture
def db(tmp_path):
    return tmp_path / "room.db"


def pytest_terminal_summary(terminalreporter):
    reason = missing()
    if reason:
        terminalreporter.section("the independent verifier in Go was NOT run", sep="!", red=True, bold=True)
        terminalreporter.line(f"{reason}: the log was checked by the oracle in Python only.")
        terminalreporter.line("On Debian: apt-get install golang-go golang-golang-x-mod-dev")
