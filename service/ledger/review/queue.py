"""The queue of open referrals, those that wait longest first."""

from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from service.ledger.migrations import revisions
from service.ledger.reader import EntryHistory, with_later
from service.ledger.search import matches
from service.ledger.storage.database import connection_to
from service.ledger.storage.decision_filters import Filters
from service.ledger.storage.entries import Entry
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries as table
from service.ledger.storage.schema import open_referrals as queue

REVISION = "0008"  # the migration that adds the queue
SPAN = 20_000  # open referrals that one search reads; the next page continues after them
EVERYTHING = Filters()


class NoQueue(Exception):
    """The database is older than this program, and has no queue; the message says what to do."""


class QueuePage(NamedTuple):
    """Open referrals, oldest first; `next_after` is the cursor of the next page, None at the end.

    `open` is the number of all open referrals, whatever the filters.
    """

    records: list[EntryHistory]
    next_after: int | None
    open: int

    def as_dict(self) -> dict[str, Any]:
        """Return the page as a JSON object."""
        records = [record.as_dict() for record in self.records]
        return {"records": records, "next_after": self.next_after, "open": self.open}


def open_referrals(
    engine: Engine,
    limit: int,
    after: int = 0,
    search: str | None = None,
    wanted: Filters = EVERYTHING,
) -> QueuePage:
    """Return up to `limit` open referrals with numbers above `after`.

    The words of `search` are those of `reader.recent`. Raises NoQueue before the migration.
    """
    if revisions.require_tables(engine) < REVISION:
        raise NoQueue("the ledger has no queue yet: run `python -m service.ledger migrate`")
    words = (search or "").split()
    with connection_to(engine) as connection:
        conditions = [
            *(matches(word, connection) for word in words),
            *wanted.conditions(connection.dialect.name),
        ]
        if wanted.since:
            conditions.append(table.c.time >= wanted.since)
        if wanted.until:
            conditions.append(table.c.time < wanted.until)
        numbers = select(queue.c.sequence).where(queue.c.sequence > after)
        most = SPAN if conditions else limit + 1
        span = numbers.order_by(queue.c.sequence).limit(most).subquery()
        query = (
            select_entries(connection)
            .join(span, span.c.sequence == table.c.sequence)
            .where(*conditions)
            .order_by(table.c.sequence)
            .limit(limit + 1)
        )
        found = [Entry(*row) for row in connection.execute(query)]
        read, last = connection.execute(select(func.count(), func.max(span.c.sequence))).one()
        total = connection.execute(select(func.count()).select_from(queue)).scalar_one()
        following: int | None = last if conditions and read == SPAN else None
        if len(found) > limit:
            following = found[limit - 1].sequence
        return QueuePage(with_later(connection, found[:limit]), following, int(total))
