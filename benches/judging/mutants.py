"""The changes of one operator, number or statement that `mutations` makes to a module."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

OPPOSITE: dict[type[ast.AST], list[type[Any]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
SWAPPED = {"maximum": "minimum", "max": "min", "any": "all", "left": "right", "floor": "ceil"}
SWAPPED |= {there: here for here, there in SWAPPED.items()}
UNDONE = ("abs", "sqrt", "clip", "sort", "cumsum", "log", "round")  # a call becomes its argument

Change = Callable[[Any], ast.AST | None]  # changes a node, or returns another one for it


@dataclass
class Site:
    """A node of the tree by its number, what is done to it, and in words."""

    number: int
    change: Change
    words: str


def sites(tree: ast.Module) -> list[Site]:
    """Return every change of one node; annotations, texts and messages stay."""
    left_alone = {id(inner) for node in ast.walk(tree) for inner in untouched(node)}
    found = []
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in left_alone:
            found += [Site(number, change, words) for words, change in changes(node)]
    return found


def untouched(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is not changed below a node: annotations, messages, decorators."""
    parts: list[ast.AST | None] = []
    if isinstance(node, ast.FunctionDef):
        parts = [node.returns, *node.decorator_list]
    elif isinstance(node, ast.arg | ast.AnnAssign):
        parts = [node.annotation]
    elif isinstance(node, ast.Raise | ast.JoinedStr):
        parts = [*ast.iter_child_nodes(node)]
    elif isinstance(node, ast.ClassDef):
        parts = [*node.decorator_list]
    for part in parts:
        yield from ast.walk(part) if part else ()


def changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield what can be done to a node, in words and as a function."""
    yield from changes_of_operators(node)
    yield from changes_of_constants(node)
    yield from changes_of_calls(node)


def changes_of_operators(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield what can be done to a comparison, a sum, a sign or a condition."""
    match node:
        case ast.Compare(ops=[op, *_]):
            for other in OPPOSITE[type(op)]:
                yield other.__name__, partial(with_comparison, other)
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op):
            for other in OPPOSITE.get(type(op), []):
                yield other.__name__, partial(with_operator, other)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield "without its sign", lambda n: n.operand
        case ast.IfExp():
            yield "the other branch", lambda n: ast.IfExp(n.test, n.orelse, n.body)


def with_comparison(other: type[Any], node: Any) -> None:
    """Compare in another way."""
    node.ops[0] = other()


def with_operator(other: type[Any], node: Any) -> None:
    """Put another operator between the operands."""
    node.op = other()


def changes_of_constants(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield what can be done to a constant."""
    match node:
        case ast.Constant(value=bool() as value):
            yield str(not value), lambda n: setattr(n, "value", not n.value)
        case ast.Constant(value=int()):
            yield "+ 1", lambda n: setattr(n, "value", n.value + 1)
        case ast.Constant(value=float()):
            yield "* 1.5", lambda n: setattr(n, "value", n.value * 1.5 or 0.5)
        case ast.Constant(value=str() as value) if value in SWAPPED:
            yield SWAPPED[value], lambda n: setattr(n, "value", SWAPPED[n.value])


def changes_of_calls(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield what can be done to a call or a statement."""
    match node:
        case ast.Expr(value=ast.Call()) | ast.Assign(targets=[ast.Subscript()]):
            yield "nothing", lambda _: ast.Pass()
        case ast.Attribute(attr=name) if name in SWAPPED:
            yield SWAPPED[name], lambda n: setattr(n, "attr", SWAPPED[n.attr])
        case ast.Name(id=name) if name in SWAPPED:
            yield SWAPPED[name], lambda n: setattr(n, "id", SWAPPED[n.id])
        case ast.Call(func=ast.Attribute(attr=name), args=[_, *_]) if name in UNDONE:
            yield "its argument", lambda n: n.args[0]


def mutant(tree: ast.Module, site: Site) -> tuple[ast.Module, int, str]:
    """Return the tree with one change, the line of the change, and the change in words."""
    changed = copy.deepcopy(tree)
    target = [*ast.walk(changed)][site.number]
    line, before = getattr(target, "lineno", 0), ast.unparse(target)[:80]
    other = site.change(target)
    if other is not None:
        Replacement(target, other).visit(changed)
    return ast.fix_missing_locations(changed), line, f"{before!r}: {site.words}"


class Replacement(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        """Return the new node for the old one, and every other as it is."""
        return self.new if node is self.old else super().visit(node)
