"""What keeping the contract's directions of risk costs the winner."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages import candidates, metrics
from stages.association import Fitted, select
from stages.model import Model
from stages.params import Params


def price(winner: Model, config: Params) -> dict[str, Any]:
    """Validation AUC and Brier with the directions kept and with them free, both uncalibrated.

    Empty where the winner has no constraint that is on.
    """
    section = config.candidate(winner.candidate)
    features = winner.features
    if not getattr(section, "monotone", False) or not features.directions.any():
        return {}
    free = section.model_copy(update={"monotone": False})
    folder = config.data / "features"
    fitted = Fitted.from_json((folder / "fitted.json").read_text())
    kept = select(fitted, section)
    shape = candidates.Shape(fitted, features.categories, features.directions, kept)
    with np.load(folder / "train.npz") as train, np.load(folder / "validation.npz") as held:
        how = (free, config.train.seed, config.threads)
        scorer = candidates.fit(winner.candidate, shape, train["x"][:, kept], train["bad"], *how)
        margins = {
            "kept": winner.scorer.margin(held["x"]),
            "free": scorer.margin(held["x"][:, kept]),
        }
        auc = {name: metrics.roc_auc(held["bad"], to_unit(m)) for name, m in margins.items()}
    names = [n for n, d in zip(features.names, features.directions, strict=True) if d]
    return {"features": names, "roc_auc": auc, "price": auc["free"] - auc["kept"]}


def to_unit(margin: Any) -> Any:
    """Margins (n,) as numbers from 0 to 1 in the same order."""
    return 1 / (1 + np.exp(-margin))
