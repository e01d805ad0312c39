"""A small OpenID Connect provider as a process of its own, on loopback.

`python -m tests.support.fakes.identity_provider PORT` serves the description, the public keys, the
log-in of one person and the exchange of a code (PKCE). `POST /sign` signs any claims, `POST
/rotate` replaces the key, and `GET /reads` counts how often the keys were read.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.books import ROOT

AUDIENCE, CLIENT = "credit-pd", "credit-pd-page"
PERSON = {"sub": "248289761001", "preferred_username": "J. Officer"}
ALGORITHM = jwt.get_algorithm_by_name("RS256")


class Key:
    """A key pair with its name."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.private = rsa.generate_private_key(65537, 2048)

    def public(self) -> dict[str, Any]:
        described = json.loads(ALGORITHM.to_jwk(self.private.public_key()))
        return {**described, "kid": self.name, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private, "RS256", {"kid": self.name, **header})


class State:
    key = Key()
    reads = 0
    codes: dict[str, dict[str, str]] = {}  # noqa: RUF012 - of this process alone


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Stay quiet."""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            names = {"jwks_uri": "keys", "authorization_endpoint": "log-in", "token_endpoint": "t"}
            paths = {name: f"{self.issuer}/{path}" for name, path in names.items()}
            self.answer({"issuer": self.issuer, **paths})
        elif parts.path == "/keys":
            State.reads += 1
            self.answer({"keys": [State.key.public()]})
        elif parts.path == "/reads":
            self.answer({"reads": State.reads})
        elif parts.path == "/log-in":
            code = secrets.token_hex(8)
            State.codes[code] = query
            self.send_response(302)
            back = urlencode({"code": code, "state": query["state"]})
            self.send_header("location", f"{query['redirect_uri']}?{back}")
            self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/sign":
            wanted = json.loads(body)
            token = State.key.sign({"iss": self.issuer, **wanted["claims"]}, **wanted["header"])
            self.answer({"token": token})
        elif self.path == "/rotate":
            State.key = Key()
            self.answer({})
        elif self.path == "/t":
            self.exchange({name: values[0] for name, values in parse_qs(body).items()})

    def exchange(self, sent: dict[str, str]) -> None:
        """Answer with an ID token if the verifier fits the challenge of the code (RFC 7636)."""
        asked = State.codes.pop(sent.get("code", ""), {})
        digest = sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        same = [sent.get(n) == asked.get(n) for n in ("client_id", "redirect_uri")]
        if asked.get("code_challenge") != challenge or not all(same):
            self.answer({"error": "invalid_grant"}, 400)
            return
        claims = {**PERSON, "iss": self.issuer, "aud": asked["client_id"]}
        claims |= {"exp": int(time.time()) + 300, "nonce": asked["nonce"]}
        claims["roles"] = ["decide", "read", "review"]
        self.answer({"id_token": State.key.sign(claims), "token_type": "Bearer"})

    def answer(self, value: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@dataclass
class RunningProvider:
    """A provider that runs, and what tests ask of it."""

    issuer: str

    def sign(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a valid token of the person, but for these claims; None leaves a claim out."""
        now = int(time.time())
        claims = {**PERSON, "aud": AUDIENCE, "exp": now + 300, "iat": now, "roles": ["decide"]}
        kept = {name: value for name, value in (claims | changes).items() if value is not None}
        wanted = {"claims": kept, "header": header or {}}
        # Python's own JSON, which may also state what no client should send.
        body = json.dumps(wanted)
        token: str = httpx.post(f"{self.issuer}/sign", content=body).json()["token"]
        return token

    def rotate(self) -> None:
        httpx.post(f"{self.issuer}/rotate", json={})

    def reads(self) -> int:
        return int(httpx.get(f"{self.issuer}/reads").json()["reads"])

    def public_key(self) -> dict[str, Any]:
        key: dict[str, Any] = httpx.get(f"{self.issuer}/keys").json()["keys"][0]
        return key


@contextlib.contextmanager
def running_provider() -> Iterator[RunningProvider]:
    """Run a provider in a process of its own."""
    command = [sys.executable, "-m", "tests.support.fakes.identity_provider"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield RunningProvider(process.stdout.readline().strip())
        finally:
            process.terminate()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
