"""The periodic tasks of a worker: set gauges, probe the ledger after a failure, run the monitor.

No task delays an answer, waits for the database without a limit, or ends because of an error.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from service import settings
from service.api import metrics
from service.api.handlers.api import Api
from service.ledger import LedgerUnavailable
from service.ledger.claims import forget
from service.ledger.verify import results
from service.transparency.log import TransparencyLog

GAUGES_PERIOD = 1.0  # seconds; setting the gauges reads no database
MONITORING_PERIOD = 5.0  # seconds
FORGET_PERIOD = 3600.0  # seconds between two deletions of old idempotency keys
MONITORING_DEADLINE = 30.0  # seconds; the receiver of an alert may be slow


class Background:
    """The periodic tasks of one worker; only one worker `runs_monitor`."""

    def __init__(self, api: Api, runs_monitor: bool) -> None:
        self.state, self.monitoring = api.state, api.monitoring
        self.runs_monitor = runs_monitor
        self._pool = ThreadPoolExecutor(1, "background")
        self._tasks: list[asyncio.Task[None]] = []
        self._forgot = float("-inf")

    def start(self) -> None:
        """Start the tasks in the running event loop."""
        steps: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (self.set_gauges, GAUGES_PERIOD),
            (self.probe_after_failure, MONITORING_PERIOD),
        ]
        if self.runs_monitor:
            steps.append((self.update_monitoring, MONITORING_PERIOD))
        self._tasks = [asyncio.create_task(repeat(*step)) for step in steps]

    def stop(self) -> None:
        """Cancel the tasks."""
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def set_gauges(self) -> None:
        """Set the gauges of the ledger's writer and of readiness."""
        status = self.state.ledger.writer_status()
        metrics.READY.set(self.state.engine is not None and status.failure is None)
        metrics.set_ledger_gauges(status)

    async def probe_after_failure(self) -> None:
        """Probe the ledger when its last write failed, so that its recovery is noticed."""
        if self.state.ledger.writer_status().failure is not None:
            await self.state.ledger.probe()

    async def update_monitoring(self) -> None:
        """Start the monitor unless it runs, create missing tables, and set gauges from its reports.

        Raises TimeoutError when the database or a receiver of alerts takes too long.
        """
        async with asyncio.timeout(MONITORING_DEADLINE):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._pool, self._update_monitoring)
        metrics.LAST_BACKGROUND_UPDATE.set(time.time())

    def _update_monitoring(self) -> None:
        self.monitoring.start()
        self.state.ledger.prepare()
        self.monitoring.update_gauges()
        self._set_checkpoint_gauges()
        self._set_verification_gauges()
        self._forget_claims()

    def _forget_claims(self) -> None:
        if time.monotonic() - self._forgot > FORGET_PERIOD:
            self._forgot = time.monotonic()
            forget(self.state.ledger.engine, settings.load().idempotency_days)

    def _set_checkpoint_gauges(self) -> None:
        ledger = self.state.ledger
        newest = TransparencyLog(ledger.engine).newest()
        if newest is not None:
            when = datetime.fromisoformat(newest.time).timestamp()
            unsigned = ledger.head().sequence - newest.size
            metrics.set_checkpoint_gauges(when, unsigned, newest.cosignatures)

    def _set_verification_gauges(self) -> None:
        result = results.newest(self.state.ledger.engine)
        if result is not None:
            when = datetime.fromisoformat(result.time).timestamp()
            metrics.set_verification_gauges(when, result.findings)


async def repeat(step: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Repeat a step for ever with pauses of `seconds`; print its errors on standard error."""
    while True:
        try:
            await step()
        except (LedgerUnavailable, TimeoutError) as error:
            problem = str(error) or "timed out"
            print(f"background: {step.__name__}: {problem}", file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - nobody would notice that the task had ended
            traceback.print_exc()
        await asyncio.sleep(seconds)
