"""The changes that are advised, decided by the engine and in the words of `/explain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.decision.advice.allowed_values import raw
from service.decision.engine import Decision, Engine


@dataclass(frozen=True)
class AdvisedChange:
    """A new value of input j; `until` is the last better one that is approved, if any is not."""

    j: int
    value: float
    until: float | None = None


def approved_ways(
    engine: Engine, application: dict[str, Any], candidates: list[list[AdvisedChange]]
) -> list[dict[str, Any]]:
    """Return the changes that the engine approves, as `/explain` answers them."""
    decided = [(changes, decide(engine, application, changes)) for changes in candidates]
    return [
        {
            "changes": [describe(engine, application, change) for change in changes],
            "default_probability": decision.default_probability,
            "credit_score": decision.credit_score,
            "decision": decision.decision,
        }
        for changes, decision in decided
        if decision.decision == "approve"
    ]


def decide(engine: Engine, application: dict[str, Any], changes: list[AdvisedChange]) -> Decision:
    """Decide about an application with the changes."""
    fields = engine.features.inputs
    changed = {fields[c.j].name: raw(fields[c.j], c.value) for c in changes}
    stated = engine.applications.stated
    kept = {k: v for k, v in application.items() if k not in stated}
    return engine.decide(kept | changed)


def describe(engine: Engine, application: dict[str, Any], change: AdvisedChange) -> dict[str, Any]:
    """Return a change as `/explain` answers it."""
    field = engine.features.inputs[change.j]
    return {
        "field": field.name,
        "title": field.title or field.name,
        "unit": field.unit,
        "from": application.get(field.name),
        "to": raw(field, change.value),
        "until": None if change.until is None else raw(field, change.until),
    }
