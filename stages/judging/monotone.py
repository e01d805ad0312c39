"""What keeping the contract's directions of risk costs the winner."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from stages.metrics import metrics
from stages.models.artifact import Model
from stages.models.fitting.job import Job
from stages.params import Params


def price_directions(winner: Model, config: Params) -> dict[str, Any]:
    """Return the validation AUC with the directions kept, with them free, and the price of keeping.

    Empty where the winner has no constraint that is on.
    """
    section, features = config.candidate(winner.candidate), winner.features
    if not getattr(section, "monotone", False) or not features.directions.any():
        return {}
    free = section.model_copy(update={"monotone": False})
    folder = config.data / "features"
    with np.load(folder / "train.npz") as train, np.load(folder / "validation.npz") as held:
        scorer = Job.of(winner.candidate, free, features, config).fit(train["x"], train["bad"])
        auc = {
            name: metrics.roc_auc(held["bad"], expit(fitted.margin(held["x"])))
            for name, fitted in (("kept", winner.scorer), ("free", scorer))
        }
    names = [n for n, d in zip(features.names, features.directions, strict=True) if d]
    return {"features": names, "roc_auc": auc, "price": auc["free"] - auc["kept"]}
