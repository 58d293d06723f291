"""Random terms of every node over four columns, two of numbers, one of texts, one of booleans; and hostile values."""

from __future__ import annotations

import random

from cleanroom.query.terms import language as t

LARGE = 1 << 63
NUMBERS = (
    3 * 10**16, -(5 * 10**16), 10**17, 6 << 60,
    0, 1, -1, 2, -2, 3, 5, 7, -7, 10, 100, 10**9, -(10**9), 19_000, 9_999_999, 10_000_000, -9_999_999, -719_162,
    2_932_896, 1 << 60, -(1 << 60), LARGE - 1, -LARGE, LARGE // 2, -LARGE // 2, None,
)  # fmt: skip
TEXTS = (
    "", "a", "A", "ab", "É", "é", "İ", "ß", "  a ", "\u00a0b", "ΣΑΣ", "a%b", "a_b", "a\\b", "Web", "web", "x" * 1500,
    "\x00", "🤦🏼‍♂️", None,
)  # fmt: skip
FLAGS = (True, False, None)
PATTERNS = ("%", "a%", "_", "%A_", "a\\b", "É", "", "a%b", "%x%x%x%x%y", "%é%")

_CONSTANTS = tuple(number for number in NUMBERS if number is not None and abs(number) < 1 << 62)
_WORDS = tuple(text for text in TEXTS if text is not None)


class RandomTerms:
    """Terms up to a depth, drawn from a seeded source."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)

    def any_term(self, depth: int) -> t.Term:
        return self.source.choice([self.number, self.text, self.flag])(depth)

    def constant(self) -> int:
        return self.source.choice(_CONSTANTS)

    def divisor(self) -> int:
        return abs(self.constant()) or 3

    def several(self, make: str, depth: int, least: int = 1) -> tuple[t.Term, ...]:
        return tuple(getattr(self, make)(depth) for _ in range(self.source.randint(least, 3)))

    def branches(self, make: str, depth: int) -> tuple[tuple[t.Term, t.Term], ...]:
        return tuple((self.flag(depth), getattr(self, make)(depth)) for _ in range(self.source.randint(0, 2)))

    def number(self, depth: int) -> t.Term:
        pick, down = self.source.choice, depth - 1
        if depth == 0:
            return pick([t.Column(0), t.Column(1), t.Integer(self.constant()), t.Nothing()])
        match self.source.randrange(17):
            case 0:
                return t.Plus(self.number(down), self.number(down))
            case 1:
                return t.Minus(self.number(down), self.number(down))
            case 2:
                return t.Times(self.number(down), self.number(down))
            case 3:
                return t.FloorDivide(self.number(down), self.divisor())
            case 4:
                return t.Quotient(self.number(down), self.number(down), pick([1, 2, 100, 10**18]))
            case 5:
                return t.Remainder(self.number(down), self.divisor())
            case 6:
                return t.Absolute(self.number(down))
            case 7:
                return t.Sign(self.number(down))
            case 8:
                return t.Least(self.several("number", down))
            case 9:
                return t.Greatest(self.several("number", down))
            case 10:
                return t.Choice(self.branches("number", down), self.number(down))
            case 11:
                values = tuple(pick([None, 1, 2, 1 << 60]) for _ in range(self.source.randint(1, 5)))
                return t.LookUp(self.number(down), pick([0, -3, 19_000, 5, 1 << 60]), values)
            case 12:
                return t.PartOf(pick(list(t.DatePart)), self.number(down))
            case 13:
                return t.StartOf(pick(list(t.DateUnit)), self.number(down))
            case 14:
                return t.AddMonths(self.number(down), pick([0, 1, -1, 12, 25, -120_000, 120_000]))
            case 15:
                return t.PlaceOf(self.text(down), tuple(sorted({pick(_WORDS) for _ in range(3)})))
        return t.Length(self.text(down))

    def text(self, depth: int) -> t.Term:
        pick, down = self.source.choice, depth - 1
        if depth == 0:
            return pick([t.Column(2), t.Word(pick(_WORDS)), t.Nothing(text=True)])
        match self.source.randrange(5):
            case 0:
                return t.Lower(self.text(down))
            case 1:
                return t.Upper(self.text(down))
            case 2:
                return t.Trim(self.text(down))
            case 3:
                return t.Substring(self.text(down), self.source.randint(-2, 3), pick([None, 0, 1, 2, 2000]))
        return t.Choice(self.branches("text", down), self.text(down))

    def flag(self, depth: int) -> t.Term:
        pick, down = self.source.choice, depth - 1
        if depth == 0:
            return pick([t.Column(3), t.Flag(pick(FLAGS))])
        match self.source.randrange(9):
            case 0:
                return t.Compared(pick(list(t.Comparing)), self.number(down), self.number(down))
            case 1:
                return t.Compared(pick(list(t.Comparing)), self.text(down), self.text(down))
            case 2:
                return t.Compared(pick(list(t.Comparing)), self.flag(down), self.flag(down))
            case 3:
                return t.OneOf(self.number(down), tuple(self.constant() for _ in range(pick([1, 3, 40]))))
            case 4:
                return t.OneOf(self.text(down), tuple(pick(_WORDS) for _ in range(pick([1, 3, 40]))))
            case 5:
                return t.Missing(self.any_term(down))
            case 6:
                return pick([t.AllOf, t.AnyOf])(self.several("flag", down))
            case 7:
                return t.Opposite(self.flag(down))
        return t.Like(self.text(down), pick(PATTERNS), pick([True, False]))
