"""What stands in `GET /model-info`: the winner, its figures, its contract and the policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.decision.engine import Engine
from stages.contract.schema import Contract, Field
from stages.judging.policy import Policy

METRICS = Path("models/evaluation.json")


def of(engine: Engine, root: Path) -> dict[str, Any]:
    """The facts about an engine; metrics are those that the pipeline wrote in `root`."""
    model = engine.model
    metrics = root / METRICS
    return {
        "winner": model.candidate,
        "model": {
            "candidate": model.candidate,
            "dataset": model.dataset,
            "mode": model.mode,
            "trained_on": model.trained_on,
            "versions": model.versions,
        },
        "identity": engine.identity,
        "golden": {"records": len(engine.golden), "identical": True},
        "metrics": json.loads(metrics.read_text()) if metrics.exists() else {},
        "contract": contract(engine.contract, engine.applications.required),
        "policy": policy(engine.policy),
        "example": engine.applications.example,
    }


def contract(source: Contract, required: set[str]) -> dict[str, Any]:
    """What a form needs of a contract; `required` are the fields that this model needs."""
    fields = [f for f in source.fields.values() if f.known_at != "outcome"]
    return {
        "title": source.title,
        "description": source.description,
        "fields": [
            field(f, f.name in required) | {"table": source.tables[f.table].title or f.table}
            for f in fields
        ],
        "derived": [
            {"name": d.name, "title": d.title, "unit": d.unit, "formula": d.formula}
            for d in source.derived.values()
        ],
        "checks": [{"rule": c.rule, "message": c.message} for c in source.checks.values()],
    }


def field(source: Field, required: bool) -> dict[str, Any]:
    """One field, in the contract's own words."""
    told = source.model_dump(by_alias=True, exclude={"repair", "missing_values", "feature"})
    told["constraints"] |= {"required": required}
    return told


def policy(source: Policy) -> dict[str, Any]:
    """The policy with its cut-offs as PDs."""
    cuts = ("pd_cut_off", "approve_below", "decline_from")
    return source.model_dump() | {name: getattr(source, name) for name in cuts}
