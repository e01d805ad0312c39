"""The raw tables of a contract, and how their files are written."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from pydantic import Field as Key

from stages.contract.fields.field import Field, as_list
from stages.contract.fields.parts import ContractPart


class Dialect(ContractPart):
    """How a text file or a workbook holds its table."""

    delimiter: str | None = Key(default=None, min_length=1, max_length=1)
    """What stands between values: `,` where none is given, or a tab in a .tsv file.

    A space stands for any run of spaces and tabs.
    """
    quote_char: str = Key(default='"', alias="quoteChar", min_length=1, max_length=1)
    """What stands around a text that holds the delimiter."""
    header: bool = True
    """Whether the first row holds the names; else the columns are `field1`, `field2`, ..."""
    sheet: str = ""
    """The sheet of a workbook; the first where none is named."""


class RawTable(ContractPart):
    """A raw file; the first table has one row per loan, and the others are joined to it."""

    path: str
    """File in the dataset's folder `raw`."""
    title: str = ""
    """What people call the table."""
    encoding: str = "utf-8"
    """How a text file writes characters: `utf-8`, `cp1252`, `latin-1`, ..."""
    dialect: Dialect = Dialect()
    """How a text file or a workbook holds the table."""
    key: str | list[str] | None = None
    """Column, or columns, that identify a row."""
    join: str | list[str] | None = None
    """Columns that hold the key in tables above: `COLUMN` of the first, or `TABLE.COLUMN`."""
    optional: bool = False
    """Whether a loan may have no row in this table."""

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row of this table."""
        return as_list(self.key)

    @property
    def joins(self) -> list[str]:
        """The columns that hold the key in tables above: `COLUMN` of the first, `TABLE.COLUMN`."""
        return as_list(self.join)

    def problems(self, first: bool) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the table: the keys of its place, and the problem."""
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            yield (
                ["encoding"],
                f"must be a text encoding such as utf-8 or cp1252; got {self.encoding!r}",
            )
        if first:
            if self.join is not None or self.optional:
                key = "join" if self.join is not None else "optional"
                yield [key], "only a joined table may have it; the first has one row per loan"
        elif not self.keys or not self.joins:
            yield [], "a joined table needs `key` (its own) and `join` (of a table above it)"
        elif len(self.keys) != len(self.joins):
            yield ["join"], f"needs as many columns as `key`; got {self.joins} for {self.keys}"


NAME = r"[A-Za-z_][A-Za-z0-9_]*"


class FeatureSource(ContractPart):
    """From where the service gets the lines that a request does not state."""

    kind: Literal["sql", "feast"]
    """`sql`: a table of `CREDIT_PD_FEATURES_URL`; `feast`: a view of `CREDIT_PD_FEAST_URL`."""
    table: str = Key(pattern=rf"^({NAME}\.)?{NAME}$")
    """The table, `TABLE` or `SCHEMA.TABLE`, with the columns of the raw file; the feature view."""
    as_of: str = Key(default="", pattern=rf"^(({NAME}\.){{0,2}}{NAME})?$")
    """Of `sql`, the column with the time of the last load: `COLUMN`, or `TABLE.COLUMN`."""
    max_age: str = Key(pattern=r"^[1-9]\d{0,4} (minute|hour|day)s?$")
    """The age of the newest `as_of` above which nothing is decided, such as `2 days`."""

    def problems(self) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the source: the keys of its place, and the problem."""
        if self.kind == "sql" and not self.as_of:
            yield ["as_of"], "must name the column with the time of the last load"
        if self.kind == "feast" and self.as_of:
            yield ["as_of"], "is for `sql`; Feast states the time of each record"
        if self.kind == "feast" and "." in self.table:
            yield ["table"], f"must be the name of a feature view; got {self.table!r}"

    @property
    def oldest(self) -> timedelta:
        """The age that `max_age` states."""
        number, unit = self.max_age.split()
        return timedelta(**{f"{unit.removesuffix('s')}s": int(number)})


class History(RawTable):
    """A raw file with any number of lines per loan, each with its date."""

    date: str
    """The field of a line with its date: only lines before the day of the decision count."""
    fields: dict[str, Field] = Key(min_length=1)
    """The columns of a line, by name."""
    max_lines: int = Key(default=1000, ge=1, le=100_000)
    """The most lines that an application may have."""
    source: FeatureSource | None = None
    """What answers where a request names the key instead of the lines; none where it must not."""

    @property
    def asked_by(self) -> list[str]:
        """The names of the key in a request that has no lines: those of the joined columns."""
        return [join.rpartition(".")[2] for join in self.joins] if self.source else []

    @property
    def columns(self) -> list[str]:
        """The columns of the file that are read."""
        return [*self.keys, *(field.source for field in self.fields.values())]

    @property
    def readable(self) -> dict[str, Field]:
        """The fields that aggregates can read: all but texts without categories."""
        return {n: f for n, f in self.fields.items() if f.type != "string" or f.is_category}

    def problems(self, first: bool = False) -> Iterator[tuple[list[str], str]]:
        """Yield each contradiction within the history: the keys of its place, and the problem."""
        yield from super().problems(first)
        day = self.fields.get(self.date)
        if day is None or day.type != "date":
            yield ["date"], f"must be a date among its `fields`; got {self.date!r}"
        for keys, problem in self.source.problems() if self.source else ():
            yield ["source", *keys], problem
        for name, field in self.fields.items():
            # A line is no feature: a text without categories is a fault of aggregates alone.
            for keys, problem in field.problems():
                yield ["fields", name, *keys], problem
