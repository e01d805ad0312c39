"""A client of the service on this machine, for traffic that must never reach another one."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 30
OK = 300  # statuses from here on are no success


class NoTraffic(Exception):
    """What was asked for cannot be sent; the message says why and what is allowed."""


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
        """The status and the JSON of an answer; OSError or HTTPException where there is none."""
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


def client(url: str, key: str = "") -> Client:
    """A client of http://HOST:PORT; NoTraffic unless the host is this machine's loopback."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        own = parts.scheme == "http" and ipaddress.ip_address(host).is_loopback
        port = parts.port or 80
    except ValueError:
        own, port = False, 0
    if not own:
        raise NoTraffic(
            f"--url must be http:// on a loopback address, such as http://127.0.0.1:3000; got {url}"
        )
    return Client(host, port, key)


def fields_of(to: Client) -> dict[str, dict[str, Any]]:
    """The fields that the running model may be sent, by name."""
    try:
        status, told = to.ask("GET", "/model-info")
    except (OSError, HTTPException, ValueError) as error:
        raise NoTraffic(f"no service answers at http://{to.host}:{to.port}: {error}") from error
    if status >= OK:
        raise NoTraffic(f"the service says {status}: {told['errors'][0]['message']}")
    early = told["model"]["mode"] != "pricing"
    own = told["contract"]["fields"]
    return {f["name"]: f for f in own if f["known_at"] == "application" or not early}
