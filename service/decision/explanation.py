"""Explain a decision by the contribution of each raw field, from exact Shapley values."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.decision.engine import Engine
from service.decision.recourse import Search
from stages.models.contributions import sum_by_field

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
    sums = sum_by_field(values[None, :-1], engine.features)
    shares = {name: float(share[0]) for name, share in sums.items()}
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


def points_per_log_odds(engine: Engine, base: float, margin: float) -> float:
    """Return the points of the score per log-odds of margin, on the way from `base` to `margin`.

    With Platt's calibration the score is linear in the margin, and this is exact for every part.
    Otherwise it is the mean slope, so that the points of all fields add up all the same.
    """
    if abs(margin - base) < STEP:
        base, margin = base - STEP, margin + STEP
    ends = engine.policy.score(engine.model.calibrator(np.array([base, margin])))
    return float((ends[1] - ends[0]) / (margin - base))
