"""Refuse work at once, with `Retry-After`, before it would make everybody wait."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import Scope

from service.api.requests import refusal
from service.users.callers import Caller

BODIES = 32  # bodies of the largest size that a worker holds at once
LONGEST_WAIT = 1.0  # seconds: with the deadline of the ledger, an answer takes less than 5
BURST = 10  # seconds of a caller's rate that may come at once
MAX_CALLERS = 10_000  # after which those that have long sent nothing are forgotten
PROBES = ("/health", "/readyz")  # these are answered whatever else waits
UNLIMITED = frozenset((*PROBES, "/livez", "/healthz", "/metrics"))
DECISIONS = frozenset(
    prefix + path for prefix in ("", "/v1") for path in ("/predict", "/predict_batch", "/explain")
)
TARGET = 0.08  # seconds that a single decision should take at most
FEWEST, FIRST = 16, 32  # decisions at once: the lowest limit, and the one of a new worker
# Added to the limit by each answer in time, and its factor when one is late. It grows by little, so
# that late answers stay rare: it is they that the bound is about.
MORE, LESS = 0.02, 0.8
BUSY = "too many requests are being answered; try again"


class AdaptiveLimit:
    """How many single decisions a worker works on at once: as many as it answers within TARGET.

    The limit grows by a little with each answer in time while it is used, and shrinks by a factor
    when answers are late (additive increase, multiplicative decrease). So it finds what the
    machine and the database can do now, and nobody waits behind a queue.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self.limit = float(min(FIRST, most))
        self.inside = 0
        self._shrunk = clock()

    @property
    def is_reached(self) -> bool:
        """Whether a further decision would have to wait too long."""
        return self.inside >= self.limit

    @contextmanager
    def count(self) -> Iterator[None]:
        """Count a decision while it is worked on; refuses it with 503 at the limit."""
        if self.is_reached:
            raise refusal(503, BUSY)
        self.inside += 1
        start = self._clock()
        try:
            yield
        finally:
            self._adapt(self._clock(), start)
            self.inside -= 1

    def _adapt(self, now: float, start: float) -> None:
        if now - start > TARGET:
            if start >= self._shrunk:  # what began before the last change says nothing of it
                self._shrunk = now
                self.limit = max(self.limit * LESS, min(FEWEST, self._most))
        elif self.inside > self.limit / 2:
            self.limit = min(self.limit + MORE, self._most)


class InFlight:
    """What one worker is answering: the number of requests, and the bytes of their bodies."""

    def __init__(self, most_requests: int, max_body: int) -> None:
        self._most_requests, self._max_body = most_requests, max_body
        self.decisions = AdaptiveLimit(most_requests)
        self._most_bytes = BODIES * max_body
        self.requests = self.bytes = self._arriving = 0

    def has_no_place(self) -> bool:
        """Tell whether no further decision has a place, with those that have just arrived."""
        return self.decisions.inside + self._arriving >= self.decisions.limit

    def expect(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count a decision that has just arrived, until this turn of the event loop is over."""
        if not self._arriving:
            loop.call_soon(self._forget_arriving)
        self._arriving += 1

    def _forget_arriving(self) -> None:
        self._arriving = 0

    def is_full_for(self, path: str) -> bool:
        """Tell whether a request for this path is refused now, whatever it holds."""
        if path in DECISIONS and self.decisions.is_reached:
            return True
        return self.requests >= self._most_requests and path not in UNLIMITED

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
            raise refusal(503, BUSY)
        self.requests += 1
        self.bytes += size
        return size

    def release(self, size: int) -> None:
        """Count a request as answered."""
        self.requests -= 1
        self.bytes -= size


class Bucket:
    """The applications that one caller may still send: a token bucket.

    A batch may overdraw it; then the caller waits until it is paid.
    """

    def __init__(self, rate: int, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._tokens, self._since = float(rate * BURST), clock()

    @property
    def is_full(self) -> bool:
        """Whether the caller has sent nothing for long."""
        return self._clock() - self._since > BURST + 1

    def charge(self, applications: int) -> None:
        """Take a token per application; refuses the request with 429 if there are none."""
        if not self._rate:
            return
        now = self._clock()
        earned = self._tokens + (now - self._since) * self._rate
        self._tokens, self._since = min(earned, self._rate * BURST), now
        if self._tokens < 1:
            seconds = math.ceil((1 - self._tokens) / self._rate)
            problem = f"a caller may send {self._rate} applications a second; wait {seconds} s"
            raise refusal(429, problem, headers={"retry-after": str(seconds)})
        self._tokens -= applications


class CallerLimits:
    """The rate of each caller at one worker; 0 is no limit, and nobody is limited without users."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._unlimited = Bucket(0, clock)
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def bucket_of(self, caller: Caller | None) -> Bucket:
        """Return the bucket of a caller."""
        if caller is None or not self._rate:
            return self._unlimited
        name = caller.type, caller.subject or caller.name
        if name not in self._buckets:
            if len(self._buckets) >= MAX_CALLERS:
                self._buckets = {n: b for n, b in self._buckets.items() if not b.is_full}
            self._buckets[name] = Bucket(self._rate, self._clock)
        return self._buckets[name]


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
