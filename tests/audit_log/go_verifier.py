"""Build and run tests/audit_log/go: a verifier that shares no code, language or author with the library."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "go"
LIBRARIES = Path("/usr/share/gocode")  # where Debian puts golang-golang-x-mod-dev


def missing():
    """Return why the Go verifier cannot be built here; "" if it can."""
    if shutil.which("go") is None:
        return "Go is not installed"
    if not (LIBRARIES / "src" / "golang.org" / "x" / "mod" / "sumdb" / "tlog").is_dir():
        return "golang.org/x/mod is not installed (golang-golang-x-mod-dev)"
    return ""


@functools.cache
def built():
    """Build it, once in a process; nothing is fetched."""
    place = Path(tempfile.mkdtemp(prefix="audit-log-go-"))
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(LIBRARIES),
        "GOFLAGS": "",
        "GOCACHE": str(place / "cache"),
        "CGO_ENABLED": "0",
    }
    subprocess.run(
        ["go", "build", "-o", str(place / "verify"), "."],  # noqa: S607
        cwd=SOURCE,
        env=environment,
        check=True,
        capture_output=True,
    )
    shutil.rmtree(place / "cache", ignore_errors=True)
    return place / "verify"


def go_says(*arguments):
    """Return (accepted, what it printed)."""
    ended = subprocess.run([built(), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode in {0, 1}, ended.stderr
    return ended.returncode == 0, (ended.stdout or ended.stderr).strip()
