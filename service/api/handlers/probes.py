"""Handle probes: tell whether decisions can be made and recorded now."""

from __future__ import annotations

import time

from pydantic_core import to_json

from service.api.handlers.state import EngineState
from service.api.requests import Request, Response, Routes, refusal
from service.ledger import LedgerUnavailable

PROBE_PERIOD = 1.0  # seconds for which a successful probe of the ledger is believed


class Probes:
    """The endpoints that load balancers and operators ask."""

    def __init__(self, state: EngineState) -> None:
        self.state = state
        self._last_probe = -PROBE_PERIOD
        self.routes: Routes = {"/health": {"GET": self.health}, "/readyz": {"GET": self.readyz}}

    async def health(self, request: Request) -> Response:
        """Tell whether decisions can be made and recorded now."""
        reason = await self.find_failure()
        engine = self.state.engine
        model = engine.identity["model"] if engine else None
        status = "unavailable" if reason else "ready"
        return 200, to_json({"status": status, "reason": reason, "model": model})

    async def readyz(self, request: Request) -> Response:
        """Answer 200 while decisions can be made and recorded, else 503 with the reason."""
        reason = await self.find_failure()
        if reason:
            raise refusal(503, reason)
        return 200, b'{"status":"ready"}'

    async def find_failure(self) -> str | None:
        """Return the reason why no decision can be made or recorded now; None when it can."""
        if self.state.engine is None:
            return f"no decisions are made: {self.state.problem}"
        if time.monotonic() - self._last_probe < PROBE_PERIOD:
            return None
        try:
            await self.state.ledger.probe()
        except LedgerUnavailable as error:
            return f"decisions cannot be recorded: {error}"
        self._last_probe = time.monotonic()
        return None
