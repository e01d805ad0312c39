"""Fit each candidate on training rows; all share one signature, so `train` treats them alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from stages import params, scorecard
from stages.association import Fitted
from stages.balance import resample
from stages.calibration import Calibrator, ForestShare, Isotonic, Sigmoid
from stages.features import Floats
from stages.scorers import Additive, LightGBM, Linear, Scorer, Table, XGBoost

# Splitting one category against the rest wins on both shipped books while there are few of them.
FEW_CATEGORIES = 8


class Shape:
    """What fitting must know of the features: which are categories, directions, fitted facts."""

    def __init__(
        self, fitted: Fitted, categories: list[int], directions: Any, kept: list[int]
    ) -> None:
        self.kept = kept
        self.categories = [i for i, j in enumerate(kept) if j in categories]
        self.directions = np.asarray(directions)[kept]
        pick = {name: np.array(getattr(fitted, name))[kept] for name in ("fill", "low", "high")}
        self.fill, self.low, self.high = pick["fill"], pick["low"], pick["high"]
        self.mean, self.sd = np.array(fitted.mean)[kept], np.array(fitted.sd)[kept]

    def constraints(self, on: bool) -> list[int]:
        """The directions of risk as boosters take them; all free when off."""
        return [int(d) if on else 0 for d in self.directions]


def logistic(
    shape: Shape, x: Floats, bad: Any, config: params.Logistic, seed: int, threads: int
) -> Scorer:
    """L2 logistic regression: numbers standardised, categories one-hot, missing at the median."""
    numbers = np.setdiff1d(np.arange(x.shape[1]), shape.categories)
    unit = 1 / shape.sd[numbers]
    linear = Linear(
        numbers, unit, *(v[numbers] for v in (shape.mean, shape.low, shape.high, shape.fill))
    )
    hot = {j: np.unique(x[~np.isnan(x[:, j]), j]) for j in shape.categories}
    blocks = [linear(x), *(x[:, [j]] == codes for j, codes in hot.items())]
    fitted = LogisticRegression(C=config.c, max_iter=2000).fit(np.hstack(blocks), bad)
    weights, linear.slope = fitted.coef_[0], unit * fitted.coef_[0][: len(numbers)]
    tables, start = [], len(numbers)
    for j, codes in hot.items():
        own = weights[start : start + len(codes)]
        tables.append(Table(j, codes[1:] - 0.5, own, 0.0))
        start += len(codes)
    return Additive(float(fitted.intercept_[0]), linear, tables).centred(x)


def scored(
    shape: Shape, x: Floats, bad: Any, config: params.Scorecard, seed: int, threads: int
) -> Scorer:
    """A scorecard on WoE bins."""
    return scorecard.fit(x, bad, shape.categories, shape.directions, config)


def lightgbm(
    shape: Shape, x: Floats, bad: Any, config: params.LightGBM, seed: int, threads: int
) -> Scorer:
    """Gradient boosting by LightGBM; missing values and categories as they are."""
    import lightgbm as library  # noqa: PLC0415

    settings = {
        "objective": "binary",
        "learning_rate": config.learning_rate,
        "num_leaves": config.num_leaves,
        "max_depth": config.max_depth,
        "min_data_in_leaf": config.min_leaf,
        "max_bin": config.max_bin,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "feature_fraction": config.feature_fraction,
        "lambda_l2": config.l2,
        "max_cat_to_onehot": FEW_CATEGORIES,
        "monotone_constraints": shape.constraints(config.monotone),
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    rows = library.Dataset(
        x, bad, categorical_feature=shape.categories, params={"max_bin": config.max_bin}
    )
    booster = library.train(settings, rows, config.trees)
    # The thread count would be kept as a parameter: write the trees alone.
    return LightGBM(strip_threads(booster.model_to_string()))


def strip_threads(text: str) -> str:
    """The text of a LightGBM model without the number of threads it was trained by."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("[num_threads:"))


def xgboost(
    shape: Shape, x: Floats, bad: Any, config: params.XGBoost, seed: int, threads: int
) -> Scorer:
    """Gradient boosting by XGBoost; missing values and categories as they are."""
    settings = {
        "learning_rate": config.learning_rate,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_child_weight,
        "subsample": config.subsample,
        "colsample_bytree": config.feature_fraction,
        "reg_lambda": config.l2,
    }
    return _trees(shape, x, bad, settings, config.monotone, seed, threads, config.trees)


def random_forest(
    shape: Shape, x: Floats, bad: Any, config: params.RandomForest, seed: int, threads: int
) -> Scorer:
    """A random forest (Breiman 2001) of XGBoost's trees: leaves hold bad rates, one Newton step."""
    prior = float(np.mean(bad))
    settings = {
        "learning_rate": 1.0,
        "num_parallel_tree": config.trees,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_leaf * prior * (1 - prior),
        "subsample": 0.632,
        "colsample_bynode": config.features_per_split,
        "reg_lambda": 0.0,
        "base_score": prior,
    }
    return _trees(shape, x, bad, settings, config.monotone, seed, threads, 1)


def _trees(
    shape: Shape,
    x: Floats,
    bad: Any,
    settings: dict[str, Any],
    monotone: bool,
    seed: int,
    threads: int,
    rounds: int,
) -> Scorer:
    import xgboost as library  # noqa: PLC0415

    types = ["c" if j in shape.categories else "q" for j in range(x.shape[1])]
    rows = library.DMatrix(x, bad, feature_types=types, enable_categorical=True)
    constraints = tuple(shape.constraints(monotone))
    fixed = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "seed": seed,
        "nthread": threads,
        "monotone_constraints": constraints,
    }
    booster = library.train(settings | fixed, rows, rounds)
    booster.set_param({"nthread": 1})
    return XGBoost(bytes(booster.save_raw("ubj")), types)


FITS: dict[str, Any] = {
    "logistic": logistic,
    "scorecard": scored,
    "random_forest": random_forest,
    "xgboost": xgboost,
    "lightgbm": lightgbm,
}


def fit(
    name: str, shape: Shape, x: Floats, bad: Any, config: params.Candidate, seed: int, threads: int
) -> Scorer:
    """Fit a candidate on training rows alone: x (n, kept features), bad (n,), resampled if asked."""
    with threadpool_limits(1, user_api="blas"):
        rows, outcome = resample(x, bad, config.balance, shape.categories, shape.fill, seed)
        scorer: Scorer = FITS[name](shape, rows, outcome, config, seed, threads)
        return scorer


def calibrate(
    name: str,
    shape: Shape,
    x: Floats,
    bad: Any,
    folds: int,
    config: params.Candidate,
    seed: int,
    threads: int,
) -> Calibrator:
    """Fit the calibrator on margins of rows that each fold's model did not see (nor resample)."""
    if config.calibration == "none":
        return ForestShare(float(np.mean(bad))) if name == "random_forest" else Sigmoid()
    margin = np.empty(len(x))
    for inside, outside in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, bad):
        scorer = fit(name, shape, x[inside], bad[inside], config, seed, threads)
        margin[outside] = scorer.margin(x[outside])
    kind = Sigmoid if config.calibration == "sigmoid" else Isotonic
    return kind.fit(margin, bad)
