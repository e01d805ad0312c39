"""DeLong's test of the AUCs of two models on the same rows."""

from math import erfc, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stages.metrics.clusters import STANDARD_ERRORS, Codes, standard_errors, sums
from stages.metrics.ranked_rows import Bools, Floats, check_rows
from stages.metrics.rate_intervals import Interval


class DeLong(NamedTuple):
    """Challenger's AUC minus champion's, standard error, 95 % interval and two-sided p-value."""

    champion: float
    challenger: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def compare_aucs(
    bad: ArrayLike,
    champion_pd: ArrayLike,
    challenger_pd: ArrayLike,
    cluster: Codes | None = None,
) -> DeLong:
    """Test two AUCs on the same rows (DeLong et al. 1988), in O(n log n) as Sun and Xu (2014).

    All but p_value are in units of AUC. Rows of one `cluster` (n,) go good or bad together
    (Obuchowski 1997). ValueError unless there are two goods and two bads.
    """
    outcome, champion = check_rows(bad, champion_pd)
    _, challenger = check_rows(bad, challenger_pd)
    bads, goods = int(outcome.sum()), int((~outcome).sum())
    if min(bads, goods) < 2:
        raise ValueError(f"DeLong needs 2 goods and 2 bads; got {goods} good and {bads} bad")
    old, new = _placements(outcome, champion), _placements(outcome, challenger)
    per_bad, per_good = new[0] - old[0], new[1] - old[1]
    difference = float(per_bad.mean())
    wide = STANDARD_ERRORS
    if cluster is None:
        error = sqrt(per_bad.var(ddof=1) / bads + per_good.var(ddof=1) / goods)
    else:
        moves = np.empty(len(outcome))
        moves[outcome] = (per_bad - difference) / bads
        moves[~outcome] = (-per_good - difference) / goods  # bads above a good, not below it
        error, wide = _error_of_clusters(moves, cluster), standard_errors(moves, cluster)
    margin = wide * error
    return DeLong(
        champion=float(old[0].mean()),
        challenger=float(new[0].mean()),
        difference=difference,
        standard_error=error,
        low=difference - margin,
        high=difference + margin,
        p_value=erfc(abs(difference) / (error * sqrt(2))) if error else float(difference == 0),
    )


def auc_with_interval(bad: ArrayLike, pd: ArrayLike, cluster: Codes | None = None) -> Interval:
    """Return the AUC of one model with its interval, as `compare_aucs` finds it.

    It is compared with a model that says the same of every loan, whose AUC is a half.
    """
    scores = np.asarray(pd, dtype=np.float64)
    test = compare_aucs(bad, np.zeros_like(scores), scores, cluster)
    return Interval(test.challenger, max(0.0, 0.5 + test.low), min(1.0, 0.5 + test.high))


def _error_of_clusters(moves: Floats, cluster: Codes) -> float:
    """Return the standard error of the sum of centred values (n,) whose clusters are drawn."""
    count = len(np.unique(cluster))
    squares = float(np.sum(sums(moves, cluster) ** 2))
    return sqrt(squares * count / (count - 1)) if count > 1 else float("inf")


def _placements(bad: Bools, pd: Floats) -> tuple[Floats, Floats]:
    """Return the share of goods below each bad, and of bads below each good, ties counting half."""
    bads, goods = np.sort(pd[bad]), np.sort(pd[~bad])
    return _share_below(pd[bad], goods), _share_below(pd[~bad], bads)


def _share_below(values: Floats, others: Floats) -> Floats:
    below, upto = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return (below + upto) / (2 * len(others))
