"""Say aloud, at the end of a run, when the independent verifier in Go could not take part."""

from go_verifier import missing


def pytest_terminal_summary(terminalreporter):
    reason = missing()
    if reason:
        terminalreporter.section("the independent verifier in Go was NOT run", sep="!", red=True, bold=True)
        terminalreporter.line(f"{reason}: the log was checked by the oracle in Python only.")
        terminalreporter.line("On Debian: apt-get install golang-go golang-golang-x-mod-dev")
