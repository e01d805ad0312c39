"""What the service does beside answering: show its state, and look after ledger and monitor.

Nothing here can stand in the way of an answer, hang with the database, or end by an error.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from service.api import metrics
from service.api.handlers import DecisionApi
from service.api.monitoring import MonitoringApi
from service.ledger import LedgerUnavailable
from service.transparency.log import TransparencyLog

GAUGES = 1.0  # seconds between two looks at the ledger's writer, which reads no database
LOOK = 5.0  # seconds between two looks at the database and at the monitor
LOOK_DEADLINE = 30.0  # seconds that one of these may take; a receiver of alerts may be slow


class Background:
    """The tasks of one worker; `watches` says whether it is the one that looks after monitoring."""

    def __init__(
        self, decisions: DecisionApi, monitoring: MonitoringApi, root: Path, watches: bool
    ) -> None:
        self.decisions, self.monitoring = decisions, monitoring
        self.root, self.watches = root, watches
        self._pool = ThreadPoolExecutor(1, "background")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the tasks, in the running event loop."""
        steps: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (self.show_state, GAUGES),
            (self.probe_after_failure, LOOK),
        ]
        if self.watches:
            steps.append((self.look, LOOK))
        self._tasks = [asyncio.create_task(repeat(*step)) for step in steps]

    def stop(self) -> None:
        """End the tasks."""
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def show_state(self) -> None:
        """Set the gauges of the ledger's writer and of readiness."""
        status = self.decisions.ledger.writer_status()
        metrics.READY.set(self.decisions.engine is not None and status.failure is None)
        metrics.show_ledger(status)

    async def probe_after_failure(self) -> None:
        """Try to write again where the last write failed, so that recovery is seen."""
        if self.decisions.ledger.writer_status().failure is not None:
            await self.decisions.ledger.probe()

    async def look(self) -> None:
        """Make the tables where they are missing, start the monitor, and show its reports.

        Raises TimeoutError when the database or a receiver of alerts takes too long.
        """
        async with asyncio.timeout(LOOK_DEADLINE):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._pool, self._look)
        metrics.BACKGROUND_LOOK.set(time.time())

    def _look(self) -> None:
        self.monitoring.start(self.root)
        self.decisions.ledger.prepare()
        self.monitoring.update_gauges()
        self._show_checkpoint()

    def _show_checkpoint(self) -> None:
        ledger = self.decisions.ledger
        newest = TransparencyLog(ledger.engine).newest()
        if newest is not None:
            when = datetime.fromisoformat(newest.time).timestamp()
            unsigned = ledger.head().sequence - newest.size
            metrics.show_checkpoint(when, unsigned, newest.cosignatures)


async def repeat(step: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Run a step again and again, whatever it raises: what failed is said on stderr."""
    while True:
        try:
            await step()
        except (LedgerUnavailable, TimeoutError) as error:
            problem = str(error) or "it took too long"
            print(f"background: {step.__name__}: {problem}", file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - a task that ended would be missed by nobody
            traceback.print_exc()
        await asyncio.sleep(seconds)
