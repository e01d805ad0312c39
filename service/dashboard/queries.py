"""The database queries of the dashboard.

Aggregates use only the index `ledger_entries_by_time` and take a second for a million decisions;
recorded contents are read only for single entries.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, Executable, Integer, and_, cast, func, select

from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import KINDS, Entry
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries, head
from service.monitoring.reports import incidents, reports

BAND = 20  # points of the credit score in one bar: the policy's PDO
STEPS = (
    (timedelta(minutes=3), 19),  # a period up to this length is grouped by so many characters
    (timedelta(hours=3), 16),
    (timedelta(days=4), 13),
    (timedelta(days=400), 10),
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
    """Return the parts of the first view, which read the ledger at the same time."""
    period = first_and_last(engine, since)
    with ThreadPoolExecutor(4) as threads:
        over = threads.submit(over_time, engine, since, period)
        by_model = threads.submit(models, engine)
        by_rating = threads.submit(ratings, engine, since)
        by_score = threads.submit(scores, engine, since)
        rows = over.result()
        parts = (by_rating.result(), by_score.result(), by_model.result())
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
    bucket = func.substr(entries.c.time, 1, step).label("time")
    counted = (func.count().label("decisions"), func.sum(entries.c.default_probability).label("pd"))
    query = select(bucket, entries.c.decision, *counted).where(decided_since(since))
    return _rows(engine, query.group_by(bucket, entries.c.decision).order_by(bucket))


def ratings(engine: Engine, since: str) -> Rows:
    """Return the number of decisions by rating."""
    query = select(entries.c.rating, func.count().label("decisions")).where(decided_since(since))
    return _rows(engine, query.group_by(entries.c.rating).order_by(entries.c.rating))


def scores(engine: Engine, since: str) -> Rows:
    """Return the number of decisions by band of 20 points; `score` is the band's lower bound."""
    band = cast(entries.c.credit_score, Integer) // BAND * BAND
    query = select(band.label("score"), func.count().label("decisions"))
    return _rows(engine, query.where(decided_since(since)).group_by(band).order_by(band))


def models(engine: Engine) -> Rows:
    """Return first and last time and number of decisions by model and policy, latest first."""
    by = (entries.c.model, entries.c.policy)
    facts = (
        func.min(entries.c.time).label("first"),
        func.max(entries.c.time).label("last"),
        func.count().label("decisions"),
    )
    query = select(*by, *facts).where(entries.c.kind == "decision").group_by(*by)
    return _rows(engine, query.order_by(func.max(entries.c.time).desc()))


def latest(engine: Engine, limit: int = 50) -> Rows:
    """Return the newest decisions, without their applications."""
    names = ("time", "decision", "default_probability", "credit_score", "rating", "model", "id")
    query = select(*(entries.c[name] for name in names)).where(entries.c.kind == "decision")
    return _rows(engine, query.order_by(entries.c.sequence.desc()).limit(limit))


def overrides(engine: Engine) -> dict[str, int]:
    """Return the number of overrides by decision."""
    is_override = entries.c.kind == "override"
    query = select(entries.c.decision, func.count()).where(is_override).group_by(entries.c.decision)
    with connection_to(engine) as connection:
        return {str(decision): count for decision, count in connection.execute(query)}


def latest_overrides(engine: Engine, limit: int = 50) -> Rows:
    """Return the newest overrides with time, author, decision, reason and the decision's id."""
    with connection_to(engine) as connection:
        query = select_entries(connection).where(entries.c.kind == "override")
        rows = connection.execute(query.order_by(entries.c.sequence.desc()).limit(limit))
        contents = [Entry(*row).content for row in rows]
    names = ("time", "author", "decision", "reason", "refers_to")
    return [{name: content[name] for name in names} for content in contents]


def windows(engine: Engine) -> list[int]:
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
    return _rows(engine, query.order_by(*order).limit(limit))


def _rows(engine: Engine, query: Executable) -> Rows:
    with connection_to(engine) as connection:
        return [dict(row._mapping) for row in connection.execute(query)]
