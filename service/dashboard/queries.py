"""The database queries of the dashboard.

Aggregates read the totals that the ledger's database keeps (see `totals`), or use only the index
`ledger_entries_by_time`; recorded contents are read only for single entries.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    and_,
    cast,
    func,
    select,
)

from service.dashboard.totals import counted_since
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import KINDS, Entry
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries, head
from service.ledger.storage.totals import DAY
from service.monitoring.reports import incidents, reports

STEPS = (
    (timedelta(minutes=3), 19),  # a period up to this length is grouped by that many characters
    (timedelta(hours=3), 16),
    (timedelta(days=4), 13),
    (timedelta(days=190), 10),
)
MONTHS = 7  # characters of a time's text from the year to the month

Rows = list[dict[str, Any]]


class Totals(NamedTuple):
    """The decisions of a period: their number, overall and by decision, mean PD, first and last."""

    decisions: int
    approve: int
    refer: int
    decline: int
    mean_pd: float
    first: str
    last: str


def start(days: float | None, now: datetime | None = None) -> str:
    """Return the time `days` before now in the ledger's format, "" for None."""
    if days is None:
        return ""
    return ((now or datetime.now(UTC)) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S")


def decided_since(since: str) -> ColumnElement[bool]:
    """Return the condition that an entry is a decision made at this time or later."""
    return and_(entries.c.kind == "decision", entries.c.time >= since)


def sizes(engine: Engine) -> tuple[int, int]:
    """Return the number of the last entry and that of the last report; 0 without one."""
    columns = (head.c.sequence, reports.c.id)
    last = [select(func.coalesce(func.max(column), 0)) for column in columns]
    with connection_to(engine) as connection:
        entries_, reports_ = (int(connection.execute(query).scalar_one()) for query in last)
    return entries_, reports_


def newest_outcome(engine: Engine) -> int:
    """Return the number of the last entry that is an outcome; 0 without one."""
    query = select(func.coalesce(func.max(entries.c.sequence), 0))
    with connection_to(engine) as connection:
        return int(connection.execute(query.where(entries.c.kind == "outcome")).scalar_one())


def count_entries(engine: Engine, since: str, until: str) -> int:
    """Return the number of entries from a time on and before another; times are texts in UTC."""
    period = (entries.c.kind.in_(KINDS), entries.c.time >= since, entries.c.time < until)
    with connection_to(engine) as connection:
        return int(connection.execute(select(func.count()).where(*period)).scalar_one())


class Overview(NamedTuple):
    """What the first view shows of a period; each part is what the function of its name returns."""

    totals: Totals
    over_time: Rows
    ratings: Rows
    scores: Rows
    models: Rows


def overview(engine: Engine, since: str) -> Overview:
    """Return the parts of the first view."""
    period = first_and_last(engine, since)
    rows = over_time(engine, since, period)
    parts = (ratings(engine, since), scores(engine, since), models(engine))
    return Overview(totals_of(rows, period), rows, *parts)


def first_and_last(engine: Engine, since: str) -> tuple[str, str]:
    """Return the times of the first and the last decision since a time; "" where there is none.

    Each is one look into the index; both in one query would read all of it.
    """
    ends = (func.min(entries.c.time), func.max(entries.c.time))
    with connection_to(engine) as connection:
        queries = (select(func.coalesce(end, "")).where(decided_since(since)) for end in ends)
        first, last = (str(connection.execute(query).scalar_one()) for query in queries)
    return first, last


def totals_of(rows: Rows, period: tuple[str, str]) -> Totals:
    """Return the totals of what `over_time` returned for a period."""
    counts = {
        decision: sum(row["decisions"] for row in rows if row["decision"] == decision)
        for decision in ("approve", "refer", "decline")
    }
    decisions = sum(counts.values())
    mean_pd = sum(row["pd"] for row in rows) / decisions if decisions else 0.0
    first, last = period
    return Totals(decisions, **counts, mean_pd=mean_pd, first=first, last=last)


def over_time(engine: Engine, since: str, period: tuple[str, str]) -> Rows:
    """Return `decisions` and `pd` (sum) by `time` and `decision`, grouped by seconds to months.

    `period` are the times of the first and the last decision.
    """
    if not all(period):
        return []
    first, last = map(datetime.fromisoformat, period)
    length = last - first
    step = next((characters for most, characters in STEPS if length <= most), MONTHS)
    with connection_to(engine) as connection:
        rows = counted_since(connection, since, max(step, DAY)).c
        bucket = func.substr(rows.period, 1, step).label("time")
        query = select(bucket, rows.decision, sum_of(rows.decisions), func.sum(rows.pd).label("pd"))
        return _rows(connection, query.group_by(bucket, rows.decision).order_by(bucket))


def ratings(engine: Engine, since: str) -> Rows:
    """Return the number of decisions by rating."""
    with connection_to(engine) as connection:
        rows = counted_since(connection, since).c
        query = select(rows.rating, sum_of(rows.decisions))
        return _rows(connection, query.group_by(rows.rating).order_by(rows.rating))


def scores(engine: Engine, since: str) -> Rows:
    """Return the number of decisions by band of the score; `score` is the band's lower bound."""
    with connection_to(engine) as connection:
        rows = counted_since(connection, since).c
        query = select(rows.band.label("score"), sum_of(rows.decisions))
        return _rows(connection, query.group_by(rows.band).order_by(rows.band))


def models(engine: Engine) -> Rows:
    """Return first and last time and number of decisions by model and policy, latest first."""
    with connection_to(engine) as connection:
        rows = counted_since(connection, "").c
        by, last = (rows.model, rows.policy), func.max(rows.last)
        facts = (func.min(rows.first).label("first"), last.label("last"), sum_of(rows.decisions))
        return _rows(connection, select(*by, *facts).group_by(*by).order_by(last.desc()))


def sum_of(decisions: ColumnElement[int]) -> ColumnElement[int]:
    """Return the sum of a column of counts, under the same name."""
    return cast(func.sum(decisions), BigInteger).label("decisions")


def latest(engine: Engine, limit: int = 50) -> Rows:
    """Return the newest decisions, without their applications."""
    names = ("time", "decision", "default_probability", "credit_score", "rating", "model", "id")
    query = select(*(entries.c[name] for name in names)).where(entries.c.kind == "decision")
    with connection_to(engine) as connection:
        return _rows(connection, query.order_by(entries.c.sequence.desc()).limit(limit))


def overridden_since(since: str) -> ColumnElement[bool]:
    """Return the condition that an entry is an override of this time or later."""
    return and_(entries.c.kind == "override", entries.c.time >= since)


def overrides(engine: Engine, since: str) -> dict[str, int]:
    """Return the number of overrides by decision."""
    query = select(entries.c.decision, func.count()).where(overridden_since(since))
    with connection_to(engine) as connection:
        query = query.group_by(entries.c.decision)
        return {str(decision): count for decision, count in connection.execute(query)}


def latest_overrides(engine: Engine, since: str, limit: int = 50) -> Rows:
    """Return the newest overrides with time, author, decision, reason and the decision's id."""
    with connection_to(engine) as connection:
        query = select_entries(connection).where(overridden_since(since))
        rows = connection.execute(query.order_by(entries.c.sequence.desc()).limit(limit))
        contents = [Entry(*row).content for row in rows]
    names = ("time", "author", "decision", "reason", "refers_to")
    return [{name: content[name] for name in names} for content in contents]


def window_sizes(engine: Engine) -> list[int]:
    """Return the sizes of the windows that have reports, ascending."""
    query = select(reports.c.window).distinct().order_by(reports.c.window)
    with connection_to(engine) as connection:
        return list(connection.execute(query).scalars())


def newest_reports(engine: Engine, window: int, limit: int = 100) -> Rows:
    """Return the newest reports of a window, newest first."""
    query = select(reports.c.content).where(reports.c.window == window)
    with connection_to(engine) as connection:
        texts = connection.execute(query.order_by(reports.c.id.desc()).limit(limit)).scalars()
        return [json.loads(text) for text in texts]


def latest_incidents(engine: Engine, limit: int = 100) -> Rows:
    """Return the newest incidents, open ones first."""
    names = ("opened", "closed", "loudness", "words", "key")
    query = select(*(incidents.c[name] for name in names))
    order = (incidents.c.closed.is_not(None), incidents.c.id.desc())
    with connection_to(engine) as connection:
        return _rows(connection, query.order_by(*order).limit(limit))


def _rows(connection: Connection, query: Executable) -> Rows:
    return [dict(row._mapping) for row in connection.execute(query)]
