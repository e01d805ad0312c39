"""Gradient boosting by LightGBM, which takes missing values and categories as they are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field as Key

from stages.features.matrix import Floats, Outcomes
from stages.models.fitting import lightgbm_trees
from stages.models.parameters import BoostingParameters, Part, SearchRange, Whole
from stages.models.scorers import LightGBM
from stages.models.task import MOST_TREES, Held, Task


class Parameters(BoostingParameters):
    """Gradient boosting by LightGBM; a `max_depth` of -1 sets no limit."""

    num_leaves: Annotated[int, Key(ge=2)]
    """Highest number of leaves of a tree."""
    max_depth: int
    """Highest depth of a tree; -1 sets no limit."""
    min_leaf: Whole
    """Lowest number of rows in a leaf."""
    max_bin: Annotated[int, Key(ge=2)]
    """Highest number of bins of a number."""
    bagging_fraction: Part
    """Share of the rows that each tree is grown on."""


SEARCH = {
    "trees": SearchRange(100, 1000, log=True),
    "learning_rate": SearchRange(0.02, 0.2, log=True),
    "num_leaves": SearchRange(4, 128, log=True),
    "min_leaf": SearchRange(2, 200, log=True),
    "bagging_fraction": SearchRange(0.5, 1.0),
    "feature_fraction": SearchRange(0.2, 1.0),
    "l2": SearchRange(0.01, 100.0, log=True),
}


# Where a search begins: for clean, for small, and for noisy or imbalanced books.
STARTS = (
    {
        **{"learning_rate": 0.05, "num_leaves": 31, "min_leaf": 4, "l2": 2.0},
        **{"bagging_fraction": 0.86, "feature_fraction": 0.7},
    },
    {
        **{"learning_rate": 0.05, "num_leaves": 8, "min_leaf": 20, "l2": 5.0},
        **{"bagging_fraction": 0.7, "feature_fraction": 0.5},
    },
    {
        **{"learning_rate": 0.03, "num_leaves": 6, "min_leaf": 100, "l2": 30.0},
        **{"bagging_fraction": 0.7, "feature_fraction": 0.5},
    },
)


def fit(task: Task, x: Floats, bad: Outcomes) -> LightGBM:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    return lightgbm_trees.grow(task, x, bad, settings_of(task), rounds=task.parameters.trees)[0]


def fit_until(task: Task, x: Floats, bad: Outcomes, held: Held) -> tuple[LightGBM, int]:
    """Fit as many trees as help on the rows `held`; return the booster and their number."""
    return lightgbm_trees.grow(task, x, bad, settings_of(task), rounds=MOST_TREES, held=held)


def settings_of(task: Task) -> dict[str, Any]:
    """Return the parameters by the library's names."""
    parameters: Parameters = task.parameters
    return {
        "learning_rate": parameters.learning_rate,
        "num_leaves": parameters.num_leaves,
        "max_depth": parameters.max_depth,
        "min_data_in_leaf": parameters.min_leaf,
        "max_bin": parameters.max_bin,
        "bagging_fraction": parameters.bagging_fraction,
        "bagging_freq": 1,
        "feature_fraction": parameters.feature_fraction,
        "lambda_l2": parameters.l2,
    }
