"""A random forest (Breiman 2001) of XGBoost's trees, whose leaves hold the bad rate of their rows.

XGBoost grows such a forest as one round of boosting, a single Newton step from the bad rate.
"""

from __future__ import annotations

import numpy as np

from stages.features.matrix import Floats, Outcomes
from stages.models.calibration import ForestShare
from stages.models.fitting import xgboost_trees
from stages.models.parameters import CandidateParameters, Part, Positive, SearchRange, Whole
from stages.models.scorers import XGBoost
from stages.models.task import Task

# The share of distinct rows in a bootstrap sample, which Breiman's forests draw.
DISTINCT = 0.632


class Parameters(CandidateParameters):
    """A random forest of XGBoost's trees."""

    trees: Whole
    """Number of trees."""
    max_depth: Whole
    """Highest depth of a tree."""
    min_leaf: Positive
    """Lowest number of rows in a leaf, were its bad rate that of the book."""
    features_per_split: Part
    """Share of the features that each split may use."""
    monotone: bool
    """Whether PD follows the directions of risk in the contract."""


SEARCH = {
    "trees": SearchRange(50, 300),
    "max_depth": SearchRange(4, 20),
    "min_leaf": SearchRange(1.0, 50.0, log=True),
    "features_per_split": SearchRange(0.2, 1.0),
}


def fit(task: Task, x: Floats, bad: Outcomes) -> XGBoost:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    parameters: Parameters = task.parameters
    prior = float(np.mean(bad))
    settings = {
        "learning_rate": 1.0,
        "num_parallel_tree": parameters.trees,
        "max_depth": parameters.max_depth,
        # XGBoost weighs a row by its Hessian, which is the same for all before the first round.
        "min_child_weight": parameters.min_leaf * prior * (1 - prior),
        "subsample": DISTINCT,
        "colsample_bynode": parameters.features_per_split,
        "reg_lambda": 0.0,
        "base_score": prior,
    }
    return xgboost_trees.grow(task, x, bad, settings, rounds=1)


def calibrate_by_default(bad: Outcomes) -> ForestShare:
    """Return the map from the forest's margin to the mean bad rate of the leaves."""
    return ForestShare(float(np.mean(bad)))
