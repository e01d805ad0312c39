# mypy: disallow-untyped-decorators=False
"""Cache the results of queries until the ledger has changed, so that a click runs none again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import streamlit as st
from sqlalchemy import Engine

from service.dashboard import queries
from service.ledger import Ledger
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import database_url, open_engine
from service.monitoring import realised_performance as realised
from service.shadow import report
from stages import params

SMALL = 100_000  # entries: of a larger ledger, only the first DIGITS of their number are followed
DIGITS = 4
MOST_RESULTS = 500  # in memory


@st.cache_resource
def engine(url: str) -> Engine:
    """Return the engine for a URL, which all visitors share."""
    return open_engine(database_url(url), LONG_DEADLINE)


@st.cache_data(ttl=2, show_spinner=False)
def version(url: str) -> tuple[int, int]:
    """Return what changes as soon as a small ledger or its reports change, a large one later."""
    entries, reports = queries.sizes(engine(url))
    return change_counter(entries), reports


def change_counter(entries: int) -> int:
    """Return a number that changes with every entry, or with every thousandth part of many."""
    return entries if entries < SMALL else entries // 10 ** (len(str(entries)) - DIGITS)


def query(url: str, function: Callable[..., Any], *options: object) -> Any:
    """Return the result of a function of `queries` for the ledger at `url`."""
    return _result(url, version(url), function.__name__, *options)


def newest_report(url: str) -> dict[str, Any]:
    """Return the newest report of the largest window; {} without any."""
    sizes = query(url, queries.window_sizes)
    return query(url, queries.newest_reports, sizes[-1], 1)[0] if sizes else {}


@st.cache_data(max_entries=MOST_RESULTS, show_spinner="Counting…")
def _result(url: str, version: tuple[int, int], name: str, *options: object) -> Any:
    function: Callable[..., Any] = getattr(queries, name)
    return function(engine(url), *options)


def realised_performance(url: str) -> dict[str, Any]:
    """Return the performance by outcomes of mature decisions, or of all as long as none is.

    `provisional` tells which.
    """
    newest = change_counter(queries.newest_outcome(engine(url)))
    return _compare_outcomes(url, newest, datetime.now(UTC).date())


@st.cache_data(max_entries=8, show_spinner="Comparing outcomes…")
def _compare_outcomes(url: str, newest: int, today: date) -> dict[str, Any]:
    """Compare anew as outcomes come and as a day ends; decisions alone change nothing."""
    days = realised.maturity_days(params.load(with_candidates=False).monitor)
    ledger = Ledger(url, LONG_DEADLINE)
    try:
        mature = realised.mature_outcomes(ledger, days, today)
        if provisional := not len(mature.bad):
            mature = realised.mature_outcomes(ledger, 0, today)
    finally:
        ledger.close()
    scope = {"models": sorted({*mature.model.tolist()})}
    scope["days"] = (
        [str(day) for day in (mature.day.min(), mature.day.max())] if mature.model.size else []
    )
    found = realised.realised_performance(mature)
    return found | scope | {"maturity_days": days, "provisional": provisional}


@st.cache_data(ttl=300, show_spinner="Comparing…")
def compare_challengers(url: str) -> list[dict[str, Any]]:
    """Return how each challenger would have decided, the newest first; five minutes old at most."""
    return report.report(url)
