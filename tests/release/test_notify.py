from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from release import notify
from tests.support.github_fake import GitHubFake, Handler, Result, github

TITLE = "Retraining failed"


class Issues(Handler):
    """GitHub's issues beside the comments: an issue is a comment with a title."""

    def result(self, body: dict[str, Any]) -> Result:
        url = urlsplit(self.path)
        if url.path != "/repos/lender/credit/issues":
            return super().result(body)
        if self.command == "POST":
            made = self.server.add(body["body"], self.server.login, pull=0)
            made.update(title=body["title"], number=made["id"])
            return 201, made, {}
        assert parse_qs(url.query)["state"] == ["open"]
        return 200, [issue for issue in self.server.comments if issue["pull"] == 0], {}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubFake]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GITHUB_RUN_ID", "42")
    with github() as running:
        running.RequestHandlerClass = Issues
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def test_a_failure_opens_an_issue_that_names_the_run(server: GitHubFake) -> None:
    assert notify.main([TITLE]) == 0
    [issue] = server.comments
    assert issue["title"] == TITLE
    assert issue["body"].endswith("/lender/credit/actions/runs/42")


def test_a_second_failure_is_a_comment_in_the_open_issue(server: GitHubFake) -> None:
    server.add("not ours", "somebody", pull=0).update(title=TITLE, number=1)
    for _ in range(2):
        assert notify.main([TITLE]) == 0
    assert [held["pull"] for held in server.comments] == [0, 0, 2]


def test_a_failure_that_cannot_be_told_is_an_error(server: GitHubFake) -> None:
    server.token = "another"
    assert notify.main([TITLE]) == 1


def test_it_needs_nothing_but_python() -> None:
    bare = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); "]
    bare[-1] += "import release.notify, release.comment"
    assert subprocess.run(bare, check=False).returncode == 0
