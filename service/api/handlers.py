"""What the service does with a request: decide, record, answer. Knows no HTTP but its status codes.

Every decision is in the ledger before it is answered; where it cannot be, there is no answer.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import to_json

from service.api import metrics, model_info, openapi
from service.api.batching import Together
from service.api.refusals import Refusals
from service.api.responses import Handler, Reply, Request, checked, refusal, told, whole_number
from service.api.schemas import Override
from service.decision.applications import InvalidApplication, decode
from service.decision.artifacts import NotReady
from service.decision.engine import Decision, Engine
from service.decision.explanation import explain
from service.decision.problems import as_text, quote
from service.ledger import AlreadyRecorded, Draft, Ledger, LedgerUnavailable, draft, override

MAX_LOGS = 200
FRESH = 1.0  # seconds for which a ledger that could be written counts as writable


class Desk:
    """One engine and one ledger behind every endpoint."""

    def __init__(
        self, root: Path, ledger: Ledger, max_batch: int = 1000, keys: bool = False
    ) -> None:
        self.root, self.ledger, self.max_batch, self.keys = root, ledger, max_batch, keys
        self.together = Together(self.decide)
        self.refusals = Refusals()
        self._checked = -FRESH
        self.engine: Engine | None = None
        self.problem = "the model has not been loaded yet"
        self.routes: dict[str, dict[str, Handler]] = {
            "/predict": {"POST": self.predict},
            "/predict_batch": {"POST": self.predict_batch},
            "/explain": {"POST": self.explain},
            "/overrides": {"POST": self.overrides},
            "/health": {"GET": self.health},
            "/readyz": {"GET": self.readyz},
            "/model-info": {"GET": self.model_info},
            "/logs": {"GET": self.logs},
            "/predictions/{id}": {"GET": self.prediction},
            "/docs.json": {"GET": self.docs},
        }

    def load(self) -> None:
        """Load the engine; where that fails, `problem` says why and nothing is decided."""
        with suppress(LedgerUnavailable):  # readiness says why; the tables are made later
            self.ledger.prepare()
        try:
            self.engine = Engine.load(self.root)
        except NotReady as error:
            self.problem = str(error)

    @property
    def ready(self) -> Engine:
        """The engine; refuses with 503 where there is none."""
        if self.engine is None:
            raise refusal(503, f"no decisions are made: {self.problem}")
        return self.engine

    async def predict(self, request: Request) -> Reply:
        """Decide about one application."""
        engine = self.ready
        try:
            application = engine.applications.parse(request.body)
        except InvalidApplication as error:
            metrics.refused(self.refusals.refused(told(error.problems), engine.applications))
            raise
        self.refusals.accepted()
        return 200, to_json(await self.together(application))

    async def decide(self, applications: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to checked applications, once their entries are durable."""
        return await self.record(drafted(self.ready.decide_rows(applications), applications))

    async def record(self, decided: list[Decided]) -> list[dict[str, Any]]:
        """The answers of decisions, once their entries are durable; all of them or none."""
        await self.ledger.append_group([own.entry for own in decided])
        for own in decided:
            metrics.decided(own.decision)
        return [own.answer for own in decided]

    async def predict_batch(self, request: Request) -> Reply:
        """Decide about many applications; each row is answered or refused on its own."""
        engine = self.ready
        rows = self._rows(request.body)
        results, kept, decided = await asyncio.to_thread(decide_rows, engine, rows)
        answers = await self.record(decided)
        self.refusals.accepted(len(kept))
        for refused in filter(None, results):
            metrics.refused(self.refusals.refused(refused["errors"], engine.applications))
        for index, answer in zip(kept, answers, strict=True):
            results[index] = {"index": index, "decision": answer}
        return 200, to_json({"results": results})

    def _rows(self, body: bytes) -> list[Any]:
        rows = decode(body)
        limit = f"a JSON array of 1 to {self.max_batch} applications"
        if not isinstance(rows, list):
            raise refusal(422, f"a batch is {limit}; got {as_text(quote(rows))}", allowed=limit)
        if not 1 <= len(rows) <= self.max_batch:
            raise refusal(422, f"a batch is {limit}; got {len(rows)}", allowed=limit, got=len(rows))
        return rows

    async def explain(self, request: Request) -> Reply:
        """Say why the model decides as it does; records nothing."""
        engine = self.ready
        application = engine.applications.parse(request.body)
        return 200, to_json(await asyncio.to_thread(explain, engine, application))

    async def overrides(self, request: Request) -> Reply:
        """Record an officer's decision about a referred case."""
        wish = checked(Override, decode(request.body))
        record = await self.ledger.in_thread(self.ledger.get, wish.prediction_id)
        if record is None:
            raise refusal(404, f"no decision has the id {wish.prediction_id}", "prediction_id")
        try:
            entry = override(record.entry, wish.decision, wish.reason, wish.author)
            recorded = await self.ledger.in_thread(self.ledger.append_once, entry)
        except ValueError as error:
            raise refusal(409, str(error)) from None
        except AlreadyRecorded:
            problem = f"{wish.prediction_id} has been decided by a person already"
            raise refusal(409, problem) from None
        return 201, to_json(recorded.content)

    async def health(self, request: Request) -> Reply:
        """Whether decisions are made now."""
        reason = await self.trouble()
        model = self.engine.identity["model"] if self.engine else None
        status = "unavailable" if reason else "ready"
        return 200, to_json({"status": status, "reason": reason, "model": model})

    async def readyz(self, request: Request) -> Reply:
        """200 while decisions can be made and recorded, else 503 with the reason."""
        reason = await self.trouble()
        if reason:
            raise refusal(503, reason)
        return 200, b'{"status":"ready"}'

    async def trouble(self) -> str | None:
        """Why no decision can be made and recorded now; None when it can."""
        if self.engine is None:
            return f"no decisions are made: {self.problem}"
        if time.monotonic() - self._checked < FRESH:
            return None
        try:
            await self.ledger.probe()
        except LedgerUnavailable as error:
            return f"decisions cannot be recorded: {error}"
        self._checked = time.monotonic()
        return None

    async def model_info(self, request: Request) -> Reply:
        """What the winner is."""
        return 200, to_json(model_info.of(self.ready, self.root))

    async def logs(self, request: Request) -> Reply:
        """Recent decisions, newest first."""
        limit = whole_number(request.query, "limit", 50, MAX_LOGS)
        before = whole_number(request.query, "before", None, 1 << 62)
        search = request.query.get("search")
        page = await self.ledger.in_thread(self.ledger.recent, limit or 50, before, search)
        records = [record.as_dict() for record in page.records]
        return 200, to_json({"records": records, "next_before": page.next_before})

    async def prediction(self, request: Request) -> Reply:
        """One decision, complete, with what refers to it."""
        record = await self.ledger.in_thread(self.ledger.get, request.part)
        if record is None or record.entry.kind != "decision":
            raise refusal(404, "no decision has this id")
        return 200, to_json(record.as_dict())

    async def docs(self, request: Request) -> Reply:
        """The OpenAPI description."""
        requests = self.engine.applications if self.engine else None
        return 200, to_json(openapi.document(requests, self.max_batch, self.keys))


