"""Send requests to a service on this machine; other hosts are refused."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 30  # seconds
ERROR = 300  # the lowest status that is not a success


Fields = dict[str, dict[str, Any]]
"""The contract's fields by name, as `/model-info` describes them."""


class CannotSend(Exception):
    """No request can be sent; the message says why and what is allowed."""


@dataclass
class LoopbackClient:
    """A client with one keep-alive connection to a service on this machine."""

    host: str
    port: int
    key: str = ""
    connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = HTTPConnection(self.host, self.port, timeout=TIMEOUT)

    def send(self, method: str, path: str, content: object = None) -> tuple[int, Any]:
        """Send a request with `content` as JSON; returns the answer's status and its JSON.

        Raises OSError or HTTPException when no answer comes.
        """
        headers = {"content-type": "application/json"} | (
            {"x-api-key": self.key} if self.key else {}
        )
        body = None if content is None else json.dumps(content)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, HTTPException):
            self.connection.close()  # the next request opens a new connection
            raise


def connect(url: str, key: str = "") -> LoopbackClient:
    """Return a client of http://HOST:PORT; raises CannotSend unless HOST is a loopback address."""
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
    return LoopbackClient(host, port, key)


def application_fields(client: LoopbackClient) -> Fields:
    """Return the contract's fields that an application to the running model may have, by name.

    Raises CannotSend when no service answers, or when it answers with an error.
    """
    try:
        status, answer = client.send("GET", "/model-info")
    except (OSError, HTTPException, ValueError) as error:
        address = f"http://{client.host}:{client.port}"
        raise CannotSend(f"no service answers at {address}: {error}") from error
    if status >= ERROR:
        raise CannotSend(f"the service answers {status}: {answer['errors'][0]['message']}")
    client.connection.close()  # the caller may be slower than a server waits on an idle connection
    has_price = answer["model"]["mode"] == "pricing"
    fields = answer["contract"]["fields"]
    return {f["name"]: f for f in fields if f["known_at"] == "application" or has_price}
