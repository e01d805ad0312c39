"""Curve data for plots: columns (k,) float64, few enough points to draw, in drawing order."""

import numpy as np
from numpy.typing import ArrayLike

from stages.metrics import calibration_error
from stages.metrics.calibration_error import ReliabilityBins
from stages.metrics.metrics import count_rows, rank_both_classes
from stages.metrics.ranked_rows import (
    Columns,
    Floats,
    Positions,
    RankedRows,
    check_rows,
    running_sums,
)

POINTS = 200  # more cannot be told apart in a plot a few hundred pixels wide
HISTOGRAM_BINS = 50  # two hundredths of PD each


def roc(bad: ArrayLike, pd: ArrayLike, points: int = POINTS) -> Columns:
    """Return the ROC curve from (0, 0) to (1, 1): `threshold`, 1 at first, and both rates.

    At most `points` of them, evenly spaced along the curve. ValueError if there is one class.
    """
    thresholds, goods, bads = _flagged_shares(bad, pd)
    keep = _thin(goods + bads, points)
    return {
        "threshold": thresholds[keep],
        "false_positive_rate": goods[keep],
        "true_positive_rate": bads[keep],
    }


def precision_recall(bad: ArrayLike, pd: ArrayLike, points: int = POINTS) -> Columns:
    """Return precision by rising recall, at `points` recalls at most; ValueError if one class."""
    thresholds, goods, bads = (values[1:] for values in _flagged_shares(bad, pd))
    rate = float(check_rows(bad, pd)[0].mean())
    keep = _thin(bads, points)
    caught, false = rate * bads[keep], (1 - rate) * goods[keep]
    return {
        "threshold": thresholds[keep],
        "recall": bads[keep],
        "precision": caught / (caught + false),
    }


def kolmogorov_smirnov(bad: ArrayLike, pd: ArrayLike, points: int = POINTS) -> Columns:
    """Return the shares of goods and of bads below each `pd`; the widest gap is always kept.

    At most `points` + 1 of them. ValueError if there is one class.
    """
    thresholds, goods, bads = (values[::-1] for values in _flagged_shares(bad, pd))
    good_below, bad_below = 1 - goods, 1 - bads
    widest = int(np.argmax(np.abs(good_below - bad_below)))
    keep = np.union1d(_thin(good_below + bad_below, points), [widest])
    return {
        "pd": thresholds[keep],
        "good_share": good_below[keep],
        "bad_share": bad_below[keep],
    }


def reliability(bad: ArrayLike, pd: ArrayLike, bins: int = calibration_error.BINS) -> Columns:
    """Return `mean_pd`, `bad_rate` and `rows` of each bin of equal frequency that is not empty."""
    ranked = RankedRows.of(bad, pd)
    full = ReliabilityBins.of(ranked, count_rows(ranked), bins)
    return {"mean_pd": full.mean_pd, "bad_rate": full.bad_rate, "rows": full.rows}


def histogram(bad: ArrayLike, pd: ArrayLike, bins: int = HISTOGRAM_BINS) -> Columns:
    """Return counts of `good` and `bad` rows in bins of equal width, `low` to `high`."""
    outcome, scores = check_rows(bad, pd)
    edges = np.linspace(0, 1, bins + 1)
    good, lost = (np.histogram(scores[rows], edges)[0] for rows in (~outcome, outcome))
    return {
        "low": edges[:-1],
        "high": edges[1:],
        "good": good.astype(np.float64),
        "bad": lost.astype(np.float64),
    }


def _flagged_shares(bad: ArrayLike, pd: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return the distinct PDs, falling, after a 1 for nobody, and the shares of goods and of bads
    at or above each.
    """
    ranked, counts = rank_both_classes(bad, pd)
    goods, bads = (running_sums(part)[0] for part in (counts.goods, counts.bads))
    thresholds = np.append(ranked.pd, 1.0)
    return thresholds[::-1], (1 - goods / goods[-1])[::-1], (1 - bads / bads[-1])[::-1]


def _thin(way: Floats, points: int) -> Positions:
    """Return at most `points` positions, evenly spaced along a rising way (n,), with both ends."""
    if points < 2:
        raise ValueError(f"`points` must be an integer >= 2; got {points}")
    near = np.searchsorted(way, np.linspace(way[0], way[-1], points)[1:-1])
    return np.unique(np.concatenate([[0], near, [len(way) - 1]]))
