"""Work off together what comes in the same turn of the event loop.

Under load many requests are ready at once. Worked off one by one, each would pay alone for calls
that cost nearly the same for many: into NumPy, and to the ledger's thread, which would commit them
one by one. No request waits for others to come: one that comes alone is worked off alone, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Calls `work` once with all items of a turn; it returns their results in the same order."""

    def __init__(self, work: Callable[[list[Item]], Awaitable[list[Result]]]) -> None:
        self._work = work
        self._items: list[Item] = []
        self._futures: list[asyncio.Future[Result]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        """Return the result of an item; raises what the call with its turn's items raises."""
        loop = asyncio.get_running_loop()
        if not self._items:
            loop.call_soon(self._begin)
        future: asyncio.Future[Result] = loop.create_future()
        self._items.append(item)
        self._futures.append(future)
        return await future

    def _begin(self) -> None:
        items, futures = self._items, self._futures
        self._items, self._futures = [], []
        task = asyncio.create_task(self._run(items, futures))
        self._tasks.add(task)  # the loop itself keeps tasks by weak references only
        task.add_done_callback(self._tasks.discard)

    async def _run(self, items: list[Item], futures: list[asyncio.Future[Result]]) -> None:
        # The future of a client that went away is done already.
        try:
            results = await self._work(items)
        # Whatever it is, it is for those who wait for a result.
        except Exception as error:  # noqa: BLE001
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        else:
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)
