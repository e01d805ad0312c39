"""Recording what one turn of the event loop decides, in one group.

Under load many requests are ready at once and are decided one after another. Waking the ledger's
thread for each would have it commit one by one, in turns with the decisions; woken once, it commits
them together.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from service.ledger import Draft, Ledger, LedgerUnavailable


class Waiting(NamedTuple):
    """A draft that is not durable yet, and who waits for it."""

    draft: Draft
    future: asyncio.Future[None]


class Recorder:
    """Appends to a ledger; made for one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, draft: Draft) -> None:
        """Return once the draft is durable; raises LedgerUnavailable."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(Waiting(draft, future))
        await future

    def _begin(self) -> None:
        group, self._waiting = self._waiting, []
        task = asyncio.create_task(self._record(group))
        self._tasks.add(task)  # the loop itself keeps tasks by weak references only
        task.add_done_callback(self._tasks.discard)

    async def _record(self, group: list[Waiting]) -> None:
        try:
            await self._ledger.append_group([waiting.draft for waiting in group])
        except LedgerUnavailable as error:
            _settle(group, error)
        else:
            _settle(group, None)


def _settle(group: list[Waiting], error: LedgerUnavailable | None) -> None:
    for _, future in group:
        if future.done():  # its client went away meanwhile
            continue
        if error:
            future.set_exception(LedgerUnavailable(str(error)))
        else:
            future.set_result(None)
