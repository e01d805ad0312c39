"""95 % intervals of sums divided by sums, such as profit over money, and of their differences.

They are normal, with the variance of the influence ratio (Cochran 1977, 6.4) over clusters; a
share of rows has Wilson's interval instead. They take one pass over the rows, so that a million
decisions need no resampling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.metrics import clusters
from stages.metrics.clusters import STANDARD_ERRORS, Codes
from stages.metrics.ranked_rows import Bools, Floats
from stages.metrics.rate_intervals import Interval, share_interval

UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


class RatioOfSums(NamedTuple):
    """Two columns (n,) whose sums are divided."""

    part: Floats
    whole: Floats

    @property
    def value(self) -> float:
        """The ratio of the sums, NaN where the lower one is 0."""
        whole = float(self.whole.sum())
        return float(self.part.sum()) / whole if whole > 0 else float("nan")

    @property
    def is_share(self) -> bool:
        """Whether each row counts with all of its weight or with nothing."""
        event = self.part != 0
        return bool(np.array_equal(self.part, self.whole * event) and (self.whole >= 0).all())

    @property
    def influence(self) -> Floats:
        """The distance (n,) that each row moves the ratio, to the first order."""
        return (self.part - self.value * self.whole) / float(self.whole.sum())


def interval(ratio: RatioOfSums, cluster: Codes | None = None) -> Interval:
    """Return the ratio with its interval; rows of one cluster (n,) count together."""
    if not ratio.whole.sum() > 0:
        return UNDEFINED
    if ratio.is_share:
        return share_interval(ratio.part != 0, ratio.whole, cluster)
    return _normal(ratio.value, ratio.influence, cluster)


def difference(new: RatioOfSums, old: RatioOfSums, cluster: Codes | None = None) -> Interval:
    """Return new minus old on the same rows, which the interval pairs."""
    if not (new.whole.sum() > 0 and old.whole.sum() > 0):
        return UNDEFINED
    return _normal(new.value - old.value, new.influence - old.influence, cluster)


def total(values: Floats, cluster: Codes | None = None) -> Interval:
    """Return the sum of values (n,), each of which another sample would draw anew."""
    return _normal(float(values.sum()), values, cluster)


def quotient_of_rates(
    event: Bools, inside: Bools, others: Bools, cluster: Codes | None = None
) -> Interval:
    """Return the share of rows `inside` that have an event over that of `others`: (n,) each.

    Rows of one cluster (n,) count for fewer, as in `clusters.share_of_independent_rows`.
    """
    counts = []
    for chosen in (inside, others):
        codes = None if cluster is None else cluster[chosen]
        happened = event[chosen].astype(np.float64)
        share = clusters.share_of_independent_rows(happened, codes)
        counts.append((share * float(happened.sum()), share * len(happened)))
    parts, wholes = zip(*counts, strict=True)
    return quotient_of_shares(parts, wholes)


def quotient_of_shares(parts: Sequence[float], wholes: Sequence[float]) -> Interval:
    """Return one share over another of other rows, by the log of their quotient (Katz 1978)."""
    (a, b), (n, m) = parts, wholes
    if not (a and b):
        return UNDEFINED
    quotient = a / n / (b / m)
    margin = STANDARD_ERRORS * float(np.sqrt(1 / a - 1 / n + 1 / b - 1 / m))
    return Interval(quotient, quotient * float(np.exp(-margin)), quotient * float(np.exp(margin)))


def _normal(value: float, moves: Floats, cluster: Codes | None) -> Interval:
    count, wide = len(moves), clusters.standard_errors(moves - moves.mean(), cluster)
    if cluster is not None:
        count = int(np.count_nonzero(clusters.sums(np.ones(count), cluster)))
        moves = clusters.sums(moves, cluster)
    if count < 2:
        return Interval(value, float("-inf"), float("inf"))
    squares = float(np.sum(moves**2)) - float(moves.sum()) ** 2 / count
    margin = wide * float(np.sqrt(max(squares, 0.0) * count / (count - 1)))
    return Interval(value, value - margin, value + margin)
