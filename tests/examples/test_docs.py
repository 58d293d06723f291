"""The documents say what is there: each promise has its row, each path and link exists, each dependency its reason."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from cleanroom.cli.arguments import build_parser
from cleanroom.cli.command_words import command_words
from cleanroom.errors import ExitCode, Language
from cleanroom.query.refusals import MESSAGES
from examples import refusals_page

ROOT = Path(__file__).parents[2]
PROMISE = ROOT / "docs" / "privacy-promise.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_each_sentence_of_the_promise_has_one_row() -> None:
    text = PROMISE.read_text(encoding="utf-8")
    sentences = Counter(re.findall(r"^\*\*([PC]\d+)\. ", text, re.MULTILINE))
    rows = Counter(re.findall(r"^\| ([PC]\d+) \|", text, re.MULTILINE))
    assert sentences == rows
    assert set(sentences.values()) == {1}
    assert len(sentences) > 20


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_and_tests_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), target
    for path, function in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        file = ROOT / path
        assert file.exists(), path
        if function:
            defined = re.search(
                rf"((?:^@.*\n(?:^[ )].*\n)*)*)^def {function}\(", file.read_text(encoding="utf-8"), re.MULTILINE
            )
            assert defined, f"{path}::{function}"
            assert "mark.xfail" not in defined[1], f"{path}::{function} does not hold yet"


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    required = [*project["dependencies"], *(one for extra in extras for one in extra)]
    names = {re.split(r"[\s<>=!~\[;]", requirement)[0] for requirement in required}
    words = set(re.findall(r"[a-z0-9-]+", (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")))
    assert names <= words


def test_the_page_of_refusals_is_what_the_room_says() -> None:
    assert (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8") == refusals_page.page()


def test_both_guides_name_codes_that_exist() -> None:
    for language in ("fr", "en"):
        text = (ROOT / "docs" / f"members.{language}.md").read_text(encoding="utf-8")
        named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`(?=[, |])", text)) - {"theatre_fleuve", "max_rows_per_person"}
        assert named & set(MESSAGES), language
        assert named <= set(MESSAGES), language


def skeleton(page: Path) -> dict[str, object]:
    """Return what a page and its translation share: levels of headings, commands, rows, links, how many codes."""
    text = page.read_text(encoding="utf-8")
    commands = [shlex.split(command, comments=True)[1:] for command in shell_commands(page) if "$" not in command]
    named = [(command_words(words)[0], [word for word in words if word.startswith("--")]) for words in commands]
    links = sorted(re.sub(r"\.(fr|en)\.md", ".md", link) for link in re.findall(r"\]\(([^)#\s]+)", text))
    return {
        "headings": [len(level) for level in re.findall(r"^(#+) ", text, re.MULTILINE)],
        "commands": named,
        "rows": len(re.findall(r"^\|", text, re.MULTILINE)),
        "links": links,
        "codes": len(set(re.findall(r"`-{0,2}[a-z]+(?:[_.-][a-z0-9]+)+`", text))),
    }


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("auditors.fr", "auditors"),
        ("linkage.fr", "linkage"),
        ("members.fr", "members.en"),
        ("observatoire.fr", "observatoire.en"),
    ],
)
def test_a_guide_holds_the_same_in_both_languages(french: str, english: str) -> None:
    assert skeleton(ROOT / "docs" / f"{french}.md") == skeleton(ROOT / "docs" / f"{english}.md")


def test_the_first_decision_lists_all_the_others() -> None:
    first, *others = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\)", first.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(path.name[:4], path.name) for path in others]


def test_exit_codes_are_documented() -> None:
    text = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d) \|", text, re.MULTILINE)}
    assert documented == {int(code) for code in ExitCode}


def test_commands_of_the_guides_exist() -> None:
    """Each `cleanroom …` line of a shell block starts with a command that the help lists."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cleanroom"), "--lang", "en", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    known = set(re.findall(r"^    ([a-z][a-z-]*(?: [a-z]+)?)(?:  |$)", done.stdout, re.MULTILINE))
    used = set()
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            used |= set(
                re.findall(
                    r"^cleanroom ([a-z][a-z-]*(?: (?:add|new|list|show|verify|export|ask|give|take))?)\b",
                    block,
                    re.MULTILINE,
                )
            )
    assert {"init", "party add", "log verify"} <= used
    assert used <= known


def shell_commands(page: Path) -> list[str]:
    """Return the `cleanroom …` commands of a page's shell blocks, without what feeds them and where they write."""
    commands = []
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if found := re.search(r"(?:^|\| )(cleanroom .*)", line):
                commands.append(found[1])
    return commands


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_options_of_the_commands_exist(page: Path) -> None:
    parser = build_parser(Language.EN)
    for command in shell_commands(page):
        words = shlex.split(command, comments=True)
        words = words[: next((at for at, word in enumerate(words) if word in {"<", ">", "|", ";", "&&"}), len(words))]
        if "$" not in command:
            named = ["0" * 32 if word in {"UPLOAD", "DEPOT"} else word for word in words[1:]]
            parser.parse_args(command_words(named))
