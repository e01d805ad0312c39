"""How well PDs rank, calibrate and decide, on NumPy arrays alone.

`bad` is (n,) of 0/1 or bool, 1 = default; `pd` is (n,) float64 in 0..1; `weights`, where taken, is
(n,) float64 >= 0 and counts rows: a weight of 2 is the row twice. A single figure raises ValueError
where one class leaves it undefined; `summary` and `by_group` give NaN for it instead, so that small
groups need no special case. No rows, NaN and values out of range are a ValueError everywhere.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stages.judging import weighted_metrics
from stages.judging.weighted_metrics import Bools, Columns, Floats, Sample, Tally, checked, every

NAMES = (
    *("roc_auc", "pr_auc", "gini", "ks", "brier", "log_loss", "ece"),
    *("calibration_slope", "calibration_intercept", "mean_pd", "bad_rate"),
    *("precision", "recall", "f1", "approval_rate", "approved_bad_rate"),
)
ECE_BINS = 10


class Calibration(NamedTuple):
    """Logistic recalibration of the log-odds; ideal: slope 1, both intercepts 0.

    `slope` and `intercept` are fitted together: logit P(bad) = intercept + slope * logit(pd).
    `in_the_large` is the intercept with the slope fixed at 1: above 0, PDs are too low.
    """

    slope: float
    intercept: float
    in_the_large: float


class Confusion(NamedTuple):
    """Counts and rates when `pd >= cut_off` predicts a default; a rate of nothing is NaN."""

    tn: int
    fp: int
    fn: int
    tp: int
    precision: float
    recall: float
    f1: float


class Approval(NamedTuple):
    """Share of applications approved, and share of bads among them (NaN if none is)."""

    approval_rate: float
    bad_rate: float


def checked_weights(weights: ArrayLike | None, rows: int) -> Floats:
    """Weights (n,) float64, all 1 where None; ValueError unless finite, >= 0 and not all 0."""
    values = np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.shape != (rows,):
        raise ValueError(f"`weights` must be one number a row, ({rows},); got {values.shape}")
    every((values >= 0) & np.isfinite(values), values, "`weights` must be finite and >= 0")
    if not values.any():
        raise ValueError(f"`weights` must not all be 0; got {rows} zeros")
    return values


def checked_approved(approved: ArrayLike, rows: int) -> Bools:
    """Who is approved (n,) as bool; ValueError for another length or type."""
    values = np.asarray(approved)
    if values.shape != (rows,) or values.dtype != np.bool_:
        came = f"{values.dtype} {values.shape}"
        raise ValueError(f"`approved` must be one true or false a row, ({rows},); got {came}")
    return values


def checked_cut_off(cut_off: float) -> float:
    """The cut-off itself; ValueError unless it is a PD."""
    if not 0 <= cut_off <= 1:
        raise ValueError(f"`cut_off` must be a PD from 0 to 1; got {cut_off}")
    return cut_off


def tallied(sample: Sample, weights: Floats, cut_off: float, approved: Bools | None) -> Columns:
    """Every figure of `summary`, (w,) each, under weights (w, n) in the rows' original order."""
    sums = Tally.of(sample, weights)
    slope, _, in_the_large = weighted_metrics.recalibration(sample, sums)
    figures = {
        **weighted_metrics.ranking(sample, sums),
        **weighted_metrics.probability(sample, sums),
        **weighted_metrics.decisions(sample, sums, cut_off, approved),
        "ece": weighted_metrics.calibration_error(sample, sums, ECE_BINS),
        "calibration_slope": slope,
        "calibration_intercept": in_the_large,
    }
    return {name: figures[name] for name in NAMES}


