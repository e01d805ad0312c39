"""Fit what a data scientist would try on a book within an hour, on the same rows and features.

LightGBM and XGBoost are tuned by 30 trials of Optuna in folds; CatBoost is as it comes, where it is
installed; and the logit average takes all of them together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import optuna
import xgboost
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
MOST_TREES, PATIENCE, SEED = 2000, 50, 0


@dataclass(frozen=True)
class Table:
    """The features x (n, F) and outcomes bad (n,) to learn from, and the rows to judge on."""

    x: Floats
    bad: Whole
    judged: Floats
    categories: list[int]


def fit_all(table: Table, trials: int, folds: int) -> dict[str, Floats]:
    """Return the PDs of the judged rows by each rival, and by the average of their log-odds."""
    pds = {
        "LightGBM": search(table, fit_lightgbm, suggest_lightgbm, trials, folds),
        "XGBoost": search(table, fit_xgboost, suggest_xgboost, trials, folds),
    }
    catboost = fit_catboost(table)
    if catboost is not None:
        pds["CatBoost"] = catboost
    inside = [np.clip(pd, 1e-6, 1 - 1e-6) for pd in pds.values()]
    pds["average"] = expit(np.mean([logit(pd) for pd in inside], axis=0))
    return pds


Fit = Callable[..., tuple[Callable[[Floats], Floats], int]]


def search(
    table: Table,
    fit: Fit,
    suggest: Callable[[optuna.Trial], dict[str, Any]],
    trials: int,
    folds: int,
) -> Floats:
    """Return the PDs of the judged rows by the best of some trials, judged by AUC in folds."""
    cuts = list(StratifiedKFold(folds, shuffle=True, random_state=SEED).split(table.x, table.bad))

    def score(trial: optuna.Trial) -> float:
        settings, trees, held = suggest(trial), [], np.zeros(len(table.bad))
        for inside, outside in cuts:
            stop = table.x[outside], table.bad[outside]
            predict, count = fit(
                table.x[inside], table.bad[inside], table.categories, settings, stop=stop
            )
            held[outside] = predict(table.x[outside])
            trees.append(count)
        trial.set_user_attr("trees", max(1, round(float(np.mean(trees)))))
        trial.set_user_attr("log_loss", float(log_loss(table.bad, held)))
        return float(np.mean([roc_auc_score(table.bad[o], held[o]) for _, o in cuts]))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(score, n_trials=trials)
    settings = suggest(optuna.trial.FixedTrial(study.best_params))
    trees = study.best_trial.user_attrs["trees"]
    predict, _ = fit(table.x, table.bad, table.categories, settings, trees=trees)
    return predict(table.judged)


def suggest_lightgbm(trial: optuna.Trial) -> dict[str, Any]:
    """Return the parameters of a trial of LightGBM."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 128, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 2, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 100, log=True),
    }


def fit_lightgbm(
    x: Floats,
    bad: Whole,
    categories: list[int],
    settings: dict[str, Any],
    *,
    trees: int = MOST_TREES,
    stop: tuple[Floats, Whole] | None = None,
) -> tuple[Callable[[Floats], Floats], int]:
    """Return what predicts PDs, and its number of trees; `stop` are rows to stop early by."""
    fixed = {"objective": "binary", "bagging_freq": 1, "verbose": -1, "seed": SEED}
    rows = lightgbm.Dataset(x, bad, categorical_feature=categories, params={"verbose": -1})
    more: dict[str, Any] = {}
    if stop:
        more["valid_sets"] = [lightgbm.Dataset(*stop, reference=rows)]
        more["callbacks"] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    booster = lightgbm.train(settings | fixed | {"num_threads": 1}, rows, trees, **more)
    return lambda z: np.asarray(booster.predict(z)), booster.best_iteration or trees


def suggest_xgboost(trial: optuna.Trial) -> dict[str, Any]:
    """Return the parameters of a trial of XGBoost."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 9),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.1, 50, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-2, 100, log=True),
    }


def fit_xgboost(
    x: Floats,
    bad: Whole,
    categories: list[int],
    settings: dict[str, Any],
    *,
    trees: int = MOST_TREES,
    stop: tuple[Floats, Whole] | None = None,
) -> tuple[Callable[[Floats], Floats], int]:
    """Return what predicts PDs, and its number of trees; `stop` are rows to stop early by."""
    types = ["c" if j in categories else "q" for j in range(x.shape[1])]

    def matrix(z: Floats, outcomes: Whole | None = None) -> xgboost.DMatrix:
        return xgboost.DMatrix(z, outcomes, feature_types=types, enable_categorical=True, nthread=1)

    fixed = {"objective": "binary:logistic", "seed": SEED, "nthread": 1}
    more: dict[str, Any] = {}
    if stop:
        more = {"evals": [(matrix(*stop), "stop")], "early_stopping_rounds": PATIENCE}
    booster = xgboost.train(settings | fixed, matrix(x, bad), trees, verbose_eval=False, **more)
    best = booster.best_iteration + 1 if stop else trees
    return lambda z: np.asarray(booster.predict(matrix(z), iteration_range=(0, best))), best


def fit_catboost(table: Table) -> Floats | None:
    """Return the PDs by CatBoost as it comes; None where it is not installed."""
    try:
        import catboost  # noqa: PLC0415  (no dependency of the project)
    except ImportError:
        warnings.warn("catboost is not installed, so it is no rival here", stacklevel=2)
        return None

    def rows(x: Floats) -> NDArray[np.object_]:
        out = x.astype(object)
        for j in table.categories:
            out[:, j] = [str(value) for value in x[:, j].tolist()]
        return out

    model = catboost.CatBoostClassifier(
        cat_features=table.categories,
        random_seed=SEED,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(rows(table.x), table.bad)
    return np.asarray(model.predict_proba(rows(table.judged))[:, 1])
