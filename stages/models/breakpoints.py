"""Where a scorer's margin can change as some features move."""

from __future__ import annotations

import numpy as np

from stages.features.matrix import Floats
from stages.models.compiled.trees import Trees
from stages.models.scorers import Additive, Scorer, Selected


def thresholds_of(scorer: Scorer, x: Floats, moving: list[int]) -> dict[int, Floats] | None:
    """Return where moving features change the margin of rows x (k, F), or its slope.

    They are None where they are not known.
    """
    if isinstance(scorer, Selected):
        columns = scorer.columns.tolist()
        inside = [columns.index(f) for f in moving if f in columns]
        inner = thresholds_of(scorer.scorer, x[:, scorer.columns] if len(x) else x, inside)
        return inner and {columns[f]: thresholds for f, thresholds in inner.items()}
    if isinstance(scorer, Trees):
        return scorer.thresholds(x, moving) if moving else {}
    if isinstance(scorer, Additive):
        linear = scorer.linear
        ends = np.column_stack((linear.low, linear.high))
        kinks = dict(zip(linear.columns.tolist(), ends, strict=True))
        return kinks | {table.column: table.edges for table in scorer.tables}
    return None


def slopes_of(scorer: Scorer) -> dict[int, tuple[float, float, float]]:
    """Return the slope of every linear feature, and the values between which it counts."""
    if isinstance(scorer, Selected):
        inner = slopes_of(scorer.scorer)
        return {int(scorer.columns[f]): linear for f, linear in inner.items()}
    if not isinstance(scorer, Additive):
        return {}
    parts = zip(scorer.linear.slope, scorer.linear.low, scorer.linear.high, strict=True)
    return dict(zip(scorer.linear.columns.tolist(), parts, strict=True))
