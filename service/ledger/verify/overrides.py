"""Check what stands beside single entries: overrides with their proposals, and the queue."""

from collections.abc import Iterator

from sqlalchemy import Connection, exists, select

from service.ledger.migrations import revisions
from service.ledger.storage.entries import Entry
from service.ledger.storage.officer_drafts import is_approval, pending_proposal
from service.ledger.storage.personal_tables import select_entries
from service.ledger.storage.schema import entries as table
from service.ledger.storage.schema import open_referrals

QUEUE = "0008"  # the migration that adds the queue of open referrals


def check_override(connection: Connection, entry: Entry, name: str) -> Iterator[str]:
    """Check that the decision was open, and that the second person approved what stood."""
    query = select_entries(connection).where(
        table.c.refers_to == entry.refers_to, table.c.sequence <= entry.sequence
    )
    rows = connection.execute(query.order_by(table.c.sequence))
    *earlier, this = [Entry(*row) for row in rows]
    if any(one.kind == "override" for one in earlier):
        yield f"{name} decides about {entry.refers_to}, which was decided before"
    content, pending = this.content, pending_proposal(earlier)
    if content.get("proposal") != (pending.id if pending else None):
        yield f"{name} does not answer the proposal that waited for a second person"
    elif pending and not is_approval(content, pending.content):
        yield f"{name} is not what another person than its author approved"


def check_queue(connection: Connection) -> Iterator[str]:
    """Compare the queue of open referrals, which is no part of the chain, with the entries."""
    if (revisions.read(connection) or "") < QUEUE:
        return
    later = table.alias()
    closed = exists().where(later.c.refers_to == table.c.id, later.c.kind == "override")
    referred = (table.c.kind == "decision") & (table.c.decision == "refer")
    expected = select(table.c.id).where(referred, ~closed)
    queued = select(open_referrals.c.id)
    for query, problem in (
        (expected.except_(queued), "is open, and not in the queue of open referrals"),
        (queued.except_(expected), "is in the queue of open referrals, and not open"),
    ):
        for entry_id in connection.execute(query).scalars():
            yield f"{entry_id} {problem}"
