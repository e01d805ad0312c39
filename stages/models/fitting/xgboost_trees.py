"""Fit the trees of XGBoost, boosted or as a random forest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.features.matrix import Floats, Outcomes
from stages.models.scorers import XGBoost
from stages.models.task import MOST_TREES, PATIENCE, Held, Task

if TYPE_CHECKING:
    from xgboost import DMatrix


def grow(task: Task, x: Floats, bad: Outcomes, settings: dict[str, Any], *, rounds: int) -> XGBoost:
    """Fit XGBoost on the features x (n, k) and the outcomes bad (n,), for a number of rounds."""
    import xgboost  # noqa: PLC0415  (the process of one candidate needs one booster)

    rows = matrix(task, x, bad)
    booster = xgboost.train(settings | fixed_settings(task), rows, rounds)
    return XGBoost(bytes(booster.save_raw("ubj")), feature_types(task, x))


def grow_until(
    task: Task, x: Floats, bad: Outcomes, settings: dict[str, Any], held: Held
) -> tuple[XGBoost, int]:
    """Fit XGBoost, up to MOST_TREES, for as many rounds as lower the log loss of the rows `held`.

    Return the booster and its rounds.
    """
    import xgboost  # noqa: PLC0415

    stop = xgboost.callback.EarlyStopping(rounds=PATIENCE, save_best=True)
    booster = xgboost.train(
        settings | fixed_settings(task),
        matrix(task, x, bad),
        MOST_TREES,
        evals=[(matrix(task, *held), "held")],
        callbacks=[stop],
        verbose_eval=False,
    )
    rounds = booster.num_boosted_rounds()
    return XGBoost(bytes(booster.save_raw("ubj")), feature_types(task, x)), rounds


def matrix(task: Task, x: Floats, bad: Outcomes) -> DMatrix:
    """Return the rows as XGBoost reads them."""
    import xgboost  # noqa: PLC0415

    types = feature_types(task, x)
    return xgboost.DMatrix(
        x, bad, feature_types=types, enable_categorical=True, nthread=task.threads
    )


def feature_types(task: Task, x: Floats) -> list[str]:
    """Return for each feature `c` for a category and `q` for a number."""
    return ["c" if j in task.categories else "q" for j in range(x.shape[1])]


def fixed_settings(task: Task) -> dict[str, Any]:
    """Return the settings that no parameter changes."""
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "seed": task.seed,
        "nthread": task.threads,
        "monotone_constraints": tuple(task.constraints()),
    }
