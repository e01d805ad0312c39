"""Train, validation and test: by time where loans have a date, else stratified by outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


def by_time(
    date: NDArray[np.datetime64],
    group: NDArray[np.int64],
    validation_share: float,
    test_share: float,
) -> NDArray[np.int64]:
    """Assign the newest rows to test and those before them to validation.

    Whole days stay together. A later copy of an earlier application (same `group`) would tell its
    outcome in advance, so it belongs to no split.

    Returns (n,) places in SPLITS, -1 for such copies.
    """
    ordered = np.sort(date)
    n = len(ordered)
    test_from = ordered[min(int(n * (1 - test_share)), n - 1)]
    validation_from = ordered[min(int(n * (1 - test_share - validation_share)), n - 1)]
    split = (date >= validation_from).astype(np.int64) + (date >= test_from)
    first = np.full(group.max() + 1, len(SPLITS))
    np.minimum.at(first, group, split)
    return np.where(split > first[group], -1, split)


def stratified(
    bad: NDArray[np.int64],
    group: NDArray[np.int64],
    validation_share: float,
    test_share: float,
    seed: int,
) -> NDArray[np.int64]:
    """Draw the splits at random with the same bad rate; copies of an application stay together.

    Returns (n,) places in SPLITS.
    """
    rng = np.random.default_rng(seed)
    groups, first = np.unique(group, return_index=True)
    split = np.zeros(len(groups), dtype=np.int64)
    for outcome in (0, 1):
        members = rng.permutation(np.flatnonzero(bad[first] == outcome))
        test = round(len(members) * test_share)
        validation = round(len(members) * validation_share)
        split[members[:test]] = 2
        split[members[test : test + validation]] = 1
    return split[np.searchsorted(groups, group)]
