"""The ASGI application before BentoML's: our endpoints, the page, and what guards every request.

BentoML's own way to an endpoint runs through OpenTelemetry, its metrics, a task and a timer per
request, and costs several times what a decision does. So this application stands before it, answers
the endpoints itself, and hands on what is BentoML's: liveness, metrics, schema.
"""

from __future__ import annotations

import asyncio
import hmac
import mimetypes
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from service.api import metrics
from service.api.handlers import Desk
from service.api.responses import Handler, Headers, Refused, Request, refusal, refuse, reply
from service.decision.problems import clip

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UI = Path(__file__).parent / "ui"
PATIENCE = 20  # seconds for a body to come, and for an answer to be made
OPEN = {"/", "/health", "/livez", "/readyz", "/healthz"}
HANDED_ON = {"/livez", "/healthz", "/metrics", "/schema.json"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY: Headers = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# What is no page needs less, and h11 checks every header of every answer.
JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
CHALLENGE: Headers = [(b"www-authenticate", b"ApiKey")]


class Front:
    """Answers what is ours; `find` gives the desk once the service has started."""

    def __init__(
        self, app: App, find: Callable[[], Desk], keys: Sequence[bytes], max_body: int
    ) -> None:
        self._app, self._find, self._max_body = app, find, max_body
        self._keys = keys
        self._desk: Desk | None = None
        self._files = page(UI)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        known = not self._keys or path in OPEN or path in self._files or self._knows(scope)
        if known and path in HANDED_ON:
            await self._app(scope, receive, secured(send))
        elif path in self._files and scope["method"] in ("GET", "HEAD"):
            body, headers = self._files[path]
            await answer(send, 200, body, headers)
        else:
            await self._answer(scope, receive, send, known)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, known: bool) -> None:
        """Answer at one of our endpoints, and count it; what is not foreseen counts as a 500."""
        start, endpoint, status, extra = perf_counter(), "none", 500, []
        try:
            try:
                if not known:
                    raise refusal(
                        401, "an API key is needed, in the header x-api-key", headers=CHALLENGE
                    )
                endpoint, part, handler = self._route(scope)
                request = Request(part, query_of(scope), await self._body(scope, receive))
            except Refused as error:
                status, body = refuse(error.status, error.problems)
                extra = error.headers
            else:
                status, body = await reply(handler, request)
        finally:
            metrics.requested(endpoint, status, perf_counter() - start)
        await answer(send, status, body, [*JSON, *extra])

    def _route(self, scope: Scope) -> tuple[str, str, Handler]:
        """The endpoint's name in metrics, the last part of a path that ends in one, the handler."""
        desk = self._desk = self._desk or self._find()
        path: str = scope["path"]
        above, _, part = path.rpartition("/")
        pattern = f"{above}/{{id}}"
        if path in desk.routes:
            endpoint, part, methods = path, "", desk.routes[path]
        elif part and pattern in desk.routes:
            endpoint, methods = pattern, desk.routes[pattern]
        elif path in self._files:
            raise wrong_method(path, "GET, HEAD")
        else:
            raise refusal(404, f"there is nothing at {clip(path)}")
        handler = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if handler is None:
            raise wrong_method(endpoint, ", ".join(methods))
        return endpoint, part, handler

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request, once it is known to be JSON and not too large."""
        if scope["method"] != "POST":
            return b""
        for name, value in scope["headers"]:
            if name == b"content-type" and not value.lower().startswith(b"application/json"):
                kind = clip(value.decode("latin-1"))
                raise refusal(415, f"the body must be application/json; got {kind}")
            if name == b"content-length" and int(value) > self._max_body:
                raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            try:
                async with asyncio.timeout(PATIENCE):
                    body = await self._rest(body, receive)
            except TimeoutError:
                raise refusal(408, f"the body did not come within {PATIENCE} seconds") from None
        if len(body) > self._max_body:
            raise self._too_large()
        return body

    async def _rest(self, body: bytes, receive: Receive) -> bytes:
        parts, size, more = [body], len(body), True
        while more and size <= self._max_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise refusal(400, "the client went away")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
        return b"".join(parts)

    def _too_large(self) -> Refused:
        return refusal(413, f"a body may have {self._max_body} bytes at most")

    def _knows(self, scope: Scope) -> bool:
        """Whether the request has a key; takes the same time for every wrong one."""
        headers = dict(scope["headers"])
        given = headers.get(b"x-api-key", b"")
        if not given and headers.get(b"authorization", b"")[:7].lower() == b"bearer ":
            given = headers[b"authorization"][7:]
        digest = sha256(given).digest()
        return True in [hmac.compare_digest(digest, known) for known in self._keys]


def page(folder: Path) -> dict[str, tuple[bytes, Headers]]:
    """The page's files: path → bytes and headers. `/` is index.html, the others are in `/ui/`."""
    files = {f"/ui/{p.name}": p for p in folder.glob("*.*") if p.suffix != ".md"}
    found = {path: (own.read_bytes(), static(own)) for path, own in files.items()}
    return found | ({"/": found["/ui/index.html"]} if "/ui/index.html" in found else {})


def static(path: Path) -> Headers:
    """The headers of a file."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = "; charset=utf-8" if kind.startswith(("text/", "application/javascript")) else ""
    return [(b"content-type", f"{kind}{text}".encode()), (b"cache-control", b"no-cache"), *SECURITY]


def wrong_method(endpoint: str, takes: str) -> Refused:
    """A refusal that says which methods there are."""
    return refusal(405, f"{endpoint} takes {takes}", headers=[(b"allow", takes.encode())])


async def answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer."""
    whole = [(b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": whole})
    await send({"type": "http.response.body", "body": body})


def query_of(scope: Scope) -> dict[str, str]:
    """The query of a request; of a name that comes twice, the last."""
    raw: bytes = scope["query_string"]
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}


def secured(send: Send) -> Send:
    """Put the security headers on an answer that is not ours."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *SECURITY]
        await send(message)

    return wrapped
