"""The monitor: looks at the last decisions, beside the service and never in its way.

`python -m service.monitoring` (by hand, or on a schedule) judges every full window that has new
decisions, once, and says what it found; `--watch` goes on, and waits until enough are new. The
service starts the watching one by itself, as a process of its own, so that no report ever costs a
decision its time.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from service.decision.artifacts import NotReady
from service.decision.engine import Engine
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.connections import LONG_DEADLINE
from service.ledger.migrations import require_tables
from service.monitoring import alerts, drift, fairness, outcomes, performance, retraining, windows
from service.monitoring.outcomes import MatureOutcomes
from service.monitoring.reports import Reports
from service.monitoring.windows import Window
from stages import params

REFERENCE = Path("models/reference.json")
PAUSE = 2.0  # seconds between two looks at the ledger, at the least
REST = 10  # pauses are this many times as long as looks: decisions need the processors more
NEW_SHARE = 10  # a window is judged again when a tenth of it is new
RETRAINING, ASKED, FAILED = "retrain", "challenger", "no challenger"  # keys of incidents


class Monitor:
    """One winner's reference, held against the decisions in one ledger."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.engine = Engine.load(root)
        self.model = str(self.engine.identity["model"])
        self.config = params.load(root / "params.yaml", with_candidates=False).monitor
        self.reference = json.loads((root / REFERENCE).read_text())
        self.ledger = ledger
        self.reports = Reports(ledger.engine)
        self._as_of: tuple[int, date] | None = None
        self._became: tuple[dict[str, Any], dict[str, Any] | None] = {}, None

    def look(self, every: int | None = None) -> list[dict[str, Any]]:
        """Judge every window that is due; returns the reports, which are stored.

        A window is due when `every` of its decisions are new; by default as params.yaml says.
        """
        found = [report for rows in self.config.windows if (report := self.judge(rows, every))]
        if found:
            self.challenge(found)
        return found

    def judge(self, rows: int, every: int | None = None) -> dict[str, Any] | None:
        """Judge the newest `rows` decisions, or None where too few of them are new."""
        seen = self.reports.covered(rows, self.model)
        new = every or max(self.config.every, rows // NEW_SHARE)
        if windows.waiting(self.ledger, self.model, seen) < new:
            return None
        window = windows.newest(self.ledger, self.model, rows)
        if window is None:
            return None
        report = self.report(window)
        number = self.reports.add(report)
        if number is None:  # another monitor was faster
            return None
        report["id"] = number
        alerts.announce(*self.reports.settle(str(rows), report["findings"], report["time"]))
        return report

    def challenge(self, found: list[dict[str, Any]]) -> None:
        """Start the retraining once where a report asks for it, until every incident is over."""
        opened = [incident["key"] for incident in self.reports.open_incidents()]
        asking = (report for report in found if report["action"] == "retrain")
        due = next(asking, None) if retraining.repository() else None
        told: list[dict[str, Any]] = []
        if due and f"{RETRAINING}/{ASKED}" not in opened:
            told = [ask(due)]
        elif any(not key.startswith(f"{RETRAINING}/") for key in opened):
            return
        alerts.announce(*self.reports.settle(RETRAINING, told, found[-1]["time"]))

    def report(self, window: Window) -> dict[str, Any]:
        """What there is to say about a window."""
        found = drift.report(self.reference, window.columns(self.engine.features), window.pd)
        groups = fairness.by_group(self.engine.contract, window, self.config.min_group)
        unfair = fairness.findings(groups, self.config.lowest_approval_ratio)
        approved = window.decision == "approve"
        expected = performance.estimate(window.pd, approved, self.reference["calibration"])
        realised, worse = self.became()
        if worse and worse["loudness"] != "notice" and found["action"] != "source":
            found |= {"action": "retrain", "advice": f"Retrain: {worse['words']}."}
        findings = drift.loudest_first([*found["findings"], *unfair, *([worse] if worse else [])])
        facts: dict[str, Any] = plain(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "window": len(window.pd),
                "first_sequence": window.first,
                "last_sequence": window.last,
                "since": window.since,
                "until": window.until,
                "model": self.model,
                "decisions": {
                    d: int((window.decision == d).sum()) for d in ("approve", "refer", "decline")
                },
                "expected": {name: own._asdict() for name, own in expected.items()},
                "realised": realised,
                "groups": groups,
                **found,
                "findings": findings,
                "loudest": findings[0]["loudness"] if findings else "quiet",
            }
        )
        return facts

    def became(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """What outcomes say, and whether this model fell; computed again when there are more."""
        now = outcomes.count_outcomes(self.ledger), datetime.now(UTC).date()
        if now != self._as_of:
            ripe = outcomes.mature_outcomes(self.ledger, self.config.maturity_days, now[1])
            self._became = (
                outcomes.realised_performance(ripe, self.engine.policy.pd_cut_off),
                self.worse(ripe),
            )
            self._as_of = now
        return self._became

    def worse(self, ripe: MatureOutcomes) -> dict[str, Any] | None:
        """The finding that this model ranks its own loans worse than it should."""
        own = ripe.model == self.model
        found = performance.fallen(ripe.bad[own], ripe.pd[own], self.reference["calibration"])
        return asdict(found) if found else None


def ask(report: dict[str, Any]) -> dict[str, Any]:
    """Start the retraining for a report; what came of it, as a finding."""
    facts = {name: report[name] for name in ("id", "model", "window", "advice")}
    fields = sorted({f["field"] for f in report["findings"] if f["loudness"] != "notice"})
    finding = {"rule": "retrain", "loudness": "warning", "value": 1.0}
    try:
        retraining.start(facts | {"fields": fields})
    except retraining.NotStarted as error:
        print(f"monitor: {error}", file=sys.stderr, flush=True)
        return finding | {"field": FAILED, "words": f"the retraining was not started: {error}"}
    words = f"the retraining was started in {retraining.repository()}. {report['advice']}"
    return finding | {"field": ASKED, "words": words}


def plain(value: Any) -> Any:
    """A report as JSON can hold it: None for what is undefined."""
    if isinstance(value, dict):
        return {name: plain(own) for name, own in value.items()}
    if isinstance(value, list):
        return [plain(own) for own in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value


def watch(root: Path) -> None:
    """Look again and again; survive a database and a model that are away."""
    ledger = Ledger(deadline=LONG_DEADLINE)
    monitor: Monitor | None = None
    while True:
        since = time.process_time()
        try:
            require_tables(ledger.engine)
            monitor = monitor or Monitor(root, ledger)
            monitor.look()
        except (LedgerUnavailable, NotReady) as error:
            print(f"monitor: {error}", file=sys.stderr, flush=True)
        time.sleep(max(PAUSE, REST * (time.process_time() - since)))


def judge_once(root: Path) -> None:
    """Judge every full window that has new decisions, and print the reports."""
    ledger = Ledger(deadline=LONG_DEADLINE)
    try:
        require_tables(ledger.engine)
        reports = Monitor(root, ledger).look(every=1)
    except (LedgerUnavailable, NotReady) as error:
        sys.exit(f"monitor: {error}")
    finally:
        ledger.close()
    for report in reports:
        print(f"last {report['window']:,} decisions: {report['loudest']}. {report['advice']}")
        for finding in report["findings"]:
            print(f"  {finding['loudness']:8} {finding['field']}: {finding['words']}")
    if not reports:
        print("no window is full and has a decision that was not judged yet")
