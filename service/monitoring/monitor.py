"""Report about drift, fairness and performance of the newest decisions of one model."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from service.decision.engine import Engine
from service.decision.hashes import NotReady
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.migrations import require_tables
from service.ledger.storage.connections import LONG_DEADLINE
from service.ledger.storage.database import connection_to
from service.ledger.storage.database_file import require_file
from service.ledger.storage.personal_tables import may_read_protected
from service.monitoring import (
    alerts,
    decision_windows,
    drift,
    fairness,
    performance,
    realised_performance,
    retraining,
)
from service.monitoring.decision_windows import Window
from service.monitoring.drift import FindingObject, Report
from service.monitoring.realised_performance import MatureOutcomes
from service.monitoring.reports import Reports
from service.monitoring.sequential import SequentialTests
from stages import params

REFERENCE, EVALUATION = Path("models/reference.json"), Path("models/evaluation.json")
PAUSE = 2.0  # the shortest pause between two rounds, in seconds
PAUSE_FACTOR = 10  # a pause is so much longer than the CPU time of a round: decisions come first
NEW_SHARE = 10  # a window is due again when a tenth of it is new
SEQUENTIAL = "sequential"  # the source of incidents that follow from no window
NO_GROUPS = (
    "this account may not read protected attributes, so that no groups are compared; run the "
    "monitor apart, with an account that has the role ledger_monitor"
)
RETRAINING, STARTED, FAILED = "retrain", "challenger", "no challenger"  # keys of incidents


class LedgerMonitor:
    """Compares the decisions in one ledger with the winner's training rows."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.engine = Engine.load(root)
        self.model = str(self.engine.identity["model"])
        self.config = params.load(root / "params.yaml", with_candidates=False).monitor
        self.reference = json.loads((root / REFERENCE).read_text())
        judged = json.loads(path.read_text()) if (path := root / EVALUATION).exists() else {}
        self.sequential = SequentialTests(self.reference["calibration"], judged)
        self.ledger = ledger
        self.reports = Reports(ledger.engine)
        self._as_of: tuple[int, date] | None = None
        self._realised: tuple[dict[str, Any], FindingObject | None] = {}, None

    def report_due_windows(self, every: int | None = None) -> list[Report]:
        """Store a report about every window that is due, and return these reports.

        A window is due when `every` of its decisions are new; by default as params.yaml says.
        """
        reports = [report for rows in self.config.windows if (report := self.judge(rows, every))]
        if reports:
            self.start_retraining_once(reports)
            found, now = self.sequential.findings(), reports[-1]["time"]
            alerts.announce(*self.reports.settle(SEQUENTIAL, found, now))
        return reports

    def judge(self, rows: int, every: int | None = None) -> Report | None:
        """Store and return a report about the newest `rows` decisions; None if it is not due."""
        seen = self.reports.last_covered(rows, self.model)
        new = every or max(self.config.every, rows // NEW_SHARE)
        if decision_windows.count_decisions(self.ledger, self.model, seen) < new:
            return None
        window = decision_windows.newest_decisions(self.ledger, self.model, rows)
        if window is None:
            return None
        report = self.report(window)
        number = self.reports.add(report)
        if number is None:  # another monitor has already stored one
            return None
        report["id"] = number
        alerts.announce(*self.reports.settle(str(rows), report["findings"], report["time"]))
        return report

    def start_retraining_once(self, reports: list[Report]) -> None:
        """Start the retraining if a report advises it and none was started for open incidents."""
        opened = [incident["key"] for incident in self.reports.open_incidents()]
        advising = (report for report in reports if report["action"] == "retrain")
        due = next(advising, None) if retraining.repository() else None
        findings: list[FindingObject] = []
        if due and f"{RETRAINING}/{STARTED}" not in opened:
            findings = [start_retraining(due)]
        elif any(not key.startswith(f"{RETRAINING}/") for key in opened):
            return
        alerts.announce(*self.reports.settle(RETRAINING, findings, reports[-1]["time"]))

    def report(self, window: Window) -> Report:
        """Return the report about a window."""
        features = self.engine.features
        drifted = drift.report(
            self.reference,
            window.columns(features),
            window.pd,
            sources=dict(zip(features.names, features.sources, strict=True)),
            points=self.engine.policy.score,
        )
        groups = fairness.compare_groups(self.engine.contract, window, self.config.min_group)
        unfair = fairness.find_unequal_approval(groups, self.config.lowest_approval_ratio)
        approved = window.decision == "approve"
        expected = performance.estimate(window.pd, approved, self.reference["calibration"])
        realised, worse = self.realised_performance()
        self.sequential.read_decisions(self.ledger, self.model)
        if worse and worse["loudness"] != "notice" and drifted["action"] != "source":
            drifted |= {"action": "retrain", "advice": f"Retrain: {worse['words']}."}
        findings = drift.loudest_first([*drifted["findings"], *unfair, *([worse] if worse else [])])
        facts: Report = as_json(
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
                "expected": {name: figure._asdict() for name, figure in expected.items()},
                "realised": realised,
                "groups": groups,
                "sequential": self.sequential.facts(),
                "titles": self.titles(),
                **drifted,
                "findings": findings,
                "loudest": findings[0]["loudness"] if findings else "quiet",
            }
        )
        return facts

    def titles(self) -> dict[str, str]:
        """Return what people call each feature and each protected attribute."""
        features, protected = self.engine.features, self.engine.contract.protected_fields
        titles = dict(zip(features.names, features.titles, strict=True))
        return titles | {field.name: field.title or field.name for field in protected}

    def realised_performance(self) -> tuple[dict[str, Any], FindingObject | None]:
        """Return the performance by outcomes, and a finding when it is worse than expected.

        Both are computed again when there are new outcomes, and once a day.
        """
        now = realised_performance.count_outcomes(self.ledger), datetime.now(UTC).date()
        if now != self._as_of:
            days = realised_performance.maturity_days(self.config)
            mature = realised_performance.mature_outcomes(self.ledger, days, now[1])
            self._realised = (
                realised_performance.realised_performance(mature),
                self.find_fall(mature),
            )
            of_model = mature.model == self.model
            bad = mature.bad[of_model] == 1
            self.sequential.set_outcomes(mature.day[of_model], mature.pd[of_model], bad)
            self._as_of = now
        return self._realised

    def find_fall(self, mature: MatureOutcomes) -> FindingObject | None:
        """Return a finding when the realised ROC-AUC of this model is lower than expected."""
        by_model = mature.model == self.model
        finding = performance.find_fall(
            mature.bad[by_model], mature.pd[by_model], self.reference["calibration"]
        )
        return asdict(finding) if finding else None


