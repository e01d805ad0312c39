"""Profile the service's own part of a request, without the server and without a ledger."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from pathlib import Path
from typing import Any

from benches.pipeline import say
from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.handlers.api import Api
from service.ledger import Entry, Ledger

TOGETHER = 32  # requests at the same time


class Silent(Ledger):
    """A ledger that accepts every decision and records none."""

    async def append_group(self, drafts: object, claim: object = None) -> list[Entry]:
        """Record nothing."""
        return []


def profile_requests(folder: Path, count: int) -> pstats.Stats:
    """Return the profile of requests in this process, without the server and the ledger."""
    api = Api(folder, Silent(f"sqlite:///{folder}/profile.sqlite"))
    api.state.load()
    app = Application(api, lambda: api.routes, Access(None), 1 << 20)  # type: ignore[arg-type]
    bodies = [line.encode() for line in (folder / "bodies.jsonl").read_text().splitlines()]

    async def ask(body: bytes) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            pass

        head = {"type": "http", "path": "/predict", "method": "POST", "query_string": b""}
        headers = [(b"content-type", b"application/json")]
        await app({**head, "headers": headers}, receive, send)

    async def many() -> None:
        for start in range(0, count, TOGETHER):
            await asyncio.gather(
                *(ask(bodies[n % len(bodies)]) for n in range(start, start + TOGETHER))
            )

    asyncio.run(many())
    profile = cProfile.Profile()
    profile.runcall(asyncio.run, many())
    return pstats.Stats(profile)


def print_profile(profile: pstats.Stats, count: int) -> None:
    """Print where the time of `count` requests went."""
    say(f"Where our own part of a request goes (µs under the profiler, {count} requests):")
    rows: object = profile.stats  # type: ignore[attr-defined]
    for (path, _, function), (_, calls, alone, whole, _) in sorted(
        rows.items(), key=lambda item: -item[1][2]
    )[:14]:
        place = f"{Path(path).stem}.{function}" if path != "~" else function
        times = f"{1e6 * alone / count:>8.1f} own{1e6 * whole / count:>9.1f} with calls"
        say(f"{times}{calls:>8}  {place}")
