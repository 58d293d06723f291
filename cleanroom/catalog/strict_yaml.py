"""Read a strict subset of YAML: no anchors, no aliases, no tags, no duplicate keys, one document.

PyYAML parses; nothing is constructed from it. Scalars stay text until a reader asks for a type, so `no`
never becomes False by surprise and numbers are exact decimals (DESIGN §9).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import yaml

from cleanroom.errors import Bilingual, InvalidDeclaration

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 16
_OPENS: Final = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_CLOSES: Final = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as written, and whether it was quoted."""

    text: str
    quoted: bool
    line: int

    def as_text(self) -> str:
        """Return the text."""
        return self.text

    def as_integer(self) -> int:
        """Return an unquoted integer, else raise `InvalidDeclaration`."""
        if self.quoted or _INTEGER.fullmatch(self.text) is None:
            raise _wrong(self.line, f"{self.text!r} n'est pas un nombre entier", f"{self.text!r} is not an integer")
        return int(self.text)

    def as_decimal(self) -> Decimal:
        """Return an unquoted number as an exact decimal, else raise `InvalidDeclaration`."""
        if self.quoted or _NUMBER.fullmatch(self.text) is None:
            raise _wrong(self.line, f"{self.text!r} n'est pas un nombre", f"{self.text!r} is not a number")
        return Decimal(self.text)

    def as_boolean(self) -> bool:
        """Return `true` or `false`, else raise `InvalidDeclaration`."""
        if self.quoted or self.text not in {"true", "false"}:
            raise _wrong(self.line, f"{self.text!r} n'est ni true ni false", f"{self.text!r} is neither true nor false")
        return self.text == "true"

    def as_date(self) -> date:
        """Return an ISO date, else raise `InvalidDeclaration`."""
        try:
            if _DATE.fullmatch(self.text) is None:
                raise ValueError
            return date.fromisoformat(self.text)
        except ValueError:
            raise _wrong(
                self.line, f"{self.text!r} n'est pas une date AAAA-MM-JJ", f"{self.text!r} is not a date YYYY-MM-DD"
            ) from None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    line: int

    def scalars(self) -> tuple[Scalar, ...]:
        """Return the items if all are scalars, else raise `InvalidDeclaration`."""
        return tuple(expect_scalar(item) for item in self.items)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and nodes, in the order written; keys are unique."""

    entries: tuple[tuple[str, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        """Return the node under `key`, or None."""
        for name, node in self.entries:
            if name == key:
                return node
        return None

    def required(self, key: str) -> Node:
        """Return the node under `key`, else raise `InvalidDeclaration`."""
        node = self.get(key)
        if node is None:
            raise _wrong(self.line, f"il manque « {key} »", f"{key!r} is missing")
        return node

    def only(self, *known: str) -> None:
        """Raise `InvalidDeclaration` at the first key that is not one of `known`."""
        for name, node in self.entries:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                fr = f" (vouliez-vous dire « {near[0]} » ?)" if near else f" (connus : {', '.join(known)})"
                en = f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"
                raise _wrong(node.line, f"clé inconnue « {name} »{fr}", f"unknown key {name!r}{en}")


Node = Scalar | Sequence | Mapping


def parse(content: bytes) -> Mapping:
    """Read one mapping from UTF-8 YAML.

    Raises:
        InvalidDeclaration: not UTF-8, over 1 MiB, not YAML, or outside the subset; with its line.
    """
    if len(content) > MAX_BYTES:
        raise _wrong(1, "fichier de plus de 1 Mio", "file over 1 MiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _wrong(line, "le fichier n'est pas en UTF-8", "the file is not UTF-8") from None
    try:
        _refuse_references(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line + 1) if error.problem_mark is not None else 1
        raise _wrong(line, f"YAML illisible ({error.problem})", f"unreadable YAML ({error.problem})") from None
    except (yaml.YAMLError, RecursionError):
        raise _wrong(1, "YAML illisible", "unreadable YAML") from None
    if root is None:
        raise _wrong(1, "le fichier est vide", "the file is empty")
    return expect_mapping(_convert(root, depth=0))


def expect_scalar(node: Node) -> Scalar:
    """Return `node` if it is one value, else raise `InvalidDeclaration`."""
    if not isinstance(node, Scalar):
        raise _wrong(node.line, "une seule valeur est attendue ici", "a single value is expected here")
    return node


def expect_sequence(node: Node) -> Sequence:
    """Return `node` if it is a list, else raise `InvalidDeclaration`."""
    if not isinstance(node, Sequence):
        raise _wrong(node.line, "une liste [a, b] est attendue ici", "a list [a, b] is expected here")
    return node


def expect_mapping(node: Node) -> Mapping:
    """Return `node` if it is a mapping, else raise `InvalidDeclaration`."""
    if not isinstance(node, Mapping):
        raise _wrong(node.line, "des paires « clé: valeur » sont attendues ici", "'key: value' pairs are expected here")
    return node


def _refuse_references(text: str) -> None:
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
        if depth > MAX_DEPTH:
            raise _wrong(token.start_mark.line + 1, "trop de niveaux", "too many levels")
        if isinstance(token, (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken, yaml.DirectiveToken)):
            raise _wrong(
                token.start_mark.line + 1,
                "les ancres, alias, étiquettes et directives YAML ne sont pas admis",
                "YAML anchors, aliases, tags and directives are not admitted",
            )


def _convert(node: yaml.Node, *, depth: int) -> Node:
    line = node.start_mark.line + 1
    if depth > MAX_DEPTH:
        raise _wrong(line, "trop de niveaux", "too many levels")
    match node:
        case yaml.ScalarNode():
            return Scalar(str(node.value), node.style in {"'", '"', "|", ">"}, line)
        case yaml.SequenceNode():
            return Sequence(tuple(_convert(item, depth=depth + 1) for item in node.value), line)
        case yaml.MappingNode():
            entries: dict[str, Node] = {}
            for key_node, value_node in node.value:
                key = expect_scalar(_convert(key_node, depth=depth + 1))
                if key.text in entries:
                    raise _wrong(key.line, f"clé répétée « {key.text} »", f"duplicate key {key.text!r}")
                entries[key.text] = _convert(value_node, depth=depth + 1)
            return Mapping(tuple(entries.items()), line)
    raise _wrong(line, "YAML illisible", "unreadable YAML")


def _wrong(line: int, fr: str, en: str) -> InvalidDeclaration:
    return InvalidDeclaration(Bilingual(fr, en), line=line)
