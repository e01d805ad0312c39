"""Handle requests about recorded decisions: list, show and override them, and prove them."""

from __future__ import annotations

from pydantic_core import to_json

from service.api.cases import LONGEST, is_reference
from service.api.description.schemas.records import Override
from service.api.handlers.state import State
from service.api.requests import (
    VISIBLE,
    Request,
    Response,
    Routes,
    check_names,
    read_search,
    read_whole_number,
    refusal,
    validate,
)
from service.decision.json_bodies import decode, unwrap
from service.decision.problems import quote
from service.ledger import AlreadyRecorded, HistoryPage, override
from service.transparency.log import TransparencyLog
from service.transparency.verify_receipt import Invalid
from service.users.callers import Caller

MAX_LOGS = 500
MAX_WORDS, MAX_SEARCH = 10, 200  # words and characters of a search


class Records:
    """The endpoints about what the ledger holds."""

    def __init__(self, state: State) -> None:
        self.state, self.ledger = state, state.ledger
        self.routes: Routes = {
            "/overrides": {"POST": self.overrides},
            "/logs": {"GET": self.logs},
            "/cases/{id}": {"GET": self.case},
            "/predictions/{id}": {"GET": self.prediction},
            "/predictions/{id}/receipt": {"GET": self.receipt},
        }

    async def overrides(self, request: Request) -> Response:
        """Record an officer's decision about a referred case."""
        requested = validate(Override, unwrap(decode(request.body), "override"))
        record = await self.ledger.in_thread(self.ledger.get, requested.prediction_id)
        if record is None:
            raise refusal(404, f"no decision has the id {requested.prediction_id}", "prediction_id")
        author = _author(requested, request.caller)
        caller = request.caller.as_recorded() if request.caller else None
        try:
            entry = override(record.entry, requested.decision, requested.reason, author, caller)
            recorded = await self.ledger.in_thread(self.ledger.append_once, entry)
        except ValueError as error:
            raise refusal(409, str(error)) from None
        except AlreadyRecorded:
            problem = f"a person has already decided about {requested.prediction_id}"
            raise refusal(409, problem) from None
        return 201, to_json(recorded.content)

    async def logs(self, request: Request) -> Response:
        """List recent decisions, newest first."""
        check_names(request.query, "limit", "before", "search", "reference")
        limit = read_whole_number(request.query, "limit", MAX_LOGS) or 50
        before = read_whole_number(request.query, "before", 1 << 62)
        search = read_search(request.query, "search", MAX_WORDS, MAX_SEARCH)
        reference = read_search(request.query, "reference", LONGEST, LONGEST)
        page = await self.ledger.in_thread(self.ledger.recent, limit, before, search, reference)
        records = [record.as_dict() for record in page.records]
        return 200, to_json({"records": records, "next_before": page.next_before})

    async def case(self, request: Request) -> Response:
        """Return the decisions of one case, newest first: the newest MAX_LOGS of them."""
        page = HistoryPage([], None)
        if is_reference(request.id):
            page = await self.ledger.in_thread(self.ledger.recent, MAX_LOGS, None, None, request.id)
        if not page.records:
            raise refusal(404, "no decision has this reference")
        records = [record.as_dict() for record in page.records]
        return 200, to_json({"reference": request.id, "records": records})

    async def prediction(self, request: Request) -> Response:
        """Return one decision with its overrides and outcomes."""
        return 200, to_json((await self.state.find_decision(request.id)).as_dict())

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


def _author(requested: Override, caller: Caller | None) -> str:
    """Return who decides: the caller, where users are configured, and nobody in their name."""
    if caller is None:
        if requested.author is None:
            raise refusal(422, "author: state who decides", "author", VISIBLE)
        return requested.author
    if requested.author not in (None, caller.name):
        problem = f"author must be {caller.name}, who sends the request, or be left out"
        raise refusal(422, problem, "author", caller.name, quote(requested.author))
    return caller.name
