"""The rules that compare one feature of a window with the training rows.

Each rule returns its value, the bound that chance does not exceed in a window of this size, and the
size of the shift, which decides between notice, warning and alarm.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, chdtri, ndtri

Floats = NDArray[np.float64]
Reference = Mapping[str, Any]
"""A part of `models/reference.json` about one feature, such as its shares and quantiles."""
Loudness = Literal["notice", "warning", "alarm"]

# The probability that a report without drift has a finding: one false report in 10,000.
FALSE_REPORTS = 1e-4
EXPECTED = 5.0  # expected rows that a bin needs (Cochran 1954); rarer bins are pooled
GRID = 0.01  # step of the reference's quantiles
FACTORS = (12.0, 10.0, 100.0, 1000.0)  # months for years, digits, percent, thousands
# The shifts from which a finding is a warning and an alarm; a smaller one is a notice.
LOUD: dict[str, tuple[float, float]] = {
    "psi": (0.1, 0.25),  # the usual thresholds (Siddiqi 2006)
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
class DriftFinding:
    """A rule whose value exceeds its bound, with a description in `words`."""

    field: str
    rule: str
    value: float
    bound: float
    loudness: Loudness
    words: str


RuleResult = tuple[str, float, float, float, str]
"""The name of a rule, its value, its bound, the size of the shift, and a description."""


def count_by_bin(reference: Reference, present: Floats) -> NDArray[np.int64]:
    """Return the number of values (n,) without NaN in each of the reference's bins (bins,)."""
    size = len(reference["shares"])
    if reference["kind"] == "category":
        return np.bincount(present.astype(np.int64), minlength=size)
    return np.bincount(np.searchsorted(reference["edges"], present, side="right"), minlength=size)


def psi_rule(
    reference: Reference, counts: NDArray[np.int64], trained: int, level: float
) -> RuleResult:
    """Compare PSI with its bound: PSI / (1/n + 1/m) is chi-squared by chance (Yurdakul 2018)."""
    expected, live = pool_rare_bins(np.asarray(reference["shares"]), counts)
    n = live.sum()
    value = psi(expected, (live + 0.5) / (n + 0.5 * len(live)))
    bound = float(chdtri(max(len(live) - 1, 1), level) * (1 / n + 1 / trained))
    return "psi", value, bound, value, f"its distribution moved: PSI {value:.3f}"


def psi(expected: Floats, actual: Floats) -> float:
    """Return the population stability index: sum of (actual - expected) * ln(actual / expected)."""
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def pool_rare_bins(shares: Floats, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return shares and counts in which the bins too rare for this window are pooled into one."""
    rare = shares * counts.sum() < EXPECTED
    if not rare.any():
        return shares, counts.astype(np.float64)
    expected = np.append(shares[~rare], shares[rare].sum())
    live = np.append(counts[~rare], counts[rare].sum()).astype(np.float64)
    floor = 1e-6  # a pool of bins that training never saw
    return np.maximum(expected, floor), live


def missing_rule(reference: Reference, values: Floats, trained: int, level: float) -> RuleResult:
    """Compare the share of missing values with its bound."""
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
    """Return the share of `rows` that is exceeded with probability `level`, by the binomial law.

    A share that is 0 among `trained` rows may truly be 3 / trained (the rule of three).
    """
    truth = min(max(share, 3 / trained), 1.0)
    return bisect_left(range(rows), -level, key=lambda k: -bdtrc(k, rows, truth)) / rows


def numeric_rules(
    reference: Reference, present: Floats, counts: NDArray[np.int64], trained: int, level: float
) -> Iterator[RuleResult]:
    """Yield the rules of a number: mean (z), Kolmogorov-Smirnov, range, and a constant value."""
    # A worker imports this module for its bounds, and would start a second later with this.
    from scipy.stats import kstwo  # noqa: PLC0415

    n, sd = len(present), reference["sd"] or 1.0
    shift = abs(float(present.mean()) - reference["mean"]) / sd
    z = shift / np.sqrt(1 / n + 1 / trained)
    words = f"its mean went from {format_number(reference['mean'])} to "
    words += f"{format_number(present.mean())}{unit_change(reference, present)}"
    yield "mean", float(z), float(-ndtri(level / 2)), shift, words

    distance = ks_distance(reference["quantiles"], present)
    bound = float(kstwo.isf(level, max(round(n * trained / (n + trained)), 1))) + GRID
    yield "ks", distance, bound, distance, f"its distribution moved: KS {distance:.3f}"

    low, high = reference["quantiles"][0], reference["quantiles"][-1]
    outside = float(np.mean((present < low) | (present > high)))
    words = f"{outside:.1%} of its values lie outside {format_number(low)} to {format_number(high)}"
    yield "out_of_bounds", outside, share_bound(0.0, n, trained, level), outside, words

    is_constant = present.min() == present.max() and len(reference["edges"]) > 0
    likely = float(np.mean(np.asarray(reference["quantiles"]) == present[0]) + GRID)
    certain = is_constant and likely**n < level
    yield "constant", float(certain), 0.5, 1.0, f"every value is {format_number(present[0])}"


def ks_distance(quantiles: list[float], present: Floats) -> float:
    """Return the largest distance between both distribution functions at the quantiles (q,)."""
    points = np.asarray(quantiles)
    ordered = np.sort(present)
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


def unit_change(reference: Reference, present: Floats) -> str:
    """Return a remark when the medians differ by a usual factor between units, else ""."""
    old, new = reference["quantiles"][len(reference["quantiles"]) // 2], float(np.median(present))
    if old <= 0 or new <= 0:
        return ""
    for factor in FACTORS:
        for ratio, words in ((factor, f"{factor:g} times"), (1 / factor, f"1/{factor:g} of")):
            if abs(np.log(new / old / ratio)) < 0.08:
                return f"; its median is {words} what it was: another unit?"
    return ""


def category_rules(
    reference: Reference,
    present: Floats,
    counts: NDArray[np.int64],
    trained: int,
    level: float,
) -> Iterator[RuleResult]:
    """Yield the rule of a category: the share of categories that training rows did not have."""
    unseen = np.asarray(reference["shares"]) == 0
    share = float(counts[unseen].sum() / counts.sum())
    names = [c for c, u, k in zip(reference["categories"], unseen, counts, strict=True) if u and k]
    bound = share_bound(0.0, len(present), trained, level)
    yield "unseen", share, bound, share, f"{share:.1%} are {', '.join(names)}, unseen in training"


def format_number(value: float) -> str:
    """Return a number with four digits or, from 10,000 on, as a whole number with separators."""
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def loudness_of(rule: str, shift: float) -> Loudness:
    """Return the severity of a finding of a rule, given the size of the shift."""
    warning, alarm = LOUD[rule]
    return "alarm" if shift >= alarm else "warning" if shift >= warning else "notice"
