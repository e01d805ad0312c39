"""Guard every request: its API key, and the type, size and pace of its body."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Receive, Scope

from service.api.requests import Refused, refusal
from service.decision.problems import clip

PATIENCE = 20  # seconds for a whole body to come
JSON = re.compile(rb'application/json\s*(;\s*charset="?utf-?8"?\s*)?;?', re.IGNORECASE)
OPEN_PATHS = {"/", "/health", "/livez", "/readyz", "/healthz"}
DOCUMENTATION = {"/docs", "/docs.json"}  # open where the operator says so
OPEN_FOLDER = "/ui/"  # the files of the page, which ask for a key themselves


def is_admitted(scope: Scope, digests: Sequence[bytes], has_open_docs: bool = False) -> bool:
    """Tell whether a request may be answered: its path is open to all, or its key is right."""
    path: str = scope["path"]
    is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
    is_open = is_open or (has_open_docs and path in DOCUMENTATION)
    return not digests or is_open or _has_key(scope, digests)


def _has_key(scope: Scope, digests: Sequence[bytes]) -> bool:
    headers = dict(scope["headers"])
    key = headers.get(b"x-api-key", b"")
    if not key and headers.get(b"authorization", b"")[:7].lower() == b"bearer ":
        key = headers[b"authorization"][7:]
    digest = sha256(key).digest()
    # Every digest is compared in constant time: how long it takes says nothing about a key.
    return True in [hmac.compare_digest(digest, known) for known in digests]


def refuse_strangers(scope: Scope, hosts: Collection[str]) -> None:
    """Refuse what a page of another site makes a browser send; for services without API keys.

    A page can have its own name point at this machine, so a name must be one of `hosts`, or one
    that no page of the web can have: an address, or a name without a dot. What a page of another
    origin sends names that origin.
    """
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if not _is_local(host, hosts):
        raise refusal(
            403,
            f"the host {clip(host)} is not served without API keys; set CREDIT_PD_API_KEYS, or "
            "name the host in CREDIT_PD_HOSTS",
        )
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin.decode("latin-1").lower()).netloc != host:
        got = clip(origin.decode("latin-1"))
        raise refusal(403, f"a page of another origin is not answered; got {got}")


def _is_local(host: str, hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if "." not in name and ":" not in name:
        return True
    try:
        ip_address(name)
    except ValueError:
        return name in hosts
    return True


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Return the body of a POST request, b"" of others; refuses one of more than `most` bytes."""
    if scope["method"] != "POST":
        return b""
    media_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value
        if name == b"content-length" and int(value) > most:
            raise too_large(most)
    if media_type != b"application/json" and not JSON.fullmatch(media_type):
        got = clip(media_type.decode("latin-1")) or "no content-type"
        raise refusal(415, f"the body must be application/json in UTF-8; got {got}")
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
