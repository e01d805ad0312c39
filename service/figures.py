"""Prometheus metrics of the service, beside those that BentoML exports itself."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from service.engine import Decision
from service.ledger import Figures

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
LAG = Gauge(
    "credit_ledger_lag_seconds",
    "Age of the oldest unrecorded decision",
    multiprocess_mode="livemax",
)
WAITING = Gauge(
    "credit_ledger_waiting", "Decisions that wait for the ledger", multiprocess_mode="livesum"
)
UP = Gauge("credit_ledger_up", "1 unless the last write failed", multiprocess_mode="livemin")
READY = Gauge("credit_ready", "1 while a model is loaded", multiprocess_mode="livemin")


def decided(decision: Decision) -> None:
    """Count a decision that was recorded."""
    _decisions(decision.decision).inc()
    PD.observe(decision.default_probability)


def requested(endpoint: str, status: int, seconds: float) -> None:
    """Count an answered request."""
    _requests(endpoint, status).inc()
    _seconds(endpoint).observe(seconds)


def ledger(state: Figures) -> None:
    """Show the state of the ledger's writer."""
    LAG.set(state.lag)
    WAITING.set(state.waiting)
    UP.set(state.failure is None)


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
