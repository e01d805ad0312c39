"""Ask the service's application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.access.authentication import Access
from service.api.application.asgi import Application
from service.api.handlers.api import Api
from service.users.api_keys import KeyRing

JSON = {"content-type": "application/json"}
KEY = "a long and random key"


class Client:
    """Asks an ASGI application in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request(method, path, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, path, **options)


async def parts(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as the application behind the guard, with the path that came through."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inner " + scope["path"].encode()})


def client_of(
    api: Api,
    keys: tuple[str, ...] = (),
    max_body: int = 4000,
    hosts: tuple[str, ...] = (),
    has_open_docs: bool = False,
    max_requests: int = 512,
) -> Client:
    digests = [sha256(key.encode()).digest() for key in keys]
    access = Access(KeyRing(digests) if keys else None, hosts, has_open_docs)
    return client_with(api, access, max_body, max_requests)


def client_with(api: Api, access: Access, max_body: int = 4000, max_requests: int = 512) -> Client:
    """Return a client of a service with these users."""
    return Client(Application(inner, lambda: api.routes, access, max_body, max_requests))


def errors(answer: httpx.Response) -> dict[str, str]:
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def post_override(client: Client, prediction: str, **changes: str) -> httpx.Response:
    wish = {"decision": "approve", "reason": "Knows the applicant", "author": "A. Officer"}
    return client.post("/overrides", json={"prediction_id": prediction, **wish, **changes})
