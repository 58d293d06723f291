"""Make mutants of a module: one small change each, on its syntax tree.

Left alone are annotations, docstrings, texts, decorators, `__repr__`, what only a type checker reads, and what states
an invariant and no more: `assert_never`, `strict=`, the message of `InvariantBroken`.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

Step = tuple[str, int | None]
"""A field of a node, and the place in it where it is a list."""

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
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
_LEAVING: Final = (ast.Raise, ast.Return, ast.Continue, ast.Break)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_UNREAD: Final = {"annotation", "returns", "decorator_list", "type_params", "bases", "keywords_of_class"}


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    Args:
        module: its dotted name.
        within: the function or class around the change, dotted; or the name that the module's statement assigns.
        change: `before → after`, as Python; with `#n` where a definition has the same change more than once.
        line: of the change, in the module as it is.
        statement: the line on which the statement around it begins.
        definition: a digest of the definition around it, without comments and places.
        function: the outermost function around it and the line that its code begins on; None where it runs at import.
    """

    module: str
    within: str
    change: str
    line: int
    statement: int
    definition: str
    function: tuple[str, int] | None
    source: Source
    path: tuple[Step, ...]
    new: ast.AST | None

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name it, whatever line it stands on."""
        return self.module, self.within, self.change

    @cached_property
    def key(self) -> str:
        """Name it and what it changes, shortly."""
        return hashlib.sha256("\0".join((*self.identity, self.definition)).encode()).hexdigest()[:20]

    def compiled(self, file: str) -> CodeType:
        """Compile the module with the change.

        Raises:
            SyntaxError: it is no Python.
        """
        tree = copy.deepcopy(self.source.tree)
        node: ast.AST = tree
        for name, at in self.path[:-1]:
            child = getattr(node, name)
            node = child if at is None else child[at]
        name, at = self.path[-1]
        new = copy.deepcopy(self.new)
        if at is None:
            setattr(node, name, new)
        elif new is None:
            del getattr(node, name)[at]
        else:
            getattr(node, name)[at] = new
        return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


class Source:
    """A module's text as a tree."""

    def __init__(self, module: str, text: str) -> None:
        self.module = module
        self.tree = ast.parse(text)

    @cached_property
    def mutants(self) -> tuple[Mutant, ...]:
        """All mutants, in the order of the text."""
        return tuple(self._mutants())

    def _mutants(self) -> Iterator[Mutant]:
        seen: Counter[tuple[str, str]] = Counter()
        for place in self._places(self.tree, (), _Around((), None, "", 0)):
            for before, after, path, new in _changes(place.node, place.path):
                change = f"{before} → {after}"
                seen[place.around.name, change] += 1
                if seen[place.around.name, change] > 1:
                    change += f" #{seen[place.around.name, change]}"
                statement = place.around.statement
                yield Mutant(
                    self.module,
                    place.around.name,
                    change,
                    max(statement, getattr(place.node, "lineno", 0)),
                    statement,
                    place.around.digest,
                    place.around.function,
                    self,
                    path,
                    new,
                )

    def _places(self, node: ast.AST, path: tuple[Step, ...], around: _Around) -> Iterator[_Place]:
        yield _Place(node, path, around)
        for name, value in ast.iter_fields(node):
            if name in _UNREAD or (isinstance(node, ast.ClassDef) and name == "keywords"):
                continue
            for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not _left_alone(child, node):
                    yield from self._places(child, (*path, (name, at)), around.entering(node, name, child))


@dataclass(frozen=True)
class _Around:
    names: tuple[str, ...]
    function: tuple[str, int] | None
    digest: str
    statement: int

    @property
    def name(self) -> str:
        return ".".join(self.names)

    def entering(self, node: ast.AST, field: str, child: ast.AST) -> _Around:
        """Return what is around a child; a function's body runs when it is called, its defaults when it is made."""
        function = self.function
        if isinstance(node, _FUNCTIONS) and field == "body" and function is None:
            function = self.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])
        match child:
            case ast.stmt(lineno=line) | ast.match_case(pattern=ast.pattern(lineno=line)):
                return self._named(child, function, line)
        return self._named(child, function, self.statement)

    def _named(self, child: ast.AST, function: tuple[str, int] | None, statement: int) -> _Around:
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            names = (*self.names, child.name)
        elif not self.names and isinstance(child, ast.stmt):
            names = (_assigned(child),)
        else:
            return _Around(self.names, function, self.digest, statement)
        digest = hashlib.sha256(_bare(child).encode()).hexdigest()[:12]
        return _Around(names, function, digest, statement)


@dataclass(frozen=True)
class _Place:
    node: ast.AST
    path: tuple[Step, ...]
    around: _Around


def _assigned(statement: ast.stmt) -> str:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return "module"


def _bare(node: ast.AST) -> str:
    """Write a definition without its docstrings, comments and places."""
    bare = copy.deepcopy(node)
    for each in ast.walk(bare):
        if isinstance(each, (*_FUNCTIONS, ast.ClassDef)) and _is_text(each.body[0]):
            each.body[0] = ast.Pass()
    return ast.dump(bare)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _left_alone(node: ast.AST, parent: ast.AST) -> bool:
    match node:
        case ast.FunctionDef(name="__repr__") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Call(func=ast.Name(id="assert_never")) | ast.keyword(arg="strict"):
            return True
    return isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "InvariantBroken"


Change = tuple[str, str, tuple[Step, ...], "ast.AST | None"]


def _changes(node: ast.AST, path: tuple[Step, ...]) -> Iterator[Change]:
    """Yield the changes of one node: text before and after, where, and what stands there then (None: nothing)."""
    match node:
        case ast.Compare():
            yield from _compared(node, path)
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
            other = copy.copy(node)
            other.op = ast.Or() if isinstance(joint, ast.And) else ast.And()
            yield _replaced(node, other, path)
            for at in range(len(values)):
                rest = values[:at] + values[at + 1 :]
                fewer = rest[0] if len(rest) == 1 else ast.BoolOp(joint, rest)
                yield _replaced(node, fewer, path)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            yield _replaced(node, operand, path)
        case ast.Constant(value=bool() as value):
            yield _replaced(node, ast.Constant(not value), path)
        case ast.Constant(value=int() as value):
            yield _replaced(node, ast.Constant(value + 1), path)
            yield _replaced(node, ast.Constant(value - 1), path)
        case ast.Constant(value=float() as value):
            yield _replaced(node, ast.Constant(value * 2 if value else 1.0), path)
        case ast.If(test=test):
            for value in (True, False):
                yield f"if {ast.unparse(test)}", f"if {value}", (*path, ("test", None)), ast.Constant(value)
        case ast.IfExp(body=body, orelse=orelse):
            yield _replaced(node, body, path)
            yield _replaced(node, orelse, path)
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()) | ast.Raise() | ast.Continue() | ast.Break():
            yield _replaced(node, ast.Pass(), path)
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield _replaced(node, ast.Pass(), path)
        case ast.Return(value=ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not())):
            for value in (True, False):
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


def _compared(node: ast.Compare, path: tuple[Step, ...]) -> Iterator[Change]:
    for at, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            changed = copy.copy(node)
            changed.ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
            yield _replaced(node, changed, path)


def _called(node: ast.Call, path: tuple[Step, ...]) -> Iterator[Change]:
    starred = any(isinstance(each, ast.Starred) for each in node.args)
    for at in range(0 if starred else max(0, len(node.args) - 1)):
        if isinstance(node.func, ast.Name) and node.func.id in {"isinstance", "range", "min", "max"}:
            break
        if ast.dump(node.args[at]) == ast.dump(node.args[at + 1]):
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
