"""Put a report into the one comment of a pull request, or into the job's summary.

    python -m release.comment --report FILE

A comment is ours when this token's own user wrote it and it holds the marker; it is updated in
place. A pull request from a fork, a token that may only read, and a push get the summary.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

MARKER = "<!-- credit-pd report -->"
LONGEST = 65_536  # characters of a comment that GitHub takes
CUT = "\n\n_Cut here: the whole report is in the artifacts of this run._\n"
ATTEMPTS, WAIT, SECONDS = 4, 2.0, 30.0
BUSY = (429, 500, 502, 503, 504)


class NotAllowed(Exception):
    """The token may not do this; the message says what it tried."""


class Unavailable(Exception):
    """GitHub did not answer, or asked to wait; `seconds` is how long."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Refused(Exception):
    """GitHub answered that the request is wrong, or a setting is missing."""


class Answer(NamedTuple):
    """A parsed answer, and the URL of its next page."""

    content: Any
    next: str | None


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to another address."""

    def redirect_request(  # noqa: D102 - as documented there
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


class GitHub:
    """The part of GitHub's API that comments need."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.api = environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
        self.graphql = environment.get("GITHUB_GRAPHQL_URL", f"{self.api}/graphql")
        self.repository = setting(environment, "GITHUB_REPOSITORY")
        self.token = setting(environment, "GITHUB_TOKEN")
        self.opener = urllib.request.build_opener(NoRedirects)

    def ask(self, method: str, url: str, body: Any = None) -> Answer:
        """One request; raises NotAllowed, Unavailable or Refused."""
        request = urllib.request.Request(  # noqa: S310 - GitHub's own setting, or a link below it
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "credit-pd",
            },
        )
        what = f"{method} {url}"
        try:
            with self.opener.open(request, timeout=SECONDS) as answer:
                return Answer(json.load(answer), next_page(answer.headers.get("Link", "")))
        except urllib.error.HTTPError as error:
            with error:
                raise trouble(what, error) from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"{what}: {error}") from error

    def author(self) -> str:
        """The login that this token writes as (`GET /user` is closed to a job's token)."""
        answer = self.ask("POST", self.graphql, {"query": "query { viewer { login } }"}).content
        login = ((answer.get("data") or {}).get("viewer") or {}).get("login")
        if not login:
            raise NotAllowed(f"viewer is not told: {answer.get('errors')}")
        return str(login)

    def comments(self, pull: int) -> Iterator[dict[str, Any]]:
        """Every comment of a pull request, the oldest first."""
        url: str | None = f"{self.api}/repos/{self.repository}/issues/{pull}/comments?per_page=100"
        while url:
            if not url.startswith(f"{self.api}/"):
                raise Refused(f"the next page is not at {self.api}; got {url}")
            content, url = self.ask("GET", url)
            yield from content

    def publish(self, pull: int, body: str) -> str:
        """Update our comment, or create it; returns its address."""
        author = self.author()
        for comment in self.comments(pull):
            if (comment.get("user") or {}).get("login") == author and MARKER in comment["body"]:
                url = f"{self.api}/repos/{self.repository}/issues/comments/{comment['id']}"
                return str(self.ask("PATCH", url, {"body": body}).content["html_url"])
        url = f"{self.api}/repos/{self.repository}/issues/{pull}/comments"
        return str(self.ask("POST", url, {"body": body}).content["html_url"])


def setting(environment: Mapping[str, str], name: str) -> str:
    """A variable that must be set."""
    if not environment.get(name):
        raise Refused(f"{name} must be set; GitHub sets it in a job (the token by `env:`)")
    return environment[name]


def trouble(what: str, error: urllib.error.HTTPError) -> Exception:
    """An HTTP error as one of ours."""
    words = f"{what}: {error.code} {error.read(500).decode(errors='replace')}"
    wait = error.headers.get("Retry-After", "")
    limited = error.code == 403 and (wait or error.headers.get("X-RateLimit-Remaining") == "0")
    if error.code in BUSY or limited:
        return Unavailable(words, float(wait) if wait.isdigit() else None)
    return NotAllowed(words) if error.code in (403, 404) else Refused(words)


def next_page(link: str) -> str | None:
    """The next page's URL in a Link header."""
    found = re.search(r'<([^>]+)>;\s*rel="next"', link)
    return found[1] if found else None


def patiently(github: GitHub, pull: int, body: str) -> str:
    """Publish, and look anew after each failure: a lost answer makes no second comment."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return github.publish(pull, body)
        except Unavailable as error:
            if attempt == ATTEMPTS:
                raise
            time.sleep(min(error.seconds or WAIT**attempt, 60))
    raise AssertionError("unreachable")


def fitted(text: str) -> str:
    """The comment's body: the marker and the report, cut at a line where it is too long."""
    body = f"{MARKER}\n{text}"
    if len(body) <= LONGEST:
        return body
    return body[: LONGEST - len(CUT)].rpartition("\n")[0] + CUT


def pull_request(environment: Mapping[str, str]) -> tuple[int | None, str]:
    """The number of the pull request to comment on, or None and why there is none."""
    path = environment.get("GITHUB_EVENT_PATH")
    event = json.loads(Path(path).read_text()) if path and Path(path).is_file() else {}
    pull = event.get("pull_request")
    if not pull:
        return None, "this run is not of a pull request"
    origin = (pull["head"].get("repo") or {}).get("full_name")
    if origin != environment.get("GITHUB_REPOSITORY"):
        return None, f"the pull request comes from {origin or 'a fork that is gone'}"
    return int(pull["number"]), ""


def summarise(environment: Mapping[str, str], text: str, why: str) -> None:
    """Append the report to the job's summary."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if not path:
        raise Refused(f"{why}, and GITHUB_STEP_SUMMARY is not set: the report has no place")
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    print(f"The report is in the job's summary: {why}")


def main(command: list[str] | None = None) -> int:
    """Exit 0 where the report was published, 1 where it was not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", type=Path, required=True, metavar="FILE")
    text = parser.parse_args(command).report.read_text()
    try:
        number, why = pull_request(os.environ)
        if number is None:
            summarise(os.environ, text, why)
            return 0
        try:
            print(patiently(GitHub(os.environ), number, fitted(text)))
        except NotAllowed as error:
            summarise(os.environ, text, f"the token may not comment ({error})")
    except (Refused, Unavailable) as error:
        print(f"The report was not put into a comment: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
