"""What the tuner may try: the range of each parameter of each candidate."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """A parameter's bounds, both included; whole numbers where both are; `log` for scales."""

    low: float
    high: float
    log: bool = False


SPACE: dict[str, dict[str, Range]] = {
    "logistic": {"c": Range(1e-3, 1e3, log=True)},
    "scorecard": {
        "c": Range(1e-3, 1e3, log=True),
        "max_bins": Range(3, 12),
        "min_bin_share": Range(0.01, 0.1, log=True),
    },
    "random_forest": {
        "trees": Range(50, 300),
        "max_depth": Range(4, 20),
        "min_leaf": Range(1.0, 50.0, log=True),
        "features_per_split": Range(0.2, 1.0),
    },
    "xgboost": {
        "trees": Range(100, 1000, log=True),
        "learning_rate": Range(0.01, 0.2, log=True),
        "max_depth": Range(2, 8),
        "min_child_weight": Range(0.1, 50.0, log=True),
        "subsample": Range(0.5, 1.0),
        "feature_fraction": Range(0.4, 1.0),
        "l2": Range(0.01, 100.0, log=True),
    },
    "lightgbm": {
        "trees": Range(100, 1000, log=True),
        "learning_rate": Range(0.01, 0.2, log=True),
        "num_leaves": Range(4, 128, log=True),
        "min_leaf": Range(2, 200, log=True),
        "bagging_fraction": Range(0.5, 1.0),
        "feature_fraction": Range(0.4, 1.0),
        "l2": Range(0.01, 100.0, log=True),
    },
}
