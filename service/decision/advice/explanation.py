"""Explain a decision by the contribution of each fact, from exact Shapley values.

The facts are those of the reasons, so that a reason is a fact that the explanation shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from service.decision.advice.search import AdviceSearch
from service.decision.engine import Engine
from stages.contract.derived import Aggregate
from stages.contract.fields.field import Field
from stages.features.facts import Fact, sum_by_fact
from stages.features.matrix import Floats, MissingReason
from stages.policy.decisions import DECISIONS

SHOWN = 4  # significant digits of a ratio
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
    pd = np.array([decision.default_probability])
    # What counted against an approved application is told as if it were referred.
    place = max(DECISIONS.index(decision.decision), DECISIONS.index("refer"))
    shares = sum_by_fact(values[None, :-1], engine.facts)[0].tolist()
    contributions = [
        describe_fact(engine, fact, application, x[0])
        | {"contribution": share, "points": slope * share}
        for fact, share in sorted(
            zip(engine.facts, shares, strict=True), key=lambda pair: -abs(pair[1])
        )
    ]
    return {
        "default_probability": decision.default_probability,
        "prediction": decision.prediction,
        "decision": decision.decision,
        "credit_score": decision.credit_score,
        "rating": decision.rating,
        "reasons": engine.reasons(x, pd, np.array([place]))[0],
        "base_value": base,
        "margin": margin,
        "contributions": contributions,
        "what_would_change_it": AdviceSearch(engine, application).answer(decision.decision),
        "identity": decision.identity,
    }


def describe_fact(
    engine: Engine, fact: Fact, application: dict[str, Any], x: Floats
) -> dict[str, Any]:
    """Return what people call a fact, its features, and the applicant's values x (F,) of them.

    A reason's `field` is one of the features.
    """
    parts = [(j, engine.features.parts[j]) for j in fact.features]
    return {
        "title": fact.title,
        "features": [part.name for _, part in parts],
        "values": [
            {
                "field": part.name,
                "title": part.title or part.name,
                "unit": part.unit,
                "value": application.get(part.name) if is_stated(part) else ratio_of(x[j]),
            }
            for j, part in parts
            if not isinstance(part, MissingReason)
        ],
    }


def is_stated(part: object) -> bool:
    """Whether an application states the value of a feature itself."""
    return isinstance(part, Field) and not isinstance(part, Aggregate)


def ratio_of(value: float) -> float | None:
    """Return a ratio with the digits that people read; None where it is missing."""
    if np.isnan(value):
        return None
    return float(f"{value:.{SHOWN}g}") if abs(value) < 10**SHOWN else float(round(value))


def points_per_log_odds(engine: Engine, base: float, margin: float) -> float:
    """Return the points of the score per log-odds of margin, on the way from `base` to `margin`.

    With Platt's calibration the score is linear in the margin, and this is exact for every part.
    Otherwise it is the mean slope, so that the points of all fields add up all the same.
    """
    if abs(margin - base) < STEP:
        base, margin = base - STEP, margin + STEP
    ends = engine.policy.score(engine.model.calibrator(np.array([base, margin])))
    return float((ends[1] - ends[0]) / (margin - base))
