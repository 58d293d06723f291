"""Texts in terms, as DuckDB computes them (`letters`).

Over a category every result is known at admission: a look-up among as many values, public and complete. Over a text
without a domain only what `language` has a node for is admitted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from cleanroom.catalog.columns import LARGEST_DOMAIN
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import letters
from cleanroom.query.terms.language import (
    Choice,
    Compared,
    Comparing,
    Flag,
    Integer,
    Length,
    Like,
    LookUp,
    Lower,
    Missing,
    OneOf,
    Plus,
    Substring,
    Times,
    Trim,
    Upper,
    Word,
)
from cleanroom.query.terms.operands import derived, is_null, nothing, unfit
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import LONGEST_TEXT, BooleanType, CategoryType, NumberType, TextType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.errors import Refusal
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.operands import Operand

MOST_CHARACTERS: Final = 1_000_000
"""Characters that all values of a derived category have together."""


class Place(Enum):
    """Where a text is looked for in another."""

    START = "starts_with"
    ANYWHERE = "contains"
    END = "ends_with"


@dataclass(frozen=True, slots=True)
class _Words:
    """A text with a public domain."""

    value: Typed
    domain: tuple[str, ...]
    nullable: bool


def as_text(function: str, value: Operand) -> Typed | Refusal:
    """Return a category, also for a text constant, or a text; or why it is neither."""
    if isinstance(value, Typed):
        return value if isinstance(value.type, (CategoryType, TextType)) else unfit(function, value)
    if not isinstance(value.value, str):
        return unfit(function, value)
    return Typed(Integer(0), CategoryType((value.value,), nullable=False), position=value.position)


def constant_text(value: Operand) -> str | None:
    """Return the text that a term is on every row, if it is a constant."""
    if isinstance(value, Constant):
        return value.value if isinstance(value.value, str) else None
    if isinstance(value.type, CategoryType) and isinstance(value.term, Integer) and not value.type.nullable:
        return value.type.domain[value.term.value]
    return None


def _words(value: Typed) -> _Words | None:
    kind = value.type
    return _Words(value, kind.domain, kind.nullable) if isinstance(kind, CategoryType) else None


def _mapped(words: _Words, made: Sequence[str], term: Term, values: Sequence[Operand]) -> Typed | Refusal:
    """Return the category of `made[code]`, each text once."""
    domain = tuple(dict.fromkeys(made))
    if len(domain) > LARGEST_DOMAIN:
        return refusal("domain_too_large", words.value.position, limit=LARGEST_DOMAIN)
    if sum(len(each) for each in domain) > MOST_CHARACTERS or any(len(each) > LONGEST_TEXT for each in domain):
        return refusal("text_value_too_long", words.value.position, limit=LONGEST_TEXT)
    kind = CategoryType(domain, words.nullable)
    if tuple(made) == domain:
        return derived(term, kind, values)
    places = {each: place for place, each in enumerate(domain)}
    if isinstance(term, Integer):
        return derived(Integer(places[made[term.value]]), kind, values)
    return derived(LookUp(term, 0, tuple(places[each] for each in made)), kind, values)


def _each(
    function: str, value: Operand, on_word: Callable[[str], str], on_text: Callable[[Term], Term] | None
) -> Typed | Refusal:
    if is_null(value):
        return nothing(value)
    text = as_text(function, value)
    if not isinstance(text, Typed):
        return text
    words = _words(text)
    if words is not None:
        return _mapped(words, [on_word(each) for each in words.domain], text.term, (text,))
    if on_text is None:
        return unfit(function, text)
    return derived(on_text(text.term), text.type, (text,))


def lower(value: Operand) -> Typed | Refusal:
    """Return a text in lower case."""
    return _each("lower", value, letters.lower, Lower)


def upper(value: Operand) -> Typed | Refusal:
    """Return a text in upper case."""
    return _each("upper", value, letters.upper, Upper)


def trim(value: Operand, *, left: bool = True, right: bool = True) -> Typed | Refusal:
    """Return a text without spaces at its ends; a text without a domain at both only."""
    name = "trim" if left and right else "ltrim" if left else "rtrim"
    return _each(name, value, lambda word: letters.trim(word, left=left, right=right), Trim if left and right else None)


def substring(value: Operand, start: int, length: int | None) -> Typed | Refusal:
    """Return `length` characters from number `start`, counted from 1; None: all that follow.

    A place below 1 or a length below 0 has a meaning of DuckDB's own, and is refused.
    """
    if start < 1 or (length is not None and length < 0):
        hint = ("substring(texte, 1, 3)", "substring(text, 1, 3)")
        return refusal("not_admitted", value.position, hint=hint, what=f"substring(…, {start}, …)")
    within = min(start, LONGEST_TEXT + 1)
    size = length if length is None else min(length, LONGEST_TEXT)
    return _each(
        "substring",
        value,
        lambda word: letters.substring(word, within, size),
        lambda text: Substring(text, within, size),
    )


def left(value: Operand, length: int) -> Typed | Refusal:
    """Return the first characters; for a length below 0 all but so many of the last, of a category."""
    if length >= 0:
        return substring(value, 1, length)
    return _each("left", value, lambda word: word[:length], None)


def right(value: Operand, length: int) -> Typed | Refusal:
    """Return the last characters of a category; for a length below 0 all but so many of the first."""
    return _each("right", value, lambda word: word[-length:] if length else "", None)


def replaced(value: Operand, old: str, new: str) -> Typed | Refusal:
    """Return a category with one text put for another; nothing is put for the empty one."""
    if max(len(old), len(new)) > LONGEST_TEXT:
        return refusal("text_value_too_long", value.position, limit=LONGEST_TEXT)
    return _each("replace", value, lambda word: word.replace(old, new) if old else word, None)


def length(value: Operand) -> Typed | Refusal:
    """Return how many characters a text has."""
    if is_null(value):
        return nothing(value)
    text = as_text("length", value)
    if not isinstance(text, Typed):
        return text
    words = _words(text)
    if words is None:
        kind = NumberType.between(0, LONGEST_TEXT, nullable=text.type.nullable)
        return derived(Length(text.term), kind, (text,))
    sizes = [len(each) for each in words.domain]
    kind = NumberType.between(min(sizes), max(sizes), nullable=words.nullable)
    return derived(LookUp(text.term, 0, tuple(sizes)), kind, (text,))


def position(value: Operand, sought: Operand) -> Typed | Refusal:
    """Return where a constant text first stands in a category, counted from 1; 0 for nowhere."""
    if is_null(value) or is_null(sought):
        return nothing(value, sought)
    word = constant_text(sought)
    text = as_text("strpos", value)
    if word is None or not isinstance(text, Typed):
        return unfit("strpos", sought, hint=("strpos(…, 'a')", "strpos(…, 'a')")) if word is None else text
    words = _words(text)
    if words is None:
        return unfit("strpos", text, hint=("contains(…, 'a')", "contains(…, 'a')"))
    places = [each.find(word) + 1 for each in words.domain]
    kind = NumberType.between(min(places), max(places), nullable=words.nullable)
    return derived(LookUp(text.term, 0, tuple(places)), kind, (text,))


def concatenated(first: Operand, second: Operand) -> Typed | Refusal:
    """Return two categories one after the other; NULL if either is, as `||` does."""
    if is_null(first) or is_null(second):
        return nothing(first, second)
    sides = []
    for value in (first, second):
        text = as_text("||", value)
        if not isinstance(text, Typed):
            return text
        words = _words(text)
        if words is None:
            return unfit("||", text)
        sides.append(words)
    one, two = sides
    if len(one.domain) * len(two.domain) > LARGEST_DOMAIN:
        return refusal("domain_too_large", one.value.position, limit=LARGEST_DOMAIN)
    longest = max(map(len, one.domain)) + max(map(len, two.domain))
    if longest * len(one.domain) * len(two.domain) > MOST_CHARACTERS or longest > LONGEST_TEXT:
        return refusal("text_value_too_long", one.value.position, limit=LONGEST_TEXT)
    made = [a + b for a in one.domain for b in two.domain]
    both = _Words(one.value, (), one.nullable or two.nullable)
    return _mapped(both, made, _pair(one.value.term, two.value.term, len(two.domain)), (one.value, two.value))


def _pair(first: Term, second: Term, width: int) -> Term:
    if isinstance(first, Integer) and isinstance(second, Integer):
        return Integer(first.value * width + second.value)
    return Plus(Times(first, Integer(width)), second)


def present(value: Operand) -> Typed | Refusal:
    """Return a category with the empty text for NULL, as `concat` reads it."""
    if is_null(value):
        return Typed(Integer(0), CategoryType(("",), nullable=False), position=value.position)
    text = as_text("concat", value)
    if not isinstance(text, Typed):
        return text
    words = _words(text)
    if words is None:
        return unfit("concat", text)
    if isinstance(text.term, Integer):
        return text
    # Any column can hold NULL (S7), declared or not: the empty text is a value in every case.
    domain = words.domain if "" in words.domain else (*words.domain, "")
    term = Choice(((Missing(text.term), Integer(domain.index(""))),), text.term)
    return replace(text, term=term, type=CategoryType(domain, nullable=False))


def like(value: Operand, pattern: Operand, *, ignore_case: bool) -> Typed | Refusal:
    """Return whether a text matches a constant pattern of LIKE or, without regard to case, of ILIKE."""
    name = "ILIKE" if ignore_case else "LIKE"
    if is_null(value) or is_null(pattern):
        return derived(Flag(None), BooleanType(nullable=True), (value, pattern), compares=True)
    written = constant_text(pattern)
    if written is None:
        hint = (f"{name} 'a%'", f"{name} 'a%'")
        return unfit(name, pattern, hint=hint)
    if len(written) > LONGEST_TEXT:
        return refusal("text_value_too_long", pattern.position, limit=LONGEST_TEXT)
    matcher = letters.like(written, ignore_case=ignore_case)
    return _tested(name, value, matcher.matches, lambda text: Like(text, written, ignore_case))


def found(value: Operand, sought: Operand, place: Place) -> Typed | Refusal:
    """Return whether a constant text stands at the start, at the end or anywhere in a text."""
    if is_null(value) or is_null(sought):
        return derived(Flag(None), BooleanType(nullable=True), (value, sought), compares=True)
    word = constant_text(sought)
    if word is None:
        return unfit(place.value, sought, hint=(f"{place.value}(…, 'a')", f"{place.value}(…, 'a')"))
    if len(word) > LONGEST_TEXT:
        return refusal("text_value_too_long", sought.position, limit=LONGEST_TEXT)
    tests: dict[Place, Callable[[str], bool]] = {
        Place.START: lambda text: text.startswith(word),
        Place.ANYWHERE: lambda text: word in text,
        Place.END: lambda text: text.endswith(word),
    }
    patterns = {Place.ANYWHERE: f"%{word}%", Place.END: f"%{word}"}

    def on_text(text: Term) -> Term | None:
        if place is Place.START:
            return Compared(Comparing.EQUAL, Substring(text, 1, len(word)), Word(word))
        # A pattern has no escape: what holds its two signs cannot be written as one.
        return None if {"%", "_"} & set(word) else Like(text, patterns[place], ignore_case=False)

    return _tested(place.value, value, tests[place], on_text)


def _tested(
    function: str, value: Operand, test: Callable[[str], bool], on_text: Callable[[Term], Term | None]
) -> Typed | Refusal:
    text = as_text(function, value)
    if not isinstance(text, Typed):
        return text
    words = _words(text)
    if words is None:
        made = on_text(text.term)
        if made is None:
            return unfit(f"{function}(…, '…%…_…')", text, hint=("LIKE '…'", "LIKE '…'"))
        return derived(made, BooleanType(text.type.nullable), (text,), compares=True)
    places = tuple(place for place, word in enumerate(words.domain) if test(word))
    if isinstance(text.term, Integer):
        return derived(Flag(text.term.value in places), BooleanType(nullable=False), (text,))
    # A code of no value: false for every text, and NULL for NULL.
    return derived(OneOf(text.term, places or (-1,)), BooleanType(words.nullable), (text,), compares=True)
