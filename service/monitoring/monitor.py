"""Judge the newest decisions of one model: drift, fairness, and performance."""

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
    """Holds the decisions in one ledger against the winner's training rows."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.engine = Engine.load(root)
        self.model = str(self.engine.identity["model"])
        self.config = params.load(root / "params.yaml", with_candidates=False).monitor
        self.reference = json.loads((root / REFERENCE).read_text())
        self.ledger = ledger
        self.reports = Reports(ledger.engine)
        self._as_of: tuple[int, date] | None = None
        self._realised: tuple[dict[str, Any], dict[str, Any] | None] = {}, None

    def look(self, every: int | None = None) -> list[dict[str, Any]]:
        """Judge every window that is due, store the reports, and return them.

        A window is due when `every` of its decisions are new; by default as params.yaml says.
        """
        found = [report for rows in self.config.windows if (report := self.judge(rows, every))]
        if found:
            self.ask_for_challenger(found)
        return found

    def judge(self, rows: int, every: int | None = None) -> dict[str, Any] | None:
        """Judge the newest `rows` decisions, or None where too few of them are new."""
        seen = self.reports.last_covered(rows, self.model)
        new = every or max(self.config.every, rows // NEW_SHARE)
        if windows.count_decisions(self.ledger, self.model, seen) < new:
            return None
        window = windows.newest_decisions(self.ledger, self.model, rows)
        if window is None:
            return None
        report = self.report(window)
        number = self.reports.add(report)
        if number is None:  # another monitor was faster
            return None
        report["id"] = number
        alerts.announce(*self.reports.settle(str(rows), report["findings"], report["time"]))
        return report

    def ask_for_challenger(self, judged: list[dict[str, Any]]) -> None:
        """Start the retraining once where a report asks for it, until every incident is over."""
        opened = [incident["key"] for incident in self.reports.open_incidents()]
        asking = (report for report in judged if report["action"] == "retrain")
        due = next(asking, None) if retraining.repository() else None
        findings: list[dict[str, Any]] = []
        if due and f"{RETRAINING}/{ASKED}" not in opened:
            findings = [start_retraining(due)]
        elif any(not key.startswith(f"{RETRAINING}/") for key in opened):
            return
        alerts.announce(*self.reports.settle(RETRAINING, findings, judged[-1]["time"]))

    def report(self, window: Window) -> dict[str, Any]:
        """Return the report about a window."""
        found = drift.report(self.reference, window.columns(self.engine.features), window.pd)
        groups = fairness.compare_groups(self.engine.contract, window, self.config.min_group)
        unfair = fairness.find_unequal_approval(groups, self.config.lowest_approval_ratio)
        approved = window.decision == "approve"
        expected = performance.estimate(window.pd, approved, self.reference["calibration"])
        realised, worse = self.realised()
        if worse and worse["loudness"] != "notice" and found["action"] != "source":
            found |= {"action": "retrain", "advice": f"Retrain: {worse['words']}."}
        findings = drift.loudest_first([*found["findings"], *unfair, *([worse] if worse else [])])
        facts: dict[str, Any] = as_json(
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

    def realised(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the performance by outcomes, and a finding when this model fell behind.

        Both are computed again when there are more outcomes, and once a day.
        """
        now = outcomes.count_outcomes(self.ledger), datetime.now(UTC).date()
        if now != self._as_of:
            mature = outcomes.mature_outcomes(self.ledger, self.config.maturity_days, now[1])
            self._realised = (
                outcomes.realised_performance(mature, self.engine.policy.pd_cut_off),
                self.find_fall(mature),
            )
            self._as_of = now
        return self._realised

    def find_fall(self, mature: MatureOutcomes) -> dict[str, Any] | None:
        """Return a finding when this model ranks its loans worse than its PDs promise."""
        by_model = mature.model == self.model
        found = performance.find_fall(
            mature.bad[by_model], mature.pd[by_model], self.reference["calibration"]
        )
        return asdict(found) if found else None


def start_retraining(report: dict[str, Any]) -> dict[str, Any]:
    """Start the retraining for a report, and return what came of it as a finding."""
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


def as_json(value: Any) -> Any:
    """Return a report as JSON can hold it, with None for what is undefined."""
    if isinstance(value, dict):
        return {name: as_json(own) for name, own in value.items()}
    if isinstance(value, list):
        return [as_json(own) for own in value]
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
