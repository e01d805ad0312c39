"""Estimate how well the model does from its PDs alone, and compare that with its outcomes.

Without outcomes, calibrated PDs say what to expect of themselves (confidence-based performance
estimation, CBPE): a loan with PD p is bad with probability p. `models/reference.json: calibration`
holds how far the winner's log-odds were off on validation, and how sure that is; both enter the
interval. Its level is taken as it is; its slope is one of two that may hold, the other being 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from service.monitoring.drift_rules import EXPECTED, FALSE_REPORTS, Finding, loudness_of
from stages.metrics import metrics

Floats = NDArray[np.float64]
DRAWS = 500
LEVEL = 0.95
CHUNK = 2_000_000  # outcomes drawn at a time


class Estimate(NamedTuple):
    """A value with its 95 % interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


def estimate(
    pd: Floats, approved: NDArray[np.bool_], calibration: Mapping[str, Any], seed: int = 0
) -> dict[str, Estimate]:
    """Return ROC-AUC, bad rate and bad rate among approved to expect of a window.

    `pd` (n,) are its PDs, `approved` (n,) says which were approved.

    Each draw takes a calibration from `calibrations`, then an outcome for every loan; the value is
    the mean of the draws and the interval their middle 95 %: it is where the realised figure of
    these very loans will lie.
    """
    rng = np.random.default_rng(seed)
    ranks, margin = rankdata(pd), logit(pd)
    draws: dict[str, list[Floats]] = {"roc_auc": [], "bad_rate": [], "approved_bad_rate": []}
    step = max(1, CHUNK // len(pd))
    for first in range(0, DRAWS, step):
        count = min(step, DRAWS - first)
        slope, level = calibrations(calibration, count, rng)
        bad = rng.random((count, len(pd))) < expit(slope[:, None] * margin + level[:, None])
        draws["roc_auc"].append(roc_auc_of_draws(bad, ranks))
        draws["bad_rate"].append(bad.mean(axis=1))
        draws["approved_bad_rate"].append(
            bad[:, approved].mean(axis=1) if approved.any() else np.full(count, np.nan)
        )
    return {name: summarise(np.concatenate(values)) for name, values in draws.items()}


def calibrations(
    fitted: Mapping[str, Any], count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return slopes and intercepts (count,) of the log-odds that may hold, from their uncertainty.

    Half the draws are around the fit on validation, half around the slope 1 that the PDs claim,
    with the intercept that the fit has given that slope. A straight line in log-odds bends what
    is no line: by its slope alone, AUC came out up to 0.014 too high on a public book.
    """
    covariance = np.asarray(fitted["covariance"])
    centre = [fitted["slope"], fitted["intercept"]]
    slope, level = rng.multivariate_normal(centre, covariance, count).T
    shift = rng.integers(0, 2, count) * (1 - fitted["slope"])
    along = covariance[0, 1] / covariance[0, 0] if covariance[0, 0] > 0 else 0.0
    return slope + shift, level + along * shift


def find_fall(bad: NDArray[np.int64], pd: Floats, calibration: Mapping[str, Any]) -> Finding | None:
    """Return a finding when the ROC-AUC of outcomes (n,) is lower than PDs (n,) and chance explain.

    The lower half of `estimate`'s interval is stretched to the level of the drift rules by the
    normal law of the AUC's log-odds: near 1 the AUC itself falls further than it rises. Fewer than
    five loans of one outcome say nothing.
    """
    if min(bad.sum(), len(bad) - bad.sum()) < EXPECTED:
        return None
    expected = estimate(pd, np.zeros(len(pd), dtype=bool), calibration)["roc_auc"]
    spread = (logit(expected.value) - logit(expected.low)) / norm.isf((1 - LEVEL) / 2)
    lowest = expit(logit(expected.value) - norm.isf(FALSE_REPORTS) * spread)
    realised = metrics.roc_auc(bad, pd)
    fall, bound = expected.value - realised, float(expected.value - lowest)
    if not fall > bound:
        return None
    words = f"{realised:.3f} realised by {len(bad):,} loans, {expected.value:.3f} expected"
    return Finding("roc_auc", "realised", fall, bound, loudness_of("realised", fall), words)


def roc_auc_of_draws(bad: NDArray[np.bool_], ranks: Floats) -> Floats:
    """Return the ROC-AUC of each draw of `bad` (draws, n); NaN where all are of one class.

    `ranks` (n,) are the mid-ranks of the PDs.
    """
    bads = bad.sum(axis=1)
    pairs = bads * (bad.shape[1] - bads)
    above = bad @ ranks - bads * (bads + 1) / 2
    undefined = np.full(len(bads), np.nan)
    return np.asarray(np.divide(above, pairs, out=undefined, where=pairs > 0))


def summarise(draws: Floats) -> Estimate:
    """Return the mean and the middle 95 % of draws."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(defined.mean()), float(low), float(high))
