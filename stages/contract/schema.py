"""The data contract, the one description of a loan book from which everything else follows.

The validation of training rows, the request model of the service, the features, the form of the
page, the drift reference and the sentences of the reasons are all made from
`data/<dataset>/contract.yaml`. The words follow Frictionless Table Schema where it has one (`type`,
`constraints`, `title`, `missingValues`, `trueValues`, `falseValues`).

`stages.contract.reading` reads a contract from its file.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from stages.contract.derived import Aggregate, Check, Derived
from stages.contract.fields.field import Field
from stages.contract.fields.parts import ContractPart
from stages.contract.tables import History, RawTable
from stages.contract.target import OutcomeWindow, Target

Mode = Literal["application", "pricing"]
AVAILABLE = {"application": ("application",), "pricing": ("application", "pricing")}


class ContractError(ValueError):
    """A contract, or data that it describes, is wrong; the message names place, rule and value."""


class Contract(ContractPart):
    """A whole contract, as `stages.contract.reading` returns it."""

    title: str = ""
    """What people call the loan book."""
    description: str = ""
    """What the loan book holds."""
    tables: dict[str, RawTable] = Key(min_length=1)
    """Raw tables; the first has one row per loan."""
    target: Target
    """The outcome."""
    date: str | None = None
    """Field with the loan's date, by which the book is split; without it the split is random."""
    entity: str | None = None
    """Column that identifies the customer of a loan."""
    exposure: str | None = None
    """Field that says how much money is at risk: 0 or more."""
    outcome: OutcomeWindow | None = None
    """Time in which a loan can go bad."""
    fields: dict[str, Field] = Key(min_length=1)
    """Columns, by name."""
    history: dict[str, History] = Key(default={})
    """Raw files with any number of dated lines per loan, by name."""
    aggregates: dict[str, Aggregate] = Key(default={})
    """Numbers made of the lines of a history, by name; formulas may read them."""
    derived: dict[str, Derived] = Key(default={})
    """Formulas over fields, by name; each may read those above it."""
    checks: dict[str, Check] = Key(default={})
    """Rules between fields, by name."""

    def inputs(self, mode: Mode) -> list[Field]:
        """Return the fields that a model of this mode reads, in the contract's order."""
        read = {f.name for f in self.feature_fields(mode)}
        read.update(name for d in self.derived_features(mode) for name in self.sources_of(d))
        aggregates = [a for a in self.aggregates.values() if a.name in read]
        read |= {str(self.date)} if aggregates else set()
        return [*(f for f in self.fields.values() if f.name in read), *aggregates]

    def feature_fields(self, mode: Mode) -> list[Field]:
        """Return the fields that are features themselves."""
        return [f for f in self.columns.values() if f.known_at in AVAILABLE[mode] and f.is_feature]

    def derived_features(self, mode: Mode) -> list[Derived]:
        """Return the derived features whose fields are all available in `mode`."""
        available = {f.name for f in self.columns.values() if f.known_at in AVAILABLE[mode]}
        features = [d for d in self.derived.values() if d.feature]
        return [d for d in features if available.issuperset(self.sources_of(d))]

    def sources_of(self, derived: Derived) -> tuple[str, ...]:
        """Return the names of the fields that a derived one is made from, by however many steps."""
        names = (
            self.sources_of(self.derived[name]) if name in self.derived else (name,)
            for name in derived.reads
        )
        return tuple(dict.fromkeys(source for sources in names for source in sources))

    def steps_of(self, derived: list[Derived]) -> list[Derived]:
        """Return derived fields with those that they read, each after all that it reads."""
        needed: set[str] = set()
        for part in reversed(self.derived.values()):
            if part in derived or part.name in needed:
                needed.update([part.name, *part.reads])
        return [part for part in self.derived.values() if part.name in needed]

    @property
    def columns(self) -> dict[str, Field]:
        """The fields and the aggregates, by name."""
        return {**self.fields, **self.aggregates}

    def aggregates_of(self, history: str) -> list[Aggregate]:
        """Return the aggregates of the lines of a history."""
        return [a for a in self.aggregates.values() if a.of == history]

    @property
    def protected_fields(self) -> list[Field]:
        """The protected attributes: recorded for fairness, never an input of a model."""
        return [f for f in self.fields.values() if f.protected]

    @property
    def date_columns(self) -> list[str]:
        """The columns of dates that the outcome is counted by, and the split."""
        window = self.outcome.columns if self.outcome else []
        return [*([self.date] if self.date else []), *window]

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
