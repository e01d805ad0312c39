"""Check every request: its host and origin, and its body's type, size and pace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Receive, Scope

from service.api.requests import Refused, refusal
from service.decision.problems import clip

BODY_TIMEOUT = 20  # seconds in which the whole body must arrive
JSON = re.compile(rb'application/json\s*(;\s*charset="?utf-?8"?\s*)?;?', re.IGNORECASE)


def refuse_other_sites(scope: Scope, hosts: Collection[str]) -> None:
    """Refuse requests that a page of another site makes a browser send, without users.

    A site can let its own name resolve to this machine (DNS rebinding). The host must therefore be
    one of `hosts`, or one that no site has: an IP address, or a name without a dot. The browser
    states the origin of the page that sends a request (CSRF), which must be this service.
    """
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if not _is_local(host, hosts):
        raise refusal(
            403,
            f"the host {clip(host)} is not admitted without users; set CREDIT_PD_USERS, or "
            "list the host in CREDIT_PD_HOSTS",
        )
    refuse_other_origin(scope)


def refuse_other_origin(scope: Scope) -> None:
    """Refuse a request that a page of another origin makes a browser send."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    origin = headers.get(b"origin", b"").decode("latin-1")
    if b"origin" in headers and _place_of(origin.lower()) != host:
        raise refusal(403, f"the origin must be this service's own; got {clip(origin)}")


def refuse_other_machines(scope: Scope) -> None:
    """Refuse a request that does not come from this machine."""
    client = scope.get("client")
    if client and not _is_loopback(client[0]):
        raise refusal(
            403,
            "no users are configured, so that only requests from this machine are answered; set "
            "CREDIT_PD_USERS, or CREDIT_PD_WITHOUT_USERS=guarded where something else keeps "
            f"strangers out; got a request from {clip(client[0])}",
        )


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _place_of(origin: str) -> str | None:
    """Return the host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


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


async def read_body(scope: Scope, receive: Receive, max_size: int) -> bytes:
    """Return the body of a POST request, and b"" for other methods.

    Refuses a body that is not JSON in UTF-8, has more than `max_size` bytes, or takes too long.
    """
    if scope["method"] != "POST":
        return b""
    media_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value
        if name == b"content-length" and int(value) > max_size:
            raise too_large(max_size)
    if media_type != b"application/json" and not JSON.fullmatch(media_type):
        got = clip(media_type.decode("latin-1")) or "no content-type"
        raise refusal(415, f"the body must be application/json in UTF-8; got {got}")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await _read_parts(receive, max_size)
    except TimeoutError:
        raise refusal(408, f"the body did not come within {BODY_TIMEOUT} seconds") from None
    if len(body) > max_size:
        raise too_large(max_size)
    return body


async def _read_parts(receive: Receive, max_size: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= max_size:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise refusal(400, "the client closed the connection before the body was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


def too_large(max_size: int) -> Refused:
    """Return the refusal of a body that has more than `max_size` bytes."""
    return refusal(413, f"a body may have at most {max_size} bytes")
