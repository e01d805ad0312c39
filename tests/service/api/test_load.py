"""One client, or too many, must not make all others wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api import guards
from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.description import openapi
from service.api.handlers.api import Api
from service.api.load import limits as load
from service.api.load.limits import CallerLimits, Turnstile
from service.api.requests import Refused, Request, Response
from service.ledger import Ledger
from service.users.callers import Caller
from tests.support.api_client import JSON, inner

MAX_BODY = 100


class Blocked:
    """A service whose answers to `/predict` wait until `go` is set."""

    def __init__(self, tmp_path: Path, max_requests: int) -> None:
        self.api = Api(tmp_path, Ledger(f"sqlite:///{tmp_path}/ledger.sqlite"))
        self.go, self.asked = asyncio.Event(), 0
        self.api.routes["/predict"] = {"POST": self.predict}
        app = Application(inner, lambda: self.api.routes, Access(None), MAX_BODY, max_requests)
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://service")

    async def predict(self, request: Request) -> Response:
        self.asked += 1
        await self.go.wait()
        return 200, b"{}"

    async def post(self, body: Any = b"{}") -> httpx.Response:
        return await self.client.post("/predict", content=body, headers=JSON)


async def begin(blocked: Blocked, *bodies: Any) -> list[asyncio.Task[httpx.Response]]:
    """Send requests, and return once they are with their handlers."""
    before = blocked.asked
    tasks = [asyncio.create_task(blocked.post(body)) for body in bodies]
    while blocked.asked < before + len(bodies):
        await asyncio.sleep(0.001)
    return tasks


def test_more_requests_than_are_allowed_are_refused_at_once(tmp_path: Path) -> None:
    async def attack() -> None:
        blocked = Blocked(tmp_path, max_requests=2)
        waiting = await begin(blocked, b"{}", b"{}")
        refused = await blocked.post()
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "too many requests are being answered" in refused.text
        assert (await blocked.client.get("/health")).status_code == 200
        blocked.go.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert (await blocked.post()).status_code == 200

    asyncio.run(attack())


def test_large_bodies_are_refused_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "BODIES", 2)

    async def unsized() -> Any:
        yield b"{}"

    async def attack() -> None:
        blocked = Blocked(tmp_path, max_requests=100)
        waiting = await begin(blocked, b" " * MAX_BODY, unsized())
        assert (await blocked.post(b" ")).status_code == 503
        blocked.go.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert (await blocked.post(b" ")).status_code == 200

    asyncio.run(attack())


def test_what_takes_long_waits_for_its_turn_or_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "LONGEST_WAIT", 0.1)

    async def attack() -> None:
        turnstile, done = Turnstile(at_once=1, waiting=1), asyncio.Event()

        async def work() -> str:
            async with turnstile.pass_through():
                await done.wait()
                return "done"

        first, second = asyncio.create_task(work()), asyncio.create_task(work())
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="2 requests of this kind wait already") as refused:
            await work()
        assert refused.value.status == 503
        with pytest.raises(Refused, match="did not come within"):
            await second
        done.set()
        assert await first == "done"
        assert await work() == "done"

    asyncio.run(attack())


def test_a_body_that_never_begins_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "BODY_TIMEOUT", 0.05)

    async def silence() -> Any:
        await asyncio.sleep(30)
        yield b""

    async def attack() -> None:
        blocked = Blocked(tmp_path, max_requests=1)
        assert (await blocked.post(silence())).status_code == 408
        blocked.go.set()
        assert (await blocked.post()).status_code == 200

    asyncio.run(attack())


def test_the_documentation_is_made_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    describe = openapi.describe
    monkeypatch.setattr(openapi, "describe", lambda *a: started.append(1) or describe(*a))

    async def attack() -> None:
        for handler in (api.documentation.docs_json, api.documentation.docs) * 3:
            assert (await handler(Request("", {}, b"")))[0] == 200

    asyncio.run(attack())
    assert len(started) == 2


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def caller(name: str) -> Caller:
    return Caller(name, "service", frozenset({"decide"}))


def test_a_caller_that_sends_more_than_its_rate_waits_and_others_do_not() -> None:
    clock = Clock()
    limits = CallerLimits(5, clock)
    for _ in range(50):
        limits.bucket_of(caller("busy")).charge(1)
    with pytest.raises(Refused) as error:
        limits.bucket_of(caller("busy")).charge(1)
    assert (error.value.status, error.value.headers["retry-after"]) == (429, "1")
    limits.bucket_of(caller("quiet")).charge(1)
    clock.now += 1
    for _ in range(5):
        limits.bucket_of(caller("busy")).charge(1)
    with pytest.raises(Refused):
        limits.bucket_of(caller("busy")).charge(1)


def test_a_batch_counts_as_its_applications() -> None:
    clock = Clock()
    bucket = CallerLimits(5, clock).bucket_of(caller("batch"))
    bucket.charge(1)
    bucket.charge(99)
    with pytest.raises(Refused) as error:
        bucket.charge(1)
    assert error.value.headers["retry-after"] == "11"
    clock.now += 11
    bucket.charge(1)


def test_without_users_or_a_rate_nobody_is_limited() -> None:
    for limits, who in ((CallerLimits(1, Clock()), None), (CallerLimits(0, Clock()), caller("a"))):
        for _ in range(100):
            limits.bucket_of(who).charge(1000)


def test_callers_that_have_left_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(load, "MAX_CALLERS", 3)
    limits = CallerLimits(1, clock)
    for name in ("first", "second", "third"):
        limits.bucket_of(caller(name)).charge(10)
    clock.now += load.BURST + 2
    limits.bucket_of(caller("third")).charge(1)
    limits.bucket_of(caller("fourth")).charge(1)
    assert [name for _, name in limits._buckets] == ["third", "fourth"]
