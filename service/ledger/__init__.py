"""The decision ledger: an append-only, hash-chained record of everything that was answered.

    ledger = Ledger()                                    # DATABASE_URL, else a SQLite file
    entry = await ledger.append(draft("decision", {...}))   # returns once the row is durable
    record = await asyncio.to_thread(ledger.get, entry.id)

`python -m service.ledger verify` walks the chain, `... migrate` makes or upgrades the tables (the
writer does so by itself). `replay` compares a recorded decision with one that is made again.
"""

from collections.abc import Sequence

from service.ledger import reader
from service.ledger.database import LedgerUnavailable, connected, database_url, open_engine
from service.ledger.entries import Draft, Entry, Head, chain, draft, override
from service.ledger.reader import Page, Record
from service.ledger.schema import insert, lock_head, migrate, move_head
from service.ledger.writer import Figures, Writer

__all__ = [
    "AlreadyThere",
    "Draft",
    "Entry",
    "Figures",
    "Head",
    "Ledger",
    "LedgerUnavailable",
    "Page",
    "Record",
    "draft",
    "override",
]


class AlreadyThere(Exception):
    """What may be recorded once was recorded before."""


class Ledger:
    """One ledger, opened by one process; others may write to the same database.

    Nothing is touched until the first use, so a service can start while its database is away:
    appends and reads raise LedgerUnavailable until it is there.
    """

    def __init__(self, url: str | None = None) -> None:
        """Open the ledger at `url`, else at `DATABASE_URL`, else in the default SQLite file."""
        self.engine = open_engine(database_url(url))
        self._writer = Writer(self.engine)

    async def append(self, draft: Draft) -> Entry:
        """The draft as an entry, once it is durable; else LedgerUnavailable."""
        return (await self._writer.append((draft,)))[0]

    async def append_group(self, drafts: Sequence[Draft]) -> list[Entry]:
        """As `append`, for many: all of them in one transaction, or none."""
        return await self._writer.append(drafts) if drafts else []

    def append_once(self, draft: Draft) -> Entry:
        """As `append`, in a transaction of its own, for a draft that may refer only once. Blocks.

        Raises AlreadyThere where an entry of the draft's kind refers to the same entry; of many
        at the same time, in any process, one is recorded.
        """
        with connected(self.engine) as connection:
            head = lock_head(connection)
            if reader.refers(connection, draft.kind, draft.refers_to):
                raise AlreadyThere(f"{draft.refers_to} has its {draft.kind} already")
            (entry,) = chain(head, (draft,))
            insert(connection, (entry,))
            move_head(connection, Head(entry.sequence, entry.hash))
            connection.commit()
        return entry

    def append_many(self, drafts: Sequence[Draft]) -> list[Entry]:
        """As `append_group`, for commands: blocks until the entries are durable."""
        return self._writer.append_blocking(drafts) if drafts else []

    def check(self) -> Head:
        """Prove that the ledger can be written now, by a durable transaction that adds nothing.

        Blocks. Raises LedgerUnavailable with the reason why it cannot.
        """
        migrate(self.engine)
        with connected(self.engine) as connection:
            head = lock_head(connection)
            move_head(connection, head)
            connection.commit()
        return head

    def figures(self) -> Figures:
        """The writer's counts, lag and last failure; does not block."""
        return self._writer.figures()

    def head(self) -> Head:
        """The end of the chain. Blocks."""
        return reader.head(self.engine)

    def get(self, entry_id: str) -> Record | None:
        """The entry with this id, complete with what refers to it. Blocks."""
        return reader.get(self.engine, entry_id)

    def recent(self, limit: int, before: int | None = None, search: str | None = None) -> Page:
        """Decisions, newest first. Blocks."""
        return reader.recent(self.engine, limit, before, search)

    def after(self, sequence: int, limit: int) -> list[Entry]:
        """Entries of every kind that follow `sequence`, oldest first. Blocks."""
        return reader.after(self.engine, sequence, limit)

    def close(self) -> None:
        """Record what waits, then let go of the database. Blocks."""
        self._writer.close()
        self.engine.dispose()
