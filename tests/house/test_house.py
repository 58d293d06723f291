"""The house rules that a machine can see: contracts, sizes, names, no machine's paths, locked requirements."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cleanroom", "key_management", "audit_log")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)  # noqa: S607
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_import_contracts_hold() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


def test_files_are_short() -> None:
    beside = [path for name in ("tests", "bench", "examples", "mutation") for path in (ROOT / name).rglob("*.py")]
    # Where others' environments are made, nothing is ours.
    ours = [path for path in (*PRODUCT, *beside) if "data" not in path.relative_to(ROOT).parts]
    long = {str(path.relative_to(ROOT)) for path in ours if path.read_text("utf-8").count("\n") > 400}
    assert long == set()


def test_modules_are_called_by_what_they_are() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "handler", "common", "misc", "tools"}
    assert [path for path in PRODUCT if set(path.stem.lower().split("_")) & vague] == []
    classes = [
        (path.name, node.name)
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Handler|Processor|Helper|Util)s?$", node.name)
    ]
    assert classes == []


def test_every_public_module_class_and_function_is_documented() -> None:
    missing = []
    for path in PRODUCT:
        tree = ast.parse(path.read_text("utf-8"))
        if ast.get_docstring(tree) is None:
            missing.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            named = isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")
            if named and ast.get_docstring(node) is None:  # type: ignore[arg-type]
                missing.append(f"{path.relative_to(ROOT)}: {node.name}")  # type: ignore[attr-defined]
    assert missing == []


def test_nothing_is_left_to_do_in_comments() -> None:
    marks = re.compile(rf"\b({'TO'}DO|{'FIX'}ME|{'XX'}X|{'HA'}CK)\b")
    assert [
        str(path) for path in tracked() if path.suffix in {".py", ".toml", ".md"} and marks.search(text(path))
    ] == []


def test_no_safety_switch_in_the_environment() -> None:
    """What the guarantee rests on is not read from the environment; one variable says where keys lie."""
    read = {}
    for path in PRODUCT:
        found = set(re.findall(r"environ(?:\.get)?[\(\[]\s*[\"'](\w+)", path.read_text("utf-8")))
        read.update(dict.fromkeys(found, path.name))
    assert set(read) <= {
        "CLEANROOM_HOME",
        "NO_COLOR",
        "LANG",
        "LC_ALL",
        "LC_MESSAGES",
        "COLUMNS",
        "CLEANROOM_LANG",
        "CLEANROOM_DEBUG",
    }


def text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_machine_and_no_index_is_named() -> None:
    places = re.compile(r"(?<![\w.])/(?:home|Users|root|work|private|mnt)/\w+|\b[A-Z]:\\\\\w+")
    indexes = re.compile(rf"{'index'}-url\s*=|--{'extra'}-index-url\s+\S|{'trusted'}-host|file:///")
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in tracked()
        for found in [places.search(text(path)) or indexes.search(text(path))]
        if found and path != Path(__file__)
    ]
    assert named == []


def test_every_requirement_is_locked_with_its_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "index-url" not in lock
    assert "find-links" not in lock
    assert "://" not in lock
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE).strip())
    assert len(entries) > 20
    for entry in entries:
        name = entry.split()[0]
        assert re.match(r"[A-Za-z0-9._\-\[\]]+==\S+", name), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), name
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    wanted = set(re.findall(r'^  "([a-z0-9\-]+)[>=<]', project, flags=re.MULTILINE))
    locked = {re.split(r"[=\[]", entry)[0].lower() for entry in entries}
    assert {name for name in wanted if name.lower() not in locked} == set()


@pytest.mark.parametrize(
    "module",
    [
        *("cleanroom", "cleanroom.client", "cleanroom.policies", "key_management", "audit_log"),
        *("cleanroom.cli.log_verification", "cleanroom.cli.log_watch", "cleanroom.cli.log_services"),
    ],
)
def test_a_members_machine_loads_no_engine(module: str) -> None:
    heavy = ("duckdb", "opendp", "sqlglot", "numba", "pandas", "Crypto")
    program = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_no_module_of_ours_is_a_giant_function() -> None:
    longest = {
        f"{path.relative_to(ROOT)}: {node.name}": (node.end_lineno or node.lineno) - node.lineno
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name for name, lines in longest.items() if lines > 120} == set()
