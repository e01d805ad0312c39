"""Send whole answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Send

from service.api.headers import PROBLEM_HEADERS
from service.api.requests import Refused, error_response


async def send_answer(send: Send, status: int, content: bytes, headers: Mapping[str, str]) -> None:
    """Send an answer with its headers and the length of its content."""
    raw = [*_encode(tuple(headers.items())), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


async def send_refusal(send: Send, refused: Refused) -> None:
    """Send what is wrong with a request."""
    status, content = error_response(refused.status, refused.problems)
    await send_answer(send, status, content, {**PROBLEM_HEADERS, **refused.headers})


@lru_cache(maxsize=256)
def _encode(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers]