def summary(
    bad: ArrayLike,
    pd: ArrayLike,
    cut_off: float,
    *,
    approved: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> dict[str, float]:
    """Every figure by its standard name, in the order of NAMES.

    `pd >= cut_off` predicts a default. `approved` (n,) bool says who is approved where that is not
    simply `pd < cut_off` (hard rules, a referral band). `calibration_intercept` is in the large. An
    undefined figure is NaN: what needs both classes when there is one, a rate among nobody, the
    slope of constant or perfectly separating PDs. ValueError: no rows, NaN, values out of range.
    """
    sample = Sample.of(bad, pd)
    rows = len(sample.order)
    taken = None if approved is None else checked_approved(approved, rows)
    weighting = checked_weights(weights, rows)[None]
    figures = tallied(sample, weighting, checked_cut_off(cut_off), taken)
    return {name: float(values[0]) for name, values in figures.items()}


def by_group(
    groups: ArrayLike,
    bad: ArrayLike,
    pd: ArrayLike,
    cut_off: float,
    *,
    minimum_rows: int,
    approved: ArrayLike | None = None,
) -> dict[str, dict[str, float]]:
    """`rows` and the `summary` of each group (n,), by its label as text, in sorted order.

    A group of fewer than `minimum_rows` has its `rows` and NaN for every figure.
    """
    outcome, scores = checked(bad, pd)
    labels = np.asarray(groups).astype(str)
    if labels.shape != outcome.shape:
        raise ValueError(f"`groups` must be one a row, {outcome.shape}; got {labels.shape}")
    below = scores < checked_cut_off(cut_off)
    taken = below if approved is None else checked_approved(approved, len(below))
    found: dict[str, dict[str, float]] = {}
    for label in np.unique(labels):
        own = labels == label
        figures = dict.fromkeys(NAMES, float("nan"))
        if own.sum() >= minimum_rows:
            figures = summary(outcome[own], scores[own], cut_off, approved=taken[own])
        found[str(label)] = {"rows": float(own.sum()), **figures}
    return found


def _any_class(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None) -> tuple[Sample, Tally]:
    sample = Sample.of(bad, pd)
    return sample, Tally.of(sample, checked_weights(weights, len(sample.order))[None])


def both_classes(
    bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Sample, Tally]:
    """The rows sorted and tallied once; ValueError unless goods and bads have weight."""
    sample, sums = _any_class(bad, pd, weights)
    if not 0 < sums.bads[0, -1] < sums.rows[0, -1]:
        kind = "bad (1)" if sums.bads[0, -1] else "good (0)"
        raise ValueError(f"`bad` must hold both classes; got {len(sample.order)} rows, all {kind}")
    return sample, sums


def roc_auc(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Probability that a bad has a higher PD than a good, ties counting half (mid-ranks)."""
    return float(weighted_metrics.ranking(*both_classes(bad, pd, weights))["roc_auc"][0])


def pr_auc(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Average precision: sum over distinct PDs of (gain in recall) * precision."""
    return float(weighted_metrics.ranking(*both_classes(bad, pd, weights))["pr_auc"][0])


def gini(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None) -> float:
    """2 * roc_auc - 1, also called the accuracy ratio or Somers' D."""
    return float(weighted_metrics.ranking(*both_classes(bad, pd, weights))["gini"][0])


def ks(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Kolmogorov-Smirnov: largest distance, in either direction, of goods' and bads' PD curves."""
    return float(weighted_metrics.ranking(*both_classes(bad, pd, weights))["ks"][0])


def brier(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of (pd - bad) squared."""
    return float(weighted_metrics.probability(*_any_class(bad, pd, weights))["brier"][0])


def log_loss(bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of -log(probability of what happened), PDs clipped by `tally.LOSS_CLIP` (2.2e-16)."""
    return float(weighted_metrics.probability(*_any_class(bad, pd, weights))["log_loss"][0])


def ece(
    bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None, *, bins: int = ECE_BINS
) -> float:
    """Expected calibration error over bins of equal frequency.

    Sum over bins of (share of rows) * |bad rate - mean PD|. A row is in bin floor(bins * share of
    rows with a lower PD): equal PDs share a bin, and a bin that ties swallow is empty.
    """
    return float(
        weighted_metrics.calibration_error(*_any_class(bad, pd, weights), checked_bins(bins))[0]
    )


def checked_bins(bins: int) -> int:
    """The number of bins itself; ValueError unless it is at least 1."""
    if bins < 1:
        raise ValueError(f"`bins` must be an integer >= 1; got {bins}")
    return bins


def calibration_slope_intercept(
    bad: ArrayLike, pd: ArrayLike, weights: ArrayLike | None = None
) -> Calibration:
    """Logistic recalibration of the log-odds (Cox 1958), PDs clipped by `tally.ODDS_CLIP` (1e-6).

    `slope` and `intercept` are NaN where the likelihood has no maximum: constant PDs, or PDs that
    separate goods from bads. ValueError if there is one class.
    """
    fits = weighted_metrics.recalibration(*both_classes(bad, pd, weights))
    return Calibration(*(float(values[0]) for values in fits))


def confusion(bad: ArrayLike, pd: ArrayLike, cut_off: float) -> Confusion:
    """Counts of outcome against prediction, and their rates."""
    outcome, scores = checked(bad, pd)
    flagged = scores >= checked_cut_off(cut_off)
    tp, fp = int((flagged & outcome).sum()), int((flagged & ~outcome).sum())
    fn, tn = int((~flagged & outcome).sum()), int((~flagged & ~outcome).sum())
    shares = ((tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn))
    rates = (part / whole if whole else float("nan") for part, whole in shares)
    return Confusion(tn, fp, fn, tp, *rates)


def approval(bad: ArrayLike, approved: ArrayLike) -> Approval:
    """From outcomes (n,) and who is approved (n,) bool: `pd < cut_off`, `decision == "approve"`."""
    outcome, _ = checked(bad, np.zeros(np.shape(bad)))
    taken = checked_approved(approved, len(outcome))
    bad_rate = float(outcome[taken].mean()) if taken.any() else float("nan")
    return Approval(float(taken.mean()), bad_rate)
