"""The JSON objects of outcomes and drift reports."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from service.api.description.schemas.parts import Shape


class Outcome(Shape):
    """Whether a loan went bad (1) or not (0), and the date when this was known."""

    prediction_id: str
    bad: Literal[0, 1]
    date: str


class RefusedOutcome(Shape):
    """An outcome that was not recorded, and why."""

    row: int
    prediction_id: str
    reason: str


class OutcomesRecorded(Shape):
    """The number of outcomes that were recorded, and those that were refused."""

    recorded: int
    refused: list[RefusedOutcome]


class DriftReport(BaseModel):
    """The findings of monitoring in a window of decisions, and what to do about them."""

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
