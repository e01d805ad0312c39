"""The calibration error of PDs, free of the noise of outcomes, with an interval that covers it.

The figure is the root mean square over ten bins of equal frequency of (bad rate - mean PD). What
is observed exceeds it: outcomes are drawn, so that a calibrated model shows gaps too (Kumar, Liang
and Ma 2019, "Verified Uncertainty Calibration"), and resampling adds noise to noise, which is why
a percentile interval misses a calibrated model's 0 nearly always. Instead a true error c is
believed where the observed one lies in the central 95 % of what c would show. At c = 0 all 5 % lie
above, since nothing is below 0 (as in the intervals of Feldman and Cousins 1998, and of Sun et al.
2024, "A Confidence Interval for the l2 Expected Calibration Error").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from stages.metrics import clusters
from stages.metrics.ranked_rows import Floats, RankedRows, ResampledCounts
from stages.metrics.weighted_metrics import bin_edges, sums_between

BINS = 10  # of equal frequency, as calibration is usually shown
TAIL = 0.025  # of books below the lower bound
# Of books above the upper bound, if the direction of the miscalibration were given. It is estimated
# from the same rows, whose noise spreads it over bins that are right: with 0.025, up to 5 % of
# books of too extreme PDs lie above (benches/judging/coverage.py).
TAIL_ABOVE = 0.015
DRAWS = 4096  # of the noise
SEED = 0  # of the noise: the same rows always have the same interval
BISECTIONS = 16  # which leave 1 / 65,536 of the range that is searched
NEARLY_0 = 1e-9  # the rate of a bin under a PD of 0 still has a variance
FARTHEST = 1e6  # beyond it no rate moves


@dataclass(frozen=True)
class ReliabilityBins:
    """Bins of rows: each a share of the rows, with rates (b,); empty bins are left out."""

    rows: Floats
    mean_pd: Floats
    bad_rate: Floats
    spread: Floats  # mean of pd * (1 - pd): the variance of an outcome if PDs are true

    @classmethod
    def of(
        cls,
        ranked: RankedRows,
        counts: ResampledCounts,
        bins: int = BINS,
        design_effect: float = 1.0,
    ) -> ReliabilityBins:
        """Gather one table of counts into bins of equal frequency; equal PDs share a bin.

        Rows in clusters count for fewer: their number is divided by the design effect.
        """
        edges = bin_edges(counts, bins)
        sums = [counts.rows, counts.rows * ranked.pd, counts.bads, counts.rows * ranked.spread]
        rows, pd, bad, spread = (sums_between(values, edges)[0] for values in sums)
        full = rows > 0
        return cls(
            rows[full] / design_effect, *(part[full] / rows[full] for part in (pd, bad, spread))
        )

    @property
    def gap(self) -> Floats:
        """Bad rate less mean PD of each bin (b,)."""
        return self.bad_rate - self.mean_pd

    @property
    def observed_gap(self) -> float:
        """The root mean square gap, noise included."""
        return float(np.sqrt(np.sum(self.share * self.gap**2)))

    @cached_property
    def share(self) -> Floats:
        """Share of the rows in each bin (b,)."""
        share: Floats = self.rows / self.rows.sum()
        return share

    @cached_property
    def noise(self) -> float:
        """The root mean square gap that true PDs would show."""
        return float(np.sqrt(np.sum(self.share * self.spread / self.rows)))

    @cached_property
    def direction(self) -> Floats:
        """Gaps (b,) of a root mean square of 1, in the proportions of those above their noise."""
        beyond = np.maximum(self.gap**2 - self.spread / self.rows, 0)
        size = np.sqrt(beyond if beyond.any() else self.gap**2) * np.sign(self.gap)
        scale = float(np.sqrt(np.sum(self.share * size**2)))
        unit: Floats = size / scale if scale else np.ones_like(size)
        return unit

    def rates(self, error: float) -> Floats:
        """Return the true rates (b,) at an error in this direction, all of them inside 0 and 1."""
        return np.clip(self.mean_pd + error * self.direction, NEARLY_0, 1 - NEARLY_0)

    @property
    def largest_error(self) -> float:
        """The root mean square gap at the last rates in this direction: a rate ends at 0 or 1."""
        gap = self.rates(FARTHEST) - self.mean_pd
        return float(np.sqrt(np.sum(self.share * gap**2)))

    def quantile(self, error: float, probability: float) -> float:
        """Return the observed error below which a true error stays with this probability."""
        rate = self.rates(error)
        single = rate * (1 - rate)
        variance = np.maximum(self.spread + single - self.mean_pd * (1 - self.mean_pd), single / 5)
        gaps = rate - self.mean_pd + np.sqrt(variance / self.rows) * _noise(len(self.rows))
        squares = np.sum(gaps * gaps * self.share, axis=1)
        return float(np.sqrt(np.quantile(squares, probability)))


@cache
def _noise(bins: int) -> Floats:
    """Return normal draws (DRAWS, bins) that fill the space evenly (Sobol 1967).

    Draws by chance would miss a quantile that all intervals share by up to a point of coverage.
    """
    from scipy.stats import norm, qmc  # noqa: PLC0415  (half a second)

    draws: Floats = norm.ppf(qmc.Sobol(bins, rng=SEED).random(DRAWS))
    return draws


def estimate(ranked: RankedRows, counts: ResampledCounts) -> float:
    """Return the true error that would show the observed one or less half of the time, or 0."""
    bins = ReliabilityBins.of(ranked, counts)
    return _largest(bins, lower=0.5, upper=0.5)


def interval(
    ranked: RankedRows, counts: ResampledCounts, cluster: clusters.Codes | None = None
) -> tuple[float, float, float]:
    """Return the estimate and the bounds of its 95 % interval.

    `cluster` (n,) says which rows go good or bad together.
    """
    effect = 1.0 if cluster is None else design_effect(ranked, counts, cluster)
    bins = ReliabilityBins.of(ranked, counts, design_effect=effect)
    return (
        _largest(bins, lower=0.5, upper=0.5),
        _largest(bins, lower=1 - 2 * TAIL, upper=1 - TAIL),
        _largest(bins, lower=0, upper=TAIL_ABOVE),
    )


def design_effect(ranked: RankedRows, counts: ResampledCounts, cluster: clusters.Codes) -> float:
    """Return how many times clusters multiply the variance of the gap of a bin."""
    cell = ranked.keys // 4
    place = np.searchsorted(bin_edges(counts, BINS)[0], cell, side="right") - 1
    error = ranked.keys % 2 - ranked.pd[cell]
    rows = np.bincount(place, minlength=BINS)
    gap = np.bincount(place, error, minlength=BINS) / np.maximum(rows, 1)
    codes = np.unique(cluster, return_inverse=True)[1] * (BINS + 1) + place
    counted = clusters.design_effect(error - gap[place], codes)
    # Means of bins take a part of the variance: of clusters 1 in so many, of rows this times that.
    bins, groups = int(np.count_nonzero(rows)), len(np.unique(codes))
    return counted / (1 - bins / groups + counted * bins / len(codes))


def _largest(bins: ReliabilityBins, *, lower: float, upper: float) -> float:
    """Return the largest true error whose quantile does not exceed what was observed, or 0.

    The quantile's probability rises from `lower` at no error to `upper` at errors above the noise.
    """
    observed, noise = bins.observed_gap, bins.noise
    if bins.quantile(0, lower) >= observed:
        return 0.0
    low, high = 0.0, 2 * observed + 5 * noise
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        risen = min(1.0, middle / noise) if noise else 1.0
        if bins.quantile(middle, lower + (upper - lower) * risen) < observed:
            low = middle
        else:
            high = middle
    return min(low, bins.largest_error)
