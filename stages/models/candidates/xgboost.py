"""Gradient boosting by XGBoost, which takes missing values and categories as they are."""

from __future__ import annotations

from typing import Any

from stages.features.matrix import Floats, Outcomes
from stages.models.fitting import xgboost_trees
from stages.models.parameters import BoostingParameters, NotNegative, Part, SearchRange, Whole
from stages.models.scorers import XGBoost
from stages.models.task import Held, Task


class Parameters(BoostingParameters):
    """Gradient boosting by XGBoost."""

    max_depth: Whole
    """Highest depth of a tree."""
    min_child_weight: NotNegative
    """Lowest sum of the second derivatives, pd (1 - pd), of the rows in a leaf."""
    subsample: Part
    """Share of the rows that each tree is grown on."""


SEARCH = {
    "trees": SearchRange(100, 1000, log=True),
    "learning_rate": SearchRange(0.02, 0.2, log=True),
    "max_depth": SearchRange(2, 8),
    "min_child_weight": SearchRange(0.1, 50.0, log=True),
    "subsample": SearchRange(0.5, 1.0),
    "feature_fraction": SearchRange(0.2, 1.0),
    "l2": SearchRange(0.01, 100.0, log=True),
}


# Where a search begins: for clean, for small, and for noisy or imbalanced books.
STARTS = (
    {
        **{"learning_rate": 0.05, "max_depth": 5, "min_child_weight": 1.0, "l2": 1.0},
        **{"subsample": 0.86, "feature_fraction": 0.7},
    },
    {
        **{"learning_rate": 0.05, "max_depth": 3, "min_child_weight": 3.0, "l2": 5.0},
        **{"subsample": 0.7, "feature_fraction": 0.5},
    },
    {
        **{"learning_rate": 0.03, "max_depth": 3, "min_child_weight": 20.0, "l2": 30.0},
        **{"subsample": 0.7, "feature_fraction": 0.5},
    },
)


def fit(task: Task, x: Floats, bad: Outcomes) -> XGBoost:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    return xgboost_trees.grow(task, x, bad, settings_of(task), rounds=task.parameters.trees)


def fit_until(task: Task, x: Floats, bad: Outcomes, held: Held) -> tuple[XGBoost, int]:
    """Fit as many trees as help on the rows `held`; return the booster and their number."""
    return xgboost_trees.grow_until(task, x, bad, settings_of(task), held)


def settings_of(task: Task) -> dict[str, Any]:
    """Return the parameters by the library's names."""
    parameters: Parameters = task.parameters
    return {
        "learning_rate": parameters.learning_rate,
        "max_depth": parameters.max_depth,
        "min_child_weight": parameters.min_child_weight,
        "subsample": parameters.subsample,
        "colsample_bytree": parameters.feature_fraction,
        "reg_lambda": parameters.l2,
    }
