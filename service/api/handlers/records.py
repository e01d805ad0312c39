"""Handle requests about recorded decisions: list, show and prove them, and list open referrals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from pydantic_core import to_json

from service.api.cases import LONGEST, is_reference
from service.api.handlers.state import EngineState
from service.api.requests import (
    Request,
    Response,
    Routes,
    check_names,
    read_search,
    read_whole_number,
    refusal,
)
from service.decision.problems import quote
from service.ledger import HistoryPage
from service.ledger.review.queue import NoQueue, open_referrals
from service.ledger.storage.decision_filters import Filters
from service.transparency.log import TransparencyLog
from service.transparency.verify_receipt import Invalid
from stages.policy.decisions import DECISIONS

MAX_LOGS = 500
MAX_WORDS, MAX_SEARCH = 10, 200  # words and characters of a search
PAGE = ("limit", "before", "search", "reference")
FILTERS = ("decision", "rating", "officer", "since", "until")


class Records:
    """The endpoints about what the ledger holds."""

    def __init__(self, state: EngineState) -> None:
        self.state, self.ledger = state, state.ledger
        self.routes: Routes = {
            "/logs": {"GET": self.logs},
            "/queue": {"GET": self.queue},
            "/cases/{id}": {"GET": self.case},
            "/predictions/{id}": {"GET": self.prediction},
            "/predictions/{id}/receipt": {"GET": self.receipt},
        }

    async def logs(self, request: Request) -> Response:
        """List recent decisions, newest first."""
        check_names(request.query, *PAGE, *FILTERS)
        limit = read_whole_number(request.query, "limit", MAX_LOGS) or 50
        before = read_whole_number(request.query, "before", 1 << 62)
        search = read_search(request.query, "search", MAX_WORDS, MAX_SEARCH)
        reference = read_search(request.query, "reference", LONGEST, LONGEST)
        wanted = read_filters(request.query)

        def read() -> bytes:
            conditions = wanted.conditions(self.ledger.engine.dialect.name)
            period = wanted.since, wanted.until
            page = self.ledger.recent(limit, before, search, reference, conditions, period)
            records = [record.as_dict() for record in page.records]
            return to_json({"records": records, "next_before": page.next_before})

        # Hundreds of records are also written as JSON in the thread: decisions would wait for it.
        return 200, await self.ledger.in_thread(read)

    async def queue(self, request: Request) -> Response:
        """List open referrals, those that wait longest first."""
        check_names(request.query, "limit", "after", "search", *FILTERS[1:])
        limit = read_whole_number(request.query, "limit", MAX_LOGS) or 50
        after = read_whole_number(request.query, "after", 1 << 62) or 0
        search = read_search(request.query, "search", MAX_WORDS, MAX_SEARCH)
        wanted = read_filters(request.query)
        try:
            page = await self.ledger.in_thread(
                open_referrals, self.ledger.engine, limit, after, search, wanted
            )
        except NoQueue as error:
            raise refusal(409, str(error)) from None
        return 200, to_json(page.as_dict())

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


def read_filters(query: Mapping[str, str]) -> Filters:
    """Return the filters of a list; dates are whole days in UTC, and the last one is included."""
    decision = query.get("decision")
    if decision not in (None, *DECISIONS):
        limit, got = f"one of {', '.join(DECISIONS)}", quote(decision)
        raise refusal(422, f"decision must be {limit}; got {got}", "decision", limit, got)
    since, until = (read_date(query, name) for name in ("since", "until"))
    return Filters(
        decision,
        read_search(query, "rating", 1, MAX_SEARCH),
        read_search(query, "officer", MAX_WORDS, MAX_SEARCH),
        since.isoformat() if since else "",
        (until + timedelta(1)).isoformat() if until and until < date.max else "",
    )


def read_date(query: Mapping[str, str], name: str) -> date | None:
    """Return a parameter of the query as a date, None when it is absent; refuses others."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        limit, got = "a date such as 2026-01-31", quote(text)
        raise refusal(422, f"{name} must be {limit}; got {got}", name, limit, got) from None
