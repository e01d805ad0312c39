"""Process all requests of one turn of the event loop in one batch.

Under load several requests are ready in the same turn. NumPy and the ledger's commit cost nearly
the same for one row as for many, so the requests share these calls. No request waits for later
ones: a request that comes alone is processed alone and at once. Where many come, the event loop
looks at its sockets after each batch, so that it refuses soon what it must refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

MOST = 32  # items of a batch: more would save little time per item, and all would wait longer

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Calls `process` once per turn with up to MOST items; it returns as many results, in order."""

    def __init__(self, process: Callable[[list[Item]], Awaitable[list[Result]]]) -> None:
        self._process = process
        self._items: list[Item] = []
        self._futures: list[asyncio.Future[Result]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        """Return the result of an item; raises what `process` raises for the items of its turn."""
        loop = asyncio.get_running_loop()
        if not self._items:
            loop.call_soon(self._begin)
        future: asyncio.Future[Result] = loop.create_future()
        self._items.append(item)
        self._futures.append(future)
        return await future

    def _begin(self) -> None:
        items, futures = self._items[:MOST], self._futures[:MOST]
        self._items, self._futures = self._items[MOST:], self._futures[MOST:]
        if self._items:
            asyncio.get_running_loop().call_soon(self._begin)
        task = asyncio.create_task(self._run(items, futures))
        self._tasks.add(task)  # the loop itself keeps tasks by weak references only
        task.add_done_callback(self._tasks.discard)

    async def _run(self, items: list[Item], futures: list[asyncio.Future[Result]]) -> None:
        # The future of a client that has disconnected is already done.
        try:
            results = await self._process(items)
        # Every error is passed on to those who wait for a result.
        except Exception as error:  # noqa: BLE001
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        else:
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)
