"""Find ports of loopback that nobody takes before the one who asked for them."""

from __future__ import annotations

import contextlib
import os
import random
import socket

# The kernel gives clients the ports from 32768 on. Each worker of pytest-xdist has a range.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
RANGE = range(15000 + 2000 * WORKER, 17000 + 2000 * WORKER)
GIVEN = set[int]()


def free_port() -> int:
    """Return a port that nobody holds, and that was not returned before."""
    while True:
        port = random.choice(RANGE)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in GIVEN:
                GIVEN.add(port)
                return port