def start_retraining(report: Report) -> FindingObject:
    """Start the retraining that a report advises, and return a finding that says whether it was."""
    facts = {name: report[name] for name in ("id", "model", "window", "advice")}
    fields = sorted({f["field"] for f in report["findings"] if f["loudness"] != "notice"})
    finding = {"rule": "retrain", "loudness": "warning", "value": 1.0}
    try:
        retraining.start(facts | {"fields": fields})
    except retraining.NotStarted as error:
        print(f"monitor: {error}", file=sys.stderr, flush=True)
        return finding | {"field": FAILED, "words": f"the retraining was not started: {error}"}
    words = f"the retraining was started in {retraining.repository()}. {report['advice']}"
    return finding | {"field": STARTED, "words": words}


def as_json(value: object) -> Any:
    """Return a report as JSON values, with None for NaN and infinity."""
    if isinstance(value, dict):
        return {name: as_json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value


def start_monitor(root: Path, ledger: Ledger) -> LedgerMonitor:
    """Return a monitor, and say which comparison it cannot make with this account."""
    monitor = LedgerMonitor(root, ledger)
    if monitor.engine.contract.protected_fields:
        with connection_to(ledger.engine) as connection:
            if not may_read_protected(connection):
                print(f"monitor: {NO_GROUPS}", file=sys.stderr, flush=True)
    return monitor


def watch(root: Path) -> None:
    """Report about due windows for ever, also after errors of the database or the model."""
    ledger = Ledger(deadline=LONG_DEADLINE)
    monitor: LedgerMonitor | None = None
    while True:
        since = time.process_time()
        try:
            require_tables(ledger.engine)
            monitor = monitor or start_monitor(root, ledger)
            monitor.report_due_windows()
        except (LedgerUnavailable, NotReady) as error:
            print(f"monitor: {error}", file=sys.stderr, flush=True)
        time.sleep(max(PAUSE, PAUSE_FACTOR * (time.process_time() - since)))


def judge_once(root: Path) -> None:
    """Report about every full window that has new decisions, and print the reports."""
    ledger = Ledger(deadline=LONG_DEADLINE)
    try:
        require_file(ledger.engine.url)
        require_tables(ledger.engine)
        reports = start_monitor(root, ledger).report_due_windows(every=1)
    except (LedgerUnavailable, NotReady) as error:
        sys.exit(f"monitor: {error}")
    finally:
        ledger.close()
    for report in reports:
        print(f"last {report['window']:,} decisions: {report['loudest']}. {report['advice']}")
        for finding in report["findings"]:
            print(f"  {finding['loudness']:8} {finding['field']}: {finding['words']}")
    if not reports:
        print("no full window has a decision that was not reported before")
