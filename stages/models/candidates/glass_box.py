"""A glass box: the sum of a curve for each feature and of a few tables of two features.

LightGBM grows it of trees of at most two splits on a path. The features of a path are one feature,
or one of the pairs that the book needs most: so what each feature and each pair adds to the
log-odds can be drawn, and nothing else is in the model (Lou et al. 2013, "GA2M").
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field as Key

from stages.features.matrix import Floats, Outcomes
from stages.models.fitting import lightgbm_trees
from stages.models.parameters import BoostingParameters, Part, SearchRange, Whole
from stages.models.scorers import LightGBM
from stages.models.task import MOST_TREES, Held, Task

# The trees that show which pairs of features belong together.
SCOUTS = 200


class Parameters(BoostingParameters):
    """A curve for each feature, and tables of `pairs` pairs of features."""

    pairs: Annotated[int, Key(ge=0)]
    """Highest number of pairs of features that may act together."""
    min_leaf: Whole
    """Lowest number of rows in a leaf."""
    max_bin: Annotated[int, Key(ge=2)]
    """Highest number of bins of a number."""
    bagging_fraction: Part
    """Share of the rows that each tree is grown on."""


SEARCH = {
    "trees": SearchRange(100, 1500, log=True),
    "learning_rate": SearchRange(0.02, 0.2, log=True),
    "min_leaf": SearchRange(2, 200, log=True),
    "bagging_fraction": SearchRange(0.5, 1.0),
    "feature_fraction": SearchRange(0.2, 1.0),
    "l2": SearchRange(0.01, 100.0, log=True),
}
STARTS = (
    {
        **{"learning_rate": 0.1, "min_leaf": 10, "l2": 1.0},
        **{"bagging_fraction": 0.86, "feature_fraction": 0.5},
    },
    {
        **{"learning_rate": 0.05, "min_leaf": 50, "l2": 10.0},
        **{"bagging_fraction": 0.7, "feature_fraction": 0.5},
    },
)


def fit(task: Task, x: Floats, bad: Outcomes) -> LightGBM:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    settings = settings_of(task, x, bad)
    return lightgbm_trees.grow(task, x, bad, settings, rounds=task.parameters.trees)[0]


def fit_until(task: Task, x: Floats, bad: Outcomes, held: Held) -> tuple[LightGBM, int]:
    """Fit as many trees as help on the rows `held`; return the booster and their number."""
    settings = settings_of(task, x, bad)
    return lightgbm_trees.grow(task, x, bad, settings, rounds=MOST_TREES, held=held)


def settings_of(task: Task, x: Floats, bad: Outcomes) -> dict[str, Any]:
    """Return the parameters by the library's names, with the features that may act together."""
    parameters: Parameters = task.parameters
    settings = {
        "learning_rate": parameters.learning_rate,
        "num_leaves": 4,
        "max_depth": 2,
        "min_data_in_leaf": parameters.min_leaf,
        "max_bin": parameters.max_bin,
        "bagging_fraction": parameters.bagging_fraction,
        "bagging_freq": 1,
        "feature_fraction": parameters.feature_fraction,
        "lambda_l2": parameters.l2,
    }
    if not parameters.pairs:
        return settings | {"num_leaves": 2, "max_depth": 1}
    scout = lightgbm_trees.grow(task, x, bad, settings, rounds=SCOUTS)[0]
    together = strongest_pairs(scout, parameters.pairs)
    alone = [[feature] for feature in range(x.shape[1])]
    return settings | {"interaction_constraints": [*map(list, together), *alone]}


def strongest_pairs(scout: LightGBM, number: int) -> list[tuple[int, int]]:
    """Return the pairs of features whose second splits gain the most, the strongest first."""
    import lightgbm  # noqa: PLC0415

    gains: dict[tuple[int, int], float] = {}
    for tree in lightgbm.Booster(model_str=scout.text).dump_model()["tree_info"]:
        root = tree["tree_structure"]
        for side in ("left_child", "right_child"):
            child = root.get(side, {})
            if "split_feature" in child and child["split_feature"] != root["split_feature"]:
                first, second = sorted((root["split_feature"], child["split_feature"]))
                gains[first, second] = gains.get((first, second), 0.0) + child["split_gain"]
    return sorted(gains, key=lambda pair: (-gains[pair], pair))[:number]
