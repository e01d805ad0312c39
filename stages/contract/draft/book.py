"""Reads an unknown loan book: its tables, how they join, and what a contract says of a column."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

import numpy as np
import pandas as pd

from stages.contract.draft import keys, leakage, outcome
from stages.contract.draft.columns import column_names, dialect, profile
from stages.contract.draft.columns.column import Column, Floats, Guess, is_nested
from stages.contract.draft.keys import Link
from stages.contract.draft.outcome import Meaning, TargetCoding
from stages.contract.fields.written_values import did_you_mean
from stages.contract.raw.files import read_file
from stages.contract.schema import ContractError
from stages.contract.tables import RawTable


@dataclass
class RawBook:
    """The raw tables of a loan book, and how they join."""

    frames: dict[str, pd.DataFrame]
    forms: dict[str, RawTable]
    base: str
    target: str
    outcome: TargetCoding
    links: dict[str, Link]
    unlinked: dict[str, str]

    @property
    def keys(self) -> set[str]:
        """The names of the columns that join the tables."""
        return {name for link in self.links.values() for name in (link.join, link.key)}

    def share_repeated(self, names: list[str]) -> float:
        """Return the share of the loans that repeat an earlier one in `names` and the outcome."""
        loans = self.frames[self.base][names].assign(**{self.target: self.outcome.y})
        return float(loans.duplicated().mean())

    @property
    def loans(self) -> int:
        """The number of loans."""
        return len(self.outcome.y)


@dataclass
class DraftField:
    """A column of the book, and what the contract will say of it.

    Attributes
    ----------
    why : the reason for `known_at`. settled : whether a person said so.
    days : (n,) the days of a date, NaN where it is missing; empty for other columns.
    values : (k,) the numbers or codes of other columns for the rows of `leakage.sample_rows`.
    """

    name: str
    table: str
    guess: Guess
    known_at: str = "application"
    why: str = ""
    settled: bool = False
    suspected: str = "outcome"
    risk: str = ""
    field: str = ""
    evidence: str = ""
    protected: bool = False
    days: Floats = dataclass_field(default_factory=lambda: np.zeros(0))
    values: Floats = dataclass_field(default_factory=lambda: np.zeros(0))

    @property
    def identity(self) -> tuple[str, str]:
        """Its table and its name, which no other column shares."""
        return self.table, self.name

    @property
    def late(self) -> str:
        """When it is known, where that is after the application; else ""."""
        return "" if self.known_at == "application" else self.known_at

    @property
    def is_quantity(self) -> bool:
        """Whether it holds numbers, and not codes of categories."""
        g = self.guess
        return bool(self.values.size) and g.type in ("integer", "number") and g.enum is None

    @property
    def suspicion(self) -> str:
        """Why it may be a leak, where that is not certain; else ""."""
        return self.guess.doubts.get("known_at", "")

    @property
    def is_feature(self) -> bool:
        """Whether a model may use it."""
        g = self.guess
        out = self.protected or g.unused or g.left_out or self.known_at == "outcome"
        return not out and g.type != "date"


def read_tables(paths: list[Path]) -> tuple[dict[str, pd.DataFrame], dict[str, RawTable]]:
    """Return the files' tables, and how each file is written, by their names."""
    frames: dict[str, pd.DataFrame] = {}
    forms: dict[str, RawTable] = {}
    for path in paths:
        name = path.name.split(".")[0]
        if name in frames:
            raise ContractError(f"{path}: two files are called {name!r}; rename one of them")
        forms[name] = dialect.guess_table(path)
        frames[name] = read_file(path, None, forms[name])
    return frames, forms


def find_loans(frames: dict[str, pd.DataFrame], target: str) -> str:
    """Return the name of the first table that has the target; raises ContractError for none."""
    base = next((name for name, frame in frames.items() if target in frame), None)
    if base is None:
        there = "; ".join(f"{n} has {', '.join(f.columns)}" for n, f in frames.items())
        near = did_you_mean(target, [c for f in frames.values() for c in f.columns])
        raise ContractError(
            f"--target must be a column of the files; got {target!r} ({there}){near}"
        )
    return base


