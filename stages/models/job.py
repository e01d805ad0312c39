"""Fit a candidate on training rows: one job, whatever the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.features.matrix import Features, Floats
from stages.features.statistics import Fitted, select
from stages.models import scorecard
from stages.models.calibration import Calibrator, ForestShare, Isotonic, Sigmoid
from stages.models.resampling import resample
from stages.models.scorers import Additive, LightGBM, Linear, Scorer, Selected, Table, XGBoost
from stages.params import Candidate, Params

# Splitting one category against the rest wins on both shipped books while there are few of them.
FEW_CATEGORIES = 8
# The share of distinct rows in a bootstrap sample, which Breiman's forests draw.
DISTINCT = 0.632


@dataclass(frozen=True)
class Job:
    """A candidate to fit: its parameters, and what is known of the k features that it keeps.

    `categories` are places among the k; `directions`, `fill`, `low`, `high`, `mean` and `sd` (k,).
    """

    name: str
    config: Any
    seed: int
    threads: int
    kept: list[int]
    categories: list[int]
    directions: NDArray[np.int64]
    facts: dict[str, Floats]

    @classmethod
    def of(cls, name: str, config: Candidate, features: Features, params: Params) -> Job:
        """A job on the features that `featurize` described for this dataset."""
        fitted = Fitted.from_json((params.data / "features" / "fitted.json").read_text())
        return cls.on(fitted, name, config, features, params)

    @classmethod
    def on(
        cls, fitted: Fitted, name: str, config: Candidate, features: Features, params: Params
    ) -> Job:
        """A job on features of which `fitted` is known."""
        kept = select(fitted, config)
        wanted = ("fill", "low", "high", "mean", "sd")
        return cls(
            name=name,
            config=config,
            seed=params.train.seed,
            threads=params.threads,
            kept=kept,
            categories=[i for i, j in enumerate(kept) if j in features.categories],
            directions=features.directions[kept],
            facts={fact: np.array(getattr(fitted, fact))[kept] for fact in wanted},
        )

    def constraints(self) -> list[int]:
        """The directions of risk as boosters take them; all free when off."""
        return [int(d) if self.config.monotone else 0 for d in self.directions]

    def balanced(self, x: Floats, bad: Any) -> tuple[Floats, Any]:
        """The k features of training rows and their outcomes, resampled if asked."""
        own, fill = x[:, self.kept], self.facts["fill"]
        rows: tuple[Floats, Any] = resample(
            own, bad, self.config.balance, self.categories, fill, self.seed
        )
        return rows

    def fit(self, x: Floats, bad: Any) -> Scorer:
        """Fit on training rows alone: x (n, F), bad (n,), resampled if asked."""
        with threadpool_limits(1, user_api="blas"):
            scorer = FITS[self.name](self, *self.balanced(x, bad))
        return scorer if len(self.kept) == x.shape[1] else Selected(scorer, np.array(self.kept))

    def calibrate(self, x: Floats, bad: Any, folds: int) -> Calibrator:
        """Fit on margins of rows that each fold's model did not see (nor resample)."""
        if self.config.calibration == "none":
            forest = self.name == "random_forest"
            return ForestShare(float(np.mean(self.balanced(x, bad)[1]))) if forest else Sigmoid()
        from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  (half a second)

        margin = np.empty(len(x))
        cut = StratifiedKFold(folds, shuffle=True, random_state=self.seed)
        for inside, outside in cut.split(x, bad):
            margin[outside] = self.fit(x[inside], bad[inside]).margin(x[outside])
        kind = Sigmoid if self.config.calibration == "sigmoid" else Isotonic
        with threadpool_limits(1, user_api="blas"):
            return kind.fit(margin, bad)


