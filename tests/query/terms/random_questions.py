"""Random expressions built by the constructors over random columns: what a question can make of a row."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import Refusal
from cleanroom.query.terms import arithmetic, casting, comparing, conditional, logic
from cleanroom.query.terms.casting import Digits, Target
from cleanroom.query.terms.comparing import Operator
from cleanroom.query.terms.evaluate import Values
from cleanroom.query.terms.language import Column
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import CategoryType, DateType, NumberType, TextType

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.query.terms.operands import Operand
    from cleanroom.query.terms.types import ValueType

WORDS = ("laval", "Estrie", "été", "a", "", "zz")
STEPS = (Fraction(1), Fraction(1, 100), Fraction(1, 2), Fraction(5), Fraction(1, 3))


class RandomQuestion:
    """Columns of random types, and expressions over them."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.columns: list[Typed] = []
        for make in (self._number, self._number, self._number, self._category, self._category, self._day, self._text):
            kind = make()
            self.columns.append(Typed(Column(len(self.columns)), kind))

    def _null(self) -> bool:
        return self.source.random() < 0.4

    def _number(self) -> ValueType:
        pick = self.source.choice
        lower = pick([0, 1, -1, -7, 3, -50_000, 100])
        upper = lower + pick([0, 1, 5, 12, 50_000, 1 << 31])
        usual_lower = self.source.randint(lower, upper)
        usual_upper = self.source.randint(usual_lower, upper)
        if self.source.random() < 0.6:
            usual_lower, usual_upper = lower, upper
        return NumberType(pick(STEPS), lower, upper, self._null(), usual_lower, usual_upper, pick([None, "CAD"]))

    def _category(self) -> ValueType:
        size = self.source.randint(1, len(WORDS))
        return CategoryType(tuple(self.source.sample(WORDS, size)), self._null())

    def _day(self) -> ValueType:
        lower = self.source.choice([19_000, 0, -300])
        return DateType(lower, lower + self.source.choice([0, 30, 900]), self._null())

    def _text(self) -> ValueType:
        return TextType(self._null())

    def rows(self, count: int, *, usual: bool, hostile: bool) -> dict[int, Values]:
        """Return values that the columns' types allow; hostile ones are NULL where none is declared (S7)."""
        found = {}
        for place, column in enumerate(self.columns):
            kind = column.type
            one = self._value(kind, usual=usual)
            absent = hostile or kind.nullable
            values = [None if absent and self.source.random() < 0.2 else one() for _ in range(count)]
            found[place] = Values.of(values, str if isinstance(kind, TextType) else int)
        return found

    def _value(self, kind: ValueType, *, usual: bool) -> Callable[[], int | str]:
        match kind:
            case NumberType():
                ends = (kind.usual_lower, kind.usual_upper) if usual else (kind.lower, kind.upper)
            case DateType(lower=lower, upper=upper):
                ends = (lower, upper)
            case CategoryType(domain=domain):
                ends = (0, len(domain) - 1)
            case _:
                return lambda: self.source.choice(WORDS)
        near = [end for end in (*ends, 0, 1, -1, ends[0] + 1, ends[1] - 1) if ends[0] <= end <= ends[1]]
        return lambda: self.source.choice(near) if self.source.random() < 0.6 else self.source.randint(*ends)

    def column(self, kind: type) -> Operand:
        return self.source.choice([each for each in self.columns if isinstance(each.type, kind)])

    def number(self, depth: int) -> Operand | Refusal:
        pick, down = self.source.choice, depth - 1
        if depth == 0:
            if self.source.random() < 0.7:
                return self.column(NumberType)
            return Constant(pick([0, 1, -1, 2, 7, -3, 50, Fraction(1, 2), Fraction(-3, 8), 1000, None]))
        one = [arithmetic.negate, arithmetic.floor, arithmetic.ceil, arithmetic.absolute, arithmetic.sign]
        two = [arithmetic.plus, arithmetic.minus, arithmetic.times, arithmetic.divide, arithmetic.modulo]
        two += [arithmetic.integer_divide, conditional.nullif]
        match self.source.randrange(8):
            case 0 | 1:
                return self.call(pick(one), self.number(down))
            case 2 | 3:
                return self.call(pick(two), self.number(down), self.number(down))
            case 4:
                digits = Constant(pick([0, 1, 2, -1, -2]))
                return self.call(arithmetic.round_, self.number(down), digits)
            case 5:
                several = [self.number(down) for _ in range(self.source.randint(1, 3))]
                return self.listed(pick([arithmetic.least, arithmetic.greatest, conditional.coalesce]), several)
            case 6:
                divisor = self.call(conditional.nullif, self.number(down), Constant(0))
                return self.call(arithmetic.divide, self.number(down), divisor)
        target = pick([Target.INTEGER, Target.BIGINT, Target.DECIMAL, Target.DOUBLE])
        digits = Digits(18, pick([0, 1, 3]))
        return self.call(lambda item: casting.cast(item, target, digits), pick([self.number, self.flag])(down))

    def text(self, depth: int) -> Operand | Refusal:
        if depth == 0:
            return self.source.choice([self.column(CategoryType), self.column(TextType), Constant(WORDS[0])])
        if self.source.random() < 0.3:
            return self.call(lambda item: casting.cast(item, Target.VARCHAR), self.any_kind(depth - 1))
        return self.chosen(self.text, depth)

    def day(self, depth: int) -> Operand | Refusal:
        if depth == 0:
            return self.source.choice([self.column(DateType), Constant("2022-01-15")])
        return self.chosen(self.day, depth)

    def flag(self, depth: int) -> Operand | Refusal:
        pick, down = self.source.choice, max(0, depth - 1)
        make = pick([self.number, self.text, self.day])
        operator = pick(list(Operator))
        match self.source.randrange(8 if depth > 1 else 4):
            case 0:
                return self.call(lambda a, b: comparing.compare(operator, a, b), make(down), make(down))
            case 1:
                return self.call(comparing.distinct, make(down), make(down))
            case 2:
                return self.call(comparing.is_missing, make(down))
            case 3:
                values = [make(0) for _ in range(3)]
                return self.listed(lambda items: comparing.one_of(items[0], items[1:]), [make(down), *values])
            case 4:
                return self.listed(pick([logic.all_of, logic.any_of]), [self.flag(down), self.flag(down)])
            case 5:
                return self.call(logic.opposite, self.flag(down))
            case 6:
                return self.call(lambda item: comparing.is_truth(item, pick([True, False])), self.flag(down))
        return self.call(comparing.between, make(down), make(down), make(down))

    def chosen(self, make: Callable[[int], Operand | Refusal], depth: int) -> Operand | Refusal:
        down = depth - 1
        if self.source.random() < 0.3:
            return self.listed(conditional.coalesce, [make(down), make(down)])
        if self.source.random() < 0.3:
            return self.call(conditional.nullif, make(down), make(down))
        return self.call(conditional.choose, self.flag(down), make(down), make(down))

    def any_kind(self, depth: int) -> Operand | Refusal:
        make = self.source.choice([self.number, self.number, self.text, self.day, self.flag])
        if depth > 0 and self.source.random() < 0.2:
            return self.chosen(make, depth)
        return make(depth)

    @staticmethod
    def call(function: Callable[..., Operand | Refusal], *values: Operand | Refusal) -> Operand | Refusal:
        refused = next((value for value in values if isinstance(value, Refusal)), None)
        return refused if refused is not None else function(*values)

    def listed(self, function: Callable[..., Operand | Refusal], values: list[Operand | Refusal]) -> Operand | Refusal:
        refused = next((value for value in values if isinstance(value, Refusal)), None)
        return refused if refused is not None else function(values)
