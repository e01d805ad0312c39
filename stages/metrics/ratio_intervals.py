"""95 % intervals of sums divided by sums, such as profit over money, and of their differences.

They are normal, with the variance of the influence ratio (Cochran 1977, 6.4) over clusters; a
share of rows has Wilson's interval instead. They take one pass over the rows, so that a million
decisions need no resampling.

A difference counts two rows more, of which one side alone decides each, as the interval of Bonett
and Price (2012) does for paired rates: rows where nothing differs do not show that nothing ever
will. Only what is known to be the `same` on both sides, model and policy, differs by nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.metrics import clusters
from stages.metrics.clusters import STANDARD_ERRORS, Codes
from stages.metrics.ranked_rows import Bools, Floats, RankedRows
from stages.metrics.rate_intervals import Interval, share_interval, standard_rates

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

    def one_row(self, cluster: Codes | None) -> float:
        """Return how far one more row moves the ratio; rows of a cluster (n,) are one.

        A row moves it by all of its weight where it is a share, else by a typical value, the root
        mean square of those that are not 0.
        """
        values = (self.part[self.whole > 0] / self.whole[self.whole > 0]) ** 2
        typical = np.sqrt(values.sum() / max(1, np.count_nonzero(values)))
        size = 1.0 if self.is_share else typical
        return float(size / clusters.independent_number(self.whole, cluster))


def interval(ratio: RatioOfSums, cluster: Codes | None = None) -> Interval:
    """Return the ratio with its interval; rows of one cluster (n,) count together."""
    if not ratio.whole.sum() > 0:
        return UNDEFINED
    if ratio.is_share:
        return share_interval(ratio.part != 0, ratio.whole, cluster)
    return _normal(ratio.value, ratio.influence, cluster)


def difference(
    new: RatioOfSums, old: RatioOfSums, cluster: Codes | None = None, *, same: bool = False
) -> Interval:
    """Return new minus old on the same rows, which the interval pairs."""
    if not (new.whole.sum() > 0 and old.whole.sum() > 0):
        return UNDEFINED
    ends = (0.0, 0.0) if same else (new.one_row(cluster), old.one_row(cluster))
    moves = new.influence - old.influence
    return _normal(new.value - old.value, *with_two_rows(moves, ends, cluster))


def difference_of_means(
    new: Floats, old: Floats, cluster: Codes | None = None, *, same: bool = False
) -> Interval:
    """Return the mean of new values (n,) less that of old ones, which the interval pairs."""
    rows = np.ones(len(new))
    return difference(RatioOfSums(new, rows), RatioOfSums(old, rows), cluster, same=same)


def with_two_rows(
    moves: Floats, ends: tuple[float, float], cluster: Codes | None
) -> tuple[Floats, Codes | None]:
    """Return moves (n + 2,) and clusters with a row that moves up, and one that moves down."""
    up, down = ends
    if cluster is not None:
        cluster = np.append(cluster, cluster.max() + np.array([1, 2]))
    return np.append(moves, [up, -down]), cluster


def moves_of_one_row(
    ranked: RankedRows, sums: Mapping[str, tuple[Floats, Floats]], cluster: Codes | None
) -> dict[str, float]:
    """Return how far one row that is decided otherwise can move a figure, by its name.

    `sums` names pairs of columns (n,) whose sums are divided. Figures that no decision moves have
    no name here.
    """
    rates = standard_rates(ranked)
    del rates["bad_rate"]
    ratios = {name: RatioOfSums(event * weight, weight) for name, (event, weight) in rates.items()}
    ratios |= {name: RatioOfSums(*columns) for name, columns in sums.items()}
    moves = {n: ratio.one_row(cluster) for n, ratio in ratios.items() if ratio.whole.sum() > 0}
    if "f1" in moves:  # 2 * share / (1 + share)
        moves["f1"] *= 2 / (1 + ratios["f1"].value) ** 2
    return moves


def total(values: Floats, cluster: Codes | None = None) -> Interval:
    """Return the sum of values (n,), each of which another sample would draw anew."""
    return _normal(float(values.sum()), values, cluster)


def difference_of_totals(
    new: Floats, old: Floats, cluster: Codes | None = None, *, same: bool = False
) -> Interval:
    """Return the sum of new values (n,) less that of old ones, which the interval pairs."""
    ends = (0.0, 0.0) if same else (typical_amount(new, cluster), typical_amount(old, cluster))
    moves = new - old
    return _normal(float(moves.sum()), *with_two_rows(moves, ends, cluster))


def typical_amount(values: Floats, cluster: Codes | None) -> float:
    """Return what one independent row adds to a sum of values (n,), 0 where all of them are."""
    amounts = np.abs(values)
    number = clusters.independent_number(amounts, cluster)
    return float(amounts.sum()) / number if number else 0.0


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
