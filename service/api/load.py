"""Refuse work at once, with `Retry-After`, before it would make everybody wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Scope

from service.api.requests import refusal

BODIES = 32  # bodies of the largest size that a worker holds at once
LONGEST_WAIT = 2.0  # seconds
PROBES = ("/health", "/readyz")  # these are answered whatever else waits


class InFlight:
    """What one worker is answering: the number of requests, and the bytes of their bodies."""

    def __init__(self, most_requests: int, max_body: int) -> None:
        self._most_requests, self._max_body = most_requests, max_body
        self._most_bytes = BODIES * max_body
        self.requests = self.bytes = 0

    def admit(self, scope: Scope) -> int:
        """Count a request and return the bytes that it may bring; refuses it with 503.

        A body that does not say how long it is counts as the largest one. `release` takes the
        same number when the request has been answered.
        """
        size = 0
        if scope["method"] == "POST":
            length = dict(scope["headers"]).get(b"content-length", b"")
            size = min(int(length), self._max_body) if length.isdigit() else self._max_body
        if self.requests >= self._most_requests or self.bytes + size > self._most_bytes:
            raise refusal(503, "too many requests are being answered; try again")
        self.requests += 1
        self.bytes += size
        return size

    def release(self, size: int) -> None:
        """Count a request as answered."""
        self.requests -= 1
        self.bytes -= size


class Turnstile:
    """Lets a few in at a time, keeps some waiting, and refuses the others with 503."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._inside = 0

    @asynccontextmanager
    async def pass_through(self) -> AsyncIterator[None]:
        """Wait for a turn, LONGEST_WAIT seconds at most, and give it back at the end."""
        if self._inside >= self._most:
            raise refusal(503, f"{self._most} requests of this kind wait already; try again")
        self._inside += 1
        try:
            await self._wait()
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._inside -= 1

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._free.acquire()
        except TimeoutError:
            problem = f"its turn did not come within {LONGEST_WAIT:g} seconds; try again"
            raise refusal(503, problem) from None
