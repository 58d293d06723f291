"""Find the command in the words given, before they are parsed: some have two words, some an option makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SEVERAL_WORDS: Final = frozenset(
    {
        ("party", "add"),
        ("party", "key"),
        ("party", "new"),
        ("linkage", "ask"),
        ("linkage", "give"),
        ("linkage", "take"),
        ("log", "cosign"),
        ("log", "export"),
        ("log", "key"),
        ("log", "mandate", "give"),
        ("log", "mandate", "list"),
        ("log", "mandate", "sign"),
        ("log", "mandate", "take"),
        ("log", "mandate", "withdraw"),
        ("log", "read"),
        ("log", "register", "access"),
        ("log", "register", "check"),
        ("log", "retention"),
        ("log", "serve"),
        ("log", "verify"),
        ("log", "watch"),
        ("log", "witness"),
        ("log", "witnesses"),
        ("reference", "add"),
        ("reference", "list"),
        ("reference", "show"),
    }
)
"""Commands of several words; `cleanroom log ./verify` reads the log of a room that is called so."""


def command_words(arguments: Sequence[str]) -> list[str]:
    """Join the words of a command into one argument; `upload` from home and again are commands of their own."""
    for words in (3, 2):
        if tuple(arguments[:words]) in SEVERAL_WORDS:
            return [" ".join(arguments[:words]), *arguments[words:]]
    options = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    if arguments[:1] == ["declare"] and any(each.split("=")[0] == "--preset" for each in options):
        asks = any(each in {"-h", "--help"} for each in options)
        return ["declare --preset", "--help"] if asks else ["declare --preset", *arguments[1:]]
    if arguments[:1] == ["declare"] and any(each.split("=")[0] == "--draft" for each in options):
        asks = any(each in {"-h", "--help"} for each in options)
        rest = arguments[1:] if "--" in arguments else _positions_first(arguments[1:], _DRAFTING)
        return ["declare --draft", "--help"] if asks else ["declare --draft", *rest]
    if arguments[:1] == ["declare"] and any(each.split("=")[0] in {"--package", "--vkey"} for each in options):
        asks = any(each in {"-h", "--help"} for each in options)
        return ["declare --package", "--help"] if asks else ["declare --package", *arguments[1:]]
    if arguments[:1] == ["upload"] and "--resume" in options:
        return ["upload --resume", *(each for each in arguments[1:] if each != "--resume")]
    if arguments[:1] == ["upload"] and any(each.split("=")[0] == "--facts" for each in options):
        asks = any(each in {"-h", "--help"} for each in options)
        return ["upload --facts", "--help"] if asks else ["upload --facts", *arguments[1:]]
    if arguments[:1] == ["uploads"] and "--" not in arguments:
        return ["uploads", *_positions_first(arguments[1:], {"--as", "--format"})]
    if arguments[:1] == ["erase"]:
        return _erase(arguments[1:], options)
    return list(arguments)


_DRAFTING: Final = frozenset(
    {"--draft", "--table", "--output", "--encoding", "--delimiter", "--dates", "--decimal", "--sheet", "--map"}
)
_ERASING: Final = frozenset({"--as", "--facts", "--from", "--ground", "--kind", "--operator-key", "--order"})


def _erase(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    asks = any(each in {"-h", "--help"} for each in options)
    if "--take" in options:
        return ["erase --take", *(each for each in arguments if each != "--take")]
    name = "erase --facts" if any(each.split("=")[0] == "--facts" for each in options) else "erase"
    if asks:
        return [name, "--help"]
    return [name, *(arguments if "--" in arguments else _positions_first(arguments, _ERASING))]


def _positions_first(arguments: Sequence[str], with_value: Collection[str]) -> list[str]:
    """Put what has no name before the options: argparse takes an argument that may be left out at its first chance."""
    positions: list[str] = []
    options: list[str] = []
    for at, each in enumerate(arguments):
        valued = at > 0 and arguments[at - 1] in with_value
        (options if valued or each.startswith("-") else positions).append(each)
    return [*positions, *options]
