"""Talk to a service on this machine, and to no other."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 30  # seconds
ERROR = 300  # an answer with this status or a higher one is no success


class CannotSend(Exception):
    """Nothing can be sent; the message says why and what is allowed."""


@dataclass
class Client:
    """One connection to a service on this machine, kept alive."""

    host: str
    port: int
    key: str = ""
    connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def ask(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer; OSError or HTTPException if none comes."""
        headers = {"content-type": "application/json"} | (
            {"x-api-key": self.key} if self.key else {}
        )
        body = None if content is None else json.dumps(content)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, HTTPException):
            self.connection.close()  # the next request connects anew
            raise


def connect(url: str, key: str = "") -> Client:
    """Return a client of http://HOST:PORT; CannotSend unless HOST is the loopback interface."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        is_local = parts.scheme == "http" and ipaddress.ip_address(host).is_loopback
        port = parts.port or 80
    except ValueError:
        is_local, port = False, 0
    if not is_local:
        raise CannotSend(
            f"--url must be http:// on a loopback address, such as http://127.0.0.1:3000; got {url}"
        )
    return Client(host, port, key)


def application_fields(to: Client) -> dict[str, dict[str, Any]]:
    """Return the fields that an application to the running model may have, by name."""
    try:
        status, answer = to.ask("GET", "/model-info")
    except (OSError, HTTPException, ValueError) as error:
        raise CannotSend(f"no service answers at http://{to.host}:{to.port}: {error}") from error
    if status >= ERROR:
        raise CannotSend(f"the service says {status}: {answer['errors'][0]['message']}")
    all_known = answer["model"]["mode"] == "pricing"
    fields = answer["contract"]["fields"]
    return {f["name"]: f for f in fields if f["known_at"] == "application" or all_known}
