"""Verify the chain, and name every entry that was changed, removed, inserted or reordered."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Connection, Engine, exists, func, select, true

from service.ledger.database import connection_to
from service.ledger.entries import (
    GENESIS,
    Entry,
    Head,
    chained_hash,
    columns_of,
)
from service.ledger.migrations import revisions
from service.ledger.review.drafts import is_approval, pending_proposal
from service.ledger.schema import entries as table
from service.ledger.schema import open_referrals, policies, read_head

BATCH = 2_000  # entries in memory at a time
QUEUE = "0008"  # the migration that adds the queue of open referrals
MAX_FINDINGS = 100  # findings that are returned; more are only counted

_COLUMNS = Entry._fields[1:11]


class Verification(NamedTuple):
    """The result of a verification; the chain is sound when `total` is 0.

    `head` is the last entry that was read, and `findings` holds the first MAX_FINDINGS of `total`
    findings in the order of the chain.
    """

    head: Head
    total: int
    findings: list[str]


def verify(
    engine: Engine,
    expected: Head | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    since: Head | None = None,
) -> Verification:
    """Check every entry against its hash, its neighbours and its columns, and every policy.

    This finds every change, insertion, removal and reordering inside the chain. A person with write
    access to the database can remove the last entries, or write a whole new chain, and set the head
    accordingly. Only a head that was kept elsewhere, `expected`, reveals this. `progress` is called
    after every batch with the number of verified entries and of all entries.

    After `since`, the head of an earlier verification that was kept elsewhere, only later entries
    are read; the entry that it names must be there, unchanged. Raises LedgerUnavailable.
    """
    findings: list[str] = []
    total = 0
    with connection_to(engine) as connection:
        walk = _Walk(connection, expected, progress, since or Head(0, GENESIS))
        for problem in walk.findings():
            total += 1
            if total <= MAX_FINDINGS:
                findings.append(problem)
    return Verification(walk.last, total, findings)


class _Walk:
    """One pass over the chain; `last` is the entry read last."""

    def __init__(
        self,
        connection: Connection,
        expected: Head | None,
        progress: Callable[[int, int], None],
        since: Head,
    ) -> None:
        self.last = self._since = since
        self._connection = connection
        self._expected = expected
        self._progress = progress
        self._seen = 0

    def findings(self) -> Iterator[str]:
        if self._since.sequence:
            yield from self._check_start()
        while True:
            # The head is read first, so that entries recorded meanwhile come after it.
            end = read_head(self._connection)
            rows = self._next_rows()
            for entry in rows:
                yield from self._step(entry)
            self._progress(self._since.sequence + self._seen, end.sequence)
            if not rows:
                yield from self._finish(end)
                return

    def _check_start(self) -> Iterator[str]:
        """Check the entry at which an earlier verification ended; it is not read again."""
        sequence, digest = self._since
        row = self._connection.execute(select(table).where(table.c.sequence == sequence)).first()
        if row is None:
            yield f"entry {sequence}, which was verified before, is missing"
        elif row.hash != digest or _hash_of(Entry(*row)) != digest:
            yield f"entry {sequence} ({row.id}) was changed since it was verified"

    def _next_rows(self) -> list[Entry]:
        query = select(table).where(table.c.sequence > self.last.sequence)
        rows = self._connection.execute(query.order_by(table.c.sequence).limit(BATCH))
        return [Entry(*row) for row in rows]

    def _step(self, entry: Entry) -> Iterator[str]:
        name = f"entry {entry.sequence} ({entry.id})"
        follows = self.last.sequence + 1
        if entry.sequence > follows:
            yield f"entries {follows} to {entry.sequence - 1} are missing"
        elif entry.previous_hash != self.last.hash:
            yield f"{name} does not follow the entry before it: its previous hash differs"
        if _hash_of(entry) != entry.hash:
            yield f"{name} was changed: its content does not give its hash"
        elif wrong := _wrong_columns(entry):
            yield f"{name} was changed: {wrong} differs from the recorded content"
        elif entry.kind == "override":
            yield from self._check_override(entry, name)
        self.last = Head(entry.sequence, entry.hash)
        expected = self._expected
        if expected and entry.sequence == expected.sequence and entry.hash != expected.hash:
            yield f"{name} is not the expected head: its hash is {entry.hash}"
        self._seen += 1

    def _check_override(self, entry: Entry, name: str) -> Iterator[str]:
        """Check that the decision was open, and that the second person approved what stood."""
        query = select(table).where(
            table.c.refers_to == entry.refers_to, table.c.sequence < entry.sequence
        )
        rows = self._connection.execute(query.order_by(table.c.sequence))
        earlier = [Entry(*row) for row in rows]
        if any(one.kind == "override" for one in earlier):
            yield f"{name} decides about {entry.refers_to}, which was decided before"
        content, pending = entry.content, pending_proposal(earlier)
        if content.get("proposal") != (pending.id if pending else None):
            yield f"{name} does not answer the proposal that waited for a second person"
        elif pending and not is_approval(content, pending.content):
            yield f"{name} is not what another person than its author approved"

    def _finish(self, end: Head) -> Iterator[str]:
        if end.sequence > self.last.sequence:
            yield f"entries {self.last.sequence + 1} to {end.sequence} are missing at the end"
        elif end != self.last:
            yield f"the head was changed: it says {end} and the last entry is {self.last}"
        counted = select(func.count()).where(
            table.c.sequence <= self.last.sequence,
            table.c.sequence > self._since.sequence if self._since.sequence else true(),
        )
        extra = self._connection.execute(counted).scalar_one() - self._seen
        if extra:
            yield f"{extra} entries stand outside the chain"
        for name, content in self._connection.execute(select(policies)):
            if not sha256(content.encode(errors="replace")).hexdigest().startswith(name):
                yield f"the policy {name} was changed: its content does not give its digest"
        yield from _wrong_queue(self._connection)
        if self._expected and self._expected.sequence > self.last.sequence:
            yield f"the chain ends at {self.last.sequence}, before the expected {self._expected}"


def _wrong_queue(connection: Connection) -> Iterator[str]:
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


def _hash_of(entry: Entry) -> str:
    digest = sha256(entry.payload.encode(errors="replace")).hexdigest()
    return chained_hash(entry.sequence, entry.previous_hash, digest)


def _wrong_columns(entry: Entry) -> str:
    try:
        derived = columns_of(json.loads(entry.payload))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "every column, since it is no entry,"
    pairs = zip(_COLUMNS, entry[1:11], derived, strict=True)
    return ", ".join(name for name, stored, recorded in pairs if stored != recorded)
