"""Formulas and conditions of any allowed form, bound to the fields that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.contract.expressions import syntax
from stages.contract.expressions.meaning import NUMBERS, Fields, Term, give_meaning
from stages.contract.expressions.operations import Floats
from stages.contract.expressions.simple import Rule


@dataclass(frozen=True)
class Formula:
    """A formula over fields; `term` is its meaning."""

    fields: tuple[str, ...]
    term: Term = field(compare=False)

    @classmethod
    def read(cls, source: str, fields: Fields) -> Formula:
        """Read a formula over the fields; raises ValueError naming what is wrong, and where."""
        expression = syntax.parse(source)
        term = give_meaning(expression, fields)
        if term.type not in NUMBERS:
            raise ValueError(f"a formula gives a number, not a {term.type}: {source!r}")
        _demand_fields(expression)
        return cls(expression.names, term)

    def values(self, columns: Mapping[str, Any], empty: float) -> Floats:
        """Return the values (n,) from columns (n,), NaN where one is missing.

        Where the formula has no value though all that it reads is there, as for a division by 0,
        its value is `empty`.
        """
        with np.errstate(all="ignore"):
            values = np.asarray(self.term.compute(columns), dtype=np.float64)
        nothing = np.isnan(values)
        if nothing.any():
            missing = np.any([np.isnan(columns[name]) for name in self.fields], axis=0)
            values = np.where(nothing & ~missing, empty, values)
        return values


@dataclass(frozen=True)
class Condition:
    """A rule of any allowed form; `term` is its meaning once it is encoded for fields."""

    source: str
    fields: tuple[str, ...]
    term: Term | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, source: str) -> Condition:
        """Read a condition; raises ValueError naming what is wrong, and where."""
        expression = syntax.parse(source)
        _demand_fields(expression)
        return cls(source, expression.names)

    @property
    def left(self) -> str:
        """The first field that the condition names, at which a problem is reported."""
        return self.fields[0]

    def encode(self, fields: Fields) -> Condition:
        """Return the condition for columns in which categories are codes and dates are days.

        Raises ValueError naming what it may not read or do, and where.
        """
        term = give_meaning(syntax.parse(self.source), fields)
        if term.type != "truth":
            raise ValueError(f"a rule is true or false, not a {term.type}: {self.source!r}")
        return Condition(self.source, self.fields, term)

    def holds(self, columns: Mapping[str, Any]) -> Any:
        """Return where the condition holds, element by element; not where it cannot be told."""
        return np.equal(self.truth(columns), 1)

    def has_values(self, columns: Mapping[str, Any]) -> Any:
        """Return where it can be told whether the condition holds, element by element."""
        return ~np.isnan(self.truth(columns))

    def truth(self, columns: Mapping[str, Any]) -> Any:
        """Return 1 where the condition holds, 0 where it does not, NaN where it cannot be told."""
        if self.term is None:
            raise TypeError(f"the condition {self.source!r} was not encoded for fields")
        with np.errstate(all="ignore"):
            return self.term.compute(columns)


def _demand_fields(expression: syntax.Expression) -> None:
    if not expression.names:
        raise ValueError(f"an expression reads one field at least; got {expression.source!r}")


def parse_rule(source: str) -> Rule | Condition:
    """Read a rule: a comparison of two sides as a `Rule`, everything else as a `Condition`."""
    try:
        return Rule.parse(source)
    except ValueError:
        return Condition.parse(source)


def read_rule(source: str, fields: Fields) -> Rule | Condition:
    """Read a rule for columns of the fields; raises ValueError naming what is wrong, and where."""
    rule = parse_rule(source)
    if isinstance(rule, Rule):
        read = [fields.get(name) for name in rule.fields]
        if any(field and field.type == "date" for field in read):
            rule = Condition.parse(source)
    return rule.encode(fields)
