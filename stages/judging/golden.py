"""Applications with their PD, which a service must reproduce to the last bit before it is ready."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.features.encoding import Columns
from stages.features.matrix import Floats
from stages.models.artifact import Model

LinesOf = Callable[[NDArray[np.int64]], dict[str, list[list[dict[str, Any]]]]]


def pick_records(winner: Model, columns: Columns, pd: Floats, count: int, lines_of: LinesOf) -> str:
    """Return `count` applications spread over the whole range of PD (n,), one JSON line each.

    `lines_of` returns the lines of each history for rows at given places.
    """
    order = np.argsort(pd, kind="stable")
    picked = order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(np.int64)]
    lines = lines_of(picked)
    encoded = winner.features.encode(columns)[picked]
    chosen = (
        {
            "application": winner.features.application(row)
            | {name: lines[name][k] for name in winner.features.histories},
            "default_probability": pd[i].item(),
        }
        for k, (i, row) in enumerate(zip(picked, encoded, strict=True))
    )
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in chosen)
