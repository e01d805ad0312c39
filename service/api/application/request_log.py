"""Give every request an identifier, and log its answer as a line of JSON on standard output.

A line names the endpoint and never the path or the query, which may hold a reference, and nothing
of a body: no personal data of an applicant. Requests that are refused on their connection, under
overload, are counted only.
"""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime
from secrets import token_hex
from time import perf_counter
from typing import Any

from pydantic_core import to_json
from starlette.types import Message, Scope, Send

from service.api.access.permissions import PERMISSIONS

GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""An identifier that a client or a proxy may give."""
HEADER = b"x-request-id"
ENDPOINT = "credit_pd.endpoint"  # the key of the scope under which an endpoint names itself
OTHER = "other"  # in the place of a path that is no endpoint


class RequestLog:
    """Follows requests; the lines of one turn of the event loop are written together."""

    def __init__(self, is_on: bool = False) -> None:
        self._is_on = is_on
        self._lines: list[bytes] = []

    def follow(self, scope: Scope, send: Send) -> Send:
        """Return a `send` that adds the identifier to the answer, and logs it at its end."""
        start, identifier, status = perf_counter(), identifier_of(scope), 0

        async def send_followed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (HEADER, identifier)]
                message = {**message, "headers": headers}
            await send(message)
            is_end = message["type"] == "http.response.body" and not message.get("more_body")
            if self._is_on and is_end:
                self._log(scope, identifier, status, perf_counter() - start)

        return send_followed

    def _log(self, scope: Scope, identifier: bytes, status: int, seconds: float) -> None:
        caller = scope.get("caller")
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "request",
            "request_id": identifier.decode(),
            "caller": caller.name if caller else None,
            "method": scope["method"],
            "endpoint": endpoint_of(scope),
            "status": status,
            "milliseconds": round(1000 * seconds, 2),
        }
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(to_json(line))

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stdout.write(b"".join(line + b"\n" for line in lines).decode())
        sys.stdout.flush()


def endpoint_of(scope: Scope) -> str:
    """Return the endpoint that a request asked, without what its path or its query hold."""
    path = scope["path"].removeprefix("/v1")
    return str(scope.get(ENDPOINT) or (path if path in PERMISSIONS else OTHER))


def identifier_of(scope: Scope) -> bytes:
    """Return the identifier that the request brings, or a new one."""
    for name, value in scope["headers"]:
        if name == HEADER and GIVEN.fullmatch(value):
            return bytes(value)
    return token_hex(8).encode()
