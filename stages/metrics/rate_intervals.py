"""95 % intervals of rates (Wilson 1927), which hold the truth even where events are few.

Resampling rows without a bad loan never shows one: a percentile interval would be 0 to 0.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from stages.metrics import clusters
from stages.metrics.clusters import STANDARD_ERRORS, Codes, design_effect, standard_errors
from stages.metrics.ranked_rows import Bools, Floats, RankedRows


class Interval(NamedTuple):
    """An estimate and its 95 % interval; NaN where undefined."""

    estimate: float
    low: float
    high: float


def as_figure(interval: Interval) -> dict[str, float]:
    """Return an interval as reports write it: `{"value", "low", "high"}`."""
    return {"value": interval.estimate, "low": interval.low, "high": interval.high}


def wilson(rate: float, count: float, z: float = STANDARD_ERRORS) -> Interval:
    """Return the interval of a rate of `count` independent rows: `z` standard errors each way."""
    scale = 1 + z * z / count
    centre = (rate + z * z / (2 * count)) / scale
    margin = z / scale * float(np.sqrt(rate * (1 - rate) / count + (z / (2 * count)) ** 2))
    return Interval(rate, min(rate, centre - margin), max(rate, centre + margin))


def intervals_of_rates(
    ranked: RankedRows,
    weighted: Mapping[str, tuple[Floats, Floats]],
    cluster: Codes | None = None,
    stakes: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Interval]:
    """Return the interval of each figure that is a share of some rows, of F1, and of profits.

    `weighted` names pairs of columns (n,) whose sums are divided; a pair is a rate where each row
    counts with all of its weight or with nothing, and is left out where it is not. So is a rate
    among no rows. Rows of one `cluster` (n,) count for fewer. `stakes` are what a unit of a pair
    gains and loses, where it is a profit.
    """
    rates = standard_rates(ranked)
    for name, (part, weight) in weighted.items():
        event = part != 0
        if np.array_equal(part, weight * event) and (weight >= 0).all():
            rates[name] = (event, weight)
    intervals = {
        name: share_interval(event, weight, cluster)
        for name, (event, weight) in rates.items()
        if weight.any()
    }
    if "f1" in intervals:  # a function of the share that is both, of all that is flagged or bad
        intervals["f1"] = Interval(*(2 * share / (1 + share) for share in intervals["f1"]))
    for name, stake in (stakes or {}).items():
        if name in weighted and weighted[name][1].any():
            intervals[name] = profit_interval(*weighted[name], stake, cluster)
    return intervals


def standard_rates(ranked: RankedRows) -> dict[str, tuple[Bools, Floats]]:
    """Return the event and the weight, (n,) each, of every share that the summary states.

    That of F1 is the share of what is flagged and bad, of all that is flagged or bad.
    """
    bad, approved = ranked.keys % 2 == 1, ranked.keys // 2 % 2 == 1
    flagged, one = ranked.keys // 4 >= ranked.cut, np.ones(len(bad))
    return {
        "bad_rate": (bad, one),
        "approval_rate": (approved, one),
        "approved_bad_rate": (bad, one * approved),
        "recall": (flagged, one * bad),
        "precision": (bad, one * flagged),
        "f1": (flagged & bad, one * (flagged | bad)),
    }


def share_interval(event: Bools, weight: Floats, cluster: Codes | None) -> Interval:
    """Return Wilson's interval of the share of the weight (n,) that has an event (n,).

    Rows of unequal weight say as much as fewer rows of equal weight do (Kish 1965).
    """
    weight = clusters.in_range(weight)
    total = float(weight.sum())
    rate = float(weight[event].sum()) / total
    rows = total**2 / float(np.sum(weight**2))
    if cluster is None:
        return wilson(rate, rows)
    moves = weight * (event - rate)
    return wilson(rate, rows / design_effect(moves, cluster), standard_errors(moves, cluster))


def profit_interval(
    part: Floats, weight: Floats, stakes: tuple[float, float], cluster: Codes | None
) -> Interval:
    """Return the interval of a sum over that of weights (n,), where a row gains, loses or neither.

    `stakes` are the gain and the loss of one unit of weight. The interval is that of a difference
    of two rates (Zou and Donner 2008), whose own intervals are Wilson's: resamples of rows without
    a loss never show one.
    """
    events, weight = (part > 0, part < 0), clusters.in_range(weight)
    gained, lost = (
        Interval(*(stake * bound for bound in share_interval(event, weight, cluster)))
        for stake, event in zip(stakes, events, strict=True)
    )
    moves = [
        weight * event - weight * float(weight[event].sum() / weight.sum()) for event in events
    ]
    together = -2 * clusters.correlation(moves[0], moves[1], cluster)

    def margin(of_gain: float, of_loss: float) -> float:
        return float(np.sqrt(of_gain**2 + of_loss**2 + together * of_gain * of_loss))

    value = gained.estimate - lost.estimate
    down = margin(gained.estimate - gained.low, lost.high - lost.estimate)
    up = margin(gained.high - gained.estimate, lost.estimate - lost.low)
    return Interval(value, value - down, value + up)


def in_log_odds(normal: Interval, wider: float) -> Interval:
    """Return the interval that is normal in log-odds, from that of a share which is normal itself.

    The standard error of log-odds is that of the share over share * (1 - share), times `wider`.
    """
    share = normal.estimate
    if not 0 < share < 1:
        return normal
    tilt = np.exp(wider * (normal.high - share) / (share * (1 - share)))
    rest = 1 - share
    return Interval(
        share, float(share / (share + rest * tilt)), float(share / (share + rest / tilt))
    )
