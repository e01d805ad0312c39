"""What live applications are compared with: shares and moments of the training rows, no rows.

Monitoring compares traffic with the training rows and the validation scores; reasons compare an
applicant with the applicants in the training rows whom the winner approves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, logit

from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.contract.schema import Contract
from stages.features.facts import are_empty
from stages.features.information_value import quantile_edges
from stages.features.matrix import Features, Floats, MissingReason, Outcomes
from stages.judging import evaluation
from stages.metrics import metrics
from stages.models.artifact import Model
from stages.policy.decisions import DECISIONS, Policy

BINS = 10
QUANTILES = 101
USUAL = (0.25, 0.75)  # the quantiles between which approved applicants usually are
DIGITS = 3  # of the ends of that range, which people read
EXPLAINED = 500  # approved applicants whose contributions are averaged: exact ones take time


def describe_number(values: Floats) -> dict[str, Any]:
    """Return the bins, shares, moments and quantiles of one number (n,); NaN is missing."""
    present = values[~np.isnan(values)]
    edges = quantile_edges(present, BINS)
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return {
        "kind": "number",
        "edges": edges.tolist(),
        "shares": (counts / len(present)).tolist(),
        "quantiles": np.quantile(present, np.linspace(0, 1, QUANTILES)).tolist(),
        "mean": float(present.mean()),
        "sd": float(present.std()),
        "missing": float(np.isnan(values).mean()),
    }


def describe_category(codes: Floats, names: list[str]) -> dict[str, Any]:
    """Return the share of each category, from its codes (n,); NaN is missing."""
    present = codes[~np.isnan(codes)].astype(np.int64)
    counts = np.bincount(present, minlength=len(names))
    return {
        "kind": "category",
        "categories": names,
        "shares": (counts / max(len(present), 1)).tolist(),
        "missing": float(np.isnan(codes).mean()),
    }


def names_of_codes(field: Field) -> list[str]:
    """Return the values of a category or boolean, in the order of their codes."""
    return [str(v) for v in field.constraints.enum or (False, True)]


def make_reference(
    contract: Contract,
    features: Features,
    x: Floats,
    validation_bad: Outcomes,
    validation_pd: Floats,
) -> dict[str, Any]:
    """Return the drift reference: features on training rows x (n, F), PDs on validation (m,)."""
    described = {}
    for j, (name, part) in enumerate(zip(features.names, features.parts, strict=True)):
        if isinstance(part, MissingReason):
            described[name] = describe_category(x[:, j], part.levels)
        elif isinstance(part, Field) and part.codes:
            described[name] = describe_category(x[:, j], names_of_codes(part))
        else:
            described[name] = describe_number(x[:, j])
    return {
        "rows": len(x),
        "features": described,
        "score": describe_number(logit(validation_pd))
        | {"rows": len(validation_pd), "mean_pd": float(validation_pd.mean())},
        "calibration": describe_calibration(validation_bad, validation_pd),
    }


def describe_approved(winner: Model, policy: Policy, x: Floats) -> dict[str, Any]:
    """Describe the applicants of the training rows x (n, F) whom the winner approves.

    For each feature this is the usual range, which categories do not have, and the mean of its
    exact Shapley values. The range is that of applicants for whom a formula has a value.
    """
    features = winner.features
    decided = policy.decide(winner.predict_matrix(x), evaluation.columns_by_name(features, x))
    is_approved = decided == DECISIONS.index("approve")
    every, x = x, x[is_approved]
    some = x[:: max(1, len(x) // EXPLAINED)]
    means = winner.scorer.contributions(some).mean(axis=0) if len(x) else np.zeros(len(x.T))
    usual = {}
    for j, (name, part) in enumerate(zip(features.names, features.parts, strict=True)):
        has_value = ~(np.isnan(every[:, j]) | are_empty(features, j, every.T))
        values = every[has_value & is_approved, j]
        is_number = isinstance(part, Derived) or (isinstance(part, Field) and not part.codes)
        middle = float(np.median(every[has_value, j])) if len(values) else np.nan
        ends = usual_range(values, middle) if is_number and len(values) else None
        usual[name] = {"range": ends, "contribution": float(means[j])}
    return {"rows": len(x), "features": usual}


def usual_range(values: Floats, middle: float) -> list[float]:
    """Return the range of at least the middle half of values (n,), its ends rounded outwards.

    It holds `middle`, the median of all applicants, of whom few may be approved: a value is high
    only where it is high for them too.
    """
    low = np.quantile(values, USUAL[0], method="lower")
    high = np.quantile(values, USUAL[1], method="higher")
    ends = min(float(low), middle), max(float(high), middle)
    return [round_towards(ends[0], np.floor), round_towards(ends[1], np.ceil)]


def round_towards(value: float, towards: Callable[[float], float]) -> float:
    """Round a number to few digits, up or down as `towards` does."""
    if value == 0:
        return 0.0
    places = DIGITS - 1 - int(np.floor(np.log10(abs(value))))
    scaled = value * 10.0**places
    whole = round(scaled) if np.isclose(scaled, round(scaled), rtol=1e-12) else towards(scaled)
    return float(whole / 10.0**places) if places >= 0 else float(whole * 10.0**-places)


def describe_calibration(bad: Outcomes, pd: Floats) -> dict[str, Any]:
    """Recalibrate the PDs (n,) on validation outcomes, and return the fit with its covariance.

    The fit is the `slope` and `intercept` of log-odds (Cox 1958). The covariance (2, 2) is the
    inverse of the Fisher information at the fit.
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
