"""Logistic recalibration of PDs (Cox 1958) for many resamples at once.

Fits logit P(bad) = level + slope * (log-odds - their mean) by damped Newton steps. Shapes: k cells
of PDs, w resamples.
"""

import numpy as np

from stages.metrics.ranked_rows import (
    Floats,
    RankedRows,
    ResampledCounts,
    log_odds,
    ratio,
    weighted_sums,
)

STEPS = 60  # of STRIDE at most they cross 120 log-odds; clipped PDs lie within 28
TOLERANCE = 1e-8  # of log-odds
STRIDE = 2.0  # longest step in log-odds: an undamped one can overshoot and never return


def recalibrate(
    ranked: RankedRows, plain: ResampledCounts, counts: ResampledCounts
) -> tuple[Floats, Floats, Floats]:
    """Return the slope, the intercept fitted with it, and the intercept at slope 1: (w,) each.

    `plain` are the rows as they are (w = 1), from whose fit every resample starts. NaN where the
    likelihood has no maximum.
    """
    goods, bads = plain.all_goods[0], plain.all_bads[0]
    if not goods or not bads:
        undefined = np.full(len(counts.goods), np.nan)
        return undefined, undefined, undefined
    rows = plain.rows[0]
    centre = float(np.sum(rows * ranked.log_odds) / rows.sum())
    centred = ranked.log_odds - centre
    spread = float(np.sqrt(np.sum(rows * centred**2) / rows.sum()))
    base = log_odds(np.array([bads / rows.sum()]))
    free = _fit(plain, centred, spread, np.stack([base, np.zeros(1)]), slope_free=True)
    fixed = _fit(plain, centred, spread, np.stack([base, np.ones(1)]), slope_free=False)
    level, slope = _fit(counts, centred, spread, np.nan_to_num(free), slope_free=True)
    large, _ = _fit(counts, centred, spread, fixed, slope_free=False)
    return slope, level - slope * centre, large - centre


def _fit(
    counts: ResampledCounts, centred: Floats, spread: float, start: Floats, *, slope_free: bool
) -> Floats:
    """Fit level and slope (2, w) from `start` (2, 1); NaN where no maximum exists."""
    rows = counts.rows
    total = rows.sum(1)
    fitted, step = start, start
    for _ in range(STEPS):
        tilt = np.tanh((fitted[0][:, None] + fitted[1][:, None] * centred) / 2)
        residual = counts.bads - rows * (1 + tilt) / 2
        curvature = rows * (1 - tilt * tilt) / 4
        if slope_free:
            step = _step_of_both(residual, curvature, centred, total * spread**2)
        else:
            step = _step_of_level(residual, curvature)
        length = np.maximum(np.abs(step[0]), np.abs(step[1]) * spread)
        step = step / np.maximum(1, length / STRIDE)
        fitted = fitted + step
        if not (np.abs(step) > TOLERANCE).any():
            break
    return np.where((np.abs(step) <= TOLERANCE).all(axis=0), fitted, np.nan)


def _step_of_level(residual: Floats, curvature: Floats) -> Floats:
    level = ratio(residual.sum(1), curvature.sum(1))
    return np.stack([level, np.zeros_like(level)])


def _step_of_both(residual: Floats, curvature: Floats, x: Floats, scale: Floats) -> Floats:
    g0, g1 = residual.sum(1), weighted_sums(residual, x)
    h0, h1, h2 = curvature.sum(1), weighted_sums(curvature, x), weighted_sums(curvature, x * x)
    determinant = h0 * h2 - h1 * h1
    # constant PDs and separated classes leave no information on the slope
    determinant[determinant <= 1e-12 * h0 * np.maximum(h2, scale)] = 0.0
    level = ratio(h2 * g0 - h1 * g1, determinant)
    return np.stack([level, ratio(h0 * g1 - h1 * g0, determinant)])
