"""Handle requests about decisions: decide, record, explain, override and list.

Every decision is recorded in the ledger before it is answered. When it cannot be recorded, the
request is refused with status 503.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from service.api import metrics
from service.api.batching import Batcher
from service.api.description import docs, model_info, openapi
from service.api.description.schemas import Override
from service.api.drafts import DraftedDecision, decide_rows, draft_decisions
from service.api.load import Turnstile
from service.api.refusals import Refusals
from service.api.requests import (
    Handler,
    Request,
    Response,
    as_dicts,
    read_search,
    read_whole_number,
    refusal,
    validate,
)
from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from service.decision.explanation import explain
from service.decision.hashes import NotReady
from service.decision.json_bodies import decode
from service.decision.problems import as_text, quote
from service.ledger import AlreadyRecorded, Ledger, LedgerUnavailable, override
from service.transparency.log import TransparencyLog
from service.transparency.verify_receipt import Invalid

MAX_LOGS = 500
MAX_WORDS, MAX_SEARCH = 10, 200  # words and characters of a search
HEAVY = (4, 32)  # batches and explanations that are worked on at once, and that wait
PROBE_PERIOD = 1.0  # seconds for which a successful probe of the ledger is believed


Routes = dict[str, dict[str, Handler]]
"""The handler of each method of each path."""


class DecisionApi:
    """The endpoints about decisions, with one engine and one ledger."""

    def __init__(
        self, root: Path, ledger: Ledger, max_batch: int = 1000, keys: bool = False
    ) -> None:
        self.root, self.ledger, self.max_batch, self.keys = root, ledger, max_batch, keys
        self._decide_together = Batcher(self.decide)
        self._heavy = Turnstile(*HEAVY)
        self._rendered: dict[tuple[str, bool], bytes] = {}
        self.refusals = Refusals()
        self._last_probe = -PROBE_PERIOD
        self.engine: Engine | None = None
        self.problem = "the model has not been loaded yet"
        self.routes: Routes = {
            "/predict": {"POST": self.predict},
            "/predict_batch": {"POST": self.predict_batch},
            "/explain": {"POST": self.explain},
            "/overrides": {"POST": self.overrides},
            "/health": {"GET": self.health},
            "/readyz": {"GET": self.readyz},
            "/model-info": {"GET": self.model_info},
            "/logs": {"GET": self.logs},
            "/predictions/{id}": {"GET": self.prediction},
            "/predictions/{id}/receipt": {"GET": self.receipt},
            "/docs": {"GET": self.docs},
            "/docs.json": {"GET": self.docs_json},
        }

    def load(self) -> None:
        """Load the engine; when that fails, `problem` says why and no decision is made."""
        with suppress(LedgerUnavailable):  # readiness says why; the tables are created later
            self.ledger.prepare()
        try:
            self.engine = Engine.load(self.root)
            self.ledger.policy = self.engine.policy_record
        except NotReady as error:
            self.problem = str(error)

    def loaded_engine(self) -> Engine:
        """Return the engine; refuses with status 503 when no model is loaded."""
        if self.engine is None:
            raise refusal(503, f"no decisions are made: {self.problem}")
        return self.engine

    async def predict(self, request: Request) -> Response:
        """Decide about one application."""
        engine = self.loaded_engine()
        try:
            application = engine.applications.parse(request.body)
        except InvalidApplication as error:
            metrics.count_refused(
                self.refusals.count_refused(as_dicts(error.problems), engine.applications)
            )
            raise
        self.refusals.count_accepted()
        return 200, to_json(await self._decide_together(application))

    async def decide(self, applications: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers to valid applications once their entries are durable."""
        return await self.record(
            draft_decisions(self.loaded_engine().decide_rows(applications), applications)
        )

    async def record(self, drafts: list[DraftedDecision]) -> list[dict[str, Any]]:
        """Record decisions, either all of them or none, and return their answers."""
        await self.ledger.append_group([drafted.entry for drafted in drafts])
        for drafted in drafts:
            metrics.count_decision(drafted.decision)
        return [drafted.answer for drafted in drafts]

    async def predict_batch(self, request: Request) -> Response:
        """Decide about many applications; each row is answered or refused separately."""
        engine = self.loaded_engine()
        rows = self._rows(request.body)
        async with self._heavy.pass_through():
            results, kept, drafts = await asyncio.to_thread(decide_rows, engine, rows)
            answers = await self.record(drafts)
        self.refusals.count_accepted(len(kept))
        for refused in filter(None, results):
            metrics.count_refused(
                self.refusals.count_refused(refused["errors"], engine.applications)
            )
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

    async def explain(self, request: Request) -> Response:
        """Explain a decision without recording it."""
        engine = self.loaded_engine()
        application = engine.applications.parse(request.body)
        async with self._heavy.pass_through():
            return 200, to_json(await asyncio.to_thread(explain, engine, application))

    async def overrides(self, request: Request) -> Response:
        """Record an officer's decision about a referred case."""
        requested = validate(Override, decode(request.body))
        record = await self.ledger.in_thread(self.ledger.get, requested.prediction_id)
        if record is None:
            raise refusal(404, f"no decision has the id {requested.prediction_id}", "prediction_id")
        try:
            entry = override(record.entry, requested.decision, requested.reason, requested.author)
            recorded = await self.ledger.in_thread(self.ledger.append_once, entry)
        except ValueError as error:
            raise refusal(409, str(error)) from None
        except AlreadyRecorded:
            problem = f"a person has already decided about {requested.prediction_id}"
            raise refusal(409, problem) from None
        return 201, to_json(recorded.content)

    async def health(self, request: Request) -> Response:
        """Tell whether decisions can be made and recorded now."""
        reason = await self.find_failure()
        model = self.engine.identity["model"] if self.engine else None
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
        if self.engine is None:
            return f"no decisions are made: {self.problem}"
        if time.monotonic() - self._last_probe < PROBE_PERIOD:
            return None
        try:
            await self.ledger.probe()
        except LedgerUnavailable as error:
            return f"decisions cannot be recorded: {error}"
        self._last_probe = time.monotonic()
        return None

    async def model_info(self, request: Request) -> Response:
        """Describe the winner, its contract and the policy."""
        return 200, to_json(model_info.describe(self.loaded_engine(), self.root))

    async def logs(self, request: Request) -> Response:
        """List recent decisions, newest first."""
        limit = read_whole_number(request.query, "limit", MAX_LOGS) or 50
        before = read_whole_number(request.query, "before", 1 << 62)
        search = read_search(request.query, "search", MAX_WORDS, MAX_SEARCH)
        page = await self.ledger.in_thread(self.ledger.recent, limit, before, search)
        records = [record.as_dict() for record in page.records]
        return 200, to_json({"records": records, "next_before": page.next_before})

    async def prediction(self, request: Request) -> Response:
        """Return one decision with its overrides and outcomes."""
        if "\0" in request.id:  # PostgreSQL accepts no text with NUL
            raise refusal(404, "no decision has this id")
        record = await self.ledger.in_thread(self.ledger.get, request.id)
        if record is None or record.entry.kind != "decision":
            raise refusal(404, "no decision has this id")
        return 200, to_json(record.as_dict())

    async def receipt(self, request: Request) -> Response:
        """Return the proof that an entry stands in the ledger that witnesses have seen."""
        log = TransparencyLog(self.ledger.engine)
        try:
            if "\0" in request.id:
                raise KeyError(request.id)
            return 200, to_json(await self.ledger.in_thread(log.receipt, request.id))
        except KeyError:
            raise refusal(404, "no entry has this id") from None
        except Invalid as error:
            raise refusal(404, str(error)) from None

    async def docs_json(self, request: Request) -> Response:
        """Return the OpenAPI description."""
        return 200, self._render("json", to_json)

    async def docs(self, request: Request) -> Response:
        """Return the OpenAPI description as an HTML page."""
        return 200, self._render("page", docs.render)

    def _render(self, form: str, render: Callable[[dict[str, Any]], bytes]) -> bytes:
        """Return the API's description; it is the same for every request, but takes long."""
        key = form, self.engine is not None
        if key not in self._rendered:
            applications = self.engine.applications if self.engine else None
            document = openapi.describe(applications, self.max_batch, self.keys)
            self._rendered[key] = render(document)
        return self._rendered[key]
