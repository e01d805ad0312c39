"""Handle requests for decisions: decide, record and explain.

Every decision is recorded in the ledger before it is answered. When it cannot be recorded, the
request is refused with status 503.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_core import to_json

from service.api import metrics
from service.api.batching import Batcher
from service.api.cases import take_reference
from service.api.drafts import (
    Asked,
    DraftedDecision,
    decide_rows,
    draft_decisions,
    link_cases,
)
from service.api.handlers.state import EngineState
from service.api.idempotency import claim_request, replay
from service.api.load.limits import Turnstile
from service.api.requests import Request, Response, Routes, as_dicts, refusal
from service.decision.advice.explanation import explain
from service.decision.applications import InvalidApplication
from service.decision.json_bodies import decode, unwrap
from service.decision.problems import as_text, quote
from service.ledger.claims import AlreadyClaimed, Claim

Answer = dict[str, Any]
"""The answer to one application as a JSON object."""
# Batches and explanations that are worked on at once, and that wait: all of them together are done
# no sooner when several share the interpreter, and single decisions would wait for each.
HEAVY = (1, 32)


class Decisions:
    """The endpoints that decide about applications."""

    def __init__(self, state: EngineState) -> None:
        self.state = state
        self._decide_together = Batcher(self.decide)
        self._batches, self._explanations = Turnstile(*HEAVY), Turnstile(*HEAVY)
        self.routes: Routes = {
            "/predict": {"POST": self.predict},
            "/predict_batch": {"POST": self.predict_batch},
            "/explain": {"POST": self.explain},
        }

    async def predict(self, request: Request) -> Response:
        """Decide about one application."""
        claim = await claim_request(request, "/predict", self.state.ledger)
        engine, refusals = self.state.loaded_engine(), self.state.refusals
        try:
            row, reference = take_reference(
                engine.applications.read(request.body), engine.applications
            )
            completed = await self.state.complete(row)
            application = completed.check(engine.applications)
        except InvalidApplication as error:
            metrics.count_refused(
                refusals.count_refused(as_dicts(error.problems), engine.applications)
            )
            raise
        refusals.count_accepted()
        asked = Asked(application, request.caller, reference, completed.facts)
        if claim is None:
            return 200, to_json(await self._decide_together(asked))
        drafts = await self._decide([asked])
        content = to_json(drafts[0].answer)
        await self.record(drafts, claim._replace(answer=content.decode()))
        return 200, content

    async def decide(self, asked: list[Asked]) -> list[Answer]:
        """Return the answers to valid applications once their entries are durable."""
        return await self.record(await self._decide(asked))

    async def _decide(self, asked: list[Asked]) -> list[DraftedDecision]:
        engine = self.state.loaded_engine()
        decisions = engine.decide_rows([each.application for each in asked])
        drafts = draft_decisions(decisions, asked, engine.applications.protected)
        return await link_cases(drafts, self.state.ledger)

    async def record(
        self, drafts: list[DraftedDecision], claim: Claim | None = None
    ) -> list[Answer]:
        """Record decisions, either all of them or none, and return their answers.

        Raises Replayed when another request with the same claim was recorded meanwhile.
        """
        try:
            await self.state.ledger.append_group([drafted.entry for drafted in drafts], claim)
        except AlreadyClaimed as error:
            replay(error)
        for drafted in drafts:
            metrics.count_decision(drafted.decision)
        return [drafted.answer for drafted in drafts]

    async def predict_batch(self, request: Request) -> Response:
        """Decide about many applications; each row is answered or refused separately."""
        claim = await claim_request(request, "/predict_batch", self.state.ledger)
        engine, refusals = self.state.loaded_engine(), self.state.refusals
        rows = await asyncio.to_thread(self._rows, request.body)
        if request.charge:
            request.charge(len(rows) - 1)
        async with self._batches.pass_through():
            completed = await self.state.complete_all(rows)
            results, kept, drafts = await asyncio.to_thread(
                decide_rows, engine, completed, request.caller
            )
            drafts = await link_cases(drafts, self.state.ledger)
            broken = [refused["errors"] for refused in results if refused]
            for index, drafted in zip(kept, drafts, strict=True):
                results[index] = {"index": index, "decision": drafted.answer}
            content = await asyncio.to_thread(to_json, {"results": results})
            await self.record(drafts, claim and claim._replace(answer=content.decode()))
        refusals.count_accepted(len(kept))
        for errors in broken:
            metrics.count_refused(refusals.count_refused(errors, engine.applications))
        return 200, content

    def _rows(self, body: bytes) -> list[object]:
        rows = unwrap(decode(body), "applications")
        limit = f"a JSON array of 1 to {self.state.max_batch} applications"
        if not isinstance(rows, list):
            raise refusal(422, f"a batch is {limit}; got {as_text(quote(rows))}", allowed=limit)
        if not 1 <= len(rows) <= self.state.max_batch:
            raise refusal(422, f"a batch is {limit}; got {len(rows)}", allowed=limit, got=len(rows))
        return rows

    async def explain(self, request: Request) -> Response:
        """Explain a decision without recording it."""
        engine = self.state.loaded_engine()
        row, _ = take_reference(engine.applications.read(request.body), engine.applications)
        completed = await self.state.complete(row)
        application = completed.check(engine.applications)
        async with self._explanations.pass_through():
            explanation = await asyncio.to_thread(explain, engine, application)
            if completed.facts:
                explanation["sources"] = completed.facts
            return 200, to_json(explanation)
