"""Finds labels that are not ripe: young loans had less time to go bad than older ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TENTHS = 10
OLDER = 7  # tenths of the loans that count as old
LOWER = 0.75  # of the older loans' bad rate
ERRORS = 4  # standard errors
MONTHS = 12  # in which loans usually count as good or bad


def describe_fall(days: Floats, bad: Floats) -> str:
    """Say in words that the bad rate falls with the age of the book; "" where it does not.

    `days` (n,) are those of the decisions, `bad` (n,) is 1 or 0; NaN where unknown. The bad rate of
    the youngest tenth of the loans must lie a quarter below that of the oldest seven tenths, and
    further than chance explains.
    """
    known = ~np.isnan(days) & ~np.isnan(bad)
    order = np.argsort(days[known], kind="stable")
    if len(order) < TENTHS:
        return ""
    days, bad = days[known][order], bad[known][order]
    edge, start = len(bad) * OLDER // TENTHS, len(bad) * (TENTHS - 1) // TENTHS
    older, before, youngest = bad[:edge].mean(), bad[edge:start].mean(), bad[start:].mean()
    error = np.sqrt(older * (1 - older) / len(bad[start:]))
    if youngest > min(before, LOWER * older) or older - youngest < ERRORS * error:
        return ""
    since = np.datetime64(int(days[start]), "D")
    return f"the bad rate falls from {older:.1%} of the older loans to {youngest:.1%} since {since}"


def dates_defaults(days: Floats, bad: Floats) -> bool:
    """Return whether a date (n,), NaN where it is empty, is there for the bad loans alone."""
    there = ~np.isnan(days)
    if not (bad == 1).any() or not (bad == 0).any():
        return False
    return bool(there[bad == 1].mean() >= 0.9 and there[bad == 0].mean() <= 0.05)
