"""Refuse decisions on the connection itself while too many are being worked on.

A request that goes through uvicorn and ASGI to its refusal costs a tenth of a decision: with
thousands of them per second nothing would be left for decisions. So a whole request for a decision
is answered as it arrives, before it is parsed, by an answer that is made once. The connection is
not read again for PAUSE, so that clients which ask again at once leave time for decisions.
Everything else goes the usual way, where the same limit holds.
"""

from __future__ import annotations

import asyncio
import select
from http import HTTPStatus
from typing import Any

import uvicorn
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api import metrics
from service.api.headers import PROBLEM_HEADERS
from service.api.load.draining import DrainingServer
from service.api.load.limits import DECISIONS, InFlight
from service.api.requests import Refused, error_response

STARTS = tuple(f"POST {path} ".encode() for path in DECISIONS)
END = b"\r\n\r\n"  # of the head of a request
PAUSE = 0.1  # seconds after a refusal in which a connection is not read
HEAD_TIMEOUT = 20.0  # seconds in which the whole head of a request must arrive
LINGER = 1.0  # seconds in which an idle connection may still send its last request


class Connection(HttpToolsProtocol):
    """A connection of uvicorn to an `Application`, whose `in_flight` says when it is full."""

    def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self._in_flight: InFlight = config.app.in_flight
        self._refusal: bytes = config.app.refusal
        self._is_between_requests = True
        self._is_draining = False
        self._is_in_head = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a decision at once where that is due, else let uvicorn read the data."""
        if self._is_between_requests and data.startswith(STARTS) and not self._is_draining:
            if self._in_flight.has_no_place() and self._is_answered() and is_whole(data):
                self._refuse()
                return
            self._in_flight.expect(self.loop)
        super().data_received(data)
        if self._is_in_head:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._is_between_requests, self._is_in_head = False, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer; the answer is the last one of a worker that ends."""
        self._is_in_head = False
        self._stop_waiting()
        super().on_headers_complete()
        if self._is_draining and self.cycle:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._is_between_requests = True
        super().on_message_complete()

    def shutdown(self) -> None:
        """Answer the request that is under way, or about to come, and close the connection."""
        if self._is_draining:
            return
        self._is_draining = True
        if self._is_answered():
            self.loop.call_later(LINGER, self._close_if_idle)
        else:
            super().shutdown()

    def _close_if_idle(self) -> None:
        if self._is_draining and has_unread(self.transport):  # the event loop is late
            self.loop.call_later(PAUSE, self._close_if_idle)
        elif self._is_answered():
            self.transport.close()

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._close_if_idle)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self) -> None:
        metrics.SHED.inc()
        self.transport.write(self._refusal)
        self._stop_waiting()
        self._unset_keepalive_if_required()
        self.flow.pause_reading()
        self.loop.call_later(PAUSE, self._read_again)

    def _read_again(self) -> None:
        self.flow.resume_reading()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )


def has_unread(transport: asyncio.Transport) -> bool:
    """Tell whether the other side has sent what was not read yet."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


def is_whole(data: bytes) -> bool:
    """Tell whether data is one request with a body of the length that its head states."""
    head, end, body = data.partition(END)
    parts = head.lower().split(b"\r\ncontent-length:")
    if not end or len(parts) != 2 or b"\r\ntransfer-encoding:" in parts[0] + parts[1]:
        return False
    length = parts[1].split(b"\r\n", 1)[0].strip()
    return length.isdigit() and int(length) == len(body)


def as_answer(refused: Refused) -> bytes:
    """Return a refusal as a whole answer of HTTP/1.1."""
    status, content = error_response(refused.status, refused.problems)
    headers = PROBLEM_HEADERS | dict(refused.headers) | {"content-length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode() + content


def use_for_uvicorn() -> None:
    """Let uvicorn make such connections where BentoML, which has no option for it, says `auto`.

    The server that BentoML starts drains them at its end. It also uses Python's event loop, as
    uvloop accepts one connection in a turn of the loop only: under load new connections would wait
    for minutes, unseen by any limit.
    """
    setattr(uvicorn, "Server", DrainingServer)  # noqa: B010  (mypy refuses the assignment)
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__name__}"
    uvicorn.config.LOOP_FACTORIES["auto"] = uvicorn.config.LOOP_FACTORIES["asyncio"]