def logistic(job: Job, x: Floats, bad: Any) -> Scorer:
    """L2 logistic regression: numbers standardised, categories one-hot, missing at the median."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (not for the others)

    numbers = np.setdiff1d(np.arange(x.shape[1]), job.categories)
    own = {fact: values[numbers] for fact, values in job.facts.items()}
    unit = 1 / own["sd"]
    linear = Linear(numbers, unit, own["mean"], own["low"], own["high"], own["fill"])
    hot = {j: np.arange(np.nanmax(x[:, j], initial=0) + 1) for j in job.categories}
    blocks = [linear(x), *(x[:, [j]] == codes for j, codes in hot.items())]
    fitted = LogisticRegression(C=job.config.c, max_iter=2000).fit(np.hstack(blocks), bad)
    ends = np.cumsum([len(numbers), *map(len, hot.values())])
    parts = np.split(fitted.coef_[0], ends[:-1])
    linear.slope = unit * parts[0]
    tables = [
        Table(j, codes + 0.5, np.append(weights, 0.0), 0.0)  # the last bin is of unseen codes
        for (j, codes), weights in zip(hot.items(), parts[1:], strict=True)
    ]
    return Additive(float(fitted.intercept_[0]), linear, tables).centred(x)


def scored(job: Job, x: Floats, bad: Any) -> Scorer:
    """A scorecard on WoE bins."""
    return scorecard.fit(x, bad, job.categories, job.directions, job.config)


def lightgbm(job: Job, x: Floats, bad: Any) -> Scorer:
    """Gradient boosting by LightGBM; missing values and categories as they are."""
    import lightgbm as library  # noqa: PLC0415  (one candidate's process needs one booster)

    config = job.config
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
        "monotone_constraints": job.constraints(),
        "seed": job.seed,
        "num_threads": job.threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    rows = library.Dataset(x, bad, categorical_feature=job.categories, params=settings)
    booster = library.train(settings, rows, config.trees)
    return LightGBM(without_threads(booster.model_to_string()))


def without_threads(text: str) -> str:
    """The text of a LightGBM model less the number of threads: the same trees, the same bytes."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("[num_threads:"))


def xgboost(job: Job, x: Floats, bad: Any) -> Scorer:
    """Gradient boosting by XGBoost; missing values and categories as they are."""
    config = job.config
    settings = {
        "learning_rate": config.learning_rate,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_child_weight,
        "subsample": config.subsample,
        "colsample_bytree": config.feature_fraction,
        "reg_lambda": config.l2,
    }
    return trees(job, x, bad, settings, rounds=config.trees)


def random_forest(job: Job, x: Floats, bad: Any) -> Scorer:
    """A random forest (Breiman 2001) of XGBoost's trees: leaves hold bad rates, one Newton step."""
    config = job.config
    prior = float(np.mean(bad))
    settings = {
        "learning_rate": 1.0,
        "num_parallel_tree": config.trees,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_leaf * prior * (1 - prior),
        "subsample": DISTINCT,
        "colsample_bynode": config.features_per_split,
        "reg_lambda": 0.0,
        "base_score": prior,
    }
    return trees(job, x, bad, settings, rounds=1)


def trees(job: Job, x: Floats, bad: Any, settings: dict[str, Any], *, rounds: int) -> Scorer:
    """Grow XGBoost's trees by `settings` for a number of rounds."""
    import xgboost as library  # noqa: PLC0415  (one candidate's process needs one booster)

    types = ["c" if j in job.categories else "q" for j in range(x.shape[1])]
    rows = library.DMatrix(
        x, bad, feature_types=types, enable_categorical=True, nthread=job.threads
    )
    fixed = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "seed": job.seed,
        "nthread": job.threads,
        "monotone_constraints": tuple(job.constraints()),
    }
    booster = library.train(settings | fixed, rows, rounds)
    return XGBoost(bytes(booster.save_raw("ubj")), types)


FITS: dict[str, Callable[[Job, Floats, Any], Scorer]] = {
    "logistic": logistic,
    "scorecard": scored,
    "random_forest": random_forest,
    "xgboost": xgboost,
    "lightgbm": lightgbm,
}
