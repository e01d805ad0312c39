"""Handle what officers record about decisions: overrides, their approval, and notes."""

from __future__ import annotations

from pydantic_core import to_json

from service.api.description.schemas.review import Approval, Note, Override
from service.api.handlers.state import EngineState
from service.api.requests import VISIBLE, Request, Response, Routes, refusal, validate
from service.decision.json_bodies import decode, unwrap
from service.decision.problems import quote
from service.ledger import AlreadyRecorded, Draft, Entry, EntryHistory, override
from service.ledger.review import steps
from service.ledger.storage import officer_drafts as drafts
from service.users.callers import Caller

PENDING = 202  # the status of a proposal, which decides nothing yet


class Review:
    """The endpoints of officers."""

    def __init__(self, state: EngineState) -> None:
        self.state, self.ledger = state, state.ledger
        self.routes: Routes = {
            "/overrides": {"POST": self.overrides},
            "/approvals": {"POST": self.approvals},
            "/notes": {"POST": self.notes},
        }

    async def overrides(self, request: Request) -> Response:
        """Record an officer's decision, or a proposal where the policy wants a second officer."""
        requested = validate(Override, unwrap(decode(request.body), "override"))
        record = await self._find(requested.prediction_id, "prediction_id")
        author = _name_of_author(requested.author, request.caller)
        caller = request.recorded_caller
        wanted = (requested.decision, requested.reason, author, caller)
        try:
            entry = override(record.entry, *wanted, self._limit(record))
            recorded = await self.ledger.in_thread(steps.decide, self.ledger, entry)
        except (ValueError, AlreadyRecorded) as error:
            raise refusal(409, str(error)) from None
        return PENDING if recorded.kind == "proposal" else 201, to_json(recorded.content)

    async def approvals(self, request: Request) -> Response:
        """Record that a second officer approves or rejects a proposal."""
        requested = validate(Approval, unwrap(decode(request.body), "approval"))
        proposal = (await self._find(requested.proposal_id, "proposal_id")).entry
        if proposal.kind != "proposal":
            raise refusal(404, f"no proposal has the id {proposal.id}", "proposal_id")
        author = _name_of_author(requested.author, request.caller)
        caller = request.recorded_caller
        if not requested.approved and requested.reason is None:
            raise refusal(422, "reason: state why the proposal is rejected", "reason", VISIBLE)

        def make(pending: Entry) -> Draft:
            write = drafts.approval if requested.approved else drafts.rejection
            return write(pending, author, caller, requested.reason)

        try:
            recorded = await self.ledger.in_thread(steps.answer, self.ledger, proposal, make)
        except (ValueError, AlreadyRecorded) as error:
            raise refusal(409, str(error)) from None
        return 201, to_json(recorded.content)

    async def notes(self, request: Request) -> Response:
        """Record a note about a decision."""
        requested = validate(Note, unwrap(decode(request.body), "note"))
        decided = (await self._find(requested.prediction_id, "prediction_id")).entry
        if decided.kind != "decision":
            raise refusal(404, f"no decision has the id {decided.id}", "prediction_id")
        author = _name_of_author(requested.author, request.caller)
        caller = request.recorded_caller
        recorded = await self.ledger.append(drafts.note(decided, requested.text, author, caller))
        return 201, to_json(recorded.content)

    def _limit(self, record: EntryHistory) -> dict[str, object] | None:
        """Return the limit of the policy in force if the application exceeds it."""
        limit = self.state.loaded_engine().policy.override_limit
        application = record.entry.content.get("application", {})
        return limit.model_dump() if limit and limit.is_exceeded(application) else None

    async def _find(self, entry_id: str, field: str) -> EntryHistory:
        record = await self.ledger.in_thread(self.ledger.get, entry_id)
        if record is None:
            what = "decision" if field == "prediction_id" else "proposal"
            raise refusal(404, f"no {what} has the id {entry_id}", field)
        return record


def _name_of_author(requested: str | None, caller: Caller | None) -> str:
    """Return who acts: the caller, where users are configured, and nobody in their name."""
    if caller is None:
        if requested is None:
            raise refusal(422, "author: state who decides", "author", VISIBLE)
        return requested
    if requested not in (None, caller.name):
        problem = f"author must be {caller.name}, who sends the request, or be left out"
        raise refusal(422, problem, "author", caller.name, quote(requested))
    return caller.name
