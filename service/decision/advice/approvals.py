"""Tell which values of a field are approved, for many lines of values at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decision.advice.breakpoints import Breakpoints, margin_at_cut_off
from service.decision.engine import Engine
from stages.features.matrix import Floats
from stages.models.breakpoints import margins_along

Bools = NDArray[np.bool_]


class Approvals:
    """The decisions about one application while its actionable fields move."""

    def __init__(self, engine: Engine, application: dict[str, Any]) -> None:
        self._engine, self._application = engine, application
        self._cut_off = margin_at_cut_off(engine)

    def along(self, rows: Floats, breakpoints: Breakpoints, j: int, values: Floats) -> Bools:
        """Tell which values (k, m) of field j are approved and keep the contract's checks: (k, m).

        `rows` (k, inputs) are encoded applications. The values only rise or only fall along a line.
        """
        engine = self._engine
        x = engine.features.matrix(rows)
        moved = breakpoints.values(rows, values)
        approved = self._below_cut_off(rows, x, moved, j, values)
        if engine.policy.rules:
            columns = dict(zip(engine.features.names, x.T[:, :, None], strict=True))
            columns |= {engine.features.names[f]: values for f, values in moved.items()}
            approved &= engine.policy.decide(np.zeros((1, 1)), columns) == 0
        inputs = {f.name: rows[:, i, None] for i, f in enumerate(engine.features.inputs)}
        inputs[engine.features.inputs[j].name] = values
        approved &= engine.applications.keep_rules(inputs, self._application)
        return approved

    def _below_cut_off(
        self, rows: Floats, x: Floats, moved: dict[int, Floats], j: int, values: Floats
    ) -> Bools:
        """Tell where the PD is below the first that is not approved: (k, m).

        Where the rounding of a sum could decide, the engine itself does.
        """
        engine = self._engine
        limit = engine.policy.approve_below
        category = bool(engine.features.inputs[j].codes)
        known = not category and values.size and moved
        sums = margins_along(engine.model.scorer, x, moved) if known else None
        margin, error = sums or (np.zeros(values.shape), np.inf)
        margin = np.broadcast_to(margin, values.shape)
        below = np.less(margin, self._cut_off)
        unsure = abs(margin - self._cut_off) <= error + 1e-9
        line, place = np.nonzero(unsure)
        if len(line):
            exact = rows[line]
            exact[:, j] = values[line, place]
            below[line, place] = engine.predict(engine.features.matrix(exact)) < limit
        return below
