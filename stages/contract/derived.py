"""What is computed from several fields: formulas, which are features, and rules between fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field as Key
from pydantic import PrivateAttr

from stages.contract.expressions.general import Condition, Formula, parse_rule, read_rule
from stages.contract.expressions.meaning import Fields
from stages.contract.expressions.operations import Floats
from stages.contract.expressions.simple import Ratio, Rule
from stages.contract.fields.field import Field
from stages.contract.fields.parts import ContractPart, ReasonWords, Risk

Take = Literal[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "first",
    "last",
    "share",
    "distinct",
    "trend",
    "months_since",
]


class Derived(ContractPart):
    """A formula over fields, and its value where it cannot be computed."""

    name: str = ""
    title: str = ""
    """What people call the derived field."""
    unit: str = ""
    """Unit of the derived field."""
    formula: str
    """Formula over fields and derived fields above it, such as `loan_amount / income`."""
    when_empty: float | None = None
    """Value where the formula has none, as for a denominator of 0; without it, it is missing."""
    feature: bool = True
    """Whether a model may use it; false for a step on the way to other derived fields."""
    stated_as: str | None = None
    """Column that states the value too: it is derived anew, and differences are counted."""
    tolerance: float = 0.01
    """Greatest difference between the stated and the computed value."""
    risk: Risk | None = None
    """Direction of risk, which monotone candidates follow."""
    reason: ReasonWords = ReasonWords()
    """What an applicant is told where the value counted against the application."""

    _ratio: Ratio | None = PrivateAttr(default=None)
    _formula: Formula | None = PrivateAttr(default=None)

    def bind(self, fields: Fields) -> None:
        """Read the formula for the fields; raises ValueError naming what is wrong, and where.

        `fields` has every name that it may read, with None for a derived number.
        """
        try:
            ratio = Ratio.parse(self.formula)
        except ValueError:
            ratio = None
        formula = Formula.read(self.formula, fields)
        sides = [fields[name] for name in ratio.fields] if ratio else []
        plain = all(side and (side.is_numeric or side.is_boolean) for side in sides)
        self._ratio, self._formula = ratio if plain else None, formula

    @property
    def ratio(self) -> Ratio | None:
        """The formula as a ratio of two fields; None for one of another form."""
        return self._ratio

    @property
    def reads(self) -> tuple[str, ...]:
        """The names that the formula reads: fields, and derived fields above it."""
        return self._ratio.fields if self._ratio else self._bound.fields

    def values(self, columns: Mapping[str, Any]) -> Floats:
        """Return the values (n,) from encoded columns (n,) of all that it reads."""
        empty = np.nan if self.when_empty is None else self.when_empty
        return self._bound.values(columns, empty)

    @property
    def _bound(self) -> Formula:
        if self._formula is None:
            raise TypeError(f"the formula of {self.name} was not read for fields")
        return self._formula


class Aggregate(Field):
    """One number made of the lines of a history that are before the day of the decision."""

    type: Literal["number"] = "number"
    """The type of the result."""
    of: str
    """The history whose lines it is made of."""
    take: Take
    """What is computed: `share` of the lines for which `where` holds, `trend` per month, ..."""
    field: str = ""
    """The field of the lines that is taken; none for `count`, `share` and `months_since`."""
    within: str = Key(default="", pattern=r"^(\d{1,5} (day|month|year)s?)?$")
    """The time before the decision, such as `12 months` or `90 days`; all of it without one."""
    where: str = ""
    """Rule about the fields of a line: only lines for which it holds count."""
    when_empty: float | None = None
    """Value where no line counts; without it, it is missing. Counts and sums are then 0."""

    _condition: Condition | None = PrivateAttr(default=None)

    def bind(self, fields: Fields) -> None:
        """Read `where` for the fields of a line; raises ValueError naming what is wrong."""
        if self.where:
            self._condition = Condition.parse(self.where).encode(fields)

    @property
    def condition(self) -> Condition | None:
        """The parsed `where`, for columns in which categories are codes and dates are days."""
        return self._condition


class Check(ContractPart):
    """A rule between fields; a row for which it cannot be told does not break it."""

    name: str = ""
    rule: str
    """Rule over fields that every row must keep, such as `fee <= 0.03 * loan_amount`."""
    message: str
    """What is said of a row that does not keep it."""

    _encoded: Rule | Condition | None = PrivateAttr(default=None)

    def bind(self, fields: Fields) -> None:
        """Read the rule for the fields; raises ValueError naming what is wrong, and where."""
        self._encoded = read_rule(self.rule, fields)

    @property
    def parsed(self) -> Rule | Condition:
        """The parsed rule, for columns in which categories are codes and dates are days."""
        return self._encoded or parse_rule(self.rule)
