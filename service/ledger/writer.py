"""Group commit: one thread records everything that waits in one durable transaction."""

import asyncio
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import chain as flatten
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.ledger.database import LedgerUnavailable, database_file, file_identity, reason
from service.ledger.entries import Draft, Entry, Head, chain
from service.ledger.schema import insert, lock_head, migrate, move_head

CAPACITY = 4_096  # appends that may wait before further ones are refused
GROUP = 512  # entries after which a group is closed


class Waiting(NamedTuple):
    """Drafts that are recorded together or not at all, and who waits for them."""

    drafts: Sequence[Draft]
    future: "asyncio.Future[list[Entry]] | Future[list[Entry]]"
    loop: asyncio.AbstractEventLoop | None
    since: float


class Figures(NamedTuple):
    """The writer's state, for metrics: counts since start, `lag` in seconds.

    `lag` is the age of the oldest append that is not answered yet, 0 when none is waiting;
    `failure` is the reason the last group was refused, None when it was recorded.
    """

    waiting: int
    entries: int
    groups: int
    refused: int
    lag: float
    failure: str | None


class Writer:
    """Appends to one ledger from any event loop and thread; survives the database's absence."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._known = 0
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._group: list[Waiting] = []
        self._counts = {"entries": 0, "groups": 0, "refused": 0}
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    async def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        """The drafts as entries, once their transaction is durable; all of them or none.

        Raises LedgerUnavailable when they were not recorded. One exception is honest to name:
        when the connection is lost while the commit is under way, the entries may exist though
        this raised. The reverse never happens.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Entry]] = loop.create_future()
        self._enqueue(Waiting(drafts, future, loop, time.monotonic()))
        return await future

    def append_blocking(self, drafts: Sequence[Draft]) -> list[Entry]:
        """As `append`, for callers without an event loop."""
        future: Future[list[Entry]] = Future()
        self._enqueue(Waiting(drafts, future, None, time.monotonic()))
        return future.result()

    def figures(self) -> Figures:
        """The state now; reads no database."""
        group = self._group
        lag = time.monotonic() - group[0].since if group else 0.0
        waiting = self._queue.qsize() + len(group)
        return Figures(waiting=waiting, lag=lag, failure=self._failure, **self._counts)

    def close(self) -> None:
        """Record what waits, then stop; later appends raise LedgerUnavailable."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _enqueue(self, item: Waiting) -> None:
        with self._lock:
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            if self._queue.qsize() >= CAPACITY:
                raise LedgerUnavailable(f"{CAPACITY} appends are waiting for the database already")
            self._queue.put(item)

    def _run(self) -> None:
        try:
            while group := self._take():
                self._group = group
                self._record(group)
                self._group = []
        finally:
            self._stop()

    def _take(self) -> list[Waiting]:
        """Wait for one item and take all that came meanwhile; empty when closed."""
        item = self._queue.get()
        group: list[Waiting] = []
        rows = 0
        while item is not None:
            group.append(item)
            rows += len(item.drafts)
            if rows >= GROUP or self._queue.empty():
                return group
            item = self._queue.get()
        if group:
            self._queue.put(None)
        return group

    def _record(self, group: list[Waiting]) -> None:
        drafts = list(flatten.from_iterable(item.drafts for item in group))
        try:
            stored = self._commit(drafts)
        except LedgerUnavailable as failure:
            self._failure = str(failure)
            self._counts["refused"] += len(drafts)
            _settle([(item, str(failure)) for item in group])
            return
        self._failure = None
        self._counts["entries"] += len(stored)
        self._counts["groups"] += 1
        rows = iter(stored)
        _settle([(item, [next(rows) for _ in item.drafts]) for item in group])

    def _commit(self, drafts: list[Draft]) -> list[Entry]:
        try:
            connection, head = self._begin()
            stored = chain(head, drafts)
            insert(connection, stored)
            end = Head(stored[-1].sequence, stored[-1].hash)
            move_head(connection, end)
            connection.commit()
        except SQLAlchemyError as error:
            self._disconnect()
            raise LedgerUnavailable(reason(error)) from error
        except LedgerUnavailable:
            self._disconnect()
            raise
        self._known = end.sequence
        return stored

    def _begin(self) -> tuple[Connection, Head]:
        """A connection that holds the head.

        One that was lost while idle is replaced at once: nothing was under way on it.
        """
        self._look_at_file()
        if self._connection is not None:
            try:
                return self._connection, self._check(lock_head(self._connection))
            except DBAPIError as error:
                self._disconnect()
                if not error.connection_invalidated:
                    raise
        migrate(self._engine)
        self._connection = self._engine.connect()
        self._file = file_identity(self._engine)
        return self._connection, self._check(lock_head(self._connection))

    def _check(self, head: Head) -> Head:
        if head.sequence < self._known:
            raise LedgerUnavailable(
                f"the database lost entries: it ends at {head.sequence}, and this process has "
                f"recorded up to {self._known}; restore it, or restart to accept the loss"
            )
        return head

    def _look_at_file(self) -> None:
        """Let go of a SQLite file that was deleted or replaced: SQLite would go on writing it."""
        now = file_identity(self._engine)
        if now != self._file:
            self._disconnect()
            self._engine.dispose()
        if self._known and self._file is not None and now is None:
            raise LedgerUnavailable(f"the ledger file {database_file(self._engine)} is gone")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _stop(self) -> None:
        with self._lock:
            self._closed = True
        self._disconnect()
        left = self._group
        while not self._queue.empty():
            item = self._queue.get()
            left += [item] if item is not None else []
        _settle([(item, "the ledger's writer has stopped") for item in left])


Outcome = tuple[Waiting, list[Entry] | str]


def _settle(outcomes: list[Outcome]) -> None:
    """Answer everyone who waited; each event loop is woken once for all of its own."""
    by_loop: defaultdict[asyncio.AbstractEventLoop | None, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_loop[outcome[0].loop].append(outcome)
    for loop, own in by_loop.items():
        if loop is None:
            _answer(own)
            continue
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_answer, own)


def _answer(outcomes: list[Outcome]) -> None:
    for waiting, result in outcomes:
        if waiting.future.done():  # its caller went away meanwhile
            continue
        if isinstance(result, str):
            waiting.future.set_exception(LedgerUnavailable(result))
        else:
            waiting.future.set_result(result)
