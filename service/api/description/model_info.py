"""Describe the winner, its metrics, its contract and the policy for `GET /model-info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service import settings
from service.decision.engine import Engine
from stages.contract.fields.field import Field
from stages.contract.schema import Contract
from stages.contract.tables import History

METRICS = Path("models/evaluation.json")


def describe(engine: Engine, root: Path) -> dict[str, Any]:
    """Return the description of an engine; `root` holds the metrics that the pipeline wrote."""
    model = engine.model
    metrics, configured = root / METRICS, settings.load()
    return {
        "winner": model.candidate,
        "page": {"title": configured.page_title, "subtitle": configured.page_subtitle},
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
        "contract": describe_contract(engine.contract, engine.applications.required)
        | {"keys": [describe_key(*key) for key in engine.applications.keys.items()]},
        "policy": engine.policy.in_full,
        "example": engine.applications.example,
    }


def describe_contract(source: Contract, required: set[str]) -> dict[str, Any]:
    """Return the parts of a contract that a form needs; `required` names the model's fields."""
    fields = [f for f in source.fields.values() if f.known_at != "outcome"]
    return {
        "title": source.title,
        "description": source.description,
        "fields": [
            describe_field(f, f.name in required)
            | {"table": source.tables[f.table].title or f.table}
            for f in fields
        ],
        "history": [describe_history(name, h) for name, h in source.history.items()],
        "derived": [
            {"name": d.name, "title": d.title, "unit": d.unit, "formula": d.formula}
            for d in source.derived.values()
        ],
        "checks": [{"rule": c.rule, "message": c.message} for c in source.checks.values()],
    }


def describe_history(name: str, source: History) -> dict[str, Any]:
    """Return what a form needs to take the lines of a history; `lines` are the fields of one."""
    return {
        "name": name,
        "title": source.title or name,
        "table": source.title or name,
        "date": source.date,
        "max_lines": source.max_lines,
        "optional": source.optional,
        "asked_by": source.asked_by,
        "lines": [describe_field(f, f.constraints.required) for f in source.fields.values()],
    }


def describe_key(name: str, finds: str) -> dict[str, Any]:
    """Return what a form needs to take a key by which the service fetches lines."""
    return {
        "name": name,
        "title": name,
        "type": "string",
        "help": f"Finds what is not filled in: {finds}",
        "table": "Lines that the service fetches",
    }


def describe_field(source: Field, required: bool) -> dict[str, Any]:
    """Return a field's properties under the names that the contract uses."""
    described = source.model_dump(by_alias=True, exclude={"repair", "missing_values", "feature"})
    described["constraints"] |= {"required": required}
    return described
