"""An OCI registry in memory: blobs and manifests, as far as attestations need them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Registry:
    """What the registry holds, by path; it asks for `login` (USER:PASSWORD in base64) if set."""

    login: str = ""
    held: dict[str, bytes] = field(default_factory=dict)
    address: str = ""

    @property
    def repository(self) -> str:
        return f"{self.address}/credit-pd"

    @contextmanager
    def running(self) -> Iterator[Registry]:
        """Serve on loopback."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/v2/credit-pd/")
            self.answer(200 if path in registry.held else 404, registry.held.get(path, b""))

        def do_POST(self) -> None:
            self.answer(202, location="/v2/credit-pd/blobs/uploads/1?state=2")

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            digest = re.search(r"digest=(\S+)", self.path)
            path = self.path.removeprefix("/v2/credit-pd/")
            if digest and digest[1] != f"sha256:{sha256(content).hexdigest()}":
                self.answer(400, b"the digest is another one")
                return
            path = f"blobs/{digest[1]}" if digest else path
            if path.startswith("manifests/") and path in registry.held:
                self.answer(400, b"tags are immutable")
                return
            registry.held[path] = content
            self.answer(201)

        def answer(self, status: int, body: bytes = b"", location: str = "") -> None:
            if registry.login and self.headers.get("Authorization") != f"Basic {registry.login}":
                status, body, location = 401, b"", ""
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
