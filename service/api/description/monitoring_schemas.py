"""The shapes of what is sent and answered about outcomes and drift."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from service.api.description.schemas import Shape


class Outcome(Shape):
    """Whether a loan went bad, and when this was known."""

    prediction_id: str
    bad: Literal[0, 1]
    date: str


class RefusedOutcome(Shape):
    """An outcome that was not recorded, and why."""

    row: int
    prediction_id: str
    reason: str


class OutcomesRecorded(Shape):
    """How many outcomes were recorded, and those that were not."""

    recorded: int
    refused: list[RefusedOutcome]


class DriftReport(BaseModel):
    """What monitoring found in a window of decisions; see `service.monitoring.drift.report`."""

    model_config = ConfigDict(extra="allow")

    id: int
    time: str
    window: int
    loudest: Literal["quiet", "notice", "warning", "alarm"]
    findings: list[dict[str, Any]]
    advice: str


class DriftReports(Shape):
    """Drift reports, newest first."""

    reports: list[DriftReport]
