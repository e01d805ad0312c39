"""Guard every request: its API key, and the type, size and pace of its body."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from hashlib import sha256

from starlette.types import Receive, Scope

from service.api.requests import Refused, refusal
from service.decision.problems import clip

PATIENCE = 20  # seconds for a whole body to come
OPEN_PATHS = {"/", "/health", "/livez", "/readyz", "/healthz"}
OPEN_FOLDER = "/ui/"  # the files of the page, which ask for a key themselves


def is_admitted(scope: Scope, digests: Sequence[bytes]) -> bool:
    """Tell whether a request may be answered: its path is open to all, or its key is right."""
    path: str = scope["path"]
    return (
        not digests or path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or _fits(scope, digests)
    )


def _fits(scope: Scope, digests: Sequence[bytes]) -> bool:
    headers = dict(scope["headers"])
    key = headers.get(b"x-api-key", b"")
    if not key and headers.get(b"authorization", b"")[:7].lower() == b"bearer ":
        key = headers[b"authorization"][7:]
    digest = sha256(key).digest()
    # Every digest is compared in constant time: how long it takes says nothing about a key.
    return True in [hmac.compare_digest(digest, known) for known in digests]


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Return the body of a POST request, b"" of others; refuses one of more than `most` bytes."""
    if scope["method"] != "POST":
        return b""
    for name, value in scope["headers"]:
        if name == b"content-type" and not value.lower().startswith(b"application/json"):
            got = clip(value.decode("latin-1"))
            raise refusal(415, f"the body must be application/json; got {got}")
        if name == b"content-length" and int(value) > most:
            raise too_large(most)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _read_rest(body, receive, most)
        except TimeoutError:
            raise refusal(408, f"the body did not come within {PATIENCE} seconds") from None
    if len(body) > most:
        raise too_large(most)
    return body


async def _read_rest(body: bytes, receive: Receive, most: int) -> bytes:
    parts, size, more = [body], len(body), True
    while more and size <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise refusal(400, "the client closed the connection before the body was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


def too_large(most: int) -> Refused:
    """Return the refusal of a body that is too large."""
    return refusal(413, f"a body may have {most} bytes at most")
