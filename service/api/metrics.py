"""Prometheus metrics of the service, beside those that BentoML exports itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from service.decision.engine import Decision
from service.ledger import WriterStatus

REQUESTS = Counter("credit_requests", "Requests answered", ["endpoint", "status"])
SECONDS = Histogram(
    "credit_request_seconds",
    "Seconds from request to answer",
    ["endpoint"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DECISIONS = Counter("credit_decisions", "Decisions recorded and answered", ["decision"])
PD = Histogram(
    "credit_default_probability",
    "PD of decisions",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1),
)
REFUSED = Counter("credit_refused_applications", "Applications that broke the contract")
REFUSED_FIELDS = Counter(
    "credit_refused_fields", "Applications refused, by what they broke", ["field", "rule"]
)
LAG = Gauge(
    "credit_ledger_lag_seconds",
    "Age of the oldest unrecorded decision",
    multiprocess_mode="livemax",
)
WAITING = Gauge(
    "credit_ledger_waiting", "Decisions that wait for the ledger", multiprocess_mode="livesum"
)
UP = Gauge("credit_ledger_up", "1 unless the last write failed", multiprocess_mode="livemin")
PSI = Gauge(
    "credit_drift_psi", "PSI of the last window", ["field", "window"], multiprocess_mode="livemax"
)
BOUND = Gauge(
    "credit_drift_bound", "What PSI stays below", ["field", "window"], multiprocess_mode="livemax"
)
FINDINGS = Gauge(
    "credit_drift_findings",
    "Findings in the last window",
    ["loudness", "window"],
    multiprocess_mode="livemax",
)
INCIDENTS = Gauge(
    "credit_open_incidents",
    "Fields with an incident that is not closed",
    multiprocess_mode="livemax",
)
LAST_CHECK = Gauge(
    "credit_monitor_last_check_timestamp_seconds",
    "When a window was judged last",
    multiprocess_mode="livemax",
)
MONITOR_FAILURES = Gauge(
    "credit_monitor_failures", "Ends of the watching process", multiprocess_mode="livesum"
)
EXPECTED_AUC = Gauge(
    "credit_expected_roc_auc", "AUC expected of a window", ["window"], multiprocess_mode="livemax"
)
EXPECTED_BAD_RATE = Gauge(
    "credit_expected_bad_rate",
    "Bad rate expected of a window",
    ["window"],
    multiprocess_mode="livemax",
)
REALISED_AUC = Gauge(
    "credit_realised_roc_auc",
    "AUC of mature decisions with outcomes; 0 before there are any",
    multiprocess_mode="livemax",
)
CHECKPOINT = Gauge(
    "credit_ledger_checkpoint_timestamp_seconds",
    "When the ledger was last signed; 0 before it ever was",
    multiprocess_mode="livemax",
)
UNSIGNED = Gauge(
    "credit_ledger_unsigned_entries",
    "Entries that no signed checkpoint holds",
    multiprocess_mode="livemax",
)
COSIGNATURES = Gauge(
    "credit_ledger_cosignatures",
    "Witnesses that cosigned the newest checkpoint",
    multiprocess_mode="livemax",
)
LOUDNESS = ("notice", "warning", "alarm")
READY = Gauge(
    "credit_ready",
    "1 while a model is loaded and the ledger records",
    multiprocess_mode="livemin",
)
BACKGROUND_LOOK = Gauge(
    "credit_background_look_timestamp_seconds",
    "When the service last completed its look at the database and the drift reports",
    multiprocess_mode="livemax",
)


def count_decision(decision: Decision) -> None:
    """Count a decision that was recorded."""
    _decisions(decision.decision).inc()
    PD.observe(decision.default_probability)


def count_refused(broken: Iterable[tuple[str, str]]) -> None:
    """Count an application that was refused because it broke these rules of these fields."""
    REFUSED.inc()
    for field, rule in broken:
        REFUSED_FIELDS.labels(field, rule).inc()


def count_request(endpoint: str, status: int, seconds: float) -> None:
    """Count an answered request."""
    _requests(endpoint, status).inc()
    _seconds(endpoint).observe(seconds)


def show_ledger(state: WriterStatus) -> None:
    """Show the state of the ledger's writer."""
    LAG.set(state.lag)
    WAITING.set(state.waiting)
    UP.set(state.failure is None)


def show_checkpoint(when: float, unsigned: int, cosignatures: int) -> None:
    """Show when the ledger was signed (seconds since 1970), what is not, and by how many it was."""
    CHECKPOINT.set(when)
    UNSIGNED.set(unsigned)
    COSIGNATURES.set(cosignatures)


def show_drift(report: dict[str, Any], when: float) -> None:
    """Show a drift report made at `when` (seconds since 1970)."""
    window = str(report["window"])
    for field, facts in (report["features"] | {"score": report["score"]}).items():
        if "psi" in facts:
            PSI.labels(field, window).set(facts["psi"]["value"])
            BOUND.labels(field, window).set(facts["psi"]["bound"])
    for loudness in LOUDNESS:
        count = sum(f["loudness"] == loudness for f in report["findings"])
        FINDINGS.labels(loudness, window).set(count)
    EXPECTED_AUC.labels(window).set(report["expected"]["roc_auc"]["value"] or float("nan"))
    EXPECTED_BAD_RATE.labels(window).set(report["expected"]["bad_rate"]["value"])
    REALISED_AUC.set(report.get("realised", {}).get("all", {}).get("roc_auc") or 0)
    LAST_CHECK.set(when)


# Finding a labelled child costs more than counting with it.
@cache
def _decisions(decision: str) -> Counter:
    return DECISIONS.labels(decision)


@cache
def _requests(endpoint: str, status: int) -> Counter:
    return REQUESTS.labels(endpoint, str(status))


@cache
def _seconds(endpoint: str) -> Histogram:
    return SECONDS.labels(endpoint)
