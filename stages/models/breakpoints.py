"""Where a scorer's margin can change as some features, or the field of a ratio, move, and how low
it can come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from stages.features.matrix import Floats, clip_to_float32
from stages.models.compiled.trees import Trees
from stages.models.scorers import Additive, Scorer, Selected, WeightedSum

ROUNDING = 1e-12  # of a sum of numbers of 64 bits, relative to its size


def thresholds_of(scorer: Scorer, x: Floats, moving: list[int]) -> dict[int, Floats] | None:
    """Return where moving features change the margin of rows x (k, F), or its slope.

    They are None where they are not known.
    """
    if isinstance(scorer, Selected):
        columns = scorer.columns.tolist()
        inside = [columns.index(f) for f in moving if f in columns]
        inner = thresholds_of(scorer.scorer, x[:, scorer.columns] if len(x) else x, inside)
        return inner and {columns[f]: thresholds for f, thresholds in inner.items()}
    if isinstance(scorer, WeightedSum):
        every = [thresholds_of(part, x, moving) for part in scorer.scorers]
        return None if None in every else join_thresholds(filter(None, every))
    if isinstance(scorer, Trees):
        return scorer.thresholds(x, moving) if moving else {}
    if isinstance(scorer, Additive):
        linear = scorer.linear
        ends = np.column_stack((linear.low, linear.high))
        kinks = dict(zip(linear.columns.tolist(), ends, strict=True))
        kinks |= {table.column: table.edges for table in scorer.tables}
        return {f: kinks[f] for f in moving if f in kinks}
    return None


def join_thresholds(parts: Iterable[dict[int, Floats]]) -> dict[int, Floats]:
    """Return for each feature the thresholds of all parts, ascending."""
    found: dict[int, list[Floats]] = {}
    for part in parts:
        for feature, thresholds in part.items():
            found.setdefault(feature, []).append(thresholds)
    return {feature: np.unique(np.concatenate(each)) for feature, each in found.items()}


def slopes_of(scorer: Scorer) -> dict[int, tuple[float, float, float]]:
    """Return the slope of every linear feature, and the values between which it counts."""
    if isinstance(scorer, Selected):
        inner = slopes_of(scorer.scorer)
        return {int(scorer.columns[f]): linear for f, linear in inner.items()}
    if isinstance(scorer, WeightedSum):
        weighed = zip(scorer.weights.tolist(), map(slopes_of, scorer.scorers), strict=True)
        return {
            feature: (weight * slope, low, high)
            for weight, slopes in weighed
            for feature, (slope, low, high) in slopes.items()
        }
    if not isinstance(scorer, Additive):
        return {}
    parts = zip(scorer.linear.slope, scorer.linear.low, scorer.linear.high, strict=True)
    return dict(zip(scorer.linear.columns.tolist(), parts, strict=True))


def margins_along(
    scorer: Scorer, x: Floats, moved: Mapping[int, Floats]
) -> tuple[Floats, float] | None:
    """Return the margins (k, m) of the rows x (k, F) while some features move, and their error.

    The values (k, m) of a moving feature only rise or only fall, and none is missing. The error is
    a bound of the rounding of the sums. None stands for scorers that are not known.
    """
    if isinstance(scorer, Selected):
        place = {int(f): i for i, f in enumerate(scorer.columns)}
        inside = {place[f]: values for f, values in moved.items() if f in place}
        return margins_along(scorer.scorer, x[:, scorer.columns], inside)
    if isinstance(scorer, WeightedSum):
        return margins_of_blend(scorer, x, moved)
    if not moved:  # a scorer that reads none of the features that move
        return scorer.margin(x)[:, None], 0.0
    if isinstance(scorer, Trees):
        return scorer.margins_along(x, moved)
    return margins_of_terms(scorer, x, moved) if isinstance(scorer, Additive) else None


def margins_of_blend(
    scorer: WeightedSum, x: Floats, moved: Mapping[int, Floats]
) -> tuple[Floats, float] | None:
    """Return the weighted sum of the margins of all parts along lines, and its error."""
    every = [margins_along(part, x, moved) for part in scorer.scorers]
    known = [along for along in every if along is not None]
    if len(known) < len(every):
        return None
    weights = scorer.weights.tolist()
    total = sum(w * margins for w, (margins, _) in zip(weights, known, strict=True))
    error = sum(w * part for w, (_, part) in zip(weights, known, strict=True))
    return np.asarray(total), error + ROUNDING * (1 + float(abs(np.asarray(total)).max()))


def margins_of_terms(
    scorer: Additive, x: Floats, moved: Mapping[int, Floats]
) -> tuple[Floats, float]:
    """Return the margins of an additive model along lines, and the error of the sums."""
    terms = scorer.terms(x)
    terms[:, [*moved]] = 0.0
    total = scorer.intercept + terms.sum(axis=1, keepdims=True)
    for f, values in moved.items():
        total = total + terms_along(scorer, f, values)
    largest = max(float(abs(terms).max(initial=0.0)), float(abs(total).max(initial=0.0)))
    return total, ROUNDING * (1 + largest)


def terms_along(scorer: Additive, feature: int, values: Floats) -> Floats:
    """Return the terms of any number of values of one feature, in their shape."""
    for table in scorer.tables:
        if table.column == feature:
            return table.values[np.searchsorted(table.edges, values, side="right")]
    linear = scorer.linear
    for i in np.flatnonzero(linear.columns == feature):
        clipped = np.clip(values, linear.low[i], linear.high[i])
        return np.asarray((clipped - linear.centre[i]) * linear.slope[i])
    return np.zeros(values.shape)


def lowest_margin(scorer: Scorer, low: Floats, high: Floats) -> float:
    """Return log-odds that no row with features from low to high (F,) falls below.

    A feature that is missing is missing at both ends. Of scorers that are not known, the bound is
    minus infinity.
    """
    if isinstance(scorer, Selected):
        return lowest_margin(scorer.scorer, low[scorer.columns], high[scorer.columns])
    if isinstance(scorer, WeightedSum):
        parts = [lowest_margin(part, low, high) for part in scorer.scorers]
        lowest = math.fsum(w * part for w, part in zip(scorer.weights, parts, strict=True))
        return lowest - ROUNDING * (1 + abs(lowest)) if math.isfinite(lowest) else -math.inf
    if isinstance(scorer, Trees):
        return scorer.lowest_margin(low, high)
    return lowest_of_terms(scorer, low, high) if isinstance(scorer, Additive) else -math.inf


def lowest_of_terms(scorer: Additive, low: Floats, high: Floats) -> float:
    """Return the sum of the lowest term of each feature: linear ones are lowest at an end."""
    terms = scorer.terms(np.stack((low, high))).min(axis=0)
    for table in scorer.tables:
        ends = low[table.column], high[table.column]
        if not np.isnan(ends).any():
            first, last = np.searchsorted(table.edges, ends, side="right")
            terms[table.column] = table.values[first : last + 1].min()
    size = abs(scorer.intercept) + float(abs(terms).sum())
    return scorer.intercept + float(terms.sum()) - ROUNDING * (1 + size)


@dataclass(frozen=True)
class MovedRatio:
    """A ratio that a field moves: its scale, the place of its other side, and which side is it.

    The feature is `scale * v / other` of the field's value v, or `scale * other / v`.
    """

    scale: float
    other: int
    is_over: bool

    def values(self, v: Floats, rows: Floats) -> Floats:
        """Return the ratio (k, m) at the values v (k, m), to the last bit as `Features` does."""
        other = rows[:, self.other, None]
        if self.is_over:  # by 0 nothing is divided: the ratio is empty, whatever v is
            other = np.where(other == 0, np.nan, other)
        over, under = (v, other) if self.is_over else (other, v)
        with np.errstate(all="ignore"):
            return clip_to_float32(over * self.scale / under)

    def reached_at(self, thresholds: Floats, rows: Floats) -> Floats:
        """Return the field's values (k, t) at which the ratio is at a threshold (t,)."""
        other = rows[:, self.other, None]
        with np.errstate(all="ignore"):
            if self.is_over:
                return thresholds * other / self.scale
            return np.asarray(self.scale * other / thresholds)
