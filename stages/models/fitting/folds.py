"""Cut rows into folds: the rows that a model learns from, and those that it is judged on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stages.contract.schema import ContractError

Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]
# The share of the rows that even the first of the folds in time learns from: a model of few rows
# is more extreme than the final one, and its calibration would shrink PDs too much.
FIRST = 0.5


class FoldsError(ContractError):
    """The rows cannot be cut into so many folds; the message says what to change."""


def cut(
    bad: NDArray[np.int64],
    group: NDArray[np.int64],
    day: NDArray[np.datetime64] | None,
    folds: int,
    seed: int,
) -> list[Fold]:
    """Return for each fold the rows to learn from and the rows to judge on.

    `bad` (n,) holds the outcomes. Rows of one `group` (n,), which are copies of an application or
    loans of one customer, never stand on both sides. Where the loans have a `day` (n,), the folds
    are parts of the later half of the book in time order, and a model learns from the rows before
    its fold; else the folds are drawn at random with the same bad rate, and each row is judged
    once.

    Raises FoldsError where a side of a fold lacks good or bad loans.
    """
    cuts = at_random(bad, group, folds, seed) if day is None else in_time(group, day, folds)
    result = list(cuts)
    for part in (rows for fold in result for rows in fold):
        if len(np.unique(bad[part])) < 2:
            raise FoldsError(f"{folds} folds leave one without good and bad loans: try fewer")
    return result


def in_time(group: NDArray[np.int64], day: NDArray[np.datetime64], folds: int) -> Iterator[Fold]:
    """Yield folds of whole days, each with the rows before it, less the groups that it judges."""
    shares = FIRST + (1 - FIRST) * np.arange(folds) / folds
    edges = np.sort(day)[(shares * len(day)).astype(np.intp)]
    for since, until in zip(edges, [*edges[1:], day.max() + 1], strict=True):
        outside = (day >= since) & (day < until)
        inside = (day < since) & ~np.isin(group, group[outside])
        yield np.flatnonzero(inside), np.flatnonzero(outside)


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
        raise FoldsError(f"{folds} folds need as many good and bad loans; got {fewest}: try fewer")
    cutter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for _, outside in cutter.split(any_bad, any_bad):
        judged = np.isin(place, outside)
        yield np.flatnonzero(~judged), np.flatnonzero(judged)
