"""Load an HTTP service over keep-alive connections, each of which sends one request at a time.

    python -m benches.serving.load PORT CONNECTIONS SECONDS BODIES.jsonl

prints one JSON object: answers, errors, seconds, and latencies in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import cast

HEAD = "POST /predict HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"


class Client(asyncio.Protocol):
    """One connection, which sends a request after each answer until the time is over."""

    def __init__(self, requests: cycle[bytes], until: float) -> None:
        self.requests, self.until = requests, until
        self.latencies: list[float] = []
        self.errors = self.refused = 0
        self.buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        """Send the next request."""
        self.start = perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; with the last one, ask again until the time is over."""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end or len(body) < length(head):
            return
        now = perf_counter()
        self.latencies.append(now - self.start)
        self.take_answer(head, body)
        self.buffer = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def take_answer(self, head: bytes, body: bytes) -> None:
        """Count an answer that is an error, and print the first.

        A worker refuses decisions, to be asked again, while the machine is too busy to answer in
        time; these are no answers.
        """
        if head.startswith(b"HTTP/1.1 503") and b"retry-after:" in head.lower():
            self.latencies.pop()
            self.refused += 1
            return
        if not head.startswith(b"HTTP/1.1 200"):
            if not self.errors:
                print(head.decode(), body.decode(), file=sys.stderr)
            self.errors += 1

    def connection_lost(self, error: Exception | None) -> None:
        """Mark this client as done."""
        self.errors += error is not None
        self.done.set_result(None)


def request_of(body: bytes) -> bytes:
    """Return a whole request for a decision."""
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def length(head: bytes) -> int:
    """Return the length of the body that the head of an answer announces."""
    start = head.lower().index(b"content-length:") + 15
    return int(head[start:].split(b"\r\n", 1)[0])


async def connect(port: int, connections: int, make: Callable[[], Client]) -> list[Client]:
    """Connect, wait until each client is done, and return the clients."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(make, "127.0.0.1", port) for _ in range(connections)]
    clients = [client for _, client in made]
    await asyncio.gather(*(client.done for client in clients))
    return clients


async def run(port: int, connections: int, seconds: float, bodies: list[bytes]) -> dict[str, float]:
    """Load the port, and return the numbers of answers and errors, the seconds and latencies."""
    requests, start = cycle(map(request_of, bodies)), perf_counter()
    clients = await connect(port, connections, lambda: Client(requests, start + seconds))
    took = perf_counter() - start
    latencies = sorted(each for client in clients for each in client.latencies)
    at = {f"p{q}": 1000 * latencies[int(len(latencies) * q / 100)] for q in (50, 95, 99)}
    errors = sum(client.errors for client in clients)
    refused = sum(client.refused for client in clients)
    return {"answers": len(latencies), "refused": refused, "errors": errors, "seconds": took, **at}


def main() -> None:
    """Run from the command line."""
    port, connections, seconds, path = sys.argv[1:]
    bodies = [line.encode() for line in Path(path).read_text().splitlines()]
    print(json.dumps(asyncio.run(run(int(port), int(connections), float(seconds), bodies))))


if __name__ == "__main__":
    main()
