"""A local stand-in for the parts of GitHub's API that comments on pull requests use.

It keeps comments in memory, pages them with Link headers (30 a page, 100 at most), wants a bearer
token, refuses bodies over 65,536 characters (422) and, for a read-only token, all writing (403).
`GET /user` is closed to installation tokens, as GitHub's is; GraphQL knows `viewer { login }` only.
It can fail the next requests on demand, before or after doing what was asked.

What it does not have: rate limits by count, conditional requests, edit history, other resources,
GraphQL beyond that one query, timing. It does not prove that GitHub still behaves so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LONGEST = 65_536
FORBIDDEN = {"message": "Resource not accessible by integration"}
Result = tuple[int, Any, dict[str, str]]


@dataclass
class Failure:
    """The answer that one request gets instead; `done` where its work is done all the same."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


class GitHubFake(ThreadingHTTPServer):
    """One repository, `lender/credit`, with the comments of its pull requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.login, self.writes = "secret", "github-actions[bot]", True
        self.comments: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.failures: list[Failure | None] = []  # of the next requests; None lets one through

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a job's environment says of this server."""
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_GRAPHQL_URL": f"{self.url}/graphql",
            "GITHUB_REPOSITORY": "lender/credit",
            "GITHUB_TOKEN": self.token,
        }

    def add(self, body: str, login: str, pull: int = 7) -> dict[str, Any]:
        """A comment that somebody wrote."""
        number = len(self.comments) + 1
        page = f"{self.url}/lender/credit/pull/{pull}#issuecomment-{number}"
        made = {"id": number, "user": {"login": login}, "body": body, "html_url": page}
        self.comments.append(made | {"pull": pull})
        return self.comments[-1]


class Handler(BaseHTTPRequestHandler):
    """Answers for GitHubFake."""

    server: GitHubFake

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Every request: note it, fail it if so planned, check the token, answer."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.server.requests.append(f"{self.command} {self.path}")
        failure = self.server.failures.pop(0) if self.server.failures else None
        answer: Result = (401, {"message": "Bad credentials"}, {})
        allowed = self.headers.get("Authorization") == f"Bearer {self.server.token}"
        if allowed and (failure is None or failure.done):
            answer = self.result(body)
        if failure:
            answer = (failure.status, {"message": "planned"}, failure.headers)
        self.answer(*answer)

    do_POST = do_PATCH = do_GET

    def result(self, body: dict[str, Any]) -> Result:
        """Status, content and headers of what was asked."""
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        if parts == ["graphql"] and "viewer" in body.get("query", ""):
            return 200, {"data": {"viewer": {"login": self.server.login}}}, {}
        if parts[:3] != ["repos", "lender", "credit"]:
            return (403, FORBIDDEN, {}) if parts == ["user"] else (404, {"message": "None"}, {})
        if self.command == "GET":
            return self.page(int(parts[4]), parse_qs(url.query))
        return self.written(parts, body)

    def written(self, parts: list[str], body: dict[str, Any]) -> Result:
        """Create or change a comment."""
        if not self.server.writes:
            return 403, FORBIDDEN, {}
        if len(body["body"]) > LONGEST:
            return 422, {"message": "Body is too long (maximum is 65536 characters)"}, {}
        if self.command == "POST":
            return 201, self.server.add(body["body"], self.server.login, int(parts[4])), {}
        found = next(c for c in self.server.comments if c["id"] == int(parts[5]))
        found["body"] = body["body"]
        return 200, found, {}

    def page(self, pull: int, query: dict[str, list[str]]) -> Result:
        """One page of a pull request's comments, with a link to the next."""
        held = [c for c in self.server.comments if c["pull"] == pull]
        size = min(int(query.get("per_page", ["30"])[0]), 100)
        number = int(query.get("page", ["1"])[0])
        path = f"{self.server.url}{urlsplit(self.path).path}?per_page={size}&page="
        links = [f'<{path}1>; rel="first"']
        if number * size < len(held):
            links.insert(0, f'<{path}{number + 1}>; rel="next"')
        return 200, held[(number - 1) * size : number * size], {"Link": ", ".join(links)}

    def answer(self, status: int, content: Any, headers: dict[str, str]) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def github() -> Iterator[GitHubFake]:
    """A running stand-in."""
    with GitHubFake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
