"""Grow XGBoost's trees: a boosted ensemble or a random forest, as the settings say."""

from __future__ import annotations

from typing import Any

from stages.features.matrix import Floats
from stages.models.fitting.task import Task
from stages.models.scorers import XGBoost


def grow(task: Task, x: Floats, bad: Any, settings: dict[str, Any], *, rounds: int) -> XGBoost:
    """Fit XGBoost on x (n, k) and bad (n,) for a number of boosting rounds."""
    import xgboost  # noqa: PLC0415  (the process of one candidate needs one booster)

    types = ["c" if j in task.categories else "q" for j in range(x.shape[1])]
    rows = xgboost.DMatrix(
        x, bad, feature_types=types, enable_categorical=True, nthread=task.threads
    )
    fixed = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "seed": task.seed,
        "nthread": task.threads,
        "monotone_constraints": tuple(task.constraints()),
    }
    booster = xgboost.train(settings | fixed, rows, rounds)
    return XGBoost(bytes(booster.save_raw("ubj")), types)
