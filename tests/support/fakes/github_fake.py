"""A local stand-in for the part of GitHub's API by which the monitor starts a retraining.

It accepts repository events (`POST /repos/lender/credit/dispatches`), wants a bearer token, and can
fail the next requests on demand. It has no rate limits and no other resources, and does not prove
that GitHub still behaves so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Failure:
    """A failure with which one request is answered."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


class GitHubFake(ThreadingHTTPServer):
    """One repository, `lender/credit`, and the events that were sent to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = "secret"
        self.events: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.failures: list[Failure] = []  # of the next requests

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers for GitHubFake."""

    server: GitHubFake

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Record a request, and answer it: as planned, or after a check of its token."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.server.requests.append(f"{self.command} {self.path}")
        if self.server.failures:
            failure = self.server.failures.pop(0)
            self.answer(failure.status, {"message": "planned"}, failure.headers)
        elif self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self.answer(401, {"message": "Bad credentials"})
        elif (self.command, self.path) != ("POST", "/repos/lender/credit/dispatches"):
            self.answer(404, {"message": "Not Found"})
        else:
            self.server.events.append(body)
            self.answer(204)

    do_POST = do_PATCH = do_GET

    def answer(
        self, status: int, content: object = None, headers: dict[str, str] | None = None
    ) -> None:
        """Send JSON, or nothing with status 204."""
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ((headers or {}) | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def github() -> Iterator[GitHubFake]:
    """Yield a stand-in that runs."""
    with GitHubFake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
