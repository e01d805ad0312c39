"""Receive alerts and the request to retrain on the loopback interface, and say so."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Say = Callable[[str], None]
LARGEST = 1 << 20  # bytes of a message


def lines_of(message: object) -> Iterator[str]:
    """Yield what a message says: an alert as Slack takes it, or GitHub's repository_dispatch."""
    if not isinstance(message, dict):
        return
    for line in str(message.get("text", "")).splitlines():
        yield f"alert     {line}"
    if "event_type" in message:
        advice = message.get("client_payload", {}).get("advice", "")
        yield f"retrain   the monitor asks for a retraining. {advice}"


@contextmanager
def receiving(say: Say) -> Iterator[str]:
    """Receive messages and say their lines until the end of the block; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = min(int(self.headers.get("content-length") or 0), LARGEST)
            content = self.rfile.read(size)
            self.send_response(204)
            self.end_headers()
            try:
                message = json.loads(content)
            except ValueError:
                return
            for line in lines_of(message):
                say(line)

        def log_message(self, *_: object) -> None:
            """Say nothing of requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
