"""The service's side of monitoring: endpoints, gauges, and the process that does the work."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import to_json

from service import settings
from service.api import metrics
from service.api.handlers import Desk
from service.api.responses import Handler, Reply, Request, refusal, whole_number
from service.decision.applications import decode
from service.decision.problems import as_text, quote
from service.ledger import LedgerUnavailable
from service.monitoring import alerts, outcomes
from service.monitoring.reports import Reports, field_of

MAX_REPORTS = 200
GRACE = 5.0  # seconds that the watching process may take to end
NEWEST = 10  # reports that one look at them may find new
REFUSED = "refused"  # the source of incidents of which no decision tells


class Watch:
    """Monitoring beside one desk; `CREDIT_PD_MONITOR=off` leaves the watching process out."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.reports = Reports(desk.ledger.engine)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.routes: dict[str, dict[str, Handler]] = {
            "/outcomes": {"POST": self.outcomes},
            "/drift-reports": {"GET": self.listed},
            "/drift-reports/{id}": {"GET": self.one},
        }

    async def outcomes(self, request: Request) -> Reply:
        """Record what became of loans; each row is recorded or refused on its own."""
        rows = decode(request.body)
        limit = f"a JSON array of 1 to {self.desk.max_batch} outcomes"
        if not isinstance(rows, list) or not 1 <= len(rows) <= self.desk.max_batch:
            raise refusal(422, f"the body is {limit}; got {as_text(quote(rows))}", allowed=limit)
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise refusal(422, f"row {number} must be an object; got {as_text(quote(row))}")
        count, refused = await asyncio.to_thread(outcomes.record, self.desk.ledger, rows)
        body = {"recorded": count, "refused": [refusal._asdict() for refusal in refused]}
        return 200, to_json(body)

    async def listed(self, request: Request) -> Reply:
        """Drift reports, newest first."""
        limit = whole_number(request.query, "limit", 20, MAX_REPORTS)
        before = whole_number(request.query, "before", None, 1 << 62)
        found = await asyncio.to_thread(self.reports.recent, limit or 20, before)
        return 200, to_json({"reports": found})

    async def one(self, request: Request) -> Reply:
        """One drift report."""
        part = request.part
        number = int(part) if part.isascii() and part.isdigit() and len(part) < 19 else 0
        found = await asyncio.to_thread(self.reports.get, number)
        if found is None:
            raise refusal(404, "no drift report has this number")
        return 200, to_json(found)

    def start(self, root: Path) -> None:
        """Start the watching process, or again where it has ended."""
        if settings.load().monitor == "off":
            return
        if self._process and self._process.poll() is None:
            return
        if self._process:
            metrics.MONITOR_FAILURES.inc()
        command = [
            sys.executable,
            "-m",
            "service.monitoring",
            "--watch",
            "--root",
            str(root),
        ]
        environment = os.environ | {"PYTHONPATH": str(root)}
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)

    def stop(self) -> None:
        """End the watching process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()  # it listens there, and ends
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def judge_refusals(self) -> None:
        """Open or close the incidents of applications that are refused.

        Of several processes the first judges, by its own share of the applications.
        """
        if settings.load().monitor == "off":
            return
        found = self.desk.refusals.take()
        if found is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            alerts.tell(*self.reports.settle(REFUSED, found, now))

    def show(self) -> None:
        """Judge what was refused, and set the gauges from the reports that are new. Blocks."""
        with suppress(LedgerUnavailable):  # the ledger's own gauges tell
            self.judge_refusals()
            new = self.reports.recent(NEWEST, after=self._seen)
            metrics.INCIDENTS.set(
                len({field_of(own["key"]) for own in self.reports.open_incidents()})
            )
            for report in reversed(new):
                self._seen = report["id"]
                metrics.drift(report, datetime.fromisoformat(report["time"]).timestamp())
