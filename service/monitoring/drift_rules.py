"""The rules that compare one feature of a window with the training rows.

Each gives its value, the bound that chance keeps to in a window of this size, and by how much the
feature moved, which decides between notice, warning and alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, chi2, kstwo, norm

Floats = NDArray[np.float64]
Loudness = Literal["notice", "warning", "alarm"]

# The chance that a report on undrifted traffic finds anything: one false report in 10,000.
FALSE_REPORTS = 1e-4
EXPECTED = 5.0  # rows that a bin must expect (Cochran 1954); rarer bins are pooled
GRID = 0.01  # the reference knows its quantiles to 1 %
FACTORS = (12.0, 10.0, 100.0, 1000.0)  # months for years, digits, percent, thousands
# From which shift on a finding is a warning, and an alarm; a smaller one is a notice.
LOUD: dict[str, tuple[float, float]] = {
    "psi": (0.1, 0.25),  # the field's own steps (Siddiqi 2006)
    "mean": (0.25, 0.5),  # standard deviations
    "ks": (0.1, 0.25),
    "missing": (0.02, 0.1),  # share of rows
    "out_of_bounds": (0.02, 0.1),
    "unseen": (0.01, 0.05),
    "constant": (0.0, 0.0),
    "refused": (0.05, 0.2),  # share of applications
    "realised": (0.02, 0.05),  # ROC-AUC
}


@dataclass(frozen=True)
class Finding:
    """A rule that fired: the field, how far it moved, and the bound that chance keeps to."""

    field: str
    rule: str
    value: float
    bound: float
    loudness: Loudness
    words: str


Test = tuple[str, float, float, float, str]  # rule, value, bound, shift, words


def count_by_bin(reference: Mapping[str, Any], known: Floats) -> NDArray[np.int64]:
    """Return the rows in each of the reference's bins."""
    size = len(reference["shares"])
    if reference["kind"] == "category":
        return np.bincount(known.astype(np.int64), minlength=size)
    return np.bincount(np.searchsorted(reference["edges"], known, side="right"), minlength=size)


def psi_rule(
    reference: Mapping[str, Any], counts: NDArray[np.int64], trained: int, level: float
) -> Test:
    """Compare PSI with a bound: PSI / (1/n + 1/m) is chi-squared without drift (Yurdakul 2018)."""
    expected, live = pool_rare_bins(np.asarray(reference["shares"]), counts)
    n = live.sum()
    value = psi(expected, (live + 0.5) / (n + 0.5 * len(live)))
    bound = float(chi2.isf(level, max(len(live) - 1, 1)) * (1 / n + 1 / trained))
    return "psi", value, bound, value, f"its distribution moved: PSI {value:.3f}"


