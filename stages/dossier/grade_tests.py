"""Test whether the PDs of rating grades agree with the outcomes of their loans.

Each p-value is the probability of a result at least as bad as the one seen, if the PD is right.
Loans are taken as independent, which in a recession they are not: see `docs/explanation/limits.md`.
Where loans of a customer repeat, callers pass the number of independent loans that say as much.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincinv, gammaincc

LEVEL = 0.95
# The zones of the Basel Committee's framework for backtesting: a number of bad loans is yellow or
# red from where the probability of that number or fewer reaches these levels.
YELLOW_FROM, RED_FROM = 0.95, 0.9999

Light = Literal["green", "yellow", "red"]


class HosmerLemeshow(NamedTuple):
    """The statistic over all grades, its degrees of freedom and its p-value."""

    statistic: float
    degrees: int
    p_value: float


class BadRateInterval(NamedTuple):
    """The two ends of a 95 % interval of a bad rate."""

    low: float
    high: float


def binomial(bads: float, rows: float, pd: float) -> float:
    """Return the probability of `bads` or more bad loans among `rows` of this PD (one-sided).

    The exact binomial tail is a regularised incomplete beta function (Abramowitz and Stegun 1964,
    26.5.24). Recommended for validation by the Basel Committee, Working Paper 14 (2005), III.
    """
    return 1.0 if bads == 0 else float(betainc(bads, rows - bads + 1, pd))


def jeffreys(bads: float, rows: float, pd: float) -> float:
    """Return the probability that the true bad rate is at most the PD, by Jeffreys' prior.

    The posterior of the bad rate is Beta(bads + 1/2, rows - bads + 1/2) (Brown, Cai and DasGupta
    2001). The ECB asks for this test of each grade in its instructions for reporting the validation
    results of internal models (2019), 2.5.3.1.
    """
    return float(betainc(bads + 0.5, rows - bads + 0.5, pd))


def jeffreys_interval(bads: float, rows: float) -> BadRateInterval:
    """Return the equal-tailed 95 % interval of a bad rate by Jeffreys' prior.

    The lower end is 0 where no loan is bad, and the upper end 1 where all are (Brown, Cai and
    DasGupta 2001).
    """
    tail, a, b = (1 - LEVEL) / 2, bads + 0.5, rows - bads + 0.5
    low = 0.0 if bads == 0 else float(betaincinv(a, b, tail))
    high = 1.0 if bads == rows else float(betaincinv(a, b, 1 - tail))
    return BadRateInterval(low, high)


def traffic_light(bads: float, rows: float, pd: float) -> Light:
    """Return the zone of a number of bad loans among `rows` of this PD.

    The zones are those of the Basel Committee's "Supervisory framework for the use of backtesting"
    (1996), applied to grades as by Blochwitz, Hohl, Tasche and Wehn (2004).
    """
    up_to = 1.0 if bads >= rows else float(betainc(rows - bads, bads + 1, 1 - pd))
    if up_to < YELLOW_FROM:
        return "green"
    return "yellow" if up_to < RED_FROM else "red"


def hosmer_lemeshow(bads: ArrayLike, rows: ArrayLike, pd: ArrayLike) -> HosmerLemeshow:
    """Test all grades at once: bads, rows and mean PDs (G,), each PD between 0 and 1.

    The sum of `(bads - rows * pd)^2 / (rows * pd * (1 - pd))` has G degrees of freedom where the
    PDs were not fitted to these loans (Hosmer and Lemeshow 1980).
    """
    bad, count, p = (np.asarray(values, dtype=np.float64) for values in (bads, rows, pd))
    if not ((p > 0) & (p < 1)).all():
        raise ValueError(f"each PD must lie between 0 and 1; got {p.tolist()}")
    statistic = float(np.sum((bad - count * p) ** 2 / (count * p * (1 - p))))
    return HosmerLemeshow(statistic, len(p), float(gammaincc(len(p) / 2, statistic / 2)))
