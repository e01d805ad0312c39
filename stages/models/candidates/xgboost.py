"""Gradient boosting by XGBoost, which takes missing values and categories as they are."""

from __future__ import annotations

from stages.features.matrix import Floats, Outcomes
from stages.models.fitting import xgboost_trees
from stages.models.parameters import BoostingParameters, NotNegative, Part, Range, Whole
from stages.models.scorers import XGBoost
from stages.models.task import Task


class Parameters(BoostingParameters):
    """Gradient boosting by XGBoost."""

    max_depth: Whole
    """Highest depth of a tree."""
    min_child_weight: NotNegative
    """Lowest sum of the second derivatives, pd (1 - pd), of the rows in a leaf."""
    subsample: Part
    """Share of the rows that each tree is grown on."""


SEARCH = {
    "trees": Range(100, 1000, log=True),
    "learning_rate": Range(0.01, 0.2, log=True),
    "max_depth": Range(2, 8),
    "min_child_weight": Range(0.1, 50.0, log=True),
    "subsample": Range(0.5, 1.0),
    "feature_fraction": Range(0.4, 1.0),
    "l2": Range(0.01, 100.0, log=True),
}


def fit(task: Task, x: Floats, bad: Outcomes) -> XGBoost:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    parameters: Parameters = task.parameters
    settings = {
        "learning_rate": parameters.learning_rate,
        "max_depth": parameters.max_depth,
        "min_child_weight": parameters.min_child_weight,
        "subsample": parameters.subsample,
        "colsample_bytree": parameters.feature_fraction,
        "reg_lambda": parameters.l2,
    }
    return xgboost_trees.grow(task, x, bad, settings, rounds=parameters.trees)