def psi(expected: Floats, actual: Floats) -> float:
    """Return the population stability index: sum of (actual - expected) * ln(actual / expected)."""
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def pool_rare_bins(shares: Floats, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return shares and counts in which the bins too rare for this window are one."""
    rare = shares * counts.sum() < EXPECTED
    if not rare.any():
        return shares, counts.astype(np.float64)
    expected = np.append(shares[~rare], shares[rare].sum())
    live = np.append(counts[~rare], counts[rare].sum()).astype(np.float64)
    floor = 1e-6  # a pool of bins that training never saw
    return np.maximum(expected, floor), live


def missing_rule(reference: Mapping[str, Any], values: Floats, trained: int, level: float) -> Test:
    """Compare the share of missing values with what chance brings."""
    rate = float(np.isnan(values).mean())
    bound = share_bound(reference["missing"], len(values), trained, level)
    return (
        "missing",
        rate,
        bound,
        rate - reference["missing"],
        f"{rate:.1%} of its values are missing",
    )


def share_bound(share: float, rows: int, trained: float, level: float) -> float:
    """Return the share of `rows` that chance exceeds with probability `level`, by the binomial.

    A share that training rows put at 0 may be as high as 3 / m (the rule of three).
    """
    return float(binom.isf(level, rows, min(max(share, 3 / trained), 1.0)) / rows)


def numeric_rules(
    reference: Mapping[str, Any], known: Floats, counts: Any, trained: int, level: float
) -> Iterator[Test]:
    """Test the mean (z), the distribution (Kolmogorov-Smirnov), the bounds, and a stuck feed."""
    n, sd = len(known), reference["sd"] or 1.0
    shift = abs(float(known.mean()) - reference["mean"]) / sd
    z = shift / np.sqrt(1 / n + 1 / trained)
    way = f"its mean went from {as_figure(reference['mean'])} to {as_figure(known.mean())}"
    words = way + unit_change(reference, known)
    yield "mean", float(z), float(norm.isf(level / 2)), shift, words

    distance = ks_distance(reference["quantiles"], known)
    bound = float(kstwo.isf(level, max(round(n * trained / (n + trained)), 1))) + GRID
    yield "ks", distance, bound, distance, f"its distribution moved: KS {distance:.3f}"

    low, high = reference["quantiles"][0], reference["quantiles"][-1]
    outside = float(np.mean((known < low) | (known > high)))
    words = f"{outside:.1%} of its values lie outside {as_figure(low)} to {as_figure(high)}"
    yield "out_of_bounds", outside, share_bound(0.0, n, trained, level), outside, words

    stuck = known.min() == known.max() and len(reference["edges"]) > 0
    likely = float(np.mean(np.asarray(reference["quantiles"]) == known[0]) + GRID)
    certain = stuck and likely**n < level
    yield "constant", float(certain), 0.5, 1.0, f"every value is {as_figure(known[0])}"


def ks_distance(quantiles: list[float], known: Floats) -> float:
    """Return the largest gap between live and reference distribution at the known quantiles."""
    points = np.asarray(quantiles)
    ordered = np.sort(known)
    grid, first = np.unique(points, return_index=True)
    last = len(points) - 1 - np.unique(points[::-1], return_index=True)[1]
    at_most = np.searchsorted(ordered, grid, side="right") / len(ordered)
    below = np.searchsorted(ordered, grid, side="left") / len(ordered)
    top = len(points) - 1
    return float(
        max(
            np.abs(at_most - last / top)[:-1].max(initial=0),
            np.abs(below - first / top)[1:].max(initial=0),
        )
    )


def unit_change(reference: Mapping[str, Any], known: Floats) -> str:
    """Return words where the medians differ by a factor between units, else an empty text."""
    old, new = reference["quantiles"][len(reference["quantiles"]) // 2], float(np.median(known))
    if old <= 0 or new <= 0:
        return ""
    for factor in FACTORS:
        for ratio, words in ((factor, f"{factor:g} times"), (1 / factor, f"1/{factor:g} of")):
            if abs(np.log(new / old / ratio)) < 0.08:
                return f"; its median is {words} what it was: another unit?"
    return ""


def category_rules(
    reference: Mapping[str, Any],
    known: Floats,
    counts: NDArray[np.int64],
    trained: int,
    level: float,
) -> Iterator[Test]:
    """Test for categories that training never saw."""
    unseen = np.asarray(reference["shares"]) == 0
    share = float(counts[unseen].sum() / counts.sum())
    names = [c for c, u, k in zip(reference["categories"], unseen, counts, strict=True) if u and k]
    bound = share_bound(0.0, len(known), trained, level)
    yield "unseen", share, bound, share, f"{share:.1%} are {', '.join(names)}, unseen in training"


def as_figure(value: float) -> str:
    """Return a number of a feature as people read it."""
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def loudness_of(rule: str, shift: float) -> Loudness:
    """Return how loud a finding is, by the size of the shift."""
    warning, alarm = LOUD[rule]
    return "alarm" if shift >= alarm else "warning" if shift >= warning else "notice"
