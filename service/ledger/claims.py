"""Record a request once: the key of a request, and what it was answered.

A claim is written in the transaction of its entries, under the lock of the chain's head. Of several
requests with one key, in any processes, one is recorded; the others get its claim.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Column, Connection, Engine, Table, Text, select

from service.ledger.migrations import revisions
from service.ledger.storage.database import connection_to
from service.ledger.storage.entries import Draft
from service.ledger.storage.schema import metadata

REVISION = "0006"  # the migration that creates the table
table = Table(
    "ledger_claims",
    metadata,
    *(Column(name, Text) for name in ("key", "body", "answer", "time")),
)


class Claim(NamedTuple):
    """The digest of a request's key and caller, the digest of its body, and its answer."""

    key: str
    body: str
    answer: str = ""


class AlreadyClaimed(Exception):
    """A request with the key of `claim` was recorded before, as `earlier`."""

    def __init__(self, claim: Claim, earlier: Claim) -> None:
        super().__init__(claim.key)
        self.claim, self.earlier = claim, earlier


class Append(NamedTuple):
    """Drafts that are recorded all or none, and the claim that is recorded with them."""

    drafts: Sequence[Draft]
    claim: Claim | None = None


def has_table(engine: Engine) -> bool:
    """Tell whether the database has a place for claims; raises LedgerUnavailable without tables."""
    return revisions.require_tables(engine) >= REVISION


def find(engine: Engine, key: str) -> Claim | None:
    """Return the claim with this key, None if there is none."""
    with connection_to(engine) as connection:
        return read(connection, [key]).get(key)


def read(connection: Connection, keys: Sequence[str]) -> dict[str, Claim]:
    """Return the claims that have these keys."""
    if not keys:
        return {}
    query = select(table.c.key, table.c.body, table.c.answer).where(table.c.key.in_(keys))
    return {row.key: Claim(*row) for row in connection.execute(query)}


def insert(connection: Connection, claims: Iterable[Claim]) -> None:
    """Write claims, in the transaction of their entries."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [{**claim._asdict(), "time": now} for claim in claims]
    if rows:
        connection.execute(table.insert(), rows)


def forget(engine: Engine, days: int) -> None:
    """Delete the claims that are older than a number of days; their entries stay."""
    if not has_table(engine):
        return
    before = (datetime.now(UTC) - timedelta(days)).isoformat(timespec="seconds")
    with connection_to(engine) as connection:
        connection.execute(table.delete().where(table.c.time < before))
        connection.commit()


def separate(
    connection: Connection, appends: Sequence[Append]
) -> tuple[list[Append], list[Claim | None]]:
    """Return the appends whose keys are new, and for each append the earlier claim of its key."""
    known = read(connection, [append.claim.key for append in appends if append.claim])
    new: list[Append] = []
    earlier: list[Claim | None] = []
    for append in appends:
        before = known.get(append.claim.key) if append.claim else None
        earlier.append(before)
        if before is None:
            new.append(append)
            if append.claim:
                known[append.claim.key] = append.claim
    return new, earlier
