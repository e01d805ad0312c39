"""Where a scorer's margin can change as some features, or the field of a ratio, move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stages.features.matrix import Floats, clip_to_float32
from stages.models.compiled.trees import Trees
from stages.models.scorers import Additive, Scorer, Selected, WeightedSum


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
        return kinks | {table.column: table.edges for table in scorer.tables}
    return None


def join_thresholds(parts: Iterable[dict[int, Floats]]) -> dict[int, Floats]:
    """Return for each feature the thresholds of all parts, ascending."""
    joined: dict[int, Floats] = {}
    for part in parts:
        for feature, thresholds in part.items():
            both = np.concatenate((joined.get(feature, np.empty(0)), thresholds))
            joined[feature] = np.unique(both)
    return joined


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
