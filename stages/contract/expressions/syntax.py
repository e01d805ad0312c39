"""Read an expression by Python's parser, and refuse whatever is not on the list.

Nothing is executed: the tree has names of fields, numbers, texts, operators, and calls of the
functions in `FUNCTIONS`, and no more. Its length and its depth are limited.
"""

from __future__ import annotations

import ast
import math
import warnings
from dataclasses import dataclass

LONGEST = 1000  # characters
DEEPEST = 25  # operations within operations
FUNCTIONS = {
    "abs": (1, 1),
    "sqrt": (1, 1),
    "log": (1, 1),
    "missing": (1, 1),
    "min": (2, 20),
    "max": (2, 20),
    "where": (3, 3),
    "days_between": (2, 2),
    "months_between": (2, 2),
    "years_between": (2, 2),
}
"""The functions, with the least and the largest number of their arguments."""
OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd),
    *(ast.And, ast.Or, ast.Not, ast.In, ast.NotIn),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
NODES = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant)
ALLOWED = (
    "numbers, texts in quotes, fields, + - * / **, comparisons, and, or, not, in, "
    f"{', '.join(f'{name}()' for name in FUNCTIONS)}"
)


@dataclass(frozen=True)
class Expression:
    """The text of an expression, its tree, and the fields that it names, in their order."""

    source: str
    tree: ast.expr
    names: tuple[str, ...]


def parse(source: str) -> Expression:
    """Read an expression; raises ValueError naming the expression, the position and the problem."""
    if len(source) > LONGEST:
        raise ValueError(
            f"an expression has at most {LONGEST} characters; got {len(source)}: {source[:40]!r}..."
        )
    text = source.strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(
            f"the expression {source!r} cannot be read at character {error.offset or 1}: "
            f"{error.msg}"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the expression {source!r} cannot be read: {error}") from None
    names: dict[str, None] = {}
    _check(text, tree, names)
    return Expression(text, tree, tuple(names))


def problem_at(source: str, node: ast.AST, problem: str) -> ValueError:
    """Return the error about a part of an expression, which names both and where the part is."""
    start = getattr(node, "col_offset", 0)
    place = len(source.encode()[:start].decode(errors="ignore")) + 1
    part = ast.get_source_segment(source, node) or source
    return ValueError(f"{problem}: {part!r}, at character {place} of {source!r}")


def _check(source: str, tree: ast.expr, names: dict[str, None]) -> None:
    """Collect the names of fields; raises ValueError for what an expression may not have."""
    waiting: list[tuple[ast.expr, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise problem_at(source, node, f"an expression is at most {DEEPEST} operations deep")
        inside = _operands(source, node)
        if isinstance(node, ast.Name):
            names.setdefault(node.id)
        waiting += [(operand, depth + 1) for operand in reversed(inside)]


def _operands(source: str, node: ast.expr) -> list[ast.expr]:
    """Return the parts that an operation joins; raises ValueError for one that is not allowed."""
    if not isinstance(node, NODES):
        raise problem_at(source, node, f"only {ALLOWED} are allowed; got {_name_of(node)}")
    operators = [getattr(node, "op", None), *getattr(node, "ops", [])]
    for operator in operators:
        if operator is not None and not isinstance(operator, OPERATORS):
            problem = f"only {ALLOWED} are allowed; got the operator {_name_of(operator)}"
            raise problem_at(source, node, problem)
    if isinstance(node, ast.Constant):
        _check_constant(source, node)
        return []
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.Compare):
        return _sides(source, node)
    return _arguments(source, node) if isinstance(node, ast.Call) else []


def _check_constant(source: str, node: ast.Constant) -> None:
    if isinstance(node.value, str | bool):
        return
    try:
        finite = isinstance(node.value, int | float) and math.isfinite(float(node.value))
    except OverflowError:
        finite = False
    if not finite:
        raise problem_at(source, node, "a constant is a finite number or a text")


def _sides(source: str, node: ast.Compare) -> list[ast.expr]:
    """Return the sides of a comparison; those of `in` are the left one and the listed values."""
    sides = [node.left]
    for operator, side in zip(node.ops, node.comparators, strict=True):
        if not isinstance(operator, ast.In | ast.NotIn):
            sides.append(side)
        elif len(node.ops) > 1:
            raise problem_at(source, node, "`in` stands alone: join two comparisons by `and`")
        elif not isinstance(side, ast.List | ast.Tuple) or not side.elts:
            raise problem_at(source, side, "`in` needs a list such as ('A', 'B')")
        else:
            sides += side.elts
    return sides


def _arguments(source: str, node: ast.Call) -> list[ast.expr]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS:
        problem = f"a function is one of {', '.join(FUNCTIONS)}"
        raise problem_at(source, node.func, problem)
    least, most = FUNCTIONS[name]
    if node.keywords or not least <= len(node.args) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        raise problem_at(source, node, f"{name}() takes {count} values, without names")
    return node.args


def _name_of(node: ast.AST) -> str:
    return type(node).__name__
