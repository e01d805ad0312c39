# mypy: disallow-untyped-decorators=False
"""The BentoML service: `bentoml serve service.service:CreditPD`.

The class declares the endpoints and their types to BentoML and its clients. Requests over HTTP are
answered by `service.api.asgi`, which wraps BentoML's own application. Both call the same handlers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import bentoml
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp

from service import settings
from service.api.access.authentication import create_access
from service.api.asgi import Application
from service.api.background import Background
from service.api.description.schemas.decisions import Answer, Explanation, Rows
from service.api.description.schemas.review import Override, RecordedOverride
from service.api.handlers.api import Api
from service.api.load.connections import use_for_uvicorn
from service.api.request_log import RequestLog
from service.api.requests import Handler, Request, Routes, respond
from service.ledger import Ledger

ROOT = Path(__file__).parent.parent
SETTINGS = settings.load()
ACCESS = create_access(SETTINGS)
# The ledger's thread waits so long for its turn whenever the event loop is busy, several times for
# each group of decisions; Python's default of 5 ms made 50 of them.
SWITCH_INTERVAL = 0.0005  # seconds
NO_USERS = (
    "no users are configured: requests from this machine may do everything, and others are "
    "refused unless CREDIT_PD_WITHOUT_USERS says that they are guarded; set CREDIT_PD_USERS"
)


class GuardedService(bentoml.Service):  # type: ignore[misc]
    """A BentoML service whose application is wrapped by `service.api.asgi`."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the application that answers every request."""
        inner = super().to_asgi(is_main)
        use_for_uvicorn()
        sys.setswitchinterval(SWITCH_INTERVAL)
        return Application(
            inner,
            running_routes,
            ACCESS,
            SETTINGS.max_body,
            SETTINGS.max_requests,
            SETTINGS.caller_rate,
            RequestLog(SETTINGS.request_log == "on"),
        )


def is_first_worker() -> bool:
    """Tell whether this is the first worker process, which alone starts the monitor."""
    return (bentoml.server_context.worker_index or 1) == 1


def running_routes() -> Routes:
    """Return the routes of the running service."""
    routes: Routes = bentoml.get_current_service().api.routes
    return routes


@bentoml.service(
    name="credit_pd",
    service_class=GuardedService,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class CreditPD:
    """Probability of default, decision and reasons for one application or many."""

    def __init__(self) -> None:
        self.api = Api(ROOT, Ledger(), SETTINGS.max_batch, has_users=ACCESS.has_users)
        self.api.state.load()
        if self.api.state.engine is None:
            print(f"service: not ready: {self.api.state.problem}", file=sys.stderr, flush=True)
        if not ACCESS.has_users:
            print(f"service: {NO_USERS}", file=sys.stderr, flush=True)

    @bentoml.on_startup
    async def start(self) -> None:
        """Start the background tasks of this worker."""
        self.background = Background(self.api, is_first_worker())
        self.background.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Stop the monitor, and record the decisions that still wait for the ledger."""
        self.background.stop()
        await asyncio.to_thread(self.api.monitoring.stop)
        await asyncio.to_thread(self.api.state.ledger.close)

    def __is_ready__(self) -> bool:
        return self.api.state.engine is not None

    @bentoml.api
    async def predict(self, application: dict[str, Any]) -> Answer:
        """Decide about one application; the decision is recorded before it is returned."""
        return Answer(**await self._call(self.api.decisions.predict, application))

    @bentoml.api
    async def predict_batch(self, applications: list[dict[str, Any]]) -> Rows:
        """Decide about many applications; each is answered or refused on its own."""
        return Rows(**await self._call(self.api.decisions.predict_batch, applications))

    @bentoml.api
    async def explain(self, application: dict[str, Any]) -> Explanation:
        """Explain a decision and what would change it; nothing is recorded."""
        return Explanation(**await self._call(self.api.decisions.explain, application))

    @bentoml.api
    async def overrides(self, override: Override) -> RecordedOverride:
        """Record an officer's decision about a referred case."""
        return RecordedOverride(
            **await self._call(self.api.review.overrides, override.model_dump())
        )

    async def _call(self, handler: Handler, value: object) -> Any:
        status, body = await respond(handler, Request("", {}, to_json(value)))
        answer = from_json(body)
        if status >= 400:
            raise bentoml.exceptions.InvalidArgument(answer["errors"][0]["message"])
        return answer
