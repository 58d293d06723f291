"""What a room says of its processing beside its rules: who answers for it, on which legal ground each purpose stands.

It is what registers of Loi 25 and of the RGPD (article 30) ask for and no log can know. It decides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.catalog.strict_yaml import Mapping, expect_mapping, expect_scalar
from cleanroom.errors import Bilingual, InvalidDeclaration

if TYPE_CHECKING:
    from collections.abc import Collection

    from cleanroom.catalog.strict_yaml import Node
    from cleanroom.identifiers import Purpose

_LEGAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,31}", re.ASCII)
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Ground:
    """A purpose as a register says it.

    Args:
        legal: the code of its legal ground, such as `qc-12` or `gdpr-6-1-f`.
        text: the purpose in words.
    """

    purpose: Purpose
    legal: str
    text: str


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """What the room says of its processing.

    Args:
        controller: who answers for it.
        officer: the person in charge of the protection of personal information.
    """

    controller: str = ""
    officer: str = ""
    grounds: tuple[Ground, ...] = ()

    def ground(self, purpose: str) -> Ground | None:
        """Return what is said of a purpose, None if nothing is."""
        return next((each for each in self.grounds if each.purpose == purpose), None)


def read_record(node: Node, purposes: Collection[Purpose]) -> ProcessingRecord:
    """Read the `register` of a room's settings.

    Raises:
        InvalidDeclaration: with the line; also for a purpose that is not the room's.
    """
    mapping = expect_mapping(node)
    mapping.only("controller", "officer", "purposes")
    said = mapping.get("purposes")
    grounds = () if said is None else tuple(_ground(each, expect_mapping(said), purposes) for each in _names(said))
    return ProcessingRecord(_text(mapping, "controller"), _text(mapping, "officer"), grounds)


def _names(node: Node) -> tuple[str, ...]:
    return tuple(name for name, _ in expect_mapping(node).entries)


def _ground(name: str, said: Mapping, purposes: Collection[Purpose]) -> Ground:
    known = next((each for each in purposes if each == name), None)
    if known is None:
        raise _wrong(said, f"{name!r} n'est pas un but de la salle", f"{name!r} is no purpose of the room")
    of = expect_mapping(said.required(name))
    of.only("legal", "text")
    legal = _text(of, "legal")
    if legal and _LEGAL.fullmatch(legal) is None:
        raise _wrong(
            of,
            "une base légale est un code de 1 à 32 lettres, chiffres, : . _ / -",
            "a legal ground is a code of 1 to 32 letters, digits, : . _ / -",
        )
    return Ground(known, legal, _text(of, "text"))


def _text(mapping: Mapping, key: str) -> str:
    node = mapping.get(key)
    if node is None:
        return ""
    scalar = expect_scalar(node)
    if not 1 <= len(scalar.text) <= _LONGEST or not scalar.text.isprintable():
        raise _wrong(
            scalar, f"« {key} » se dit en 1 à {_LONGEST} caractères", f"{key!r} is said in 1 to {_LONGEST} characters"
        )
    return scalar.text


def _wrong(node: Node, fr: str, en: str) -> InvalidDeclaration:
    return InvalidDeclaration(Bilingual(fr, en), line=node.line)
