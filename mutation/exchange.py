"""Put a mutant in the place of the code that is there: in its functions, or in its module as it is imported."""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mutation.mutants import Mutant
    from mutation.scope import Scope

Functions = dict[tuple[str, str, int], list[FunctionType]]
"""All functions of some files, by file, name and first line."""


def functions_of(files: set[str]) -> Functions:
    """Find the functions of some files."""
    found: Functions = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in files:
            code = each.__code__
            found.setdefault((code.co_filename, code.co_qualname, code.co_firstlineno), []).append(each)
    return found


def exchanged(scope: Scope, mutant: Mutant, functions: Functions) -> bool:
    """Give the functions of a mutant's source their changed code; return whether there was one."""
    if mutant.function is None:
        return False
    file = str(scope.path(mutant.module))
    codes = _codes(mutant.compiled(file))
    (code,) = (each for each in codes if (each.co_qualname, each.co_firstlineno) == mutant.function)
    found = functions.get((file, *mutant.function), [])
    for each in found:
        each.__code__ = code
    return bool(found)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


class _Loader(importlib.machinery.SourceFileLoader):
    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant.compiled(self.path)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the mutant's module, changed."""

    def __init__(self, scope: Scope, mutant: Mutant) -> None:
        self._scope = scope
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Find that module, and leave others alone."""
        if fullname != self._mutant.module:
            return None
        file = self._scope.path(fullname)
        loader = _Loader(fullname, str(file))
        loader.mutant = self._mutant
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)
