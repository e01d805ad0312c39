"""Tell the repository's people that a run failed: open an issue, or comment in the open one.

    python -m release.notify TITLE

The issue is ours when this token's own user opened it under that title. Needs nothing but Python.
Exit status: 0 told, 1 not told.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from release.comment import GitHub, NotAllowed, Refused, Unavailable
from release.steps import ended


def notify(environment: Mapping[str, str], title: str) -> str:
    """Name this run in the open issue of that title, or in a new one; returns the address."""
    github = GitHub(environment)
    home = f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{github.repository}"
    words = f"{title}: {home}/actions/runs/{environment.get('GITHUB_RUN_ID', '')}"
    issues = f"{github.api}/repos/{github.repository}/issues"
    author = github.author()
    page: str | None = f"{issues}?state=open&per_page=100"
    while page:
        content, page = github.ask("GET", page)
        for issue in content:
            if issue["title"] == title and issue["user"]["login"] == author:
                made = github.ask("POST", f"{issues}/{issue['number']}/comments", {"body": words})
                return str(made.content["html_url"])
    return str(github.ask("POST", issues, {"title": title, "body": words}).content["html_url"])


def main(words: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="release.notify", description="Open an issue.")
    parser.add_argument("title")
    title = parser.parse_args(words).title
    return ended("not told", lambda: notify(os.environ, title), NotAllowed, Refused, Unavailable)


if __name__ == "__main__":
    sys.exit(main())
