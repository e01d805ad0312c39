"""Group commit: one thread records all waiting drafts in one durable transaction."""

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

from sqlalchemy import Engine

from service.ledger.chain_connection import ChainConnection
from service.ledger.claims import AlreadyClaimed, Append, Claim
from service.ledger.storage.checkpoint import INTERVAL
from service.ledger.storage.database import LedgerUnavailable
from service.ledger.storage.entries import Draft, Entry

CAPACITY = 4_096  # appends that may wait before further ones are refused
GROUP = 512  # entries after which a group is closed
ANSWER_TIMEOUT = 3.5  # seconds after which a caller is told that the database did not answer
PROBE = 4_096  # bytes that a probe writes
# After a refused group a probe writes more bytes than the group: each entry also needs index pages.
PROBE_AFTER_REFUSAL, MAX_PROBE = 65_536, 4 << 20


class WaitingAppend(NamedTuple):
    """Drafts that are recorded all or none, and the future of the caller that waits for them.

    Without drafts and claim it is a probe, which succeeds when a durable transaction was written.
    """

    append: Append
    future: "asyncio.Future[list[Entry]] | Future[list[Entry]]"
    loop: asyncio.AbstractEventLoop | None
    since: float

    def is_awaited(self) -> bool:
        """Tell whether the caller still waits: it has not timed out."""
        return time.monotonic() - self.since < ANSWER_TIMEOUT or not self.future.done()


class WriterStatus(NamedTuple):
    """The writer's state: counts since the start, and `lag` in seconds.

    `lag` is the age of the oldest append that is not answered yet, 0 when none is waiting.
    `failure` is the reason why the last group was refused, None when it was recorded.
    """

    waiting: int
    entries: int
    groups: int
    refused: int
    lag: float
    failure: str | None


