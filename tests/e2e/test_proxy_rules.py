"""The rules of both HAProxy configurations, before a server that answers every path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from .processes import ROOT, answers, free_port, spawn, stop, tool, wait_until

pytestmark = pytest.mark.e2e

CONFIGURATIONS = ("release/deploy/host/haproxy.cfg", "release/deploy/compose/haproxy.cfg")


class AnyPath(BaseHTTPRequestHandler):
    """Answers 200 to every GET."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that answers every path."""
    served = HTTPServer(("127.0.0.1", 0), AnyPath)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


@contextmanager
def proxy(configuration: str, server: str, folder: Path) -> Iterator[int]:
    """HAProxy with a committed configuration on a free port, without TLS and name resolution."""
    port = free_port()
    text = (ROOT / configuration).read_text()
    for committed, here in (
        ('"${CREDIT_PD_PUBLIC}" ssl crt "${CREDIT_PD_TLS}" alpn h2,http/1.1', f"127.0.0.1:{port}"),
        (":8080", f"127.0.0.1:{port}"),
        ("server-template service 8 service:3000", f"server service {server}"),
        (" resolvers names init-addr last,libc,none", ""),
        ("option httpchk GET /readyz", "option httpchk GET /"),
        ("user haproxy", ""),
        ("group haproxy", ""),
    ):
        text = text.replace(committed, here)
    (folder / "haproxy.cfg").write_text(text)
    (folder / "live.map").write_text("live blue\n")
    environment = {
        "CREDIT_PD_STATE": str(folder),
        "CREDIT_PD_SOCKET": str(folder / "proxy.sock"),
        "CREDIT_PD_FRONT": f"127.0.0.1:{free_port()}",
        "CREDIT_PD_BLUE": server,
        "CREDIT_PD_GREEN": server,
    }
    command = [tool("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    process = spawn(command, folder / "proxy.log", environment)
    try:
        wait_until(lambda: answers(port), 20, "the start of the proxy")
        yield port
    finally:
        stop(process)


def status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_metrics_are_hidden_however_their_path_is_written(
    configuration: str, server: str, tmp_path: Path
) -> None:
    with proxy(configuration, server, tmp_path) as port:
        wait_until(lambda: status(port, "/livez") == 200, 20, "the server behind the proxy")
        for path in ("/metrics", "/%6detrics", "/%6Detric%73", "/metrics?x=1", "/metrics/"):
            assert (path, status(port, path)) == (path, 404)
