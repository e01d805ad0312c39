"""The ASGI application that wraps BentoML's.

BentoML's own path to an endpoint adds OpenTelemetry, metrics, a task and a timer to each request,
which cost several times as much as a decision. This application therefore answers the endpoints
and the page itself, and forwards only liveness, metrics and the schema to BentoML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
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
from service.api.access.authentication import Access, require_role
from service.api.application.answers import send_answer, send_refusal
from service.api.application.request_log import ENDPOINT, RequestLog
from service.api.guards import read_body
from service.api.headers import (
    FILE_HEADERS,
    JSON_HEADERS,
    PROBLEM_HEADERS,
    SECURITY_HEADERS,
    headers_of,
)
from service.api.load.connections import as_answer
from service.api.load.limits import BUSY, PROBES, CallerLimits, InFlight
from service.api.requests import (
    Handler,
    Refused,
    Replayed,
    Request,
    Routes,
    error_response,
    refusal,
    respond,
)
from service.decision.problems import clip

UI = Path(__file__).parents[1] / "ui"
FORWARDED = ("/livez", "/healthz", "/metrics", "/schema.json")
VERSION = "/v1"  # the paths without it are aliases for one release
UNAVAILABLE = 503
RETRY = {"retry-after": "1"}  # seconds
ERROR = 400  # statuses from here on are errors


class Application:
    """The application; `find_routes` returns the routes once the service has started."""

    def __init__(
        self,
        inner: ASGIApp,
        find_routes: Callable[[], Routes],
        access: Access,
        max_body: int,
        max_requests: int = 512,
        caller_rate: int = 0,
        log: RequestLog | None = None,
    ) -> None:
        self._log = log or RequestLog()
        self._limits = CallerLimits(caller_rate)
        self.in_flight = InFlight(max_requests, max_body)
        self.refusal = as_answer(refusal(503, BUSY, headers=RETRY))
        self._inner, self._find_routes, self._access = inner, find_routes, access
        self._max_body = max_body
        self._router: Router | None = None
        self._endpoints: dict[str, Endpoint] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        send, start = self._log.follow(scope, send), perf_counter()
        try:
            if self.in_flight.is_full_for(scope["path"]):
                metrics.SHED.inc()
                raise refusal(503, BUSY, headers=RETRY)
            scope["caller"] = await self._access.find_caller(scope)
            self._router = self._router or self._create_router(self._find_routes())
            await self._endpoints.get(scope["path"], self._router)(scope, receive, send)
            return
        except Refused as error:
            refused = error
        except HTTPException as error:
            refused = _as_refusal(error, scope)
        metrics.count_request("none", refused.status, perf_counter() - start)
        await send_refusal(send, refused)

    def _create_router(self, routes: Routes) -> Router:
        endpoints = {
            path: Endpoint(path, handlers, self._max_body, self.in_flight, self._limits)
            for path, handlers in routes.items()
        }
        # A path without a part that varies needs no search among the routes.
        self._endpoints = {
            prefix + path: endpoint
            for prefix in ("", VERSION)
            for path, endpoint in endpoints.items()
            if "{" not in path
        }
        return Router(
            [
                *(
                    # The reference of a case may hold slashes.
                    Route(prefix + path.replace("cases/{id}", "cases/{id:path}"), endpoint)
                    for path, endpoint in endpoints.items()
                    for prefix in ("", VERSION)
                ),
                *(Route(path, SecuredApplication(self._inner, path)) for path in FORWARDED),
                *(self._access.login.routes() if self._access.login else ()),
                Route("/", PageFiles(directory=UI, html=True)),
                Mount("/ui", PageFiles(directory=UI)),
            ],
            redirect_slashes=False,
            default=_refuse_unknown_path,
        )


class Endpoint:
    """One path of the API, with a handler for each of its methods."""

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        max_body: int,
        in_flight: InFlight,
        limits: CallerLimits,
    ) -> None:
        self._limits = limits
        self.path, self.handlers, self.max_body = path, handlers, max_body
        self._in_flight, self._is_probe = in_flight, path in PROBES
        self._limit = in_flight.decisions.count if path == "/predict" else nullcontext
        self._headers = headers_of(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and count it; an unexpected error counts as status 500."""
        start, status, scope[ENDPOINT] = perf_counter(), 500, self.path
        try:
            try:
                status, content, headers = await self._answer(scope, receive)
            except Refused as error:
                status, content = error_response(error.status, error.problems)
                headers = {**PROBLEM_HEADERS, **error.headers}
            except Replayed as replayed:
                status, content = 200, replayed.body
                headers = {**JSON_HEADERS, "idempotent-replayed": "true"}
        finally:
            metrics.count_request(self.path, status, perf_counter() - start)
        if status == UNAVAILABLE:
            headers = {**headers, **RETRY}
        await send_answer(send, status, content, headers)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, Mapping[str, str]]:
        """Return the status, the body and the headers of the answer; raises Refused."""
        handler = self._handler(scope["method"])
        require_role(scope, self.path)
        charge = self._limits.bucket_of(scope["caller"]).charge
        charge(1)
        size = 0 if self._is_probe else self._in_flight.admit(scope)
        try:
            body = await read_body(scope, receive, self.max_body)
            request = Request(
                scope.get("path_params", {}).get("id", ""),
                _query(scope),
                body,
                scope["caller"],
                _idempotency_key(scope),
                charge,
            )
            with self._limit():
                status, content = await respond(handler, request)
        finally:
            if not self._is_probe:
                self._in_flight.release(size)
        return status, content, self._headers if status < ERROR else PROBLEM_HEADERS

    def _handler(self, method: str) -> Handler:
        handler = self.handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise _wrong_method(self.path, ", ".join(self.handlers))
        return handler


class PageFiles(StaticFiles):
    """The files of the page, sent with the security headers."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return the response with a file, or with status 304 when the file has not changed."""
        response = super().file_response(*arguments, **options)
        response.headers.update(FILE_HEADERS)
        return response


class SecuredApplication:
    """Adds the security headers to the answers of another application at one path."""

    def __init__(self, inner: ASGIApp, path: str) -> None:
        self._inner, self._path = inner, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        require_role(scope, self._path)

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._inner(scope, receive, send_secured)


async def _refuse_unknown_path(scope: Scope, receive: Receive, send: Send) -> None:
    raise refusal(404, f"there is nothing at {clip(scope['path'])}")


def _as_refusal(error: HTTPException, scope: Scope) -> Refused:
    allowed = (error.headers or {}).get("Allow")
    if allowed:
        return _wrong_method(clip(scope["path"]), allowed)
    return refusal(404, f"there is nothing at {clip(scope['path'])}")


def _wrong_method(path: str, allowed: str) -> Refused:
    return refusal(405, f"{path} takes {allowed}", headers={"allow": allowed})


def _query(scope: Scope) -> dict[str, str]:
    """Return the query parameters by name; the last value of a name that comes twice."""
    raw: bytes = scope["query_string"]
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}


def _idempotency_key(scope: Scope) -> str | None:
    given = (value for name, value in scope["headers"] if name == b"idempotency-key")
    return next((str(value.decode("latin-1")) for value in given), None)
