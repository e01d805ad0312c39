"""Aggregate the lines of a history to one number per application, for one or for a million.

This is the only code that does it: `preprocess` calls it for a book and the service for a request.
Only lines before the day of the decision count. The order of the lines changes nothing, to the last
bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.contract.derived import Aggregate
from stages.contract.expressions.operations import months_between

Floats = NDArray[np.float64]
Owners = NDArray[np.intp]
DAYS_PER_MONTH = 365.2425 / 12


@dataclass(frozen=True)
class HistoryLines:
    """The lines of a history that belong to n applications.

    Attributes
    ----------
    count : n, the number of applications.
    owner : (m,) the place of each line's application, ascending.
    day : (m,) the date of each line, as days since 1970.
    columns : the encoded fields of the lines, (m,) each.
    unknown : (n,) whether nothing is known of an application's lines, not even that it has none.
    """

    count: int
    owner: Owners
    day: Floats
    columns: Mapping[str, Floats]
    unknown: NDArray[np.bool_]


def compute(aggregates: list[Aggregate], lines: HistoryLines, decided: Floats) -> dict[str, Floats]:
    """Return aggregates (n,) by name, for applications decided on days (n,) since 1970.

    An aggregate is missing where nothing is known of the lines, or of the day of the decision.
    """
    before = lines.day < decided[lines.owner]
    known = ~(lines.unknown | np.isnan(decided))
    values = {}
    for aggregate in aggregates:
        result = _aggregate(aggregate, lines, decided, before)
        empty = np.nan if aggregate.when_empty is None else aggregate.when_empty
        values[aggregate.name] = np.where(known, np.where(np.isnan(result), empty, result), np.nan)
    return values


def _aggregate(
    aggregate: Aggregate, lines: HistoryLines, decided: Floats, before: NDArray[np.bool_]
) -> Floats:
    """Return one aggregate (n,), NaN where no line gives it a value."""
    chosen = before
    if aggregate.within:
        chosen = chosen & (lines.day >= window_start(aggregate.within, decided)[lines.owner])
    truth = None if aggregate.condition is None else aggregate.condition.truth(lines.columns)
    if aggregate.take == "share" and truth is not None:
        stated = chosen & ~np.isnan(truth)
        return _mean(truth[stated], lines.owner[stated], lines.count)
    if truth is not None:
        chosen = chosen & (truth == 1)
    values = lines.columns[aggregate.field] if aggregate.field else lines.day
    chosen = chosen & ~np.isnan(values)
    return _take(
        aggregate.take,
        Taken(values[chosen], lines.day[chosen], lines.owner[chosen], lines.count),
        decided,
    )


@dataclass(frozen=True)
class Taken:
    """The values, the days and the owners (k,) of the lines that an aggregate is made of."""

    values: Floats
    days: Floats
    owner: Owners
    count: int


def _take(take: str, lines: Taken, decided: Floats) -> Floats:
    values, days, owner, n = lines.values, lines.days, lines.owner, lines.count
    if take in SIMPLE:
        return SIMPLE[take](values, owner, n)
    if take == "trend":
        return _slope(values, days, owner, n)
    if take == "months_since":
        newest = _last(np.lexsort((days, owner)), days, owner, n)
        return np.asarray(months_between(newest, decided))
    # Of several lines on one day the largest value counts, whatever their order.
    order = np.lexsort((values, days if take == "last" else -days, owner))
    return _last(order, values, owner, n)


def _count(values: Floats, owner: Owners, n: int) -> Floats:
    return np.bincount(owner, minlength=n).astype(np.float64)


def _count_distinct(values: Floats, owner: Owners, n: int) -> Floats:
    pairs = np.unique(np.stack((owner.astype(np.float64), values)), axis=1)[0]
    return np.bincount(pairs.astype(np.intp), minlength=n).astype(np.float64)


def _least(values: Floats, owner: Owners, n: int) -> Floats:
    return _last(np.lexsort((-values, owner)), values, owner, n)


def _largest(values: Floats, owner: Owners, n: int) -> Floats:
    return _last(np.lexsort((values, owner)), values, owner, n)


def _last(order: NDArray[np.intp], values: Floats, owner: Owners, n: int) -> Floats:
    """Return the last value of each owner in an order (k,) that keeps owners together."""
    out = np.full(n, np.nan)
    out[owner[order]] = values[order]
    return out


def _sum(values: Floats, owner: Owners, n: int) -> Floats:
    """Return the sum of each owner's values, added from the smallest to the largest."""
    order = np.lexsort((values, owner))
    sums = np.bincount(owner[order], weights=values[order], minlength=n)
    return sums.astype(np.float64)  # without a line, NumPy counts in integers


def _mean(values: Floats, owner: Owners, n: int) -> Floats:
    counts = np.bincount(owner, minlength=n)
    return np.where(counts > 0, _sum(values, owner, n) / np.maximum(counts, 1), np.nan)


def _slope(values: Floats, days: Floats, owner: Owners, n: int) -> Floats:
    """Return the slope of the least squares line through the values, per month."""
    months = (days - _mean(days, owner, n)[owner]) / DAYS_PER_MONTH
    spread = _sum(months * months, owner, n)
    rise = _sum(months * (values - _mean(values, owner, n)[owner]), owner, n)
    return np.where(spread > 0, rise / np.where(spread > 0, spread, 1.0), np.nan)


SIMPLE = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "min": _least,
    "max": _largest,
    "distinct": _count_distinct,
}


def window_start(within: str, decided: Floats) -> Floats:
    """Return the first day (n,) of a window such as `12 months` that ends with the decision."""
    number, unit = re.fullmatch(r"(\d+) (day|month|year)s?", within).groups()  # type: ignore[union-attr]
    length = int(number) * (12 if unit == "year" else 1)
    if unit == "day":
        return decided - length
    known = ~np.isnan(decided)
    days = np.where(known, np.floor(decided), 0).astype(np.int64).astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    ended = (month - length).astype("datetime64[D]")
    last = (month - length + 1).astype("datetime64[D]") - 1  # a shorter month ends earlier
    start = np.minimum(ended + (days - month.astype("datetime64[D]")), last)
    return np.where(known, start.astype(np.float64), np.nan)
