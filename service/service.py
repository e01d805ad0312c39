# mypy: disallow-untyped-decorators=False
"""The BentoML service: `bentoml serve service.service:CreditPD`.

The class declares the endpoints, with their types, to BentoML, its OpenAPI and its clients. Over
HTTP they are answered by `service.api.asgi`, which stands before BentoML's own application; both
ways run the same code of `service.api.handlers`.
"""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import bentoml
from pydantic_core import from_json, to_json

from service import settings
from service.api import metrics
from service.api.asgi import App, Front
from service.api.handlers import Desk
from service.api.monitoring import Watch
from service.api.responses import Handler, Request, reply
from service.api.schemas import Answer, Explanation, Overridden, Override, Rows
from service.ledger import Ledger

ROOT = Path(__file__).parent.parent
PULSE = 1.0  # seconds between two looks at the ledger's writer
REPORTS = 5  # pulses between two looks at the drift reports
SETTINGS = settings.load()


class Fronted(bentoml.Service):  # type: ignore[misc]
    """A service whose application has `Front` before it."""

    def to_asgi(self, is_main: bool = True) -> App:
        """The whole application."""
        return Front(super().to_asgi(is_main), desk, SETTINGS.api_keys, SETTINGS.max_body)


def first_worker() -> bool:
    """Whether this is the first of the service's processes: one is enough to watch."""
    return (bentoml.server_context.worker_index or 1) == 1


def desk() -> Desk:
    """The desk of the running service."""
    own: Desk = bentoml.get_current_service().desk
    return own


@bentoml.service(
    name="credit_pd",
    service_class=Fronted,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class CreditPD:
    """Probability of default, decision and reasons for one application or many."""

    def __init__(self) -> None:
        self.desk = Desk(ROOT, Ledger(), SETTINGS.max_batch, keys=bool(SETTINGS.api_keys))
        self.desk.load()
        self.watch = Watch(self.desk)
        self.desk.routes |= self.watch.routes

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to watch the ledger's writer."""
        self.pulse = asyncio.create_task(self._pulse())

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Record what waits."""
        self.pulse.cancel()
        await asyncio.to_thread(self.watch.stop)
        await asyncio.to_thread(self.desk.ledger.close)

    def __is_ready__(self) -> bool:
        return self.desk.engine is not None

    @bentoml.api
    async def predict(self, application: dict[str, Any], /) -> Answer:
        """Decide about one application; the decision is in the ledger before it is answered."""
        return Answer(**await self._ask(self.desk.predict, application))

    @bentoml.api
    async def predict_batch(self, applications: list[dict[str, Any]], /) -> Rows:
        """Decide about many applications; each is answered or refused on its own."""
        return Rows(**await self._ask(self.desk.predict_batch, applications))

    @bentoml.api
    async def explain(self, application: dict[str, Any], /) -> Explanation:
        """Say why the model decides as it does, and what would change it; records nothing."""
        return Explanation(**await self._ask(self.desk.explain, application))

    @bentoml.api
    async def overrides(self, wish: Override, /) -> Overridden:
        """Record an officer's decision about a referred case."""
        return Overridden(**await self._ask(self.desk.overrides, wish.model_dump()))

    async def _ask(self, handler: Handler, value: Any) -> Any:
        status, body = await reply(handler, Request("", {}, to_json(value)))
        answer = from_json(body)
        if status >= 400:
            raise bentoml.exceptions.InvalidArgument(answer["errors"][0]["message"])
        return answer

    async def _pulse(self) -> None:
        for beat in count():
            if beat % REPORTS == 0 and first_worker():
                self.watch.start(ROOT)
                await asyncio.to_thread(self.watch.show)
            metrics.READY.set(self.desk.engine is not None)
            metrics.ledger(self.desk.ledger.writer_status())
            await asyncio.sleep(PULSE)
