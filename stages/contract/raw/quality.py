"""Count the rows of a book that each rule dropped, and the values that were repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stages.contract.schema import ContractError


class QualityError(ContractError):
    """Too many rows are invalid; the message is a table of what is wrong."""


class Example(TypedDict):
    """One of the rows that a rule drops: its number in the base file, and its value."""

    row: int
    value: str


class DroppedRows(TypedDict):
    """The number of rows that a rule drops, and an example."""

    rows: int
    example: Example


@dataclass
class Fault:
    """What makes a book impossible where it is true of all its rows."""

    text: str
    rows: int
    first: str

    def __str__(self) -> str:
        """Return the message, with the number of rows and the first value."""
        return self.text.replace("{rows}", f"{self.rows:,}").replace("{first}", self.first)


@dataclass
class Report:
    """The numbers of rows that were dropped, left out and repaired, as `quality.json` has them.

    Attributes
    ----------
    rows_in : the rows with an outcome, before any row is dropped.
    indeterminate, unripe : rows without an outcome, or without the time to have one; not invalid.
    late_defaults : loans that went bad after the outcome window, and count as good.
    embargoed : valid rows between the splits, whose outcome was not known when the later began.
    rules : each rule that dropped rows, with their number and an example.
    date : the column of the loan's date; `dropped_dates` has its raw values of all dropped rows.
    of_part : whether the rows are a part of a book, so that a fault may be that of the part alone.
    faults : what is wrong with every row of the part, by what tells the faults of parts apart.
    """

    rows_in: int = 0
    indeterminate: int = 0
    unripe: int = 0
    late_defaults: int = 0
    embargoed: int = 0
    rules: dict[str, DroppedRows] = field(default_factory=dict)
    repaired: dict[str, dict[str, int]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    date: str | None = None
    dropped_dates: list[pd.Series] = field(default_factory=list)
    of_part: bool = False
    faults: dict[str, Fault] = field(default_factory=dict)

    def add(self, parts: Sequence[Report]) -> None:
        """Add the reports of all parts of a book; raises ContractError for a fault of all of them.

        Of a rule that drops rows, the first part that has one gives the example.
        """
        for part in parts:
            for name in ("rows_in", "indeterminate", "unripe", "late_defaults"):
                setattr(self, name, getattr(self, name) + getattr(part, name))
            for rule, dropped in part.rules.items():
                before = self.rules.get(rule, dropped | {"rows": 0})
                self.rules[rule] = before | {"rows": before["rows"] + dropped["rows"]}
            for name, counts in part.repaired.items():
                total = Counter(self.repaired.get(name, {}))
                total.update(counts)
                self.repaired[name] = dict(sorted(total.items()))
            self.dropped_dates += part.dropped_dates
        for name, fault in parts[0].faults.items():
            others = [part.faults[name] for part in parts if name in part.faults]
            rows = sum(other.rows for other in others)
            if len(others) == len(parts) and rows:
                firsts = [other.first for other in others if other.rows]
                raise ContractError(str(Fault(fault.text, rows, min(firsts))))

    def blame(self, name: str, text: str, rows: int, first: str = "") -> None:
        """Raise ContractError for a fault of all rows; keep it where they are a part of a book."""
        fault = Fault(text, rows, first)
        if self.of_part:
            self.faults[name] = fault
        elif rows:
            raise ContractError(str(fault))

    def drop(
        self, rows: pd.DataFrame, broken: ArrayLike, rule: str, columns: Sequence[str]
    ) -> pd.DataFrame:
        """Return the rows where `broken` (n,) does not hold, and count the others."""
        self.count(rows, broken, rule, columns)
        broken = np.asarray(broken, dtype=bool)
        return rows[~broken] if broken.any() else rows

    def count(
        self, rows: pd.DataFrame, broken: ArrayLike, rule: str, columns: Sequence[str]
    ) -> None:
        """Count the rows where `broken` (n,) holds under a rule, with the first as the example."""
        self.rows_in = max(self.rows_in, len(rows))
        broken = np.asarray(broken, dtype=bool)
        if broken.any():
            first = int(np.argmax(broken))
            value = ", ".join(str(rows[column].iloc[first]) for column in columns)
            name = f"{', '.join(columns)}: {rule}"
            self.note(name, int(broken.sum()), int(rows.index[first]), value)
            self.remember(rows[broken])

    def remember(self, dropped: pd.DataFrame) -> None:
        """Keep the dates of rows that are dropped."""
        if self.date in dropped:
            self.dropped_dates.append(dropped[self.date])

    def leave_out(self, rows: pd.DataFrame, without: ArrayLike) -> pd.DataFrame:
        """Return the rows that take part; those `without` an outcome are not invalid."""
        without = np.asarray(without, dtype=bool)
        self.rows_in = max(self.rows_in, len(rows)) - int(without.sum())
        return rows[~without] if without.any() else rows

    def note(self, rule: str, rows: int, row: int, value: object) -> None:
        """Record the number of rows that a rule drops, and one of them as the example."""
        self.rules[rule] = {"rows": rows, "example": {"row": row, "value": str(value)}}

    def summary(self, rows_out: int) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "rows_in": self.rows_in,
            "rows_out": rows_out,
            "indeterminate": self.indeterminate,
            "unripe": self.unripe,
            "late_defaults": self.late_defaults,
            "embargoed": self.embargoed,
            "invalid_share": round(self.invalid_share(rows_out), 6),
            "invalid": dict(sorted(self.rules.items(), key=lambda item: -item[1]["rows"])),
            "repaired": self.repaired,
            "ignored_columns": self.ignored,
        }

    def invalid_share(self, rows_out: int) -> float:
        """Return the share of the rows that were dropped as invalid."""
        return 1 - (rows_out + self.embargoed) / self.rows_in if self.rows_in else 0.0

    def check(self, rows_out: int, max_invalid: float) -> None:
        """Raise QualityError with a table where more than `max_invalid` of rows were dropped."""
        dropped = round(self.invalid_share(rows_out), 9)
        if dropped > max_invalid:
            lines = [
                f"{r['rows']:>10,}  {name}  (row {r['example']['row']}: {r['example']['value']!r})"
                for name, r in self.summary(rows_out)["invalid"].items()
            ]
            raise QualityError(
                f"{dropped:.1%} of {self.rows_in:,} rows are invalid; preprocess.max_invalid "
                f"allows {max_invalid:.1%}\n      rows  rule\n" + "\n".join(lines)
            )
