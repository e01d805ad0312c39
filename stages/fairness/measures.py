"""Measures of how alike groups are treated, with 95 % intervals and a smallest size of a group."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.metrics import ratio_intervals
from stages.metrics.rate_intervals import Interval, as_figure
from stages.metrics.ratio_intervals import RatioOfSums
from stages.replay.policy_figures import APPROVE, Places
from stages.replay.scored_rows import ScoredRows

MISSING = "missing"


class Worst(NamedTuple):
    """The group with the lowest adverse impact ratio, and 1 minus the ratio."""

    disparity: float
    attribute: str
    group: str


def with_intersections(groups: Mapping[str, NDArray[np.str_]]) -> dict[str, NDArray[np.str_]]:
    """Return the groups (n,) of each attribute, and of each pair of attributes."""
    pairs = {
        f"{a} x {b}": np.char.add(np.char.add(groups[a].astype(str), " x "), groups[b].astype(str))
        for a, b in combinations(groups, 2)
    }
    return dict(groups) | pairs


def measure(rows: ScoredRows, decision: Places, minimum: int) -> dict[str, dict[str, Any]]:
    """Return the measures of each group and intersection of `minimum` rows or more.

    Smaller groups have only their number of rows. `adverse_impact_ratio` is the approval rate over
    that of the group approved most often; `calibration` the mean PD less the bad rate;
    `good_not_approved` and `bad_approved` the errors among good and among bad loans.
    """
    return {
        attribute: measure_attribute(rows, labels, decision, minimum)
        for attribute, labels in with_intersections(rows.groups).items()
    }


def measure_attribute(
    rows: ScoredRows, labels: NDArray[np.str_], decision: Places, minimum: int
) -> dict[str, Any]:
    """Return the measures of the groups of one attribute."""
    names, place = np.unique(labels, return_inverse=True)
    is_approved = decision == APPROVE
    count, approved = np.bincount(place), np.bincount(place, weights=is_approved)
    judged = [i for i in range(len(names)) if count[i] >= minimum]
    best = max(judged, key=lambda i: approved[i] / count[i], default=None)
    stated: dict[str, Any] = {str(name): {"rows": int(count[i])} for i, name in enumerate(names)}
    for number in judged:
        facts = measure_group(rows, place == number, decision)
        ratio = Interval(1.0, 1.0, 1.0)
        if number != best:
            ratio = ratio_intervals.quotient_of_rates(
                is_approved, place == number, place == best, rows.cluster
            )
        stated[str(names[number])] |= {**facts, "adverse_impact_ratio": as_figure(ratio)}
    return stated


def measure_group(
    rows: ScoredRows, inside: NDArray[np.bool_], decision: Places
) -> dict[str, dict[str, float]]:
    """Return the measures of one group: the rows `inside` (n,)."""
    one = inside.astype(np.float64)
    seen, approved = one * rows.has_outcome, (decision == APPROVE).astype(np.float64)
    bad = rows.went_bad.astype(np.float64)
    good = seen * (1 - bad)
    ratios = {
        "approval_rate": RatioOfSums(one * approved, one),
        "bad_rate": RatioOfSums(seen * bad, seen),
        "approved_bad_rate": RatioOfSums(seen * approved * bad, seen * approved),
        "calibration": RatioOfSums(seen * (rows.pd - bad), seen),
        "good_not_approved": RatioOfSums(good * (1 - approved), good),
        "bad_approved": RatioOfSums(seen * bad * approved, seen * bad),
    }
    return {n: as_figure(ratio_intervals.interval(r, rows.cluster)) for n, r in ratios.items()}


def find_worst(rows: ScoredRows, decision: Places, minimum: int) -> Worst:
    """Return the group or intersection that is approved least often relative to the best one.

    Rows whose group is not stated, and groups of fewer than `minimum` rows, do not count.
    """
    worst = Worst(0.0, "", "")
    for attribute, labels in with_intersections(rows.groups).items():
        names, place = np.unique(labels, return_inverse=True)
        count, approved = np.bincount(place), np.bincount(place, weights=decision == APPROVE)
        judged = [
            i
            for i, name in enumerate(names)
            if count[i] >= minimum and MISSING not in str(name).split(" x ")
        ]
        rates = {i: float(approved[i] / count[i]) for i in judged}
        highest = max(rates.values(), default=0.0)
        for i, rate in rates.items():
            if highest > 0 and 1 - rate / highest > worst.disparity:
                worst = Worst(1 - rate / highest, attribute, str(names[i]))
    return worst
