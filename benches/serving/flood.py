"""Send an HTTP service more requests than it can answer, over many keep-alive connections.

    python -m benches.serving.flood PORT CONNECTIONS SECONDS RATE REQUESTS.jsonl

A line of the file is a JSON object with `method`, `path` and `body`. With a RATE, so many requests
per second are sent whether or not the earlier ones have been answered (an open loop); with 0, each
connection sends its next request as soon as it has an answer (a closed loop). Prints one JSON
object: how many requests were accepted, refused (429 and 503), failed and not answered, and the
latencies of those accepted and refused in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from benches.serving.load import length

REFUSED = (b"429", b"503")
TICK = 0.002  # seconds between two looks at what an open loop has to send
PATIENCE = 15.0  # seconds that the last answers may take
STATUS = slice(9, 12)  # of an answer's first line


class Counts:
    """The latencies in seconds of the requests that were accepted and refused, and failures."""

    def __init__(self) -> None:
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.failed: dict[str, int] = {}
        self.sent = self.held_back = 0

    def add(self, status: bytes, seconds: float) -> None:
        """Count an answer."""
        if status == b"200":
            self.accepted.append(seconds)
        elif status in REFUSED:
            self.refused.append(seconds)
        else:
            self.fail(status.decode())

    def fail(self, reason: str) -> None:
        """Count a request that got another answer, or none."""
        self.failed[reason] = self.failed.get(reason, 0) + 1

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return the counts and the percentiles of the latencies."""
        answered = len(self.accepted) + len(self.refused) + sum(self.failed.values())
        return {
            "seconds": seconds,
            "sent": self.sent,
            "held_back": self.held_back,
            "accepted": len(self.accepted),
            "refused": len(self.refused),
            "failed": self.failed,
            "unanswered": self.sent - answered,
            "accepted_ms": percentiles(self.accepted),
            "refused_ms": percentiles(self.refused),
        }


class Connection(asyncio.Protocol):
    """One connection, which sends one request at a time."""

    def __init__(self, flood: Flood) -> None:
        self.flood, self.buffer, self.since = flood, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request to send."""
        self.transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        """Send the next request."""
        self.since = perf_counter()
        self.flood.counts.sent += 1
        self.transport.write(next(self.flood.requests))

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; with the last part this connection is free."""
        data = self.buffer + data if self.buffer else data
        if self.flood.is_whole(data):
            self.flood.counts.add(data[STATUS], perf_counter() - self.since)
            self.buffer, self.since = b"", 0.0
            self.flood.take_back(self)
        else:
            self.buffer = data

    def connection_lost(self, error: Exception | None) -> None:
        """Count a request that was waiting for its answer."""
        if self.since:
            self.flood.counts.fail("closed" if error is None else type(error).__name__)


class Flood:
    """All connections, and the requests that they send in turn."""

    def __init__(self, port: int, requests: Iterator[bytes], rate: float) -> None:
        self.port, self.requests, self.rate = port, requests, rate
        self.counts, self.idle = Counts(), list[Connection]()
        self.until = 0.0
        self.whole: set[tuple[bytes, int]] = set()

    def is_whole(self, data: bytes) -> bool:
        """Tell whether an answer is complete; quickly where an equally long one was before."""
        seen = data[STATUS], len(data)
        if seen in self.whole:
            return True
        head, end, body = data.partition(b"\r\n\r\n")
        if end and len(body) >= length(head):
            self.whole.add(seen)
            return True
        return False

    def take_back(self, connection: Connection) -> None:
        """Let a connection send again: at once in a closed loop, when it is due in an open one."""
        if not self.rate and perf_counter() < self.until:
            connection.send()
        else:
            self.idle.append(connection)

    async def run(self, connections: int, seconds: float) -> dict[str, Any]:
        """Send for so many seconds, wait for the last answers, and return the summary."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self.port
            )
            self.idle.append(connection)
        start = perf_counter()
        self.until = start + seconds
        if self.rate:
            await self._send_at_rate(start)
        else:
            idle, self.idle = self.idle, []
            for connection in idle:
                connection.send()
            await asyncio.sleep(seconds)
        took = perf_counter() - start
        await self._wait_for_answers(connections)
        for connection in self.idle:
            connection.transport.close()
        return self.counts.summary(took)

    async def _send_at_rate(self, start: float) -> None:
        """Send as many requests as are due; those for which no connection is free are held back."""
        due = 0
        while (now := perf_counter()) < self.until:
            for _ in range(int((now - start) * self.rate) - due):
                due += 1
                if self.idle:
                    self.idle.pop(0).send()
                else:
                    self.counts.held_back += 1
            await asyncio.sleep(TICK)

    async def _wait_for_answers(self, connections: int) -> None:
        until = perf_counter() + PATIENCE
        while len(self.idle) < connections and perf_counter() < until:
            await asyncio.sleep(TICK)


def percentiles(latencies: list[float]) -> dict[str, float]:
    """Return the latencies' percentiles in milliseconds; none without latencies."""
    ordered = sorted(latencies)
    return {
        f"p{q}": 1000 * ordered[min(int(len(ordered) * q / 100), len(ordered) - 1)]
        for q in (50, 95, 99, 100)
        if ordered
    }


def request_of(line: str) -> bytes:
    """Return a line of the file as an HTTP request."""
    fields = json.loads(line)
    body = json.dumps(fields["body"]).encode() if fields.get("body") is not None else b""
    head = (
        f"{fields['method']} {fields['path']} HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Run from the command line."""
    port, connections, seconds, rate, path = sys.argv[1:]
    requests = cycle(map(request_of, Path(path).read_text().splitlines()))
    flood = Flood(int(port), requests, float(rate))
    print(json.dumps(asyncio.run(flood.run(int(connections), float(seconds)))))


if __name__ == "__main__":
    main()
