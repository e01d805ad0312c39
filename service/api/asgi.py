"""The ASGI application that stands before BentoML's.

BentoML's own way to an endpoint runs through OpenTelemetry, its metrics, a task and a timer per
request, and costs several times what a decision does. So this application answers the endpoints
and the page itself. It hands on only what is BentoML's: liveness, metrics and schema.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import metrics
from service.api.guards import is_admitted, read_body, refuse_strangers
from service.api.handlers import DecisionApi, Routes
from service.api.requests import Handler, Refused, Request, refusal, refused_answer, respond
from service.decision.problems import clip

UI = Path(__file__).parent / "ui"
HANDED_ON = ("/livez", "/healthz", "/metrics", "/schema.json")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FILE = {"cache-control": "no-cache", **SECURITY}
HTML = {"content-type": "text/html; charset=utf-8", "cache-control": "no-store", **SECURITY}
# What is no page needs less, and h11 checks every header of every answer.
JSON = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
CHALLENGE = {"www-authenticate": "ApiKey"}
UNAVAILABLE = 503
RETRY = {"retry-after": "1"}  # seconds
ERROR = 400  # statuses from here on are errors


class Application:
    """The whole application; `find_api` returns the handlers once the service has started."""

    def __init__(
        self,
        inner: ASGIApp,
        find_api: Callable[[], DecisionApi],
        keys: Sequence[bytes],
        max_body: int,
        hosts: Collection[str] = (),
        has_open_docs: bool = False,
    ) -> None:
        self._hosts, self._has_open_docs = hosts, has_open_docs
        self._inner, self._find_api, self._keys, self._max_body = inner, find_api, keys, max_body
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        start = perf_counter()
        try:
            if not self._keys:
                refuse_strangers(scope, self._hosts)
            elif not is_admitted(scope, self._keys, self._has_open_docs):
                raise refusal(
                    401, "an API key is needed, in the header x-api-key", headers=CHALLENGE
                )
            self._router = self._router or self._create_router(self._find_api().routes)
            await self._router(scope, receive, send)
            return
        except Refused as error:
            refused = error
        except HTTPException as error:
            refused = _as_refusal(error, scope)
        metrics.count_request("none", refused.status, perf_counter() - start)
        await _refuse(refused, scope, receive, send)

    def _create_router(self, routes: Routes) -> Router:
        return Router(
            [
                *(
                    Route(p, Endpoint(p, handlers, self._max_body))
                    for p, handlers in routes.items()
                ),
                *(Route(path, SecuredApplication(self._inner)) for path in HANDED_ON),
                Route("/", PageFiles(directory=UI, html=True)),
                Mount("/ui", PageFiles(directory=UI)),
            ],
            redirect_slashes=False,
            default=_find_nothing,
        )


class Endpoint:
    """One path of the API, with a handler for each of its methods."""

    def __init__(self, path: str, handlers: Mapping[str, Handler], max_body: int) -> None:
        self.path, self.handlers, self.max_body = path, handlers, max_body
        self._headers = HTML if path == "/docs" else JSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and count it; an error that is not foreseen counts as a 500."""
        start, status = perf_counter(), 500
        try:
            try:
                handler = self._handler(scope["method"])
                body = await read_body(scope, receive, self.max_body)
                request = Request(scope["path_params"].get("id", ""), _query(scope), body)
                status, content = await respond(handler, request)
                headers = self._headers if status < ERROR else JSON
                if status == UNAVAILABLE:
                    headers = {**headers, **RETRY}
            except Refused as error:
                status, content = refused_answer(error.status, error.problems)
                headers = {**JSON, **error.headers}
        finally:
            metrics.count_request(self.path, status, perf_counter() - start)
        await Response(content, status, headers)(scope, receive, send)

    def _handler(self, method: str) -> Handler:
        handler = self.handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise _wrong_method(self.path, ", ".join(self.handlers))
        return handler


class PageFiles(StaticFiles):
    """The files of the page, with the headers that guard it."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file's response, or that it has not changed."""
        response = super().file_response(*arguments, **options)
        response.headers.update(FILE)
        return response


class SecuredApplication:
    """Another application, whose answers get the headers that guard a page."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                MutableHeaders(scope=message).update(SECURITY)
            await send(message)

        await self._inner(scope, receive, send_secured)


async def _find_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise refusal(404, f"there is nothing at {clip(scope['path'])}")


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    status, content = refused_answer(refused.status, refused.problems)
    await Response(content, status, {**JSON, **refused.headers})(scope, receive, send)


def _as_refusal(error: HTTPException, scope: Scope) -> Refused:
    allowed = (error.headers or {}).get("Allow")
    if allowed:
        return _wrong_method(clip(scope["path"]), allowed)
    return refusal(404, f"there is nothing at {clip(scope['path'])}")


def _wrong_method(path: str, allowed: str) -> Refused:
    return refusal(405, f"{path} takes {allowed}", headers={"allow": allowed})


def _query(scope: Scope) -> dict[str, str]:
    """Return the query of a request; of a name that comes twice, the last value."""
    raw: bytes = scope["query_string"]
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}
