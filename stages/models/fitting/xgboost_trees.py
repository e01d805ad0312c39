"""Fit the trees of XGBoost, boosted or as a random forest."""

from __future__ import annotations

from typing import Any

from stages.features.matrix import Floats, Outcomes
from stages.models.scorers import XGBoost
from stages.models.task import Task


def grow(task: Task, x: Floats, bad: Outcomes, settings: dict[str, Any], *, rounds: int) -> XGBoost:
    """Fit XGBoost on the features x (n, k) and the outcomes bad (n,), for a number of rounds."""
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
