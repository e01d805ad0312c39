"""Information value and weight of evidence of a feature, from counts in cells of its values.

A number is cut into bins; an unordered category is a set of levels, whose codes are only names.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from stages.features.matrix import Floats

Codes = NDArray[np.intp]
Outcomes = NDArray[np.int64] | Floats
# Half a row in an empty cell keeps every WoE finite (Siddiqi 2006).
SMOOTHING = 0.5


def quantile_edges(present: Floats, bins: int) -> Floats:
    """Return ascending edges that cut the values (n,) at their quantiles into about `bins` bins.

    A bin holds its lower edge. A value that several quantiles share has a bin for itself: otherwise
    many zeros and a few recoveries, which only bad loans have, would share one bin.
    """
    quantiles = np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1])
    edges, times = np.unique(quantiles, return_counts=True)
    values = np.unique(present)
    following = np.searchsorted(values, edges[times > 1], side="right")
    return np.union1d(edges, values[following[following < len(values)]])


def number_cells(x: Floats, bins: int) -> Codes:
    """Return the bin (n,) of each value of a quantity (n,).

    The values are cut at their quantiles into about `bins` bins; where there are few distinct
    values, each has a bin for itself. Missing values are the last bin.
    """
    present = x[~np.isnan(x)]
    edges = np.unique(present)[1:]
    if len(edges) >= bins:
        edges = quantile_edges(present, bins)
    return np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="right"))


def category_cells(x: Floats) -> Codes:
    """Return the level (n,) of each code of a category (n,); missing values are the last level."""
    missing = np.isnan(x)
    last = np.nanmax(x, initial=-1) + 1
    return np.where(missing, last, x).astype(np.intp)


def smoothed_counts(cell: Codes, bad: Outcomes) -> tuple[Floats, Floats]:
    """Return the smoothed number of goods and of bads in each cell (k,); 0 where it has no row."""
    rows = np.bincount(cell)
    bads = np.bincount(cell, weights=bad)
    extra = np.where(rows > 0, SMOOTHING, 0.0)
    return np.asarray(rows - bads + extra), np.asarray(bads + extra)


def weight_of_evidence(cell: Codes, bad: Outcomes) -> Floats:
    """Return ln(share of bads / share of goods) of each cell (k,): higher is riskier."""
    good_count, bad_count = smoothed_counts(cell, bad)
    used = good_count > 0
    odds = np.divide(bad_count, good_count, out=np.ones(len(used)), where=used)
    return np.where(used, np.log(odds * good_count.sum() / bad_count.sum()), 0.0)


def information_value_of(cell: Codes, bad: Outcomes) -> float:
    """Return the sum over cells of (share of bads - share of goods) * WoE (Kullback 1959)."""
    good_count, bad_count = smoothed_counts(cell, bad)
    shares = bad_count / bad_count.sum() - good_count / good_count.sum()
    return float(shares @ weight_of_evidence(cell, bad))


def information_value(x: Floats, bad: Outcomes, bins: int, *, category: bool = False) -> float:
    """Return the IV of a feature x (n,) as its bins or levels show it, bias included.

    Quantities are cut as by `number_cells`, categories are counted by level.
    """
    cell = category_cells(x) if category else number_cells(x, bins)
    return information_value_of(cell, bad)


def chance_information_value(cell: Codes, bad: Outcomes) -> float:
    """Return the IV that cells (n,) show on average when the outcome has nothing to do with them.

    It is exact: the mean over all ways to deal the outcomes to the rows, where the bads of a cell
    are hypergeometric. For large cells it tends to `(k - 1) * (1 / goods + 1 / bads)`; small cells,
    which the smoothing holds back, show less.
    """
    sizes, times = np.unique(np.bincount(cell), return_counts=True)
    cells, n, bads = int(times[sizes > 0].sum()), len(cell), int(np.sum(bad))
    if cells < 2:
        return 0.0
    all_bads, all_goods = bads + SMOOTHING * cells, n - bads + SMOOTHING * cells
    total = 0.0
    for size, count in zip(sizes[sizes > 0].tolist(), times[sizes > 0].tolist(), strict=True):
        # Tails weigh nothing beyond nine standard deviations, or 20 rows where these are short.
        middle, reach = size * bads / n, 9 * math.sqrt(size * bads * (n - bads)) / n + 20
        low, high = max(0, bads - n + size, middle - reach), min(size, bads, middle + reach)
        number = np.arange(int(low), int(high) + 1)
        bad_share = (number + SMOOTHING) / all_bads
        good_share = (size - number + SMOOTHING) / all_goods
        terms = (bad_share - good_share) * np.log(bad_share / good_share)
        total += count * float(hypergeometric(number, n, bads, size) @ terms)
    return total


def hypergeometric(number: Floats | Codes, n: int, bads: int, size: int) -> Floats:
    """Return the probability of each number (k,) of bads among `size` of n rows."""

    def log_choices(of: int, taken: Floats | Codes | int) -> Floats:
        logs = gammaln(of + 1) - gammaln(taken + 1) - gammaln(of - taken + 1)
        return np.asarray(logs, dtype=np.float64)

    ways = log_choices(bads, number) + log_choices(n - bads, size - number)
    return np.asarray(np.exp(ways - log_choices(n, size)))
