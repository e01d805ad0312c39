"""Report refused attempts: as a line of JSON on standard error, and as a metric.

A line names the caller where there is one, and never a key, a token or the content of a request.
A flood of attempts writes a few lines per second; the metric counts all of them.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

from starlette.types import Scope

from service.api import metrics
from service.decision.problems import clip
from service.users.callers import Caller

MAX_LINES = 20  # per second


class _Pace:
    second = 0
    lines = 0


def report_refused(scope: Scope, reason: str, caller: Caller | None = None) -> None:
    """Report that a request was refused for `reason`, which is one of few words."""
    metrics.REFUSED_ACCESS.labels(reason).inc()
    second = int(time.monotonic())
    if second != _Pace.second:
        _Pace.second, _Pace.lines = second, 0
    _Pace.lines += 1
    if _Pace.lines > MAX_LINES:
        return
    client = scope.get("client")
    event = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": "access_refused",
        "reason": reason,
        "caller": caller.name if caller else None,
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": clip(scope["path"]),
    }
    print(json.dumps(event), file=sys.stderr, flush=True)
