"""Give an expression its meaning for the fields that it reads: types, codes, and what it computes.

Every part of an expression is a number, a truth, a date, a category or a text. An operation on
parts of other types is an error that says where it stands.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal, cast

import numpy as np

from stages.contract.expressions import operations
from stages.contract.expressions.operations import Numbers
from stages.contract.expressions.syntax import Expression, problem_at
from stages.contract.fields.field import Field
from stages.contract.fields.written_values import BOOLEANS, days_of
from stages.contract.fields.written_values import text as written

Type = Literal["number", "truth", "date", "category", "text"]
Fields = Mapping[str, Field | None]
"""What may be read, by name; None is a number that is no field, such as a derived one."""
Columns = Mapping[str, Numbers]
"""Encoded columns (n,) of float64, or floats: numbers, codes, and dates as days since 1970."""
NUMBERS = ("number", "truth")
ARITHMETIC: dict[type[ast.operator], Callable[[Numbers, Numbers], Numbers]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: operations.divide,
    ast.Pow: operations.power,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Numbers, Numbers], Numbers]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: dict[str, Callable[..., Numbers]] = {
    "abs": np.abs,
    "sqrt": operations.sqrt,
    "log": operations.log,
    "min": operations.least,
    "max": operations.greatest,
    "days_between": operations.days_between,
    "months_between": operations.months_between,
    "years_between": operations.years_between,
}


@dataclass(frozen=True)
class Term:
    """A part of an expression: its type, what it computes, and its constant or its field."""

    type: Type
    compute: Callable[[Columns], Numbers]
    constant: str | float | None = None
    field: Field | None = None


def give_meaning(expression: Expression, fields: Fields) -> Term:
    """Return an expression for the fields; raises ValueError naming what it may not do, and where.

    Names that are no keys of `fields` are refused.
    """
    return _Reader(expression.source, fields).term(expression.tree)


class _Reader:
    """Turns the parts of one expression into terms."""

    def __init__(self, source: str, fields: Fields) -> None:
        self._source, self._fields = source, fields

    def term(self, node: ast.expr) -> Term:
        """Return what one part of the expression means."""
        match node:
            case ast.Constant(value=str() | int() | float() as value):
                return _constant_term(value)
            case ast.Name(id=name):
                return self._field(node, name)
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(node, name, args)
        return self._operation(node)

    def _operation(self, node: ast.expr) -> Term:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                sides = self._terms([left, right], NUMBERS)
                return Term("number", _apply(ARITHMETIC[type(op)], sides))
            case ast.UnaryOp(op=op, operand=operand):
                return self._unary(op, operand)
            case ast.BoolOp(op=op, values=values):
                joined = operations.both if isinstance(op, ast.And) else operations.either
                terms = self._terms(values, ("truth",))
                return Term("truth", _apply(lambda *v: reduce(joined, v), terms))
        raise AssertionError(ast.dump(node))

    def _field(self, node: ast.expr, name: str) -> Term:
        if name not in self._fields:
            allowed = ", ".join(self._fields)
            raise self._problem(node, f"no field of this name may be read; these are {allowed}")
        field = self._fields[name]
        if field is None or field.is_numeric:
            return Term("number", operator.itemgetter(name), field=field)
        if field.is_category:
            return Term("category", operator.itemgetter(name), field=field)
        if field.type == "string":
            raise self._problem(node, "a text can be read where it has `constraints: {enum: ...}`")
        kind: Type = "date" if field.type == "date" else "truth"
        return Term(kind, operator.itemgetter(name), field=field)

    def _terms(self, nodes: list[ast.expr], types: tuple[str, ...]) -> list[Term]:
        """Return the terms of some parts, all of which must be of given types."""
        terms = [self.term(node) for node in nodes]
        for node, term in zip(nodes, terms, strict=True):
            if term.type not in types:
                hint = ""
                if term.type == "date":
                    hint = "; the time between two dates is days_between(FROM, TO)"
                if types == ("truth",):
                    hint = "; compare it, as in `x > 0`"
                wanted = " or a ".join(dict.fromkeys(types))
                raise self._problem(node, f"a {wanted} is needed, not a {term.type}{hint}")
        return terms

    def _unary(self, op: ast.unaryop, operand: ast.expr) -> Term:
        if isinstance(op, ast.Not):
            return Term("truth", _apply(operations.negate, self._terms([operand], ("truth",))))
        terms = self._terms([operand], NUMBERS)
        if isinstance(op, ast.UAdd):
            return Term("number", terms[0].compute, terms[0].constant)
        constant = terms[0].constant
        negative = None if constant is None else -float(constant)
        return Term("number", _apply(np.negative, terms), negative)

    def _comparison(self, node: ast.Compare) -> Term:
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            return self._membership(node)
        nodes = [node.left, *node.comparators]
        terms = [self.term(side) for side in nodes]
        pairs = []
        for op, i in zip(node.ops, range(len(node.ops)), strict=True):
            left, right = self._pair(node, op, terms[i], terms[i + 1])
            pairs.append((COMPARISONS[type(op)], left.compute, right.compute))

        def compute(columns: Columns) -> Numbers:
            held = (
                operations.compare(holds, left(columns), right(columns))
                for holds, left, right in pairs
            )
            return reduce(operations.both, held)

        return Term("truth", compute)

    def _pair(self, node: ast.expr, op: ast.cmpop, left: Term, right: Term) -> tuple[Term, Term]:
        """Return the sides of a comparison, a constant beside a category or a date as its code."""
        if left.constant is not None and right.constant is None:
            right, left = self._pair(node, op, right, left)
            return left, right
        if right.constant is not None and left.field is not None and left.field.codes:
            self._check_order(node, op, left.field)
            return left, self._code(node, left.field, right)
        if left.type == "date" and isinstance(right.constant, str):
            return left, self._day(node, right.constant)
        if "category" in (left.type, right.type) or "text" in (left.type, right.type):
            problem = "a category is compared with one of its values, and a number with a number"
            raise self._problem(node, problem)
        if (left.type == "date") != (right.type == "date"):
            raise self._problem(node, "a date is compared with a date, or a text YYYY-MM-DD")
        return left, right

    def _check_order(self, node: ast.expr, op: ast.cmpop, field: Field) -> None:
        if field.is_category and not field.ordered and not isinstance(op, ast.Eq | ast.NotEq):
            raise self._problem(node, f"{field.name} has no order: compare it by == or !=")

    def _code(self, node: ast.expr, field: Field, term: Term) -> Term:
        """Return the code of a value of a category or a boolean, as a term."""
        codes = {written(raw): code for raw, code in field.codes.items()}
        if field.is_boolean:
            codes = {name: float(truth) for name, truth in BOOLEANS.items()} | codes
        word = written(term.constant)
        if word not in codes:
            problem = f"{field.name} must be one of {', '.join(codes)}; got {word!r}"
            raise self._problem(node, problem)
        return Term("number", _constant(codes[word]), codes[word])

    def _day(self, node: ast.expr, text: str) -> Term:
        try:
            day = days_of(text)
        except ValueError:
            raise self._problem(node, f"a date is written YYYY-MM-DD; got {text!r}") from None
        return Term("date", _constant(day), day)

    def _membership(self, node: ast.Compare) -> Term:
        left = self.term(node.left)
        listed = node.comparators[0]
        values: list[float] = []
        for element in getattr(listed, "elts", []):
            term = self.term(element)
            if term.constant is None:
                raise self._problem(element, "the values of a list are constants")
            code = self._pair(element, ast.Eq(), left, term)[1].constant
            values.append(cast(float, code))
        if left.field is None and left.type not in NUMBERS:
            raise self._problem(node.left, "a field or a number is needed before `in`")
        inside = Term("truth", _apply(lambda x: operations.is_in(x, values), [left]))
        outside = Term("truth", _apply(operations.negate, [inside]))
        return inside if isinstance(node.ops[0], ast.In) else outside

    def _call(self, node: ast.expr, name: str, args: list[ast.expr]) -> Term:
        if name == "missing":
            if not isinstance(args[0], ast.Name):
                raise self._problem(args[0], "missing() asks about one field")
            return Term("truth", _apply(operations.missing, [self.term(args[0])]))
        if name == "where":
            truth, values = self._terms(args[:1], ("truth",)), self._terms(args[1:], NUMBERS)
            return Term("number", _apply(operations.where, [*truth, *values]))
        types = ("date",) if name.endswith("_between") else NUMBERS
        return Term("number", _apply(FUNCTIONS[name], self._terms(args, types)))

    def _problem(self, node: ast.AST, problem: str) -> ValueError:
        return problem_at(self._source, node, problem)


def _constant_term(value: str | float) -> Term:
    """Return a text, a truth or a number as a term."""
    if isinstance(value, str):
        return Term("text", _constant(np.nan), value)
    kind: Type = "truth" if isinstance(value, bool) else "number"
    return Term(kind, _constant(float(value)), value if kind == "truth" else float(value))


def _constant(value: float) -> Callable[[Columns], Numbers]:
    return lambda _: value


def _apply(function: Callable[..., Numbers], terms: list[Term]) -> Callable[[Columns], Numbers]:
    computes = [term.compute for term in terms]
    return lambda columns: function(*(compute(columns) for compute in computes))
