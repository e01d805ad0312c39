"""Read the decisions that wait for a challenger's score, and record each score once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from service.decision.identity import Identity
from service.ledger import Draft, Ledger, LedgerUnavailable
from service.ledger.migrations import require_tables
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import Entry
from service.ledger.storage.personal_tables import application_of, read_protected, select_entries
from service.ledger.storage.schema import entries
from service.shadow.challenger import KIND, Recorded

REVISION = "0010"  # the migration that lets a challenger score each decision only once


def require_index(engine: Engine) -> None:
    """Raise LedgerUnavailable where the database cannot refuse a second score of a decision."""
    revision = require_tables(engine)
    if revision < REVISION:
        raise LedgerUnavailable(
            f"for scores of a challenger the schema needs revision {REVISION}; it has {revision}: "
            "run `python -m service.ledger migrate`"
        )


def is_scored_by(identity: Identity) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the entries of one challenger: a model with a policy."""
    return (
        entries.c.kind == KIND,
        entries.c.model == identity["model"],
        entries.c.policy == identity["policy"],
    )


def last_scored(ledger: Ledger, identity: Identity) -> int:
    """Return the sequence number of the newest decision that a challenger has scored, or 0.

    It scores them in their order, so that it has scored all before this one, too.
    """
    with connection_to(ledger.engine) as connection:
        return _last(connection, *is_scored_by(identity))


def _last(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    newest = select(entries.c.refers_to).where(*conditions)
    newest = newest.order_by(entries.c.sequence.desc()).limit(1)
    decision = select(entries.c.sequence).where(entries.c.id == newest.scalar_subquery())
    return int(connection.execute(decision).scalar_one_or_none() or 0)


def unscored_decisions(ledger: Ledger, after: int, limit: int) -> list[Recorded]:
    """Return up to `limit` decisions that follow the entry `after`, oldest first."""
    with connection_to(ledger.engine) as connection:
        query = select_entries(connection).where(
            entries.c.kind == "decision", entries.c.sequence > after
        )
        rows = connection.execute(query.order_by(entries.c.sequence).limit(limit))
        decisions = [Entry(*row) for row in rows]
    apart = read_protected(ledger.engine, [decision.sequence for decision in decisions])
    return [
        Recorded(each.sequence, each.id, application_of(each, apart.get(each.sequence)))
        for each in decisions
    ]


def count_waiting(ledger: Ledger, after: int) -> int:
    """Return the number of decisions that follow the entry `after`."""
    query = select(func.count()).where(entries.c.kind == "decision", entries.c.sequence > after)
    with connection_to(ledger.engine) as connection:
        return int(connection.execute(query).scalar_one())


def record(ledger: Ledger, scores: Sequence[Draft], identity: Identity) -> int:
    """Record the scores of one challenger that no process has recorded, and return their number."""

    def select_new(connection: Connection) -> list[Draft]:
        ids = [score.refers_to for score in scores]
        query = select(entries.c.refers_to).where(
            entries.c.refers_to.in_(ids), *is_scored_by(identity)
        )
        scored = set(connection.execute(query).scalars())
        return [score for score in scores if score.refers_to not in scored]

    return len(ledger.append_checked(select_new))


def lag(ledger: Ledger) -> float:
    """Return the age in seconds of the oldest decision that no challenger has scored, 0 if none.

    It is that of the challenger that has scored last.
    """
    with connection_to(ledger.engine) as connection:
        last = _last(connection, entries.c.kind == KIND)
        query = select(entries.c.time).where(
            entries.c.kind == "decision", entries.c.sequence > last
        )
        oldest = connection.execute(query.order_by(entries.c.sequence).limit(1)).scalar()
    if oldest is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(oldest)).total_seconds())
