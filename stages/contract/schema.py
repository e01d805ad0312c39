"""The data contract, the one description of a loan book from which everything else follows.

The validation of training rows, the request model of the service, the features, the form of the
page, the drift reference and the sentences of the reasons are all made from
`data/<dataset>/contract.yaml`. The words follow Frictionless Table Schema where it has one (`type`,
`constraints`, `title`, `missingValues`, `trueValues`, `falseValues`).

This module holds the parts of a contract; `stages.contract.reading` reads them from a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import Field as Key

from stages.contract.expressions import Ratio, Rule
from stages.contract.fields import BOOLEANS, Field, listed, text
from stages.contract.parts import OutcomeWindow, Part, ReasonWords, Risk, Scalar

__all__ = [
    "AVAILABLE",
    "Check",
    "Contract",
    "ContractError",
    "Derived",
    "Field",
    "Mode",
    "OutcomeWindow",
    "Scalar",
    "Table",
    "Target",
    "text",
]

Mode = Literal["application", "pricing"]
AVAILABLE = {"application": ("application",), "pricing": ("application", "pricing")}


class ContractError(ValueError):
    """A contract, or data that it describes, is wrong; the message names place, rule and value."""


class Table(Part):
    """A raw file; the first table has one row per loan, and the others are joined to it."""

    path: str
    """File in the dataset's folder `raw`."""
    title: str = ""
    """What people call the table."""
    key: str | list[str] | None = None
    """Column, or columns, that identify a row."""
    join: str | list[str] | None = None
    """Columns that hold the key in tables above: `COLUMN` of the first, or `TABLE.COLUMN`."""
    optional: bool = False
    """Whether a loan may have no row in this table."""

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row of this table."""
        return listed(self.key)

    @property
    def joins(self) -> list[str]:
        """The columns that hold the key in tables above: `COLUMN` of the first, `TABLE.COLUMN`."""
        return listed(self.join)

    def problems(self, first: bool) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the table: the keys of its place, and the problem."""
        if first:
            if self.join is not None or self.optional:
                key = "join" if self.join is not None else "optional"
                yield [key], "only a joined table has it; the first table has one row per loan"
        elif not self.keys or not self.joins:
            yield [], "a joined table needs `key` (its own) and `join` (of a table above it)"
        elif len(self.keys) != len(self.joins):
            yield ["join"], f"needs as many columns as `key`; got {self.joins} for {self.keys}"


class Target(Part):
    """The outcome column and the raw values that mean bad (1) and good (0).

    Loans without an outcome yet (`indeterminate`: still running, for example) are left out.
    """

    field: str
    """Column with the outcome."""
    bad: Scalar | list[Scalar]
    """Raw value, or values, of a loan that went bad."""
    good: Scalar | list[Scalar]
    """Raw value, or values, of a good loan."""
    indeterminate: list[Scalar] = Key(default=[])
    """Raw values of loans without an outcome yet, which are left out."""
    known_at: Literal["outcome"] = "outcome"
    """When the outcome is known: always `outcome`."""

    @cached_property
    def words(self) -> tuple[list[str], list[str]]:
        """The raw texts that mean good, and those that mean bad."""
        return [text(v) for v in listed(self.good)], [text(v) for v in listed(self.bad)]

    @cached_property
    def codes(self) -> dict[str, int]:
        """The outcome of each raw text of the column: 1 for bad, 0 for good.

        `true` and `false` stand for every way of writing them that files have (`True`, `1`).
        """
        good, bad = self.words
        stated = dict.fromkeys(good, 0) | dict.fromkeys(bad, 1)
        truths = {truth: stated[text(truth)] for truth in (True, False) if self._is_stated(truth)}
        written = {word: truths[truth] for word, truth in BOOLEANS.items() if truth in truths}
        return written | stated

    def _is_stated(self, truth: bool) -> bool:
        """Return whether a boolean, and not its text, is one of the raw values."""
        return any(v is truth for side in (self.good, self.bad) for v in listed(side))

    @property
    def indeterminate_words(self) -> list[str]:
        """The raw texts of loans without an outcome yet."""
        return [text(v) for v in self.indeterminate]

    @property
    def allowed(self) -> list[str]:
        """The raw texts that the contract states, sorted."""
        return sorted({word for side in self.words for word in side})

    def problems(self) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the target: the keys of its place, and the problem."""
        good, bad = self.words
        for key, values in (("good", good), ("bad", bad)):
            if not values:
                yield [key], "needs at least one raw value"
        for value in sorted(set(good) & set(bad)):
            yield ["good"], f"{value!r} means bad too"
        for value in map(text, self.indeterminate):
            if value in self.codes:
                yield ["indeterminate"], f"{value!r} means bad or good too"


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


class Contract(Part):
    """A whole contract, as `stages.contract.reading` returns it."""

    title: str = ""
    """What people call the loan book."""
    description: str = ""
    """What the loan book holds."""
    tables: dict[str, Table] = Key(min_length=1)
    """Raw tables; the first has one row per loan."""
    target: Target
    """The outcome."""
    date: str | None = None
    """Field with the loan's date, by which the book is split; without it the split is random."""
    entity: str | None = None
    """Column that identifies the customer of a loan."""
    exposure: str | None = None
    """Field that says how much money is at risk."""
    outcome: OutcomeWindow | None = None
    """Time in which a loan can go bad."""
    fields: dict[str, Field] = Key(min_length=1)
    """Columns, by name."""
    derived: dict[str, Derived] = Key(default={})
    """Ratios of fields, by name."""
    checks: dict[str, Check] = Key(default={})
    """Rules between fields, by name."""

    def inputs(self, mode: Mode) -> list[Field]:
        """Return the fields that a model of this mode reads, in the contract's order."""
        read = {f.name for f in self.feature_fields(mode)}
        read.update(name for d in self.feature_ratios(mode) for name in d.ratio.fields)
        return [f for f in self.fields.values() if f.name in read]

    def feature_fields(self, mode: Mode) -> list[Field]:
        """Return the fields that are features themselves."""
        return [f for f in self.fields.values() if f.known_at in AVAILABLE[mode] and f.is_feature]

    def feature_ratios(self, mode: Mode) -> list[Derived]:
        """Return the derived features whose fields are all available in `mode`."""
        available = {f.name for f in self.fields.values() if f.known_at in AVAILABLE[mode]}
        return [d for d in self.derived.values() if available.issuperset(d.ratio.fields)]

    @property
    def protected(self) -> list[Field]:
        """The protected attributes: recorded for fairness, never an input of a model."""
        return [f for f in self.fields.values() if f.protected]

    @property
    def base_table(self) -> str:
        """The name of the table with one row per loan."""
        return next(iter(self.tables))

    def place(self, column: str) -> tuple[str, str]:
        """Return the table and the name of a column, written `COLUMN` or `TABLE.COLUMN`."""
        table, dot, name = column.partition(".")
        return (table, name) if dot and table in self.tables else (self.base_table, column)

    def joined_name(self, column: str) -> str:
        """Return the name that a column, written as for `place`, has in the joined rows."""
        table, name = self.place(column)
        return name if table == self.base_table else f"{table}.{name}"


def presence(table: str) -> str:
    """Return the name of the flag that says whether a loan has a row in an optional table."""
    return f"{table}_present"