def join_tables(
    frames: dict[str, pd.DataFrame], forms: dict[str, RawTable], target: str, said: Meaning
) -> RawBook:
    """Return the book of the tables, of which the first with the target holds the loans.

    `said` are the values of the target that a person called bad and good.
    """
    base = find_loans(frames, target)
    loans = frames[base]
    coded = outcome.code_target(Column.of(target, loans[target]), said)
    frames = {base: loans.drop(columns=target)} | {n: f for n, f in frames.items() if n != base}
    links = {n: keys.find_link(frames[base], f, n) for n, f in frames.items() if n != base}
    unlinked = {n: why for n, why in links.items() if isinstance(why, str)}
    return RawBook(
        frames={n: f for n, f in frames.items() if n not in unlinked},
        forms=forms,
        base=base,
        target=target,
        outcome=coded,
        links={n: x for n, x in links.items() if isinstance(x, Link)},
        unlinked=unlinked,
    )


def describe_columns(book: RawBook, table: str) -> list[DraftField]:
    """Return what the contract will say of each column of a table."""
    frame = book.frames[table]
    joined = (
        {book.links[table].key} if table in book.links else {x.join for x in book.links.values()}
    )
    parts = []
    for place, name in enumerate(frame.columns):
        if sys.stderr.isatty():
            print(f"\r{table}: column {place + 1} of {len(frame.columns)}", end="", file=sys.stderr)
        if is_nested(frame[name]):
            parts.append(
                DraftField(name, table, Guess(left_out="lists or structures, no plain values"))
            )
            continue
        column = Column.of(name, frame[name])
        protected = column_names.is_protected(name)
        part = DraftField(name, table, profile.guess(column), protected=protected)
        if name in joined:
            part.guess.left_out = "it joins the tables"
        _relate_to_outcome(book, part, column)
        parts.append(part)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return parts


def _relate_to_outcome(book: RawBook, part: DraftField, column: Column) -> None:
    """Set when a column is known, and in which direction the bad rate goes along it."""
    g = part.guess
    if g.left_out:
        return
    x = column.to_rows(g.values)
    if part.table != book.base:
        x = np.append(x, np.nan)[book.links[part.table].rows]
    some = leakage.sample_rows(book.loans)
    if g.type == "date":
        part.days = x
    else:
        part.values = x[some]
    part.known_at = column_names.known_at(part.name)
    if part.known_at != "application":
        part.why = "by its name"
    if g.type == "date" or g.unused or part.protected:
        return
    leak = leakage.find_leak(x[some], book.outcome.y[some], g.enum is not None)
    if leak:
        part.why = leak.why if not part.why else f"{part.why}, {leak.why}"
    if leak and leak.is_certain:
        part.known_at = "pricing" if part.known_at == "pricing" else "outcome"
    elif leak and part.known_at == "application":
        g.doubts["known_at"] = (
            f"suspected leak ({leak.why}), not marked, as honest fields can be as strong: add the "
            "line `known_at: outcome` if it is not known when the decision is made"
        )
    if g.enum is None and part.is_feature:
        word, first, last = leakage.find_direction(x[some], book.outcome.y[some])
        if word and g.type != "boolean":
            rates = f"the bad rate is {first:.1%} at the low end, {last:.1%} at the high"
            part.risk = f"risk: {word}   # confirm: {rates}"


def rename_repeated(book: RawBook, parts: list[DraftField], date: str | None) -> None:
    """Name fields after their table where a column of an earlier table has the same name."""
    taken = {book.target: book.base} | {link.join: book.base for link in book.links.values()}
    taken |= {date: book.base} if date else {}
    for part in parts:
        if not part.guess.left_out and taken.setdefault(part.name, part.table) != part.table:
            part.field = f"{part.table}_{part.name}"
