"""Curve data for plots: columns (k,) float64, few enough points to draw, in drawing order."""

import numpy as np
from numpy.typing import ArrayLike

from stages.judging import weighted_metrics
from stages.judging.metrics import ECE_BINS, both_classes, checked_bins
from stages.judging.weighted_metrics import Columns, Floats, Positions, Sample, Tally, checked

POINTS = 200
HISTOGRAM_BINS = 50


def roc(bad: ArrayLike, pd: ArrayLike, points: int = POINTS) -> Columns:
    """ROC curve from (0, 0) to (1, 1): `threshold` (1 at first: nobody flagged) and both rates.

    At most `points` of them, evenly spaced along the curve. ValueError if there is one class.
    """
    thresholds, goods, bads = _flagged(bad, pd)
    keep = _thin(goods + bads, points)
    return {
        "threshold": thresholds[keep],
        "false_positive_rate": goods[keep],
        "true_positive_rate": bads[keep],
    }


def precision_recall(bad: ArrayLike, pd: ArrayLike, points: int = POINTS) -> Columns:
    """Precision by rising recall, at most `points` evenly spaced in it. ValueError if one class."""
    thresholds, goods, bads = (values[1:] for values in _flagged(bad, pd))
    rate = float(checked(bad, pd)[0].mean())
    keep = _thin(bads, points)
    caught, false = rate * bads[keep], (1 - rate) * goods[keep]
    return {
        "threshold": thresholds[keep],
        "recall": bads[keep],
        "precision": caught / (caught + false),
    }


def kolmogorov_smirnov(bad: ArrayLike, pd: ArrayLike, points: int = POINTS) -> Columns:
    """Shares of goods and of bads with a PD below each `pd`; the widest gap is always kept.

    At most `points` + 1 of them. ValueError if there is one class.
    """
    thresholds, goods, bads = (values[::-1] for values in _flagged(bad, pd))
    good_below, bad_below = 1 - goods, 1 - bads
    widest = int(np.argmax(np.abs(good_below - bad_below)))
    keep = np.union1d(_thin(good_below + bad_below, points), [widest])
    return {
        "pd": thresholds[keep],
        "good_share": good_below[keep],
        "bad_share": bad_below[keep],
    }


def reliability(bad: ArrayLike, pd: ArrayLike, bins: int = ECE_BINS) -> Columns:
    """`mean_pd`, `bad_rate` and `rows` of each bin of `metrics.ece` that is not empty."""
    sample = Sample.of(bad, pd)
    sums = Tally.of(sample, np.ones((1, len(sample.order))))
    edges = weighted_metrics.bin_edges(sample, sums, checked_bins(bins))
    expected, realised = weighted_metrics.expected_and_realised(sample, sums, edges)
    rows = np.diff(edges)
    full = rows > 0
    return {
        "mean_pd": expected[full] / rows[full],
        "bad_rate": realised[full] / rows[full],
        "rows": rows[full].astype(np.float64),
    }


def histogram(bad: ArrayLike, pd: ArrayLike, bins: int = HISTOGRAM_BINS) -> Columns:
    """Counts of `good` and `bad` rows in bins of equal width, `low` to `high`, over PDs 0..1."""
    outcome, scores = checked(bad, pd)
    edges = np.linspace(0, 1, checked_bins(bins) + 1)
    good, lost = (np.histogram(scores[own], edges)[0] for own in (~outcome, outcome))
    return {
        "low": edges[:-1],
        "high": edges[1:],
        "good": good.astype(np.float64),
        "bad": lost.astype(np.float64),
    }


def _flagged(bad: ArrayLike, pd: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Distinct PDs, falling, after a 1 for nobody; shares of goods and bads at or above each."""
    sample, sums = both_classes(bad, pd)
    bads = sums.bads[0][np.searchsorted(sample.bads, sample.ties)]
    goods = sample.ties - bads
    thresholds = np.append(sample.pd[sample.ties[:-1]], 1.0)
    return thresholds[::-1], (1 - goods / goods[-1])[::-1], (1 - bads / bads[-1])[::-1]


def _thin(way: Floats, points: int) -> Positions:
    """At most `points` positions, evenly spaced along a rising way (n,), both its ends included."""
    if points < 2:
        raise ValueError(f"`points` must be an integer >= 2; got {points}")
    near = np.searchsorted(way, np.linspace(way[0], way[-1], points)[1:-1])
    return np.unique(np.concatenate([[0], near, [len(way) - 1]]))
