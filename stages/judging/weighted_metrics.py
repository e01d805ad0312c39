"""Figures of PDs under many weightings of the same rows at once, from rows sorted only once.

A weight counts a row: 2 is the row twice, 0 leaves it out. One weighting of ones gives the figure
itself (`metrics`), a thousand drawn ones its bootstrap (`intervals`). Shapes: n rows, m of them
bad, w weightings; every figure is (w,) float64, NaN where it is undefined. Nothing here uses BLAS,
whose last bits depend on the number of threads.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]
Columns: TypeAlias = dict[str, Floats]

LOSS_CLIP = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss
ODDS_CLIP = 1e-6  # a PD of exactly 0 or 1 has no log-odds
NEWTON_STEPS = 60
NEWTON_TOLERANCE = 1e-8
NEWTON_STRIDE = 2.0  # longest step in log-odds: an undamped one can overshoot and never return


def checked(bad: ArrayLike, pd: ArrayLike) -> tuple[Bools, Floats]:
    """`bad` as bool (n,), `pd` as float64 (n,); ValueError with rule and first wrong row."""
    outcome, scores = np.asarray(bad), np.asarray(pd, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != scores.shape:
        shapes = f"{outcome.shape} and {scores.shape}"
        raise ValueError(f"`bad` and `pd` must be (n,) and equally long; got shapes {shapes}")
    if not len(outcome):
        raise ValueError("`bad` and `pd` must have at least one row; got none")
    every((outcome == 0) | (outcome == 1), outcome, "`bad` must be 0 or 1")
    every((scores >= 0) & (scores <= 1), scores, "`pd` must be a number from 0 to 1")
    return outcome.astype(np.bool_), scores


def every(valid: Bools, values: NDArray[Any], rule: str) -> None:
    """ValueError with the rule, the first of the values (n,) that is not valid, and its row."""
    wrong = np.flatnonzero(~valid)
    if len(wrong):
        place = f"row {wrong[0]} ({len(wrong)} of {len(values)} rows)"
        raise ValueError(f"{rule}; got {values[wrong[0]]} at {place}")


def log_odds(pd: Floats) -> Floats:
    """log(pd / (1 - pd)) (n,), `pd` clipped to ODDS_CLIP .. 1 - ODDS_CLIP."""
    clipped = np.clip(pd, ODDS_CLIP, 1 - ODDS_CLIP)
    return np.log(clipped / (1 - clipped))


@dataclass(frozen=True)
class Sample:
    """Rows sorted by PD, with what every weighting of them shares."""

    order: Positions  # (n,) original row of each sorted row
    bad: Bools  # (n,) sorted
    pd: Floats  # (n,) sorted
    bads: Positions  # (m,) which sorted rows are bad
    start: Positions  # (m,) first sorted row with the PD of that bad
    stop: Positions  # (m,) one past the last such row
    ties: Positions  # (k + 1,) where each of k distinct PDs starts, and n

    @classmethod
    def of(cls, bad: ArrayLike, pd: ArrayLike) -> "Sample":
        """Sort the rows; ValueError as `checked`."""
        outcome, scores = checked(bad, pd)
        order = np.argsort(scores, kind="stable")
        ranked, bads = scores[order], np.flatnonzero(outcome[order])
        return cls(
            order=order,
            bad=outcome[order],
            pd=ranked,
            bads=bads,
            start=np.searchsorted(ranked, ranked[bads], "left"),
            stop=np.searchsorted(ranked, ranked[bads], "right"),
            ties=np.flatnonzero(np.diff(ranked, prepend=-1.0, append=2.0)),
        )

    @property
    def both_classes(self) -> bool:
        """Whether there are goods and bads."""
        return 0 < len(self.bads) < len(self.order)

    @cached_property
    def log_odds(self) -> Floats:
        """Log-odds of the sorted rows (n,)."""
        return log_odds(self.pd)

    @cached_property
    def losses(self) -> Floats:
        """Logarithmic losses of the sorted rows (n,)."""
        clipped = np.clip(self.pd, LOSS_CLIP, 1 - LOSS_CLIP)
        return -np.log(np.where(self.bad, clipped, 1 - clipped))

    @cached_property
    def unweighted(self) -> tuple[Floats, Floats]:
        """Recalibration of the plain rows (slope free, slope 1): where other weightings start."""
        plain = Tally.of(self, np.ones((1, len(self.order))))
        base = log_odds(self.bad.mean(keepdims=True))
        return (
            _newton(self, plain, np.stack([base, np.zeros(1)]), slope_free=True),
            _newton(self, plain, np.stack([base, np.ones(1)]), slope_free=False),
        )


@dataclass(frozen=True)
class Tally:
    """A sample under w weightings: weights of the sorted rows, and their running sums."""

    weights: Floats  # (w, n)
    rows: Floats  # (w, n + 1) weight of the sorted rows before each position
    bads: Floats  # (w, m + 1) weight of the bads before each bad

    @classmethod
    def of(cls, sample: Sample, weights: Floats) -> "Tally":
        """From weights (w, n) in the original order of the rows."""
        ranked = np.take(weights, sample.order, axis=1)
        return cls(ranked, _running(ranked), _running(np.take(ranked, sample.bads, axis=1)))

    def mean(self, values: NDArray[Any]) -> Floats:
        """Weighted mean (w,) of one value (n,) per sorted row."""
        return weighted_sums(self.weights, values) / self.rows[:, -1]


def weighted_sums(weights: Floats, values: NDArray[Any]) -> Floats:
    """Sums (w,) of weights (w, n) times values (n,), without BLAS."""
    sums: Floats = np.einsum("wn,n->w", weights, values, optimize=False)
    return sums


def _running(weights: Floats) -> Floats:
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _undefined(tally: Tally) -> Floats:
    return np.full(len(tally.weights), np.nan)


def ranking(sample: Sample, tally: Tally) -> Columns:
    """roc_auc, pr_auc, gini and ks: all that the order of the rows decides."""
    names = ("roc_auc", "pr_auc", "gini", "ks")
    if not sample.both_classes:
        return dict.fromkeys(names, _undefined(tally))
    bad_below = np.take(tally.bads, np.searchsorted(sample.bads, sample.start), axis=1)
    bad_upto = np.take(tally.bads, np.searchsorted(sample.bads, sample.stop), axis=1)
    good_below = np.take(tally.rows, sample.start, axis=1) - bad_below
    good_upto = np.take(tally.rows, sample.stop, axis=1) - bad_upto
    weights, bads = np.take(tally.weights, sample.bads, axis=1), tally.bads[:, -1:]
    goods = tally.rows[:, -1:] - bads
    per_bad, per_good = _ratio(np.ones_like(bads), bads), _ratio(np.ones_like(goods), goods)
    pairs = weights * (good_below * per_good + good_upto * per_good)
    auc = (pairs * per_bad).sum(1) / 2
    caught = bads - bad_below
    flagged = np.maximum(caught + goods - good_below, LOSS_CLIP)  # 0 only where the weight is 0
    precision = np.where(goods > 0, weights * caught / flagged * per_bad, np.nan).sum(1)
    ahead = (good_below * per_good - bad_below * per_bad).max(1)
    behind = (bad_upto * per_bad - good_upto * per_good).max(1)
    return dict(zip(names, (auc, precision, 2 * auc - 1, np.maximum(ahead, behind)), strict=True))


def probability(sample: Sample, tally: Tally) -> Columns:
    """brier, log_loss, mean_pd and bad_rate: means over the rows."""
    return {
        "brier": tally.mean((sample.pd - sample.bad) ** 2),
        "log_loss": tally.mean(sample.losses),
        "mean_pd": tally.mean(sample.pd),
        "bad_rate": tally.bads[:, -1] / tally.rows[:, -1],
    }


def bin_edges(sample: Sample, tally: Tally, bins: int) -> Positions:
    """Sorted row where each bin of equal weight starts, and n: (w, bins + 1); ties together."""
    shares = np.arange(1, bins) / bins
    found = np.stack([np.searchsorted(rows, rows[-1] * shares) for rows in tally.rows])
    inner = sample.ties[np.searchsorted(sample.ties, found)]
    first, last = np.zeros((len(found), 1), int), np.full((len(found), 1), len(sample.order))
    return np.concatenate([first, inner, last], axis=1)


def expected_and_realised(sample: Sample, tally: Tally, edges: Positions) -> tuple[Floats, Floats]:
    """Weighted sums of PDs and of bads between edges (w, b + 1): (w, b) each."""
    pds = np.take_along_axis(_running(tally.weights * sample.pd), edges, axis=1)
    bads = np.take_along_axis(tally.bads, np.searchsorted(sample.bads, edges), axis=1)
    return np.diff(pds, axis=1), np.diff(bads, axis=1)


def calibration_error(sample: Sample, tally: Tally, bins: int) -> Floats:
    """ece over bins of equal frequency."""
    edges = bin_edges(sample, tally, bins)
    expected, realised = expected_and_realised(sample, tally, edges)
    gaps: Floats = np.abs(expected - realised).sum(1)
    return gaps / tally.rows[:, -1]


def recalibration(sample: Sample, tally: Tally) -> tuple[Floats, Floats, Floats]:
    """Slope, the intercept fitted with it, and the intercept at slope 1."""
    if not sample.both_classes:
        return _undefined(tally), _undefined(tally), _undefined(tally)
    free, fixed = sample.unweighted
    level, slope = _newton(sample, tally, np.nan_to_num(free), slope_free=True)
    large, _ = _newton(sample, tally, fixed, slope_free=False)
    centre = sample.log_odds.mean()
    return slope, level - slope * centre, large - centre


def _newton(sample: Sample, tally: Tally, start: Floats, *, slope_free: bool) -> Floats:
    """Fit logit P(bad) = level + slope * (log-odds - their mean): (2, w) of level and slope.

    Iteratively reweighted least squares from `start` (2, 1); NaN where no maximum exists.
    """
    centred = sample.log_odds - sample.log_odds.mean()
    spread = float(centred.std())
    found, step = start, start
    for _ in range(NEWTON_STEPS):
        tilt = np.tanh((found[0][:, None] + found[1][:, None] * centred) / 2)
        residual = tally.weights * (sample.bad - (1 + tilt) / 2)
        curvature = tally.weights * (1 - tilt * tilt) / 4
        if slope_free:
            step = _both(residual, curvature, centred, tally.rows[:, -1] * spread**2)
        else:
            step = _level(residual, curvature)
        length = np.maximum(np.abs(step[0]), np.abs(step[1]) * spread)
        step /= np.maximum(1, length / NEWTON_STRIDE)
        found = found + step
        if not (np.abs(step) > NEWTON_TOLERANCE).any():
            break
    return np.where((np.abs(step) <= NEWTON_TOLERANCE).all(axis=0), found, np.nan)


def _level(residual: Floats, curvature: Floats) -> Floats:
    level = _ratio(residual.sum(1), curvature.sum(1))
    return np.stack([level, np.zeros_like(level)])


def _both(residual: Floats, curvature: Floats, x: Floats, scale: Floats) -> Floats:
    g0, g1 = residual.sum(1), weighted_sums(residual, x)
    h0, h1, h2 = curvature.sum(1), weighted_sums(curvature, x), weighted_sums(curvature, x * x)
    determinant = h0 * h2 - h1 * h1
    # constant PDs and separated classes leave no information on the slope
    determinant[determinant <= 1e-12 * h0 * np.maximum(h2, scale)] = 0.0
    level = _ratio(h2 * g0 - h1 * g1, determinant)
    return np.stack([level, _ratio(h0 * g1 - h1 * g0, determinant)])


def decisions(sample: Sample, tally: Tally, cut_off: float, approved: Bools | None) -> Columns:
    """Rates when `pd >= cut_off` predicts a default; `approved` (n,) is `pd < cut_off` if None."""
    cut = int(np.searchsorted(sample.pd, cut_off))
    rows, bads = tally.rows[:, -1], tally.bads[:, -1]
    flagged = rows - tally.rows[:, cut]
    caught = bads - tally.bads[:, np.searchsorted(sample.bads, cut)]
    taken = sample.pd < cut_off if approved is None else approved[sample.order]
    approval_rate = tally.mean(taken)
    return {
        "precision": _ratio(caught, flagged),
        "recall": _ratio(caught, bads),
        "f1": _ratio(2 * caught, flagged + bads),
        "approval_rate": approval_rate,
        "approved_bad_rate": _ratio(tally.mean(taken & sample.bad), approval_rate),
    }
