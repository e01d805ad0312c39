"""What monitoring compares live traffic with: shares and moments of the training rows, no rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit

from stages.contract.schema import Contract, Field
from stages.features.information_value import quantile_edges
from stages.features.matrix import Features, Floats, MissingReason
from stages.metrics import metrics

BINS = 10
QUANTILES = 101


def numeric(values: Floats) -> dict[str, Any]:
    """Bin edges, shares, moments and quantiles of one number (n,); NaN is missing."""
    known = values[~np.isnan(values)]
    edges = quantile_edges(known, BINS)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return {
        "kind": "number",
        "edges": edges.tolist(),
        "shares": (counts / len(known)).tolist(),
        "quantiles": np.quantile(known, np.linspace(0, 1, QUANTILES)).tolist(),
        "mean": float(known.mean()),
        "sd": float(known.std()),
        "missing": float(np.isnan(values).mean()),
    }


def category(codes: Floats, names: list[str]) -> dict[str, Any]:
    """The share of each category, from its codes (n,); NaN is missing."""
    known = codes[~np.isnan(codes)].astype(np.int64)
    counts = np.bincount(known, minlength=len(names))
    return {
        "kind": "category",
        "categories": names,
        "shares": (counts / max(len(known), 1)).tolist(),
        "missing": float(np.isnan(codes).mean()),
    }


def words(field: Field) -> list[str]:
    """The values of a category or boolean, in the order of their codes."""
    return [str(v) for v in field.constraints.enum or (False, True)]


def make(
    contract: Contract, features: Features, x: Floats, validation_bad: Any, validation_pd: Floats
) -> dict[str, Any]:
    """A winner's reference: its features on training rows x (n, F), its PD on validation (m,)."""
    described = {}
    for j, (name, part) in enumerate(zip(features.names, features.parts, strict=True)):
        if isinstance(part, MissingReason):
            described[name] = category(x[:, j], part.levels)
        elif isinstance(part, Field) and part.codes:
            described[name] = category(x[:, j], words(part))
        else:
            described[name] = numeric(x[:, j])
    return {
        "rows": len(x),
        "features": described,
        "score": numeric(logit(validation_pd))
        | {"rows": len(validation_pd), "mean_pd": float(validation_pd.mean())},
        "calibration": calibration(validation_bad, validation_pd),
    }


def calibration(bad: Any, pd: Floats) -> dict[str, Any]:
    """Logistic recalibration of the PDs (n,) on validation outcomes, with its covariance (2, 2).

    `slope` and `intercept` of log-odds (Cox 1958); the covariance is the inverse of the Fisher
    information at the fit.
    """
    fitted = metrics.calibration_slope_intercept(bad, pd)
    if not np.isfinite(fitted.slope):  # constant or separating PDs have none
        return {"slope": 1.0, "intercept": 0.0, "covariance": [[0.0, 0.0], [0.0, 0.0]]}
    margin = logit(pd)
    expected = expit(fitted.slope * margin + fitted.intercept)
    weight = expected * (1 - expected)
    cross = float(np.sum(weight * margin))
    information = [[float(np.sum(weight * margin**2)), cross], [cross, float(np.sum(weight))]]
    covariance = np.linalg.inv(np.array(information))
    return {
        "slope": fitted.slope,
        "intercept": fitted.intercept,
        "covariance": covariance.tolist(),
    }
