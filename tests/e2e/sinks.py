"""What alerts arrive at: a webhook and a mail server, which keep what they get."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import httpx


class Webhook(ThreadingHTTPServer):
    """Takes JSON as Slack's incoming webhooks do."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.received: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Post(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(json.loads(body))
        self.send_response(httpx.codes.OK)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


class Mail(ThreadingTCPServer):
    """Speaks as much SMTP as a client needs, and keeps who logged in with which password."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.received: list[EmailMessage] = []
        self.logins: list[list[str]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(StreamRequestHandler):
    server: Mail

    def handle(self) -> None:
        self._say("220 sink")
        for line in iter(self.rfile.readline, b""):
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    self._say("250-sink\r\n250 AUTH PLAIN")
                case "AUTH":
                    self.server.logins.append(
                        base64.b64decode(rest.split()[-1]).decode().split("\0")
                    )
                    self._say("235 welcome")
                case "DATA":
                    self._say("354 go on")
                    self._keep()
                    self._say("250 kept")
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _keep(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        text = b"".join(lines).decode()
        message = message_from_string(text, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.received.append(message)

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@contextlib.contextmanager
def running(server: Webhook | Mail) -> Iterator[None]:
    """Serve until the context ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
