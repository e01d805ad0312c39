"""How well PDs rank, calibrate and decide, on NumPy arrays alone.

`bad` is (n,) of 0/1 or bool, 1 = default; `pd` is (n,) float64 in 0..1. A figure that is undefined
is NaN in `summary` and `by_group`, so that small groups need no special case. No rows, NaN and
values out of range are a ValueError everywhere.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stages.metrics import calibration_error, weighted_metrics
from stages.metrics.ranked_rows import (
    Columns,
    Floats,
    RankedRows,
    ResampledCounts,
    check_approved,
    check_rows,
    require_all,
)
from stages.metrics.recalibration import recalibrate

NAMES = (
    *("roc_auc", "pr_auc", "gini", "ks", "brier", "log_loss", "ece"),
    *("calibration_slope", "calibration_intercept", "mean_pd", "bad_rate"),
    *("precision", "recall", "f1", "approval_rate", "approved_bad_rate"),
)


class Recalibration(NamedTuple):
    """Logistic recalibration of the log-odds; ideal: slope 1, both intercepts 0.

    `slope` and `intercept` are fitted together: logit P(bad) = intercept + slope * logit(pd).
    `in_the_large` is the intercept with the slope fixed at 1: above 0, PDs are too low.
    """

    slope: float
    intercept: float
    in_the_large: float


def check_cut_off(cut_off: float) -> float:
    """Return the cut-off itself; ValueError unless it is a PD."""
    if not 0 <= cut_off <= 1:
        raise ValueError(f"`cut_off` must be a PD from 0 to 1; got {cut_off}")
    return cut_off


def count_rows(ranked: RankedRows) -> ResampledCounts:
    """Count the rows as they are: one table."""
    return ResampledCounts.of(ranked.count(ranked.keys)[None])


def compute_figures(ranked: RankedRows, plain: ResampledCounts, counts: ResampledCounts) -> Columns:
    """Return every figure of `summary` but `ece` for w tables of counts, (w,) each.

    `ece` stands for its square less the noise of outcomes, which has no bias.
    """
    slope, _, in_the_large = recalibrate(ranked, plain, counts)
    columns = {
        **weighted_metrics.ranking(counts),
        **weighted_metrics.probability(ranked, counts),
        **weighted_metrics.decisions(ranked, counts),
        "ece": weighted_metrics.squared_calibration_error(ranked, counts, calibration_error.BINS),
        "calibration_slope": slope,
        "calibration_intercept": in_the_large,
    }
    return {name: columns[name] for name in NAMES}


def summary(
    bad: ArrayLike, pd: ArrayLike, cut_off: float, *, approved: ArrayLike | None = None
) -> dict[str, float]:
    """Return every figure by its standard name, in the order of NAMES.

    `pd >= cut_off` predicts a default. `approved` (n,) bool says who is approved where that is not
    simply `pd < cut_off` (hard rules, a referral band). `calibration_intercept` is in the large;
    `ece` is free of the noise of outcomes (see `calibration_error`). An undefined figure is NaN:
    what needs both classes when there is one, a rate among nobody, the slope of constant or
    perfectly separating PDs. ValueError: no rows, NaN, values out of range.
    """
    ranked = RankedRows.of(bad, pd, check_cut_off(cut_off), approved)
    plain = count_rows(ranked)
    values = {
        name: float(value[0]) for name, value in compute_figures(ranked, plain, plain).items()
    }
    return values | {"ece": calibration_error.estimate(ranked, plain)}


def figure(name: str, bad: ArrayLike, pd: ArrayLike) -> float:
    """Return one figure of `summary` that needs no cut-off: of rank, or a mean over the rows."""
    ranked = RankedRows.of(bad, pd)
    counts = count_rows(ranked)
    columns = weighted_metrics.ranking(counts) | weighted_metrics.probability(ranked, counts)
    return float(columns[name][0])


def by_group(
    groups: ArrayLike,
    bad: ArrayLike,
    pd: ArrayLike,
    cut_off: float,
    *,
    minimum_rows: int,
    approved: ArrayLike | None = None,
) -> dict[str, dict[str, float]]:
    """Return `rows` and the `summary` of each group (n,), by its label as text, in sorted order.

    A group of fewer than `minimum_rows` has its `rows` and NaN for every figure.
    """
    outcome, scores = check_rows(bad, pd)
    labels = np.asarray(groups).astype(str)
    if labels.shape != outcome.shape:
        raise ValueError(f"`groups` must have a label per row, {outcome.shape}; got {labels.shape}")
    below = scores < check_cut_off(cut_off)
    taken = below if approved is None else check_approved(approved, len(below))
    by_label: dict[str, dict[str, float]] = {}
    for label in np.unique(labels):
        member = labels == label
        values = dict.fromkeys(NAMES, float("nan"))
        if member.sum() >= minimum_rows:
            values = summary(outcome[member], scores[member], cut_off, approved=taken[member])
        by_label[str(label)] = {"rows": float(member.sum()), **values}
    return by_label


def rank_both_classes(bad: ArrayLike, pd: ArrayLike) -> tuple[RankedRows, ResampledCounts]:
    """Rank and count the rows; ValueError unless there are goods and bads."""
    ranked = RankedRows.of(bad, pd)
    counts = count_rows(ranked)
    goods, bads = counts.all_goods[0], counts.all_bads[0]
    if not goods or not bads:
        only = "bad (1)" if bads else "good (0)"
        raise ValueError(f"`bad` must hold both classes; got {len(ranked.keys)} rows, all {only}")
    return ranked, counts


def roc_auc(bad: ArrayLike, pd: ArrayLike) -> float:
    """Return the probability that a bad has a higher PD than a good, ties counting half."""
    return float(weighted_metrics.ranking(rank_both_classes(bad, pd)[1])["roc_auc"][0])


def calibration_slope_intercept(bad: ArrayLike, pd: ArrayLike) -> Recalibration:
    """Recalibrate the log-odds (Cox 1958), with PDs clipped by `ranked_rows.ODDS_CLIP` (1e-6).

    `slope` and `intercept` are NaN where the likelihood has no maximum: constant PDs, or PDs that
    separate goods from bads. ValueError if there is one class.
    """
    ranked, counts = rank_both_classes(bad, pd)
    return Recalibration(*(float(values[0]) for values in recalibrate(ranked, counts, counts)))


def check_values(name: str, values: ArrayLike, rows: int) -> Floats:
    """Return a further figure's values, one finite number per row; ValueError otherwise."""
    checked = np.asarray(values, dtype=np.float64)
    if name in NAMES:
        raise ValueError(f"`means` must not use a standard name; got {name}")
    if checked.shape != (rows,):
        raise ValueError(
            f"`means[{name}]` must have one number per row, ({rows},); got {checked.shape}"
        )
    require_all(np.isfinite(checked), checked, f"`means[{name}]` must be finite")
    return checked
