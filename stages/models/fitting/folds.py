"""Cut rows into folds: the rows that a model learns from, and those that it is judged on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stages.contract.schema import ContractError

Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]
PAST = "past"  # in files of judged rows, the split of those that an origin was calibrated on
# The share of the rows that every fold, even the first in time, learns from: a model of few rows
# is more extreme than the final one, and its calibration would shrink PDs too much.
FIRST = 0.5
# The smallest share of the rows that it may learn from so that no outcome is of a later day. Where
# outcomes take so long that fewer rows are left, folds follow the loans' days alone.
FEWEST = 0.15


class FoldsError(ContractError):
    """The rows cannot be cut into so many folds; the message says what to change."""


def cut(
    bad: NDArray[np.int64],
    group: NDArray[np.int64],
    day: NDArray[np.datetime64] | None,
    folds: int,
    seed: int,
    outcome_known: NDArray[np.datetime64] | None = None,
) -> list[Fold]:
    """Return for each fold the rows to learn from and the rows to judge on.

    `bad` (n,) holds the outcomes. Rows of one `group` (n,), which are copies of an application or
    loans of one customer, never stand on both sides. Where the loans have a `day` (n,), the folds
    are parts of the later half of the book in time order, and a model learns from the rows before
    its fold; else, and where `has_days_for` says that there are too few days, the folds are drawn
    at random with the same bad rate, and each row is judged once.

    `outcome_known` (n,) is the day on which each outcome was known, where loans take time to go
    bad: a model learns from the outcomes alone that were known on the first day of its fold. The
    folds begin later then, at half of the outcomes that any of them could learn from. Where that is
    less than FEWEST of the rows, this embargo is not kept, as `learn_from_later_days` says.

    Raises FoldsError where a side of a fold lacks good or bad loans.
    """
    if day is None or not has_days_for(folds, day):
        result = list(at_random(bad, group, folds, seed))
    else:
        result = list(in_time(group, day, folds, outcome_known))
    for part in (rows for fold in result for rows in fold):
        if len(np.unique(bad[part])) < 2:
            raise FoldsError(_too_few(folds, group))
    return result


def has_days_for(folds: int, day: NDArray[np.datetime64]) -> bool:
    """Return whether the days (n,) allow so many folds in time order, each with a day before it."""
    return len(np.unique(day)) > folds


def _too_few(folds: int, group: NDArray[np.int64]) -> str:
    """Say that a fold has no good or no bad loans, and what may be the reason."""
    groups = len(np.unique(group))
    together = (
        f". The {len(group):,} loans are of {groups:,} customers, or applications with copies, "
        "whose loans never stand on both sides of a fold"
    )
    few = f"{folds} folds leave one fold without good or bad loans: use fewer"
    return few + (together if groups < len(group) else "")


def in_time(
    group: NDArray[np.int64],
    day: NDArray[np.datetime64],
    folds: int,
    outcome_known: NDArray[np.datetime64] | None = None,
) -> Iterator[Fold]:
    """Yield folds of whole days, each with the rows before it but the groups that it judges."""
    start = None if outcome_known is None else first_day(day, outcome_known)
    days = np.sort(day)
    first = FIRST if start is None else float(np.searchsorted(days, start)) / len(day)
    shares = first + (1 - first) * np.arange(folds) / folds
    edges = first_days(np.unique(days), days[(shares * len(day)).astype(np.intp)])
    for since, until in zip(edges, [*edges[1:], day.max() + 1], strict=True):
        outside = (day >= since) & (day < until)
        before = day < since if start is None or outcome_known is None else outcome_known <= since
        inside = before & ~np.isin(group, group[outside])
        yield np.flatnonzero(inside), np.flatnonzero(outside)


def first_days(
    distinct: NDArray[np.datetime64], edges: NDArray[np.datetime64]
) -> NDArray[np.datetime64]:
    """Return the first days (f,) of folds so that a day lies before the first, and one in each.

    `distinct` are all days, ascending; so are the edges, and some are equal where days are few.
    """
    order = np.arange(len(edges))
    place = np.maximum(np.searchsorted(distinct, edges), 1)
    place = np.maximum.accumulate(place - order) + order
    return distinct[np.minimum(place, len(distinct) - len(edges) + order)]


def first_day(
    day: NDArray[np.datetime64], outcome_known: NDArray[np.datetime64]
) -> np.datetime64 | None:
    """Return the day on which the first fold begins under an embargo, or None without one.

    On that day FIRST of the outcomes are known that are known before the last day (n,).
    """
    early = np.sort(outcome_known[outcome_known < day.max()])
    count = int(np.ceil(FIRST * len(early)))
    return np.datetime64(early[count - 1]) if count >= FEWEST * len(day) else None


def learn_from_later_days(
    folds: list[Fold], day: NDArray[np.datetime64], outcome_known: NDArray[np.datetime64]
) -> bool:
    """Return whether a fold learns from an outcome that was known after its first day."""
    return any(outcome_known[inside].max() > day[outside].min() for inside, outside in folds)


def at_random(
    bad: NDArray[np.int64], group: NDArray[np.int64], folds: int, seed: int
) -> Iterator[Fold]:
    """Yield stratified folds of whole groups; a group with a bad row counts as bad."""
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  (half a second)

    groups, place = np.unique(group, return_inverse=True)
    any_bad = np.zeros(len(groups), dtype=np.int64)
    np.maximum.at(any_bad, place, bad)
    fewest = int(np.bincount(any_bad, minlength=2).min())
    if fewest < folds:
        raise FoldsError(f"{folds} folds need as many good and bad loans; got {fewest}: use fewer")
    cutter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for _, outside in cutter.split(any_bad, any_bad):
        judged = np.isin(place, outside)
        yield np.flatnonzero(~judged), np.flatnonzero(judged)
