"""Explain a decision by the contribution of each raw field, from exact Shapley values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.decision.engine import Engine
from service.decision.recourse import Search
from stages.features.matrix import Features, Floats

STEP = 1e-3  # log-odds over which the score's slope is taken where margin and base are equal


def explain(engine: Engine, application: dict[str, Any]) -> dict[str, Any]:
    """Return the explanation of one checked application, as `/explain` answers it.

    `base_value` and the contributions add up to `margin`, the model's log-odds of default before
    calibration; their points add up from the score at `base_value` to the score of the application.
    """
    x = engine.matrix(application)
    values = engine.contributions(x)[0]
    base = float(values[-1])
    margin = float(engine.margin(x)[0])
    decision = engine.decide_matrix(x)[0]
    slope = points_per_log_odds(engine, base, margin)
    fields = {f.name: f for f in engine.features.inputs}
    shares = by_field(values[:-1], engine.features)
    contributions = [
        {
            "field": name,
            "title": fields[name].title or name,
            "unit": fields[name].unit,
            "value": application.get(name),
            "contribution": share,
            "points": slope * share,
        }
        for name, share in sorted(shares.items(), key=lambda item: -abs(item[1]))
    ]
    return {
        "default_probability": decision.default_probability,
        "prediction": decision.prediction,
        "decision": decision.decision,
        "credit_score": decision.credit_score,
        "rating": decision.rating,
        "reasons": engine.reasons(x, np.ones(1))[0],
        "base_value": base,
        "margin": margin,
        "contributions": contributions,
        "what_would_change_it": Search(engine, application).answer(decision.decision),
        "identity": decision.identity,
    }


def by_field(contributions: Floats, features: Features) -> Mapping[str, float]:
    """Return the contribution of each raw field from those of the features (F,).

    The two fields of a ratio get half of its contribution each: neither does anything without the
    other, so their Shapley shares of it are equal.
    """
    shares = dict.fromkeys((f.name for f in features.inputs), 0.0)
    for value, sources in zip(contributions.tolist(), features.sources, strict=True):
        for name in sources:
            shares[name] += value / len(sources)
    return shares


def points_per_log_odds(engine: Engine, base: float, margin: float) -> float:
    """Return the points of the score per log-odds of margin, on the way from `base` to `margin`.

    With Platt's calibration the score is linear in the margin, and this is exact for every part.
    Otherwise it is the mean slope, so that the points of all fields add up all the same.
    """
    if abs(margin - base) < STEP:
        base, margin = base - STEP, margin + STEP
    ends = engine.policy.score(engine.model.calibrator(np.array([base, margin])))
    return float((ends[1] - ends[0]) / (margin - base))
