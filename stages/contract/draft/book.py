"""Reads an unknown loan book: its tables, how they join, and what a contract says of a column."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

import numpy as np
import pandas as pd

from stages.contract.draft import column_names, dialect, keys, leakage, outcome, profile
from stages.contract.draft.column import Column, Floats, Guess, is_nested
from stages.contract.draft.keys import Link
from stages.contract.draft.outcome import TargetCoding
from stages.contract.fields.written_values import did_you_mean
from stages.contract.raw.files import read_file
from stages.contract.schema import ContractError
from stages.contract.tables import RawTable
from stages.features import split


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
    """A column of the book, and what the contract will say of it."""

    name: str
    table: str
    guess: Guess
    known_at: str = "application"
    why: str = ""
    suspected: str = "outcome"
    risk: str = ""
    field: str = ""
    days: Floats = dataclass_field(default_factory=lambda: np.zeros(0))
    values: Floats = dataclass_field(default_factory=lambda: np.zeros(0))

    @property
    def protected(self) -> bool:
        """Whether its name suggests a protected attribute."""
        return column_names.is_protected(self.name)

    @property
    def late(self) -> str:
        """When it is known, where that is after the application; else ""."""
        return "" if self.known_at == "application" else self.known_at

    @property
    def is_feature(self) -> bool:
        """Whether a model may use it."""
        g = self.guess
        out = self.protected or g.unused or g.left_out or self.known_at == "outcome"
        return not out and g.type != "date"


def read(paths: list[Path], target: str) -> RawBook:
    """Read the files, of which the first with the target holds the loans, and join them."""
    frames: dict[str, pd.DataFrame] = {}
    forms: dict[str, RawTable] = {}
    for path in paths:
        name = path.name.split(".")[0]
        if name in frames:
            raise ContractError(f"{path}: two files are called {name!r}; rename one of them")
        forms[name] = dialect.guess_table(path)
        frames[name] = read_file(path, None, forms[name])
    base = next((name for name, frame in frames.items() if target in frame), None)
    if base is None:
        there = "; ".join(f"{n} has {', '.join(f.columns)}" for n, f in frames.items())
        near = did_you_mean(target, [c for f in frames.values() for c in f.columns])
        raise ContractError(
            f"--target must be a column of the files; got {target!r} ({there}){near}"
        )
    loans = frames[base]
    coded = outcome.guess(Column.of(target, loans[target]))
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
        part = DraftField(name, table, profile.guess(column))
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
    if g.type == "date":
        part.days = x
    if column_names.tells_price(part.name) and (g.enum is None) and g.type != "date":
        part.values = x
    part.known_at = column_names.known_at(part.name)
    if part.known_at != "application":
        part.why = "by its name"
    some = leakage.sample_rows(book.loans)
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


def choose_decision_date(
    book: RawBook, parts: list[DraftField], asked: str | None
) -> tuple[str | None, str]:
    """Return the name of the date that the split follows, if there is one, and why."""
    dates = {p.name: p for p in parts if p.table == book.base and p.guess.type == "date"}
    if asked is not None:
        why = dates[asked].guess.left_out if asked in dates else f"those are {sorted(dates)}"
        if why:
            near = "" if asked in dates else did_you_mean(asked, dates)
            raise ContractError(
                f"--date must be a date of {book.base!r}; got {asked!r}: {why}{near}"
            )
        fits = _can_split(dates[asked].days, book.outcome.y)
        return (
            asked,
            "" if fits else "a split by it leaves a part without good or without bad loans",
        )
    history = [name for name in dates if column_names.dates_history(name)]
    fit = [p for p in dates.values() if p.days.size and not p.protected and p.guess.required]
    fit = [p for p in fit if p.name not in history and p.known_at != "outcome"]
    named = [p for p in fit if column_names.tells(column_names.DECISION, p.name)]
    years = {p.name: leakage.years_between(p.days) for p in fit if p not in named}
    long = [name for name in years if years[name] > leakage.MOST_YEARS]
    unnamed = [p for p in fit if p.name not in long]
    for part in named or (unnamed if len(fit) == 1 else []):
        if _can_split(part.days, book.outcome.y):
            return part.name, "the out-of-time split and the vintages follow it"
    written = [f"{p.name} has {p.guess.left_out}" for p in dates.values() if p.guess.left_out]
    written += [f"{name} is of the applicant's history; --date names another" for name in history]
    written += [
        f"{name} spans {years[name]:.0f} years, longer than most books; --date names it"
        for name in long
    ]
    return None, "; ".join(written) or (
        f"none of {sorted(dates)} will do" if dates else "none found"
    )


def _can_split(days: Floats, y: Floats) -> bool:
    """Return whether a split by these days leaves good and bad loans in each part."""
    try:
        place = split.by_time(days.astype("datetime64[D]"), 0.1, 0.2)
    except ContractError:
        return False
    known = ~np.isnan(y)
    return all(len(np.unique(y[known & (place == i)])) == 2 for i in range(len(split.SPLITS)))


def rename_repeated(book: RawBook, parts: list[DraftField], date: str | None) -> None:
    """Name fields after their table where a column of an earlier table has the same name."""
    taken = {book.target: book.base} | {link.join: book.base for link in book.links.values()}
    taken |= {date: book.base} if date else {}
    for part in parts:
        if not part.guess.left_out and taken.setdefault(part.name, part.table) != part.table:
            part.field = f"{part.table}_{part.name}"


def mark_later_dates(parts: list[DraftField], date: str | None) -> None:
    """Mark the dates that lie after the decision."""
    decision = next((p.days for p in parts if p.name == date), None)
    for part in parts:
        if decision is not None and part.days.size and part.name != date:
            share = leakage.share_later(part.days, decision)
            if share > 0.01:
                part.known_at = "outcome"
                part.why = f"later than {date} in {share:.0%} of the loans"
