"""Figures of PDs for many resamples at once, from the counts of goods and bads in cells of PDs.

One table of counts gives the figure itself (`metrics`), a thousand resampled ones its bootstrap
(`intervals`). Shapes: k cells, w resamples; every figure is (w,) float64, NaN where undefined.
"""

import numpy as np

from stages.metrics.ranked_rows import (
    Columns,
    Floats,
    Positions,
    RankedRows,
    ResampledCounts,
    ratio,
    running_sums,
    weighted_sums,
)


def ranking(counts: ResampledCounts) -> Columns:
    """Return roc_auc, pr_auc, gini and ks: all that the order of the rows decides."""
    goods, bads = counts.all_goods[:, None], counts.all_bads[:, None]
    good_share, bad_share = ratio(counts.goods, goods), ratio(counts.bads, bads)
    good_upto, bad_upto = np.cumsum(good_share, axis=1), np.cumsum(bad_share, axis=1)
    auc = np.minimum((bad_share * (good_upto - good_share / 2)).sum(1), 1)  # of shares, rounded
    caught = bads - np.cumsum(counts.bads, axis=1) + counts.bads
    flagged = caught + goods - np.cumsum(counts.goods, axis=1) + counts.goods
    precision = (bad_share * (caught / np.maximum(flagged, 1))).sum(1)
    return {
        "roc_auc": auc,
        "pr_auc": np.where(goods[:, 0] > 0, precision, np.nan),
        "gini": 2 * auc - 1,
        "ks": np.abs(good_upto - bad_upto).max(1),
    }


def probability(ranked: RankedRows, counts: ResampledCounts) -> Columns:
    """Return brier, log_loss, mean_pd and bad_rate: means over the rows."""
    rows = counts.rows
    total = rows.sum(1)

    def mean(values: Floats) -> Floats:
        goods, bads = values.T
        sums = weighted_sums(counts.goods, goods) + weighted_sums(counts.bads, bads)
        average: Floats = sums / total
        return average

    return {
        "brier": mean(ranked.squares),
        "log_loss": mean(ranked.losses),
        "mean_pd": weighted_sums(rows, ranked.pd) / total,
        "bad_rate": counts.all_bads / total,
    }


def decisions(ranked: RankedRows, counts: ResampledCounts) -> Columns:
    """Return the rates when a PD of the cut-off or more predicts a default."""
    bads = counts.all_bads
    flagged, caught = counts.rows[:, ranked.cut :].sum(1), counts.bads[:, ranked.cut :].sum(1)
    approved = counts.approved_goods + counts.approved_bads
    return {
        "precision": ratio(caught, flagged),
        "recall": ratio(caught, bads),
        "f1": ratio(2 * caught, flagged + bads),
        "approval_rate": approved / counts.rows.sum(1),
        "approved_bad_rate": ratio(counts.approved_bads, approved),
    }


def bin_edges(counts: ResampledCounts, bins: int) -> Positions:
    """Return the cell where each bin of equal frequency starts, and k: (w, bins + 1)."""
    shares = np.arange(bins + 1) / bins
    before = running_sums(counts.rows)
    edges = np.stack([np.searchsorted(rows, rows[-1] * shares) for rows in before])
    edges[:, -1] = counts.rows.shape[1]
    return edges


def sums_between(values: Floats, edges: Positions) -> Floats:
    """Return the sums of values (w, k) from each edge to the next: (w, bins)."""
    return np.diff(np.take_along_axis(running_sums(values), edges, axis=1), axis=1)


def squared_calibration_error(ranked: RankedRows, counts: ResampledCounts, bins: int) -> Floats:
    """Return the mean square of (bad rate - mean PD) of bins of equal frequency, less its noise.

    The variance of (bad - PD) in a bin, over its rows, is what outcomes add to the square; so the
    figure has no bias, and may be negative. A bin of one row has no variance and is left out.
    """
    edges = bin_edges(counts, bins)
    rows = sums_between(counts.rows, edges)
    gap = ratio(sums_between(counts.bads - counts.rows * ranked.pd, edges), rows)
    goods, bads = ranked.squares.T
    square = ratio(sums_between(counts.goods * goods + counts.bads * bads, edges), rows)
    unbiased = np.where(rows > 1, gap**2 - ratio(square - gap**2, rows - 1), 0)
    total: Floats = (rows * unbiased).sum(1) / rows.sum(1)
    return total
