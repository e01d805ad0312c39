"""Applications with their PD, which a service must reproduce to the last bit before it is ready."""

from __future__ import annotations

import json

import numpy as np

from stages.features.matrix import Columns, Floats
from stages.models.artifact import Model


def pick_records(winner: Model, columns: Columns, pd: Floats, count: int) -> str:
    """Return `count` applications spread over the whole range of PD (n,), one JSON line each."""
    order = np.argsort(pd, kind="stable")
    picked = order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(np.int64)]
    encoded = winner.features.encode(columns)[picked]
    chosen = (
        {
            "application": winner.features.application(row),
            "default_probability": pd[i].item(),
        }
        for i, row in zip(picked, encoded, strict=True)
    )
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in chosen)
