"""How far scores moved from those of the past: the population stability index (PSI).

By chance alone PSI is above 0: divided by 1/n + 1/m it follows a chi-squared distribution
(Yurdakul 2018), and a noncentral one where the population moved. The interval holds the PSI of the
populations themselves, for which such a value is neither too high nor too low.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtr, chndtrinc

from stages.metrics.clusters import LEVEL, Codes, independent_number
from stages.metrics.ranked_rows import Floats
from stages.metrics.rate_intervals import Interval

BINS = 10  # of equal numbers of past scores
HALF = 0.5  # of a score is added to each bin, so that an empty one has a logarithm


def stability_index(past: Floats, now: Floats, cluster: Codes | None = None) -> Interval:
    """Return the PSI of scores `now` (m,) against those of the past (n,), with its interval.

    What chance adds is taken off the value, which is 0 at least. Rows of one cluster (m,) count for
    fewer.
    """
    edges = np.unique(np.quantile(past, np.arange(1, BINS) / BINS))
    expected, actual = (shares(edges, scores) for scores in (past, now))
    index = float(np.sum((actual - expected) * np.log(actual / expected)))
    rows = independent_number(np.ones(len(now), dtype=np.bool_), cluster)
    noise = 1 / len(past) + 1 / rows
    freedom = len(edges)
    ends = (noncentrality(index / noise, freedom, (1 + side * LEVEL) / 2) for side in (1, -1))
    low, high = (noise * end for end in ends)
    return Interval(max(0.0, index - noise * freedom), low, high)


def shares(edges: Floats, scores: Floats) -> Floats:
    """Return the share of scores (n,) in each bin between edges (k,): (k + 1,), none of them 0."""
    places = np.searchsorted(edges, scores, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1) + HALF
    return np.asarray(counts / counts.sum())


def noncentrality(value: float, freedom: int, probability: float) -> float:
    """Return the noncentrality at which a chi-squared value is as large with a probability.

    0 where the value is smaller with this probability without any.
    """
    if freedom == 0 or chdtr(freedom, value) <= probability:
        return 0.0
    return float(chndtrinc(value, freedom, probability))
