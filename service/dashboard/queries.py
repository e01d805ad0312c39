"""What the page shows, counted by the database; recorded contents are read only where needed.

All aggregates stay inside the index `ledger_entries_by_time`; a million decisions take a second.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, Integer, and_, case, cast, func, select

from service.ledger.database import connection_to
from service.ledger.schema import entries
from service.monitoring.reports import incidents, reports

BAND = 20  # points of the credit score in one bar: the policy's PDO
STEPS = (
    (timedelta(minutes=3), 19),  # up to this length, so many characters of a time make one step
    (timedelta(hours=3), 16),
    (timedelta(days=4), 13),
    (timedelta(days=400), 10),
)
MONTHS = 7  # characters of a time that tell its month

Rows = list[dict[str, Any]]


class Totals(NamedTuple):
    """Decisions of a period: how many, how many of each, their mean PD, first and last time."""

    decisions: int
    approve: int
    refer: int
    decline: int
    mean_pd: float
    first: str
    last: str


def start(days: float | None, now: datetime | None = None) -> str:
    """Return the time `days` before now as the ledger writes it; an empty text for None."""
    if days is None:
        return ""
    return ((now or datetime.now(UTC)) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S")


def decided(since: str) -> ColumnElement[bool]:
    """Return the condition that an entry is a decision of this time or later."""
    return and_(entries.c.kind == "decision", entries.c.time >= since)


def totals(engine: Engine, since: str) -> Totals:
    """Return the totals of all decisions since a time."""
    counts = [
        func.coalesce(func.sum(case((entries.c.decision == d, 1), else_=0)), 0)
        for d in ("approve", "refer", "decline")
    ]
    query = select(
        func.count(),
        *counts,
        func.coalesce(func.avg(entries.c.default_probability), 0.0),
        func.coalesce(func.min(entries.c.time), ""),
        func.coalesce(func.max(entries.c.time), ""),
    ).where(decided(since))
    with connection_to(engine) as connection:
        return Totals(*connection.execute(query).one())


def over_time(engine: Engine, since: str, period: Totals) -> Rows:
    """Return decisions and the sum of PD by `time` and `decision`; steps are seconds to months."""
    length = datetime.fromisoformat(period.last) - datetime.fromisoformat(period.first)
    step = next((characters for most, characters in STEPS if length <= most), MONTHS)
    bucket = func.substr(entries.c.time, 1, step).label("time")
    counted = (func.count().label("decisions"), func.sum(entries.c.default_probability).label("pd"))
    query = select(bucket, entries.c.decision, *counted).where(decided(since))
    return _rows(engine, query.group_by(bucket, entries.c.decision).order_by(bucket))


def ratings(engine: Engine, since: str) -> Rows:
    """Return decisions by rating."""
    query = select(entries.c.rating, func.count().label("decisions")).where(decided(since))
    return _rows(engine, query.group_by(entries.c.rating).order_by(entries.c.rating))


def scores(engine: Engine, since: str) -> Rows:
    """Return decisions by credit score, in bands of 20 points; `score` is where a band begins."""
    band = cast(entries.c.credit_score, Integer) // BAND * BAND
    query = select(band.label("score"), func.count().label("decisions"))
    return _rows(engine, query.where(decided(since)).group_by(band).order_by(band))


def models(engine: Engine) -> Rows:
    """Return which model and policy decided when and how often, the latest first."""
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
    """Return how many referred cases people decided, by their decision."""
    is_override = entries.c.kind == "override"
    query = select(entries.c.decision, func.count()).where(is_override).group_by(entries.c.decision)
    with connection_to(engine) as connection:
        return {str(decision): count for decision, count in connection.execute(query)}


def latest_overrides(engine: Engine, limit: int = 50) -> Rows:
    """Return the newest overrides: when, who, what and why."""
    query = select(entries.c.payload).where(entries.c.kind == "override")
    with connection_to(engine) as connection:
        found = connection.execute(query.order_by(entries.c.sequence.desc()).limit(limit)).scalars()
        contents = [json.loads(text) for text in found]
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
        found = connection.execute(query.order_by(reports.c.id.desc()).limit(limit)).scalars()
        return [json.loads(text) for text in found]


def latest_incidents(engine: Engine, limit: int = 100) -> Rows:
    """Return the newest incidents, open ones first."""
    names = ("opened", "closed", "loudness", "words", "key")
    query = select(*(incidents.c[name] for name in names))
    order = (incidents.c.closed.is_not(None), incidents.c.id.desc())
    return _rows(engine, query.order_by(*order).limit(limit))


def _rows(engine: Engine, query: Any) -> Rows:
    with connection_to(engine) as connection:
        return [dict(row._mapping) for row in connection.execute(query)]
