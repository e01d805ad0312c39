# mypy: disallow-untyped-decorators=False
"""The BentoML service: `bentoml serve service.service:CreditPD`.

The class declares the endpoints and their types to BentoML and its clients. Requests over HTTP are
answered by `service.api.application.asgi`, which wraps BentoML's own application. Both call the
same handlers.

BentoML's supervisor imports this module too, for those declarations alone. What answers requests is
imported when a worker starts, so that the supervisor stays small and starts soon.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import bentoml
from starlette.types import ASGIApp

from service import settings
from service.api.description.schemas.decisions import Answer, BatchRows, Explanation
from service.api.description.schemas.review import Override, RecordedOverride
from service.users.configured import read_users

if TYPE_CHECKING:
    from service.api.requests import Handler

# A setting that is wrong ends the supervisor here; a worker would be started again and again.
SETTINGS = settings.load()
USERS = read_users(SETTINGS)


class GuardedService(bentoml.Service):  # type: ignore[misc]
    """A BentoML service whose application is wrapped by `service.api.application.asgi`."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the application that answers every request."""
        from service import worker  # noqa: PLC0415  (the supervisor needs none of it)

        return worker.create_application(super().to_asgi(is_main), SETTINGS, USERS)


@bentoml.service(
    name="credit_pd",
    service_class=GuardedService,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class CreditPD:
    """Probability of default, decision and reasons for one application or many."""

    def __init__(self) -> None:
        from service import worker  # noqa: PLC0415  (the supervisor needs none of it)

        self.api = worker.create_api(SETTINGS, USERS)

    @bentoml.on_deployment
    @staticmethod
    def supervise() -> None:
        """Start a new worker soon after one has ended; BentoML calls this in its supervisor."""
        from service import supervisor  # noqa: PLC0415  (a worker needs none of it)

        supervisor.use_for_bentoml()

    @bentoml.on_startup
    async def start(self) -> None:
        """Start the background tasks of this worker."""
        from service.api.application.background import Background  # noqa: PLC0415  (as above)
        from service.api.application.garbage import spare_loaded_objects  # noqa: PLC0415

        spare_loaded_objects()
        self.background = Background(self.api, is_first_worker())
        self.background.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Stop the monitor, and record the decisions that still wait for the ledger."""
        self.background.stop()
        await asyncio.to_thread(self.api.monitoring.stop)
        await asyncio.to_thread(self.api.state.close)

    def __is_ready__(self) -> bool:
        return self.api.state.engine is not None

    @bentoml.api
    async def predict(self, application: dict[str, Any]) -> Answer:
        """Decide about one application; the decision is recorded before it is returned."""
        return Answer(**await self._call(self.api.decisions.predict, application))

    @bentoml.api
    async def predict_batch(self, applications: list[dict[str, Any]]) -> BatchRows:
        """Decide about many applications; each is answered or refused on its own."""
        return BatchRows(**await self._call(self.api.decisions.predict_batch, applications))

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

    async def _call(self, handler: Handler, value: object) -> dict[str, Any]:
        from service import worker  # noqa: PLC0415  (as above)

        return await worker.call(handler, value)


def is_first_worker() -> bool:
    """Tell whether this is the first worker process, which alone starts the monitor."""
    return (bentoml.server_context.worker_index or 1) == 1
