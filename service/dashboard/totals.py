"""The decisions of a period as rows that are counted already, from the ledger's totals.

A database that is older than this program has no totals yet: there, each decision is a row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, literal, or_, select

from service.ledger.storage.schema import band_of, entries, totals
from service.ledger.verify.totals import DAY, HOUR, MINUTE, has_totals

EARLIEST = "0001-01-01T00:00"


def counted_since(connection: Connection, since: str, step: int = DAY) -> FromClause:
    """Return the decisions since a minute as a table whose rows add up to what is asked about.

    Its columns are `period`, whose first `step` characters may be grouped by, `decision`, `rating`,
    `band`, `model`, `policy`, `decisions`, the sum `pd`, and the `first` and the `last` time.
    """
    if step > MINUTE or not has_totals(connection):
        return _one_by_one(connection.dialect.name, since)
    return select(totals).where(_periods(since, step)).subquery()


def _one_by_one(dialect: str, since: str) -> FromClause:
    query: Select[Any] = select(
        entries.c.time.label("period"),
        *(entries.c[name] for name in ("decision", "rating", "model", "policy")),
        band_of(dialect).label("band"),
        literal(1).label("decisions"),
        entries.c.default_probability.label("pd"),
        entries.c.time.label("first"),
        entries.c.time.label("last"),
    )
    return query.where(entries.c.kind == "decision", entries.c.time >= since).subquery()


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
