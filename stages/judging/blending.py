"""Blend candidates: fit weights for their margins to out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

from stages.features.matrix import Floats
from stages.models.artifact import Model
from stages.models.calibration import Sigmoid
from stages.models.scorers import WeightedSum

NAME = "blend"
# How strongly weights are drawn towards equal ones: as much as some ten loans can say.
PRIOR = 10.0
# A model of a smaller weight, relative to the largest, is left out.
SMALLEST = 0.05
Outcomes = NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """The weights (k,) of the models' margins, and the map from their sum to the PD."""

    margins: Floats
    calibrator: Sigmoid

    @classmethod
    def fit(cls, margins: Floats, bad: Outcomes) -> Weights:
        """Fit by penalised maximum likelihood on margins (n, k) out of fold and outcomes (n,)."""
        with threadpool_limits(1, user_api="blas"):
            sigmoids = [Sigmoid.fit(column, bad) for column in margins.T]
            slopes = np.array([max(one.slope, 0.0) for one in sigmoids])
            odds = margins * slopes + [one.intercept for one in sigmoids]
            shares = fit_shares(odds, bad)
            weights = shares * slopes
            return cls(weights, Sigmoid.fit(add(margins, weights), bad))

    def __call__(self, margins: Floats) -> Floats:
        """Return the PDs (n,) of margins (n, k)."""
        return self.calibrator(add(margins, self.margins))


def add(margins: Floats, weights: Floats) -> Floats:
    """Return the weighted sums (n,) of margins (n, k), the same bits with any number of threads."""
    return np.asarray((margins * weights).sum(axis=1))


def fit_shares(odds: Floats, bad: Outcomes) -> Floats:
    """Return the shares (k,), none negative and many 0, of log-odds (n, k) in the blend's."""
    count = odds.shape[1]
    used = np.ones(count, dtype=np.bool_)
    while True:
        shares = np.zeros(count)
        shares[used] = maximise_likelihood(odds[:, used], bad)
        small = used & (shares < SMALLEST * shares.max())
        if not small.any():
            return shares
        used &= ~small


def maximise_likelihood(odds: Floats, bad: Outcomes) -> Floats:
    """Return the shares (k,), none negative, that are likely and not far from equal ones."""
    count = odds.shape[1]
    equal = np.full(count, 1 / count)

    def loss(values: Floats) -> tuple[float, Floats]:
        shares, level = values[:-1], values[-1]
        margin = odds @ shares + level
        error, away = expit(margin) - bad, shares - equal
        total = np.sum(np.logaddexp(0.0, margin) - bad * margin) + PRIOR / 2 * away @ away
        slope = np.append(odds.T @ error + PRIOR * away, error.sum())
        return float(total), slope

    bounds = [(0.0, None)] * count + [(None, None)]
    found = minimize(loss, np.append(equal, 0.0), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x[:-1])


class Blend(NamedTuple):
    """A blend, its PDs (n,) out of fold, and those (m,) of the past of origins, if any."""

    model: Model
    pd: Floats
    past: Floats | None


def blend_models(
    models: Mapping[str, Model],
    held: pd.DataFrame,
    members: list[str],
    past: pd.DataFrame | None = None,
) -> Blend:
    """Return the blend of some models, and its PDs of the rows `held` out of fold.

    `held` has the column `margin_<name>` of each member. The PDs of a training fold follow from
    weights of the other folds, and those of the validation rows from weights of all folds. Where
    the folds are origins, the weights of each follow from the rows of its `past`. The last fold is
    that of the validation rows, whose weights are the blend's.
    """
    columns = [f"margin_{name}" for name in members]
    margins, fold = held[columns].to_numpy(), held["fold"].to_numpy()
    trained = (held["split"] == "train").to_numpy()
    known = held if past is None else past
    known_margins, known_bad = known[columns].to_numpy(), known["bad"].to_numpy(np.int64)
    said, said_of_past = np.full(len(held), np.nan), np.full(len(known), np.nan)
    for number in np.unique(fold):
        here = fold == number
        rows = trained & ~here if past is None else (past["fold"] == number).to_numpy()
        final = Weights.fit(known_margins[rows], known_bad[rows])
        said[here], said_of_past[rows] = final(margins[here]), final(known_margins[rows])
    kept = np.flatnonzero(final.margins)
    names = [members[i] for i in kept]
    parts = [models[name] for name in names]
    first = models[members[0]]
    blend = Model(
        candidate=NAME,
        dataset=first.dataset,
        mode=first.mode,
        contract_text=first.contract_text,
        scorer=WeightedSum(names, [part.scorer for part in parts], final.margins[kept]),
        calibrator=final.calibrator,
        trained_on=first.trained_on
        | {
            "balance": "none",
            "overstates_pd": any(part.trained_on["overstates_pd"] for part in parts),
        },
    )
    return Blend(blend, said, None if past is None else said_of_past)
