"""The JSON objects that describe the service: its readiness and its model."""

from __future__ import annotations

from typing import Any, Literal

from service.api.description.schemas.parts import Identity, Shape


class Ready(Shape):
    """The answer while decisions can be made and recorded."""

    status: Literal["ready"]


class CallerInfo(Shape):
    """Who sends the request, and what they may do; `name` is null where no users are configured."""

    name: str | None
    type: Literal["person", "service"] | None
    roles: list[str]


class Health(Shape):
    """Whether decisions can be made and recorded now, and the reason if not."""

    status: Literal["ready", "unavailable"]
    reason: str | None
    model: str | None


class Golden(Shape):
    """The number of golden records, and whether the service scored each as the pipeline did."""

    records: int
    identical: bool


class Page(Shape):
    """What the page for officers is called."""

    title: str
    subtitle: str


class ModelInfo(Shape):
    """The winner, its metrics, the parts of its contract that a form needs, and the policy."""

    winner: str
    page: Page
    model: dict[str, Any]
    identity: Identity
    golden: Golden
    metrics: dict[str, Any]
    contract: dict[str, Any]
    policy: dict[str, Any]
    example: dict[str, Any]
