"""The class `Ledger`, through which the service and its commands read and write the ledger."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from sqlalchemy import ColumnElement, Connection, select

from service.ledger import claims, reader
from service.ledger.reader import EarlierDecision, EntryHistory, HistoryPage
from service.ledger.storage import personal_tables as tables
from service.ledger.storage.connections import DEADLINE
from service.ledger.storage.database import (
    LedgerUnavailable,
    begin_writing,
    connection_to,
    database_url,
    open_engine,
)
from service.ledger.storage.entries import Draft, Entry, Head
from service.ledger.storage.schema import lock_head, move_head, policies
from service.ledger.writer import ANSWER_TIMEOUT, Writer, WriterStatus

READERS = 8  # threads that may wait for the database at the same time, beside the writer

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class AlreadyRecorded(Exception):
    """An entry of this kind, of which there may be one only, was recorded before."""


class Ledger:
    """A ledger that one process has opened; other processes may write to the same database.

    The database is not touched before the first use, so a service can start while it is down:
    appends and reads raise LedgerUnavailable until it is up. Functions that are not `async` wait
    for the database; in an event loop they must be called through `in_thread`.
    """

    def __init__(self, url: str | None = None, deadline: float = DEADLINE) -> None:
        """Open the ledger at `url`, or at `DATABASE_URL` when it is None.

        Each call to the database may take `deadline` seconds.
        """
        self.engine = open_engine(database_url(url), deadline)
        self._writer = Writer(self.engine)
        self.policy: tuple[str, str] | None = None  # its hash and its JSON
        self._kept: tuple[str, str] | None = None
        self._has_claims = False
        self._readers = ThreadPoolExecutor(READERS, "ledger-reader")

    async def append(self, draft: Draft) -> Entry:
        """Append a draft and return its entry when it is durable; raises LedgerUnavailable."""
        return (await self._writer.append((draft,)))[0]

    async def append_group(
        self, drafts: Sequence[Draft], claim: claims.Claim | None = None
    ) -> list[Entry]:
        """Append several drafts in one transaction; otherwise like `append`.

        With a claim they are recorded once: raises AlreadyClaimed when its key was claimed before.

        The `policy` that decides is kept before the first decisions by it.
        """
        if drafts and self.policy and self.policy != self._kept:
            policy = self.policy
            await self.in_thread(self.keep_policy, *policy)
            self._kept = policy
        return await self._writer.append(drafts, claim) if drafts or claim else []

    async def probe(self) -> None:
        """Prove by a durable transaction without entries that entries can be recorded now.

        Raises LedgerUnavailable with the reason when they cannot. The writer itself runs the
        transaction, so the result is that of the next append; no table is created.
        """
        await self._writer.append(())

    async def in_thread(
        self,
        function: Callable[Parameters, Value],
        *arguments: Parameters.args,
        **options: Parameters.kwargs,
    ) -> Value:
        """Call a function in a thread and return its result, without blocking the event loop.

        Raises LedgerUnavailable after ANSWER_TIMEOUT seconds; the function may end later.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await loop.run_in_executor(
                    self._readers, lambda: function(*arguments, **options)
                )
        except TimeoutError:
            problem = f"the database did not answer within {ANSWER_TIMEOUT:g} seconds"
            raise LedgerUnavailable(problem) from None

    def append_checked(self, make: Callable[[Connection], Sequence[Draft]]) -> list[Entry]:
        """Append the drafts that `make` returns, in the transaction in which `make` reads.

        No other process can append meanwhile, so what `make` has read still holds when its drafts
        are recorded.
        """
        with connection_to(self.engine) as connection:
            head = lock_head(connection)
            stored = tables.record(connection, head, make(connection))
            if stored:
                move_head(connection, Head(stored[-1].sequence, stored[-1].hash))
            connection.commit()
        return stored

    def append_many(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Append several drafts in one transaction, without an event loop."""
        return self._writer.append_blocking(drafts) if drafts else []

    def keep_policy(self, name: str, content: str) -> None:
        """Keep the JSON of a policy under its digest, which decisions name, unless it is there.

        Raises LedgerUnavailable when the database cannot be used.
        """
        self.prepare()
        with connection_to(self.engine) as connection:
            begin_writing(connection)
            known = select(policies.c.policy).where(policies.c.policy == name)
            if connection.execute(known).first() is None:
                connection.execute(policies.insert(), {"policy": name, "content": content})
            connection.commit()

    def prepare(self) -> None:
        """Create the tables of an empty database unless this process has already done so.

        Raises LedgerUnavailable when the database is down, is empty although it held a ledger, or
        has an older schema than this program can use.
        """
        self._writer.prepare()

    def check(self) -> Head:
        """Prove like `probe` that entries can be recorded, and return the head."""
        self._writer.append_blocking((), ANSWER_TIMEOUT)
        return self.head()

    def writer_status(self) -> WriterStatus:
        """Return the writer's counts, lag and last failure, without reading the database."""
        return self._writer.status()

    def has_claims(self) -> bool:
        """Tell whether the database can keep claims: it may be older than this program."""
        self._has_claims = self._has_claims or claims.has_table(self.engine)
        return self._has_claims

    def head(self) -> Head:
        """Return the head of the chain."""
        return reader.head(self.engine)

    def get(self, entry_id: str) -> EntryHistory | None:
        """Return the entry with this id and the entries that refer to it, None if there is none."""
        return reader.get(self.engine, entry_id)

    def recent(
        self,
        limit: int,
        before: int | None = None,
        search: str | None = None,
        reference: str | None = None,
        conditions: Sequence[ColumnElement[bool]] = (),
        period: tuple[str, str] = ("", ""),
    ) -> HistoryPage:
        """Return decisions, newest first; see `reader.recent`."""
        return reader.recent(self.engine, limit, before, search, reference, conditions, period)

    def earlier(self, references: Collection[str]) -> dict[str, list[EarlierDecision]]:
        """Return the decisions of each case, oldest first; a case without any is left out."""
        return reader.earlier(self.engine, references)

    def after(self, sequence: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries of every kind that follow `sequence`, oldest first."""
        return reader.after(self.engine, sequence, limit)

    def close(self) -> None:
        """Record the waiting drafts, then close all connections."""
        self._writer.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()
