"""What binding a scalar expression needs to know about the place where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlglot import exp

    from cleanroom.errors import Position, Refusal
    from cleanroom.query.parse import ParameterValue
    from cleanroom.query.terms.typed import Constant, Typed


class ScalarScope(Protocol):
    """Names, subqueries and parameters of the SELECT around an expression; it collects the reasons to refuse."""

    @property
    def text(self) -> str:
        """The question as written."""

    def special(self, node: exp.Expr) -> Typed | Constant | bool | None:
        """Return what stands for a node, such as an aggregate or EXISTS; None if refused; False if it is ordinary."""

    def subquery(self, node: exp.Expr) -> Typed | None:
        """Bind EXISTS, IN (SELECT …) or a scalar subquery, or refuse it and return None."""

    def column(self, node: exp.Column) -> Typed | None:
        """Resolve a column, or refuse it and return None: so does the privacy unit, which is no value (S14)."""

    def parameter(self, node: exp.Placeholder) -> ParameterValue:
        """Return the value of a parameter."""

    def position(self, node: exp.Expr) -> Position | None:
        """Return where a node stands."""

    def refuse(self, code: str, node: exp.Expr, hint: tuple[str, str] | None = None, **evidence: object) -> None:
        """Note a reason to refuse."""

    def note(self, reason: Refusal) -> None:
        """Note a reason to refuse that is already in words."""
