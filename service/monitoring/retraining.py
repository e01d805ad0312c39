"""Start the retraining workflow on GitHub, which opens a pull request if its challenger is better.

`RETRAIN_REPOSITORY` is OWNER/NAME, and `RETRAIN_TOKEN_FILE` a file with a token that has write
access to the contents of that repository, which GitHub requires for a `repository_dispatch`. A
person decides whether to merge the pull request.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service import settings
from stages import files

EVENT = "drift"  # .github/workflows/retrain.yml starts on it
TIMEOUT = 10


class NotStarted(Exception):
    """The workflow was not started; the message says why."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the token to another address."""

    def redirect_request(self, *_: object) -> None:  # noqa: D102 - as documented there
        return None


def repository() -> str:
    """Return OWNER/NAME of the repository with the workflow, "" if none is set."""
    return settings.load().retrain_repository


def start(facts: dict[str, Any]) -> None:
    """Start the workflow with `facts` as the event's payload; raises NotStarted."""
    api = settings.load().github_api_url.rstrip("/")
    if urlsplit(api).scheme not in ("http", "https"):
        raise NotStarted(f"GITHUB_API_URL must begin with http:// or https://; got {api!r}")
    request = urllib.request.Request(  # noqa: S310 - checked above
        f"{api}/repos/{repository()}/dispatches",
        json.dumps({"event_type": EVENT, "client_payload": facts}).encode(),
        {
            "Authorization": f"Bearer {read_token()}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "credit-pd",
        },
    )
    try:
        urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT).close()
    except urllib.error.HTTPError as error:
        with error:
            answer = error.read(200).decode(errors="replace")
        raise NotStarted(f"GitHub answered {error.code}: {answer}") from None
    except (OSError, HTTPException) as error:
        raise NotStarted(f"GitHub did not answer: {error}") from error


def read_token() -> str:
    """Return the token; it is read at each call, so that the file can be replaced."""
    path = settings.load().retrain_token_file
    if not path:
        raise NotStarted("RETRAIN_TOKEN_FILE must name a file with a token; it is not set")
    try:
        return files.read_text(Path(path)).strip()
    except ValueError as error:
        raise NotStarted(f"RETRAIN_TOKEN_FILE: {error}") from error
