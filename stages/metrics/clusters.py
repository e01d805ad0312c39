"""Rows that go good or bad together: the loans of a customer, or copies of one application.

Intervals that take such rows for independent ones are too narrow, so clusters are resampled whole.
"""

import itertools
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from stages.metrics.ranked_rows import Bools, Floats

Codes = NDArray[np.int64]

AGREEMENT = 0.1  # correlation of outcomes within clusters that is too high to ignore
SPARSE = 8  # codes for each row beyond which they are counted anew, which takes a sort
ERRORS = 3  # standard errors by which it exceeds chance
LEVEL = 0.95  # of intervals
STANDARD_ERRORS = NormalDist().inv_cdf((1 + LEVEL) / 2)  # to either side of an estimate


def outcomes_agree(bad: Codes, pd: Floats, cluster: Codes) -> bool:
    """Return whether the outcomes of a cluster agree further than the PDs (n,) explain.

    Copies of an application do; different loans that look alike in a few coarse fields do not.
    """
    place = np.unique(cluster, return_inverse=True)[1]
    error, variance = bad - pd, pd * (1 - pd)

    def over_pairs(values: Floats) -> float:
        return float(np.sum(np.bincount(place, values) ** 2) - np.sum(values**2))

    observed, chance = over_pairs(error), float(np.sqrt(2 * max(over_pairs(variance), 0.0)))
    return observed > max(ERRORS * chance, AGREEMENT * over_pairs(np.sqrt(variance)))


def read_codes(written: ArrayLike | None) -> Codes | None:
    """Return the codes (n,) that a file holds; None without any, or where a row has none."""
    if written is None:
        return None
    codes = np.asarray(written)
    if codes.dtype.kind not in "iu":
        codes = codes.astype(np.float64)
        if np.isnan(codes).any():
            return None
    return codes.astype(np.int64)


def number_labels(labels: Sequence[str | None]) -> Codes | None:
    """Return one code (n,) for all rows of one label; a row without a label stands alone.

    None where no label repeats: then all rows are independent.
    """
    given = [label for label in labels if label is not None]
    code = {label: place for place, label in enumerate(dict.fromkeys(given))}
    if len(code) == len(given):
        return None
    alone = itertools.count(len(code))
    return np.array([next(alone) if n is None else code[n] for n in labels], dtype=np.int64)


def independent_number(weight: Floats | Bools, cluster: Codes | None) -> float:
    """Return how many independent rows say as much as rows of these weights (n,) (Kish 1965).

    Rows of a cluster are one row; an event (n,) is a weight of 1 or 0.
    """
    alone = in_range(weight.astype(np.float64))
    of_rows = alone if cluster is None else sums(alone, cluster)
    total = float(np.sum(of_rows))
    return total**2 / float(np.sum(of_rows**2)) if total else 0.0


def in_range(weight: Floats) -> Floats:
    """Return weights (n,) in proportion, whose squares neither vanish nor overflow.

    They are multiplied by a power of two, which changes no bit of a ratio of sums.
    """
    largest = float(weight.max(initial=0.0))
    return np.ldexp(weight, -np.frexp(largest)[1]) if 0 < largest < np.inf else weight


def share_of_independent_rows(events: Floats, cluster: Codes | None) -> float:
    """Return the share of an independent row, at most 1, that one of these rows (n,) is worth."""
    return 1.0 if cluster is None else 1 / design_effect(events - events.mean(), cluster)


def design_effect(values: Floats, cluster: Codes) -> float:
    """Return how many times the variance of the sum of centred values (n,) clusters multiply."""
    alone = float(np.sum(values**2))
    return max(1.0, float(np.sum(sums(values, cluster) ** 2)) / alone) if alone else 1.0


def standard_errors(values: Floats, cluster: Codes | None) -> float:
    """Return how many standard errors a 95 % interval has to either side of its estimate.

    The standard error of a sum is estimated from those of centred values (n,) in clusters. That
    has few degrees of freedom where few clusters say much (Satterthwaite 1946): the fewer, the
    wider (Student 1908). Without clusters it has as many as there are rows, which is many.
    """
    if cluster is None:
        return STANDARD_ERRORS
    moves = sums(values, np.unique(cluster, return_inverse=True)[1])
    squares, count = float(np.sum(moves**2)), len(moves)
    noise = float(np.sum(moves**4)) - squares**2 / count
    freedom = 2 * squares**2 / noise if noise > 0 else count
    return float(stdtrit(max(1.0, min(freedom, count - 1)), (1 + LEVEL) / 2))


def sums(values: Floats, cluster: Codes) -> Floats:
    """Return the sum of values (n,) of each cluster, and zeros for codes that no row has."""
    if cluster.min() < 0 or cluster.max() >= SPARSE * len(cluster):
        cluster = np.unique(cluster, return_inverse=True)[1]
    return np.bincount(cluster, weights=values).astype(np.float64)


def correlation(first: Floats, second: Floats, cluster: Codes | None) -> float:
    """Return the correlation of the sums of centred values (n,) in clusters, 0 without spread."""
    if cluster is not None:
        first, second = sums(first, cluster), sums(second, cluster)
    spread = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    return float(np.sum(first * second)) / spread if spread else 0.0