class Writer:
    """Appends to one ledger, for any event loop and thread; goes on after a database failure."""

    def __init__(self, engine: Engine) -> None:
        self._chain = ChainConnection(engine)
        self._queue: queue.SimpleQueue[WaitingAppend | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._group: list[WaitingAppend] = []
        self._counts = {"entries": 0, "groups": 0, "refused": 0}
        self._failure: str | None = None
        self._refused_bytes = 0
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    async def append(self, drafts: Sequence[Draft], claim: Claim | None = None) -> list[Entry]:
        """Append all drafts or none, and return their entries when the transaction is durable.

        Without drafts, this proves that entries can be recorded. Raises LedgerUnavailable when
        they were not recorded, at the latest after ANSWER_TIMEOUT seconds. If the connection is
        lost or the time is over during the commit, the entries may exist although this raises;
        entries that are returned always exist. Raises AlreadyClaimed, and records nothing, when a
        request with the key of `claim` was recorded before.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Entry]] = loop.create_future()
        self._enqueue(WaitingAppend(Append(drafts, claim), future, loop, time.monotonic()))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await future
        except TimeoutError:
            raise LedgerUnavailable(_no_answer()) from None

    def append_blocking(self, drafts: Sequence[Draft], timeout: float | None = None) -> list[Entry]:
        """Append like `append`, for callers without an event loop."""
        future: Future[list[Entry]] = Future()
        self._enqueue(WaitingAppend(Append(drafts), future, None, time.monotonic()))
        try:
            return future.result(timeout)
        except TimeoutError:
            raise LedgerUnavailable(_no_answer()) from None

    def prepare(self) -> None:
        """Create the tables of an empty database; see `ChainConnection.prepare`."""
        self._chain.prepare()

    def status(self) -> WriterStatus:
        """Return the present state, without reading the database."""
        group = self._group
        lag = time.monotonic() - group[0].since if group else 0.0
        waiting = self._queue.qsize() + len(group)
        return WriterStatus(waiting=waiting, lag=lag, failure=self._failure, **self._counts)

    def close(self) -> None:
        """Record the waiting drafts, then stop; later appends raise LedgerUnavailable."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _enqueue(self, item: WaitingAppend) -> None:
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

    def _take(self) -> list[WaitingAppend]:
        """Wait for an append and return it with all others that wait; empty when closed."""
        item = self._next()
        group: list[WaitingAppend] = []
        rows = 0
        while item is not None:
            if item.is_awaited():
                group.append(item)
                rows += len(item.append.drafts)
            if group and (rows >= GROUP or self._queue.empty()):
                return group
            item = self._next()
        if group:
            self._queue.put(None)
        return group

    def _next(self) -> WaitingAppend | None:
        while True:
            try:
                pending = self._chain.checkpoint.is_pending
                return self._queue.get(timeout=INTERVAL if pending else None)
            except queue.Empty:
                self._chain.checkpoint.flush()

    def _join(self, group: list[WaitingAppend]) -> list[Append]:
        """Return the appends that came while the group waited for the lock, as a part of it."""
        rows, before = sum(len(item.append.drafts) for item in group), len(group)
        while rows < GROUP and not self._queue.empty():
            item = self._queue.get()
            if item is None:
                self._queue.put(None)
                break
            if item.is_awaited():
                group.append(item)
                rows += len(item.append.drafts)
        return [item.append for item in group[before:]]

    def _record(self, group: list[WaitingAppend]) -> None:
        try:
            results = self._write(group)
        except LedgerUnavailable as failure:
            drafts = list(flatten.from_iterable(item.append.drafts for item in group))
            self._failure = str(failure)
            self._counts["refused"] += len(drafts)
            size = sum(len(draft.payload) for draft in drafts)
            self._refused_bytes = max(size, self._refused_bytes) if drafts else self._refused_bytes
            _settle([(item, str(failure)) for item in group])
            return
        self._failure, self._refused_bytes = None, 0
        stored = sum(len(entries) for entries in results if not isinstance(entries, Claim))
        self._counts["entries"] += stored
        self._counts["groups"] += bool(stored)
        _settle(list(zip(group, results, strict=True)))

    def _write(self, group: list[WaitingAppend]) -> list[list[Entry] | Claim]:
        appends = [item.append for item in group]
        if any(append.drafts or append.claim for append in appends):
            return self._chain.commit(appends, lambda: self._join(group))
        self._chain.probe(self._probe_size())
        return [[] for _ in appends]

    def _probe_size(self) -> int:
        if self._failure is None:
            return PROBE
        return min(PROBE_AFTER_REFUSAL + 2 * self._refused_bytes, MAX_PROBE)

    def _stop(self) -> None:
        with self._lock:
            self._closed = True
        self._chain.checkpoint.flush()
        self._chain.disconnect()
        left = self._group
        while not self._queue.empty():
            item = self._queue.get()
            left += [item] if item is not None else []
        _settle([(item, "the ledger's writer has stopped") for item in left])


Result = tuple[WaitingAppend, list[Entry] | Claim | str]


def _no_answer() -> str:
    return f"the database did not answer within {ANSWER_TIMEOUT:g} seconds"


def _settle(results: list[Result]) -> None:
    """Give each caller its result; each event loop is woken only once."""
    by_loop: defaultdict[asyncio.AbstractEventLoop | None, list[Result]] = defaultdict(list)
    for result in results:
        by_loop[result[0].loop].append(result)
    for loop, of_loop in by_loop.items():
        if loop is None:
            _answer(of_loop)
            continue
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(_answer, of_loop)


def _answer(results: list[Result]) -> None:
    for waiting, result in results:
        if waiting.future.done():  # its caller has timed out or disconnected
            continue
        if isinstance(result, str):
            waiting.future.set_exception(LedgerUnavailable(result))
        elif isinstance(result, Claim):
            waiting.future.set_exception(AlreadyClaimed(waiting.append.claim or result, result))
        else:
            waiting.future.set_result(result)
