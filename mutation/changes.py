"""The small changes of one node of a syntax tree.

Left out are changes that another one stands for: where a test notices the other, it notices these too (the subsumption
of logical and relational mutants: Kaminski, Ammann and Offutt, "Improving logic-based testing", 2013). A condition that
is held true and held false needs no negation. One whose operands are left out in turn needs neither `or` for `and` nor
the value that leaving one out gives. A statement alone under an `if` is left out where the condition is held false.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Step = tuple[str, int | None]
"""A field of a node, and the place in it where it is a list."""

_NEGATED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_BOUNDARY: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_TWINS: Final = {
    "min": "max",
    "any": "all",
    "floor": "ceil",
    "minimum": "maximum",
    "union": "intersection",
    "isdisjoint": "issubset",
    "issubset": "issuperset",
    "zeros": "ones",
    "min_element_wise": "max_element_wise",
}
TWINS: Final = {**_TWINS, **{value: key for key, value in _TWINS.items()}}
Change = tuple[str, str, tuple[Step, ...], "ast.AST | None"]


def changes(node: ast.AST, path: tuple[Step, ...], parent: ast.AST | None) -> Iterator[Change]:
    """Yield the changes of one node: text before and after, where, and what stands there then (None: nothing)."""
    match node:
        case ast.Compare():
            yield from _compared(node, path, decided=_decided(path, parent))
        case ast.BinOp(op=op):
            swapped = copy.copy(node)
            swapped.op = _ARITHMETIC[type(op)]()
            yield _replaced(node, swapped, path)
        case ast.AugAssign(op=op):
            altered = copy.copy(node)
            altered.op = _ARITHMETIC[type(op)]()
            yield _replaced(node, altered, path)
            yield _replaced(node, ast.Pass(), path)
        case ast.BoolOp(op=joint, values=values):
            for at in range(len(values)):
                rest = values[:at] + values[at + 1 :]
                fewer = rest[0] if len(rest) == 1 else ast.BoolOp(joint, rest)
                yield _replaced(node, fewer, path)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert() as op, operand=operand):
            if not (isinstance(op, ast.Not) and _decided(path, parent)):
                yield _replaced(node, operand, path)
        case ast.Constant(value=bool() as value):
            yield _replaced(node, ast.Constant(not value), path)
        case ast.Constant(value=int() as value):
            # `x >= 1` with a two is `x > 1`, and `x < 1` with a two is `x <= 1`: the boundary's own change.
            if not (isinstance(parent, ast.Compare) and parent.comparators == [node] and _from_below(parent.ops[0])):
                yield _replaced(node, ast.Constant(value + 1), path)
        case ast.Constant(value=float() as value):
            yield _replaced(node, ast.Constant(value * 2 if value else 1.0), path)
        case ast.If(test=test):
            for value in _held(test):
                yield f"if {ast.unparse(test)}", f"if {value}", (*path, ("test", None)), ast.Constant(value)
        case ast.IfExp(body=body, orelse=orelse):
            yield _replaced(node, body, path)
            yield _replaced(node, orelse, path)
        case (
            ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom())
            | ast.Raise()
            | ast.Continue()
            | ast.Break()
            | ast.Assign(targets=[ast.Subscript() | ast.Attribute()])
        ):
            if not _alone_under_if(node, parent):
                yield _replaced(node, ast.Pass(), path)
        case ast.Return(value=(ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not())) as answer):
            for value in _held(answer):
                yield _replaced(node, ast.Return(ast.Constant(value)), path)
        case ast.Call():
            yield from _called(node, path)
        case ast.List() | ast.Tuple() | ast.Set():
            yield from _shortened(node, path)
        case ast.Dict(keys=keys, values=values) if len(keys) > 1:
            for at in range(len(keys)):
                less = ast.Dict(keys[:at] + keys[at + 1 :], values[:at] + values[at + 1 :])
                yield _replaced(node, less, path)
        case ast.comprehension(ifs=ifs):
            for at, each in enumerate(ifs):
                yield f"for … if {ast.unparse(each)}", "for …", (*path, ("ifs", at)), None
        case ast.match_case(pattern=pattern, guard=guard):
            if guard is not None:
                yield f"case … if {ast.unparse(guard)}", "case …", (*path, ("guard", None)), None
            if not isinstance(pattern, ast.MatchAs) or pattern.pattern is not None:
                yield f"case {ast.unparse(pattern)}", "no case", (*path, ("guard", None)), ast.Constant(False)
        case ast.MatchOr(patterns=patterns):
            for at in range(len(patterns)):
                rest_of = patterns[:at] + patterns[at + 1 :]
                one = rest_of[0] if len(rest_of) == 1 else ast.MatchOr(rest_of)
                yield f"case {ast.unparse(node)}", f"case {ast.unparse(one)}", path, one


def _replaced(old: ast.AST, new: ast.AST, path: tuple[Step, ...]) -> Change:
    return _text(old), _text(new), path, ast.copy_location(new, old) if isinstance(new, (ast.expr, ast.stmt)) else new


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _decided(path: tuple[Step, ...], parent: ast.AST | None) -> bool:
    """Whether a condition is held true or false by another change, or left out: a negation adds nothing to that."""
    match parent, path[-1][0]:
        case (ast.If() | ast.IfExp(), "test") | (ast.Return(), _) | (ast.BoolOp(), _):
            return True
        case (ast.comprehension(), "ifs") | (ast.match_case(), "guard"):
            return True
    return False


def _held(condition: ast.expr) -> tuple[bool, ...]:
    """Return what a condition is held at: leaving out an operand of `and` makes it true, one of `or` false."""
    match condition:
        case ast.BoolOp(op=ast.And()):
            return (False,)
        case ast.BoolOp(op=ast.Or()):
            return (True,)
    return True, False


def _alone_under_if(node: ast.AST, parent: ast.AST | None) -> bool:
    return isinstance(parent, ast.If) and parent.body == [node] and not parent.orelse


def _from_below(op: ast.cmpop) -> bool:
    return isinstance(op, ast.GtE | ast.Lt)


def _compared(node: ast.Compare, path: tuple[Step, ...], *, decided: bool) -> Iterator[Change]:
    for at, op in enumerate(node.ops):
        others = [_BOUNDARY[type(op)]] if type(op) in _BOUNDARY else []
        if not (decided and len(node.ops) == 1):
            others.append(_NEGATED[type(op)])
        for other in others:
            changed = copy.copy(node)
            changed.ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
            yield _replaced(node, changed, path)


def _called(node: ast.Call, path: tuple[Step, ...]) -> Iterator[Change]:
    starred = any(isinstance(each, ast.Starred) for each in node.args)
    for at in range(0 if starred else max(0, len(node.args) - 1)):
        if isinstance(node.func, ast.Name) and node.func.id in {"isinstance", "range", "min", "max"}:
            break
        # Other kinds of expression are of other types as a rule: the type checker and any test notice at once.
        one, other = node.args[at], node.args[at + 1]
        if type(one) is not type(other) or ast.dump(one) == ast.dump(other) or _both_texts(one, other):
            continue
        swapped = copy.copy(node)
        swapped.args = [*node.args[:at], node.args[at + 1], node.args[at], *node.args[at + 2 :]]
        yield _replaced(node, swapped, path)
    for at, keyword in enumerate(node.keywords):
        if keyword.arg == "strict":
            continue
        fewer = copy.copy(node)
        fewer.keywords = node.keywords[:at] + node.keywords[at + 1 :]
        yield _replaced(node, fewer, path)
    match node.func:
        case ast.Name(id=name) if name in TWINS:
            twin: ast.expr = ast.Name(TWINS[name], ast.Load())
        case ast.Attribute(value=owner, attr=name) if name in TWINS:
            twin = ast.Attribute(owner, TWINS[name], ast.Load())
        case _:
            return
    other = copy.copy(node)
    other.func = ast.copy_location(twin, node.func)
    yield _replaced(node, other, path)


def _both_texts(one: ast.expr, other: ast.expr) -> bool:
    return all(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in (one, other))


def _shortened(node: ast.List | ast.Tuple | ast.Set, path: tuple[Step, ...]) -> Iterator[Change]:
    """Leave an element out; not of what is assigned to, nor of an index, whose length is fixed."""
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or (path and path[-1][0] == "slice"):
        return
    for at in range(len(node.elts)):
        rest = node.elts[:at] + node.elts[at + 1 :]
        if isinstance(node, ast.Set) and not rest:
            continue
        fewer = copy.copy(node)
        fewer.elts = rest
        yield _replaced(node, fewer, path)
