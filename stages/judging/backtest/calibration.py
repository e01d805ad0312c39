"""How steep PDs are and how high, with 95 % intervals: logistic recalibration (Cox 1958).

The intervals are normal, with the variance of the influence of each row at the fit (Huber 1967),
so that they hold where the recalibration is not the truth, and for clusters of rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stages.metrics import metrics, ratio_intervals
from stages.metrics.clusters import Codes
from stages.metrics.ranked_rows import Floats, log_odds
from stages.metrics.rate_intervals import Interval


class Calibration(NamedTuple):
    """The slope, ideally 1, and the level: the intercept at slope 1, above 0 where PDs are low."""

    slope: Interval
    level: Interval


def recalibrate(bad: NDArray[np.int64], pd: Floats, cluster: Codes | None = None) -> Calibration:
    """Return both for outcomes and PDs (n,); rows of one cluster (n,) count together.

    ValueError where there is one class alone.
    """
    fitted, x = metrics.calibration_slope_intercept(bad, pd), log_odds(pd)
    level = fitted.in_the_large
    expected = expit(level + x)
    of_level = (bad - expected) / np.sum(expected * (1 - expected))
    expected = expit(fitted.intercept + fitted.slope * x)
    weight = expected * (1 - expected)
    centred = x - np.sum(weight * x) / np.sum(weight)
    of_slope = (bad - expected) * centred / np.sum(weight * centred**2)
    return Calibration(around(fitted.slope, of_slope, cluster), around(level, of_level, cluster))


def around(value: float, influence: Floats, cluster: Codes | None) -> Interval:
    """Return the interval of an estimate that each row (n,) moves by its influence."""
    if not np.isfinite(value):
        return ratio_intervals.UNDEFINED
    moved = ratio_intervals.total(influence, cluster)
    return Interval(value, value + moved.low - moved.estimate, value + moved.high - moved.estimate)
