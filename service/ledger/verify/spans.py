"""Walk a span of the chain, and check every entry with its columns and its personal parts."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from service.ledger.storage.commitments import digest_of
from service.ledger.storage.entries import COLUMNS, Entry, Head, chained_hash, columns_of
from service.ledger.storage.schema import entries as table
from service.ledger.storage.schema import read_head
from service.ledger.verify.overrides import check_override
from service.ledger.verify.personal_parts import Erasures, PartsCheck

BATCH = 2_000  # entries in memory at a time
MAX_FINDINGS = 100  # findings that are kept; more are only counted

_COLUMNS = COLUMNS[1:11]


class Findings:
    """Counts findings, and keeps the first MAX_FINDINGS."""

    def __init__(self) -> None:
        self.total = 0
        self.first: list[str] = []

    def add(self, findings: Iterable[str]) -> None:
        """Take in findings."""
        for finding in findings:
            self.total += 1
            if len(self.first) < MAX_FINDINGS:
                self.first.append(finding)

    def join(self, later: "Findings") -> None:
        """Take in the findings of a later span."""
        self.first = (self.first + later.first)[:MAX_FINDINGS]
        self.total += later.total


class Span(NamedTuple):
    """A part of the chain that one process has walked, and what it found there.

    The first entry follows `since`; `read` counts the entries, and `last` is the last one. `end` is
    the head that the database stated before the last look for entries.
    """

    since: Head
    last: Head
    end: Head
    read: int
    found: Findings
    erasures: Erasures
    unread: tuple[str, ...]


def walk(
    connection: Connection,
    since: Head,
    end: int | None,
    expected: Head | None,
    progress: Callable[[int, int], None],
) -> Span:
    """Read the entries after `since` up to the number `end`, or until nothing follows."""
    found, walker = Findings(), _Walk(connection, since, expected)
    while True:
        # The head is read first, so that entries recorded meanwhile come after it.
        head = read_head(connection)
        rows = walker.next_rows(end)
        for entry in rows:
            found.add(walker.step(entry))
        if not rows:
            break
        progress(walker.last.sequence, max(head.sequence, walker.last.sequence))
    if end is not None and walker.last.sequence < end:
        found.add([f"entries {walker.last.sequence + 1} to {end} are missing"])
    parts = walker.parts
    return Span(
        since,
        walker.last,
        head,
        walker.read,
        found,
        parts.erasures,
        parts.unread,
    )


class _Walk:
    """One pass over a span of the chain; `last` is the entry read last."""

    def __init__(self, connection: Connection, since: Head, expected: Head | None) -> None:
        self.last = since
        self.read = 0
        self.parts = PartsCheck(connection)
        self._connection = connection
        self._expected = expected

    def next_rows(self, end: int | None) -> list[Entry]:
        """Return the next entries and read their personal parts."""
        after = self.last.sequence
        query = select(table).where(table.c.sequence > after)
        if end is not None:
            query = query.where(table.c.sequence <= end)
        rows = self._connection.execute(query.order_by(table.c.sequence).limit(BATCH))
        read = [Entry(*row) for row in rows]
        if read:
            self.parts.read(after + 1, read[-1].sequence)
        return read

    def step(self, entry: Entry) -> Iterator[str]:
        """Yield what is wrong with the entry that follows."""
        name = f"entry {entry.sequence} ({entry.id})"
        follows = self.last.sequence + 1
        if entry.sequence > follows:
            yield f"entries {follows} to {entry.sequence - 1} are missing"
        elif entry.previous_hash != self.last.hash:
            yield f"{name} does not follow the entry before it: its previous hash differs"
        if hash_of(entry) != entry.hash:
            yield f"{name} was changed: its content does not give its hash"
        else:
            yield from self._check_content(entry, name)
        self.last = Head(entry.sequence, entry.hash)
        expected = self._expected
        if expected and entry.sequence == expected.sequence and entry.hash != expected.hash:
            yield f"{name} is not the expected head: its hash is {entry.hash}"
        self.read += 1

    def _check_content(self, entry: Entry, name: str) -> Iterator[str]:
        try:
            content = json.loads(entry.payload)
            derived = columns_of(content)
        except (ValueError, KeyError, TypeError, AttributeError):
            every = "every column, since it is no entry,"
            yield f"{name} was changed: {every} differs from the recorded content"
            return
        if derived != entry[1:11]:
            pairs = zip(_COLUMNS, entry[1:11], derived, strict=True)
            wrong = ", ".join(column for column, stored, recorded in pairs if stored != recorded)
            yield f"{name} was changed: {wrong} differs from the recorded content"
        yield from self.parts.check(entry, content)
        if entry.kind == "override":
            yield from check_override(self._connection, entry, name)


def hash_of(entry: Entry) -> str:
    """Return the hash that an entry's place and content give."""
    return chained_hash(entry.sequence, entry.previous_hash, digest_of(entry.payload))
