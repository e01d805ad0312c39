"""Tell where no value of two fields can be approved, before any of them is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from service.decision.advice.breakpoints import Breakpoints, margin_at_cut_off
from service.decision.engine import Engine
from stages.features.matrix import Floats
from stages.models.breakpoints import lowest_margin

FARTHEST = 1e300  # stands for a range without an end; a product with it is finite in 64 bits


class Bounds:
    """The lowest PDs of one application while its actionable fields move; `row` is encoded."""

    def __init__(self, engine: Engine, row: Floats, breakpoints: Mapping[int, Breakpoints]) -> None:
        self._engine, self._row, self._breakpoints = engine, row, breakpoints
        self._cut_off = margin_at_cut_off(engine)

    def refuse(self, ranges: Mapping[int, tuple[float, float]]) -> bool:
        """Return whether every value of these fields, from lowest to highest, is refused.

        A ratio is lowest and highest in the corners, where its denominator keeps its sign.
        """
        corners = [*product(*ranges.values())]
        rows = np.repeat(self._row[None], len(corners), axis=0)
        rows[:, [*ranges]] = np.clip(corners, -FARTHEST, FARTHEST)
        if not all(self._breakpoints[j].have_corners(rows) for j in ranges):
            return False
        x = self._engine.features.matrix(rows)
        lowest = lowest_margin(self._engine.model.scorer, x.min(axis=0), x.max(axis=0))
        return lowest > self._cut_off + 1e-9
