"""The decisions of a period as rows that are counted already, from the ledger's totals.

A database that is older than this program has no totals yet: there, each decision is a row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import zip_longest

from sqlalchemy import ColumnElement, Connection, FromClause, func, or_, select, union_all

from service.ledger.storage.schema import entries
from service.ledger.storage.totals import (
    DAY,
    HOUR,
    MINUTE,
    counted,
    exist,
    select_decisions,
    totals,
)

EARLIEST = "0001-01-01T00:00"
SECOND = 19  # characters of a time's text


def counted_since(connection: Connection, since: str, step: int = DAY) -> FromClause:
    """Return the decisions since a minute as a table whose rows add up to what is asked about.

    Its columns are those of the totals; of a `period` the first `step` characters may be grouped
    by.
    """
    single = select_decisions(connection.dialect.name, SECOND)
    if step > MINUTE or not exist(connection):
        return single.where(entries.c.time >= since).subquery()
    # An expression is not looked up in the index by time, which would be read to its end.
    later = single.where(entries.c.sequence > counted, func.coalesce(entries.c.time, "") >= since)
    return union_all(select(totals).where(_periods(since, step)), later).subquery()


def _periods(since: str, step: int) -> ColumnElement[bool]:
    """Return the condition of minutes up to the next hour, hours up to the next day, then days.

    Nothing longer than `step` is read.
    """
    start = datetime.fromisoformat(since[:MINUTE] + EARLIEST[len(since) :])
    hour = start if start.minute == 0 else start.replace(minute=0) + timedelta(hours=1)
    day = hour if hour.hour == 0 else hour.replace(hour=0) + timedelta(days=1)
    starts = {MINUTE: start, HOUR: hour, DAY: day}
    lengths = [length for length in starts if length >= step]
    conditions = []
    for length, following in zip_longest(lengths, lengths[1:]):
        period = totals.c.period
        is_here = (totals.c.length == length) & (period >= starts[length].isoformat()[:length])
        if following:
            is_here &= period < starts[following].isoformat()[:length]
        conditions.append(is_here)
    return or_(*conditions)
