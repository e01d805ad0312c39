"""Gradient boosting by LightGBM, which takes missing values and categories as they are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Key

from stages.features.matrix import Floats, Outcomes
from stages.models.parameters import BoostingParameters, Part, Range, Whole
from stages.models.scorers import LightGBM
from stages.models.task import Task

# Up to this many categories, splitting one against the rest is better on both shipped books.
FEW_CATEGORIES = 8


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
    "trees": Range(100, 1000, log=True),
    "learning_rate": Range(0.01, 0.2, log=True),
    "num_leaves": Range(4, 128, log=True),
    "min_leaf": Range(2, 200, log=True),
    "bagging_fraction": Range(0.5, 1.0),
    "feature_fraction": Range(0.4, 1.0),
    "l2": Range(0.01, 100.0, log=True),
}


def fit(task: Task, x: Floats, bad: Outcomes) -> LightGBM:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    import lightgbm  # noqa: PLC0415  (the process of one candidate needs one booster)

    parameters: Parameters = task.parameters
    settings = {
        "objective": "binary",
        "learning_rate": parameters.learning_rate,
        "num_leaves": parameters.num_leaves,
        "max_depth": parameters.max_depth,
        "min_data_in_leaf": parameters.min_leaf,
        "max_bin": parameters.max_bin,
        "bagging_fraction": parameters.bagging_fraction,
        "bagging_freq": 1,
        "feature_fraction": parameters.feature_fraction,
        "lambda_l2": parameters.l2,
        "max_cat_to_onehot": FEW_CATEGORIES,
        "monotone_constraints": task.constraints(),
        "seed": task.seed,
        "num_threads": task.threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(x, bad, categorical_feature=task.categories, params=settings)
    booster = lightgbm.train(settings, rows, parameters.trees)
    return LightGBM(without_threads(booster.model_to_string()))


def without_threads(text: str) -> str:
    """Return a model's text without its number of threads, which decides nothing in the model."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("[num_threads:"))
