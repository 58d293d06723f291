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

from mutation.changes import changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from mutation.changes import Step

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
        for place in self._places(self.tree, (), None, _Around((), None, "", 0)):
            for before, after, path, new in changes(place.node, place.path, place.parent):
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

    def _places(
        self, node: ast.AST, path: tuple[Step, ...], parent: ast.AST | None, around: _Around
    ) -> Iterator[_Place]:
        yield _Place(node, path, parent, around)
        for name, value in ast.iter_fields(node):
            if name in _UNREAD or (isinstance(node, ast.ClassDef) and name == "keywords"):
                continue
            for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not _left_alone(child, node):
                    yield from self._places(child, (*path, (name, at)), node, around.entering(node, name, child))


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
    parent: ast.AST | None
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
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))) | ast.keyword(arg="strict"):
            return True
    return isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "InvariantBroken"
