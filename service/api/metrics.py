"""The Prometheus metrics of the service, in addition to those of BentoML."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from service.decision.engine import Decision
from service.ledger import WriterStatus

REQUESTS = Counter("credit_requests", "Requests that were answered", ["endpoint", "status"])
SECONDS = Histogram(
    "credit_request_seconds",
    "Seconds from the request to its answer",
    ["endpoint"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DECISIONS = Counter("credit_decisions", "Decisions that were recorded", ["decision"])
PD = Histogram(
    "credit_default_probability",
    "Probability of default of decisions",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1),
)
REFUSED = Counter("credit_refused_applications", "Applications that were refused")
REFUSED_FIELDS = Counter(
    "credit_refused_fields", "Refused applications by the rule they broke", ["field", "rule"]
)
REFUSED_ACCESS = Counter(
    "credit_refused_access", "Requests refused for who sends them, or from where", ["reason"]
)
SHED = Counter("credit_shed_requests", "Requests that were refused because too many were there")
SOURCES = Counter(
    "credit_source_refusals", "Requests whose lines could not be fetched", ["source", "code"]
)
LAG = Gauge(
    "credit_ledger_lag_seconds",
    "Age in seconds of the oldest decision that waits for the ledger",
    multiprocess_mode="livemax",
)
WAITING = Gauge(
    "credit_ledger_waiting", "Decisions that wait for the ledger", multiprocess_mode="livesum"
)
UP = Gauge("credit_ledger_up", "0 if the last write failed, else 1", multiprocess_mode="livemin")
PSI = Gauge(
    "credit_drift_psi", "PSI of the newest window", ["field", "window"], multiprocess_mode="livemax"
)
BOUND = Gauge(
    "credit_drift_bound",
    "Bound that PSI exceeds only when there is drift",
    ["field", "window"],
    multiprocess_mode="livemax",
)
FINDINGS = Gauge(
    "credit_drift_findings",
    "Findings in the newest window",
    ["loudness", "window"],
    multiprocess_mode="livemax",
)
INCIDENTS = Gauge(
    "credit_open_incidents",
    "Fields with an open incident",
    multiprocess_mode="livemax",
)
LAST_CHECK = Gauge(
    "credit_monitor_last_check_timestamp_seconds",
    "Time of the newest drift report",
    multiprocess_mode="livemax",
)
MONITOR_FAILURES = Gauge(
    "credit_monitor_failures",
    "Times that the monitor ended unexpectedly",
    multiprocess_mode="livesum",
)
EXPECTED_AUC = Gauge(
    "credit_expected_roc_auc",
    "ROC-AUC expected of the newest window",
    ["window"],
    multiprocess_mode="livemax",
)
EXPECTED_BAD_RATE = Gauge(
    "credit_expected_bad_rate",
    "Bad rate expected of the newest window",
    ["window"],
    multiprocess_mode="livemax",
)
REALISED_AUC = Gauge(
    "credit_realised_roc_auc",
    "ROC-AUC of mature decisions with outcomes; 0 when there are none",
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
VERIFIED = Gauge(
    "credit_ledger_verified_timestamp_seconds",
    "When a scheduled verification of the ledger last ended; 0 before the first",
    multiprocess_mode="livemax",
)
BROKEN = Gauge(
    "credit_ledger_findings",
    "What the last scheduled verification of the ledger found broken",
    multiprocess_mode="livemax",
)
SHADOW_LAG = Gauge(
    "credit_shadow_lag_seconds",
    "Age of the oldest decision that the challenger has not scored, 0 when none waits",
    multiprocess_mode="livemax",
)
LOUDNESS = ("notice", "warning", "alarm")
READY = Gauge(
    "credit_ready",
    "1 if a model is loaded and the ledger can be written, else 0",
    multiprocess_mode="livemin",
)
LAST_BACKGROUND_UPDATE = Gauge(
    "credit_background_look_timestamp_seconds",
    "Time when the background task last read the drift reports",
    multiprocess_mode="livemax",
)


def count_decision(decision: Decision) -> None:
    """Count a decision that was recorded."""
    _decisions(decision.decision).inc()
    PD.observe(decision.default_probability)


def count_refused(broken: Iterable[tuple[str, str]]) -> None:
    """Count a refused application, and each pair of a field and a rule that it broke."""
    REFUSED.inc()
    for field, rule in broken:
        REFUSED_FIELDS.labels(field, rule).inc()


def count_request(endpoint: str, status: int, seconds: float) -> None:
    """Count an answered request."""
    _requests(endpoint, status).inc()
    _seconds(endpoint).observe(seconds)


def set_ledger_gauges(status: WriterStatus) -> None:
    """Set the gauges of the ledger's writer."""
    LAG.set(status.lag)
    WAITING.set(status.waiting)
    UP.set(status.failure is None)


def set_checkpoint_gauges(when: float, unsigned: int, cosignatures: int) -> None:
    """Set the gauges of the newest checkpoint, signed at `when` (seconds since 1970)."""
    CHECKPOINT.set(when)
    UNSIGNED.set(unsigned)
    COSIGNATURES.set(cosignatures)


def set_verification_gauges(when: float, findings: int) -> None:
    """Set the gauges of the last verification, which ended at `when` (seconds since 1970)."""
    VERIFIED.set(when)
    BROKEN.set(findings)


def set_drift_gauges(report: dict[str, Any], when: float) -> None:
    """Set the gauges of a drift report that was made at `when` (seconds since 1970)."""
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


# Looking up a labelled metric costs more than incrementing it.
@cache
def _decisions(decision: str) -> Counter:
    return DECISIONS.labels(decision)


@cache
def _requests(endpoint: str, status: int) -> Counter:
    return REQUESTS.labels(endpoint, str(status))


@cache
def _seconds(endpoint: str) -> Histogram:
    return SECONDS.labels(endpoint)
