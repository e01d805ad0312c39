# mypy: disallow-untyped-decorators=False
"""The BentoML service: `bentoml serve service.service:CreditPD`.

The class declares the endpoints, with their types, to BentoML, its OpenAPI and its clients. Over
HTTP they are answered by `service.api.asgi`, which stands before BentoML's own application; both
ways run the same handlers.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import bentoml
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp

from service import settings
from service.api.asgi import Application
from service.api.background import Background
from service.api.description.schemas import Answer, Explanation, Override, RecordedOverride, Rows
from service.api.handlers import DecisionApi
from service.api.monitoring import MonitoringApi
from service.api.requests import Handler, Request, respond
from service.ledger import Ledger

ROOT = Path(__file__).parent.parent
SETTINGS = settings.load()


class GuardedService(bentoml.Service):  # type: ignore[misc]
    """A service whose endpoints `service.api.asgi` answers before BentoML's application."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the whole application."""
        inner = super().to_asgi(is_main)
        return Application(
            inner,
            running_api,
            SETTINGS.api_keys,
            SETTINGS.max_body,
            SETTINGS.hosts,
            has_open_docs=SETTINGS.docs == "open",
        )


def is_first_worker() -> bool:
    """Tell whether this is the first of the service's processes: it alone watches for drift."""
    return (bentoml.server_context.worker_index or 1) == 1


def running_api() -> DecisionApi:
    """Return the handlers of the running service."""
    api: DecisionApi = bentoml.get_current_service().api
    return api


@bentoml.service(
    name="credit_pd",
    service_class=GuardedService,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class CreditPD:
    """Probability of default, decision and reasons for one application or many."""

    def __init__(self) -> None:
        self.api = DecisionApi(ROOT, Ledger(), SETTINGS.max_batch, keys=bool(SETTINGS.api_keys))
        self.api.load()
        self.monitoring = MonitoringApi(self.api)
        self.api.routes |= self.monitoring.routes

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin what the service does beside answering."""
        self.background = Background(self.api, self.monitoring, ROOT, is_first_worker())
        self.background.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End the watching process, and record the decisions that wait for the ledger."""
        self.background.stop()
        await asyncio.to_thread(self.monitoring.stop)
        await asyncio.to_thread(self.api.ledger.close)

    def __is_ready__(self) -> bool:
        return self.api.engine is not None

    @bentoml.api
    async def predict(self, application: dict[str, Any], /) -> Answer:
        """Decide about one application; the decision is in the ledger before it is answered."""
        return Answer(**await self._ask(self.api.predict, application))

    @bentoml.api
    async def predict_batch(self, applications: list[dict[str, Any]], /) -> Rows:
        """Decide about many applications; each is answered or refused on its own."""
        return Rows(**await self._ask(self.api.predict_batch, applications))

    @bentoml.api
    async def explain(self, application: dict[str, Any], /) -> Explanation:
        """Explain a decision and say what would change it; nothing is recorded."""
        return Explanation(**await self._ask(self.api.explain, application))

    @bentoml.api
    async def overrides(self, wish: Override, /) -> RecordedOverride:
        """Record an officer's decision about a referred case."""
        return RecordedOverride(**await self._ask(self.api.overrides, wish.model_dump()))

    async def _ask(self, handler: Handler, value: Any) -> Any:
        status, body = await respond(handler, Request("", {}, to_json(value)))
        answer = from_json(body)
        if status >= 400:
            raise bentoml.exceptions.InvalidArgument(answer["errors"][0]["message"])
        return answer
