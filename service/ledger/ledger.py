"""One ledger, as the service and its commands use it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection

from service.ledger import reader
from service.ledger.connections import DEADLINE
from service.ledger.database import LedgerUnavailable, connection_to, database_url, open_engine
from service.ledger.entries import Draft, Entry, Head, chain
from service.ledger.reader import EntryHistory, HistoryPage
from service.ledger.schema import insert, lock_head, move_head
from service.ledger.writer import ANSWER, Writer, WriterStatus

READERS = 8  # threads that may wait for the database at the same time, beside the writer

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class AlreadyRecorded(Exception):
    """What may be recorded once was recorded before."""


class Ledger:
    """One ledger, opened by one process; others may write to the same database.

    Nothing is touched until the first use, so a service can start while its database is away:
    appends and reads raise LedgerUnavailable until it is there. Functions that are not `async`
    wait for the database; in an event loop they are called through `in_thread`.
    """

    def __init__(self, url: str | None = None, deadline: float = DEADLINE) -> None:
        """Open the ledger at `url`, else at `DATABASE_URL`, else in the default SQLite file.

        Each call of the database may take `deadline` seconds.
        """
        self.engine = open_engine(database_url(url), deadline)
        self._writer = Writer(self.engine)
        self._readers = ThreadPoolExecutor(READERS, "ledger-reader")

    async def append(self, draft: Draft) -> Entry:
        """Return the draft as an entry, once it is durable; else raise LedgerUnavailable."""
        return (await self._writer.append((draft,)))[0]

    async def append_group(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Do as `append`, for many: all of them in one transaction, or none."""
        return await self._writer.append(drafts) if drafts else []

    async def probe(self) -> None:
        """Prove that entries can be recorded now, by a durable transaction that adds none.

        Raises LedgerUnavailable with the reason why they cannot. The writer itself is asked, so
        that the answer is that of the next append; tables are neither made nor upgraded.
        """
        await self._writer.append(())

    async def in_thread(
        self,
        function: Callable[Parameters, Value],
        *arguments: Parameters.args,
        **options: Parameters.kwargs,
    ) -> Value:
        """Call a function that waits for the database, without waiting for it in the event loop.

        Raises LedgerUnavailable after ANSWER seconds; the function may end later.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER):
                return await loop.run_in_executor(
                    self._readers, lambda: function(*arguments, **options)
                )
        except TimeoutError:
            problem = f"the database did not answer within {ANSWER:g} seconds"
            raise LedgerUnavailable(problem) from None

    def append_checked(self, make: Callable[[Connection], Sequence[Draft]]) -> list[Entry]:
        """Append what `make` returns, which may look at the ledger while nobody else can append.

        One transaction of its own: what `make` has seen holds when its drafts are recorded, also
        when other processes try the same at the same time.
        """
        with connection_to(self.engine) as connection:
            head = lock_head(connection)
            stored = chain(head, make(connection))
            if stored:
                insert(connection, stored)
                move_head(connection, Head(stored[-1].sequence, stored[-1].hash))
            connection.commit()
        return stored

    def append_once(self, draft: Draft) -> Entry:
        """Append a draft that may refer only once; raises AlreadyRecorded for a second one.

        Of many at the same time, in any process, one is recorded.
        """

        def check(connection: Connection) -> Sequence[Draft]:
            if reader.has_reference(connection, draft.kind, draft.refers_to):
                raise AlreadyRecorded(f"{draft.refers_to} has its {draft.kind} already")
            return (draft,)

        return self.append_checked(check)[0]

    def append_many(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Do as `append_group`, for commands."""
        return self._writer.append_blocking(drafts) if drafts else []

    def prepare(self) -> None:
        """Make or upgrade the tables, where this process has not done so yet.

        Raises LedgerUnavailable where the database is away, and where it is empty though it held
        a ledger before.
        """
        self._writer.prepare()

    def check(self) -> Head:
        """Do as `probe`, and return the end of the chain."""
        self._writer.append_blocking((), ANSWER)
        return self.head()

    def writer_status(self) -> WriterStatus:
        """Return the writer's counts, lag and last failure; reads no database."""
        return self._writer.status()

    def head(self) -> Head:
        """Return the end of the chain."""
        return reader.head(self.engine)

    def get(self, entry_id: str) -> EntryHistory | None:
        """Return the entry with this id, with what refers to it; None where there is none."""
        return reader.get(self.engine, entry_id)

    def recent(
        self, limit: int, before: int | None = None, search: str | None = None
    ) -> HistoryPage:
        """Return decisions, newest first; see `reader.recent`."""
        return reader.recent(self.engine, limit, before, search)

    def after(self, sequence: int, limit: int) -> list[Entry]:
        """Return entries of every kind that follow `sequence`, oldest first."""
        return reader.after(self.engine, sequence, limit)

    def close(self) -> None:
        """Record what waits, then let go of the database."""
        self._writer.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()
