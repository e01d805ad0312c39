"""Answer requests about outcomes and drift reports, and run monitor and challenger as processes."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic_core import to_json

from service import settings
from service.api import metrics
from service.api.handlers.child_process import ChildProcess
from service.api.handlers.state import EngineState
from service.api.requests import Request, Response, Routes, check_names, read_whole_number, refusal
from service.decision.json_bodies import decode
from service.decision.problems import as_text, quote
from service.monitoring import alerts, outcomes
from service.monitoring.reports import Reports, field_of
from service.shadow.records import lag

MAX_REPORTS = 200
MAX_NEW_REPORTS = 10  # reports that are read in one update of the gauges
REFUSED = "refused"  # the source of incidents about applications without a decision


class Monitoring:
    """The endpoints about outcomes and drift, and the processes beside the service.

    One watches for drift, where `CREDIT_PD_MONITOR=on`. The other scores the decisions with the
    challenger that `CREDIT_PD_CHALLENGER` names.
    """

    def __init__(self, state: EngineState) -> None:
        self.state = state
        self.reports = Reports(state.ledger.engine)
        root = state.root
        self.monitor = ChildProcess(
            root, "-m", "service.monitoring", "--watch", "--root", str(root)
        )
        self.challenger = ChildProcess(root, "-m", "service.shadow", "score", "--watch")
        self._seen = 0
        self.routes: Routes = {
            "/outcomes": {"POST": self.outcomes},
            "/drift-reports": {"GET": self.drift_reports},
            "/drift-reports/{id}": {"GET": self.drift_report},
        }

    async def outcomes(self, request: Request) -> Response:
        """Record which loans went bad; each row is recorded or refused separately."""
        rows = decode(request.body)
        limit = f"a JSON array of 1 to {self.state.max_batch} outcomes"
        if not isinstance(rows, list) or not 1 <= len(rows) <= self.state.max_batch:
            raise refusal(422, f"the body is {limit}; got {as_text(quote(rows))}", allowed=limit)
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise refusal(422, f"row {number} must be an object; got {as_text(quote(row))}")
        caller = request.recorded_caller
        count, refused = await self.state.ledger.in_thread(
            outcomes.record, self.state.ledger, rows, caller
        )
        body = {"recorded": count, "refused": [row._asdict() for row in refused]}
        return 200, to_json(body)

    async def drift_reports(self, request: Request) -> Response:
        """List drift reports, newest first."""
        check_names(request.query, "limit", "before")
        limit = read_whole_number(request.query, "limit", MAX_REPORTS) or 20
        before = read_whole_number(request.query, "before", 1 << 62)
        reports = await self.state.ledger.in_thread(self.reports.recent, limit, before)
        return 200, to_json({"reports": reports})

    async def drift_report(self, request: Request) -> Response:
        """Return one drift report."""
        text = request.id
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        report = await self.state.ledger.in_thread(self.reports.get, number)
        if report is None:
            raise refusal(404, "no drift report has this number")
        return 200, to_json(report)

    def start(self) -> None:
        """Start the monitor and the challenger unless they run, or the settings want none."""
        configured = settings.load()
        if configured.monitor == "on" and self.monitor.start():
            metrics.MONITOR_FAILURES.inc()
        if configured.challenger:
            self.challenger.start()

    def stop(self) -> None:
        """Stop the monitor and the challenger."""
        self.monitor.stop()
        self.challenger.stop()

    def judge_refusals(self) -> None:
        """Open or close incidents about refused applications.

        With several workers, only the first does this, and judges the applications it received.
        """
        if settings.load().monitor == "off":
            return
        findings = self.state.refusals.take_findings()
        if findings is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            alerts.announce(*self.reports.settle(REFUSED, findings, now))

    def update_gauges(self) -> None:
        """Judge the refused applications, and set the gauges of challenger and drift reports.

        Waits for the database; raises LedgerUnavailable.
        """
        self.judge_refusals()
        if settings.load().challenger:
            metrics.SHADOW_LAG.set(lag(self.state.ledger))
        new = self.reports.recent(MAX_NEW_REPORTS, after=self._seen)
        metrics.INCIDENTS.set(
            len({field_of(incident["key"]) for incident in self.reports.open_incidents()})
        )
        for report in reversed(new):
            self._seen = report["id"]
            metrics.set_drift_gauges(report, datetime.fromisoformat(report["time"]).timestamp())
