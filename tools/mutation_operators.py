"""Mutants that take a rule out, for mutmut, and what makes the code of properties visible to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import libcst as cst
from libcst import matchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def drop_call(node: cst.Expr) -> Iterable[cst.BaseSmallStatement]:
    """Leave a call out whose value is not used."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def drop_branch(node: cst.If) -> Iterable[cst.If]:
    """Never take a branch."""
    yield node.with_changes(test=cst.Name("False"))


def drop_operand(node: cst.BooleanOperation) -> Iterable[cst.BaseExpression]:
    """Leave one side of an `and` or `or` out."""
    for kept in (node.left, node.right):
        yield kept.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def drop_filter(node: cst.CompIf) -> Iterable[cst.CompIf]:
    """Let everything pass the condition of a comprehension."""
    yield node.with_changes(test=cst.Name("True"))


# mutmut calls each operator with nodes of the type beside it.
OPERATORS: Final[tuple[tuple[type[cst.CSTNode], Callable[[Any], Iterable[cst.CSTNode]]], ...]] = (
    (cst.Expr, drop_call),
    (cst.If, drop_branch),
    (cst.BooleanOperation, drop_operand),
    (cst.CompIf, drop_filter),
)


class _Lifter(cst.CSTTransformer):
    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:  # noqa: ARG002, N802
        if not isinstance(updated_node.body, cst.IndentedBlock):
            return updated_node
        body: list[cst.BaseStatement] = []
        for statement in updated_node.body.body:
            if isinstance(statement, cst.FunctionDef) and matchers.matches(
                statement, matchers.FunctionDef(decorators=[matchers.Decorator(matchers.Name("property"))])
            ):
                name = statement.name.value
                body += [
                    statement.with_changes(decorators=[]),
                    cst.parse_statement(f"{name} = property({name})"),
                ]
            else:
                body.append(statement)
        return updated_node.with_changes(body=updated_node.body.with_changes(body=body))


def lift_properties(source: str) -> str:
    """Return a module in which properties are made after their functions: mutmut passes decorated functions over."""
    return cst.parse_module(source).visit(_Lifter()).code