class Decided(NamedTuple):
    """A decision, the entry that records it, and its answer, which holds once it is recorded."""

    decision: Decision
    entry: Draft
    answer: dict[str, Any]


def decide_rows(
    engine: Engine, rows: list[Any]
) -> tuple[list[dict[str, Any]], list[int], list[Decided]]:
    """The results of a batch with its refused rows filled in, the other places, and decisions."""
    results: list[dict[str, Any]] = [{} for _ in rows]
    kept: list[int] = []
    for index, row in enumerate(rows):
        try:
            engine.applications.check(row)
            kept.append(index)
        except InvalidApplication as error:
            results[index] = {"index": index, "errors": told(error.problems)}
    own = [rows[index] for index in kept]
    return results, kept, drafted(engine.decide_rows(own), own)


def drafted(decisions: list[Decision], applications: list[dict[str, Any]]) -> list[Decided]:
    """Decisions about applications, ready to be recorded."""
    decided = []
    for decision, application in zip(decisions, applications, strict=True):
        own = content(decision)
        entry = draft("decision", own | {"application": application})
        answer = {"prediction_id": entry.id, **own, "timestamp": entry.time}
        decided.append(Decided(decision, entry, answer))
    return decided


def content(decision: Decision) -> dict[str, Any]:
    """A decision as it is recorded and answered, without id and time."""
    return {name: getattr(decision, name) for name in Decision.__slots__}
