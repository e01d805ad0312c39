# mypy: disallow-untyped-decorators=False
"""Cache the results of queries, so that a click does not run them again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import streamlit as st
from sqlalchemy import Engine

from service.dashboard import queries
from service.ledger import Ledger
from service.ledger.connections import LONG_DEADLINE
from service.ledger.database import database_url, open_engine
from service.monitoring import realised_performance as realised
from stages import params

LIFETIME = 30  # seconds for which a result is kept


@st.cache_resource
def engine(url: str) -> Engine:
    """Return the engine for a URL, which all visitors share."""
    return open_engine(database_url(url), LONG_DEADLINE)


@st.cache_data(ttl=LIFETIME, show_spinner="Counting…")
def query(url: str, name: str, *options: Any) -> Any:
    """Return the result of the function `name` of `queries` for the ledger at `url`."""
    function: Callable[..., Any] = getattr(queries, name)
    return function(engine(url), *options)


@st.cache_data(ttl=10 * LIFETIME, show_spinner="Comparing outcomes…")
def realised_performance(url: str) -> dict[str, Any]:
    """Return the performance of mature decisions by their outcomes."""
    config, today = params.load(), datetime.now(UTC).date()
    ledger = Ledger(url, LONG_DEADLINE)
    try:
        mature = realised.mature_outcomes(ledger, config.monitor.maturity_days, today)
    finally:
        ledger.close()
    return realised.realised_performance(mature)
