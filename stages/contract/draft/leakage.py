"""Find fields that leak information: leaks of the outcome, and dates after the decision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.features.information_value import information_value

Floats = NDArray[np.float64]
# Stronger single fields are rare in credit (Siddiqi 2006 already doubts 0.5).
SUSPICIOUS = 0.75
SAMPLE = 200_000
CELLS = 60
# A date over more years, which no name tells for that of the decision, is one of the applicant's
# life: a birth, or the day a bank came to know a customer.
MOST_YEARS = 15
BINS = 10


def sample_rows(n: int) -> NDArray[np.int64]:
    """Return the places of at most SAMPLE rows, evenly over n."""
    return np.arange(n) if n <= SAMPLE else np.linspace(0, n - 1, SAMPLE).astype(np.int64)


class Leak(NamedTuple):
    """Why a field seems to know the outcome, and whether no field of an application could."""

    why: str
    is_certain: bool


def find_leak(x: Floats, bad: Floats, is_category: bool) -> Leak | None:
    """Return why a field x (n,) seems to know the outcome (n,), NaN where unknown.

    A field is suspect where its IV is above 0.75 by more than chance gives: (cells - 1) * (1 / bads
    + 1 / goods) is the expectation of IV without any association. Legitimate fields of some books
    are as strong (the use of a credit line, the last payments), so only a near-copy of the target,
    or what nearly all bad loans and no others have, is certain.
    """
    known = ~np.isnan(bad)
    x, bad = x[known], bad[known]
    bads, goods = int(bad.sum()), int(len(bad) - bad.sum())
    if not bads or not goods:
        return None
    bins = CELLS if is_category else BINS
    iv = information_value(x, bad, bins)
    cells = min(bins, len(np.unique(x)))
    if iv - (cells - 1) * (1 / bads + 1 / goods) <= SUSPICIOUS:
        return None
    if is_near_copy(x, bad):
        return Leak(f"near-copy of the target, IV {iv:.2f}", True)
    missing = np.isnan(x)
    if not missing.any() or missing.all():
        return Leak(f"IV {iv:.2f}", False)
    rates = (
        f"{bad[missing].mean():.1%} are bad where it is missing, {bad[~missing].mean():.1%} else"
    )
    return Leak(f"IV {iv:.2f}; {rates}", False)


def is_near_copy(x: Floats, bad: Floats) -> bool:
    """Return whether x alone tells nearly every outcome: all but 2 % of the rarer one.

    A field of many values tells by what it has where it has not its most frequent value, as a
    recovery does, which is 0 or missing for every good loan.
    """
    values, cell = np.unique(x, return_inverse=True)
    if len(values) > CELLS:
        cell = (cell != np.bincount(cell).argmax()).astype(np.int64)
    bads = np.bincount(cell, weights=bad)
    wrong = np.minimum(bads, np.bincount(cell) - bads).sum()
    return bool(wrong <= 0.02 * min(bad.sum(), len(bad) - bad.sum()))


def share_later(days: Floats, decision: Floats) -> float:
    """Return the share of days (n,) that lie after the decision's (n,); NaN where missing."""
    known = ~np.isnan(days) & ~np.isnan(decision)
    return float(np.mean(days[known] > decision[known])) if known.any() else 0.0


def find_direction(x: Floats, bad: Floats) -> tuple[str, float, float]:
    """Return whether the bad rate is increasing or decreasing along x (n,), and its two ends.

    The direction is "" unless the bad rate goes one way through all of at least three bins, and
    one end is half as high again as the other.
    """
    known = ~np.isnan(x) & ~np.isnan(bad)
    x, bad = x[known], bad[known]
    if not len(x):
        return "", 0.0, 0.0
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 6)[1:-1]))
    cell = np.searchsorted(edges, x, side="right")
    rows = np.bincount(cell, minlength=len(edges) + 1)
    rates = np.bincount(cell, weights=bad, minlength=len(rows))[rows > 0] / rows[rows > 0]
    first, last = float(rates[0]), float(rates[-1])
    steps = np.diff(rates)
    if len(rates) < 3 or max(first, last) < 1.5 * min(first, last):
        return "", first, last
    word = "increasing" if np.all(steps >= 0) else "decreasing" if np.all(steps <= 0) else ""
    return word, first, last


def years_between(days: Floats) -> float:
    """Return the years between the first and the last day (n,)."""
    return float(np.nanmax(days) - np.nanmin(days)) / 365.25
