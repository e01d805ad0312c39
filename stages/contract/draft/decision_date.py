"""Finds the date of the decision, which splits a book out of time, and dates that come later."""

from __future__ import annotations

import numpy as np

from stages.contract.draft import leakage
from stages.contract.draft.book import DraftField, RawBook
from stages.contract.draft.columns import column_names
from stages.contract.draft.columns.column import Floats
from stages.contract.fields.written_values import did_you_mean
from stages.contract.schema import ContractError
from stages.features import split


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


def mark_later_dates(parts: list[DraftField], date: str | None) -> None:
    """Mark the dates that lie after the decision."""
    decision = next((p.days for p in parts if p.name == date), None)
    for part in parts:
        if decision is not None and part.days.size and part.name != date:
            share = leakage.share_later(part.days, decision)
            if share > 0.01:
                part.known_at = "outcome"
                part.why = f"later than {date} in {share:.0%} of the loans"
