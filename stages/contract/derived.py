"""What is computed from several fields: ratios, which are features, and rules between fields."""

from __future__ import annotations

from functools import cached_property

from stages.contract.expressions import Ratio, Rule
from stages.contract.parts import Part, ReasonWords, Risk


class Derived(Part):
    """A ratio of fields: its `formula`, and its value where the denominator is 0."""

    name: str = ""
    title: str = ""
    """What people call the ratio."""
    unit: str = ""
    """Unit of the ratio."""
    formula: str
    """Formula over fields, such as `loan_amount / income`."""
    when_empty: float | None = None
    """Value where the denominator is 0; without it the ratio is missing there."""
    stated_as: str | None = None
    """Column that states the ratio too: it is derived anew, and differences are counted."""
    tolerance: float = 0.01
    """Greatest difference between the stated and the computed ratio."""
    risk: Risk | None = None
    """Direction of risk, which monotone candidates follow."""
    reason: ReasonWords = ReasonWords()
    """What an applicant is told where the ratio counted against the application."""

    @cached_property
    def ratio(self) -> Ratio:
        """The parsed formula."""
        return Ratio.parse(self.formula)


class Check(Part):
    """A rule between fields; a row with a missing side does not break it."""

    name: str = ""
    rule: str
    """Comparison of fields that every row must pass."""
    message: str
    """What is said of a row that does not pass."""

    @cached_property
    def parsed(self) -> Rule:
        """The parsed rule."""
        return Rule.parse(self.rule)
