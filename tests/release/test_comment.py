"""The one comment of a pull request, against a local stand-in for GitHub's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from release import comment
from release.comment import CUT, LONGEST, MARKER, fitted
from tests.support.github_fake import Failure, GitHubFake, github

BOT = "github-actions[bot]"


@pytest.fixture
def server() -> Iterator[GitHubFake]:
    with github() as running:
        yield running


@pytest.fixture
def job(server: GitHubFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of pull request 7 of the repository itself; returns its folder."""
    monkeypatch.setattr(comment, "WAIT", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    event(tmp_path, "lender/credit")
    return tmp_path


def event(job: Path, origin: str | None) -> None:
    """What GitHub writes about a pull request from a repository, None for a deleted fork."""
    head = {"repo": origin and {"full_name": origin}}
    (job / "event.json").write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))


def publish(job: Path, text: str = "Report\n") -> int:
    """Run the command on a report."""
    (job / "report.md").write_text(text)
    return comment.main(["--report", str(job / "report.md")])


def bodies(server: GitHubFake) -> list[str]:
    return [own["body"] for own in server.comments]


def summary(job: Path) -> str:
    path = job / "summary.md"
    return path.read_text() if path.exists() else ""


def test_the_first_report_makes_a_comment(job: Path, server: GitHubFake) -> None:
    assert publish(job) == 0
    assert bodies(server) == [f"{MARKER}\nReport\n"]
    assert server.comments[0]["pull"] == 7
    assert summary(job) == ""


def test_the_next_report_updates_it(job: Path, server: GitHubFake) -> None:
    for text in ("One\n", "Two\n", "Three\n"):
        assert publish(job, text) == 0
    assert bodies(server) == [f"{MARKER}\nThree\n"]


def test_our_comment_is_found_behind_hundreds(job: Path, server: GitHubFake) -> None:
    for number in range(230):
        server.add(f"Remark {number}", "somebody")
    server.add(f"{MARKER}\nOld", BOT)
    publish(job)
    assert len(server.comments) == 231
    assert bodies(server)[-1] == f"{MARKER}\nReport\n"


def test_a_quotation_by_somebody_else_is_left_alone(job: Path, server: GitHubFake) -> None:
    theirs = [f"> {MARKER}\nquoted", f"{MARKER}\nof another bot"]
    server.add(theirs[0], "somebody")
    server.add(theirs[1], "other[bot]")
    publish(job)
    assert bodies(server) == [*theirs, f"{MARKER}\nReport\n"]


def test_other_comments_and_other_pull_requests_are_left_alone(
    job: Path, server: GitHubFake
) -> None:
    server.add("Deployed", BOT)
    server.add(f"{MARKER}\nOf pull request 8", BOT, pull=8)
    publish(job)
    assert len(server.comments) == 3


def test_the_token_of_an_app_finds_its_own_comment(job: Path, server: GitHubFake) -> None:
    server.login = "lender-ci[bot]"
    publish(job, "One\n")
    publish(job, "Two\n")
    assert bodies(server) == [f"{MARKER}\nTwo\n"]


@pytest.mark.parametrize("origin", ["stranger/credit", None])
def test_a_fork_gets_the_summary(job: Path, server: GitHubFake, origin: str | None) -> None:
    event(job, origin)
    assert publish(job) == 0
    assert (summary(job), server.requests) == ("Report\n\n", [])


def test_a_push_gets_the_summary(job: Path, server: GitHubFake) -> None:
    (job / "event.json").write_text("{}")
    assert publish(job) == 0
    assert (summary(job), server.requests) == ("Report\n\n", [])


def test_a_read_only_token_gets_the_summary(job: Path, server: GitHubFake) -> None:
    server.writes = False
    assert publish(job) == 0
    assert (summary(job), server.comments) == ("Report\n\n", [])


def test_without_any_place_the_command_fails(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    event(job, "stranger/credit")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert publish(job) == 1
    assert "GITHUB_STEP_SUMMARY is not set" in capsys.readouterr().err


@pytest.mark.parametrize(("token", "words"), [("wrong", "401"), ("", "GITHUB_TOKEN must be set")])
def test_a_wrong_or_missing_token_fails(
    job: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str,
    words: str,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", token)
    assert publish(job) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("failure", [Failure(502), Failure(403, {"Retry-After": "0"})])
def test_a_busy_server_is_asked_again(job: Path, server: GitHubFake, failure: Failure) -> None:
    server.failures = [failure, failure]
    assert publish(job) == 0
    assert len(server.comments) == 1


def test_a_lost_answer_makes_no_second_comment(job: Path, server: GitHubFake) -> None:
    server.failures = [None, None, Failure(504, done=True)]
    assert publish(job) == 0
    verbs = " ".join(request.split()[0] for request in server.requests)
    assert verbs == "POST GET POST POST GET PATCH"
    assert len(server.comments) == 1


def test_a_server_that_stays_down_fails(
    job: Path, server: GitHubFake, capsys: pytest.CaptureFixture[str]
) -> None:
    server.failures = [Failure(503)] * 10
    assert publish(job) == 1
    assert "503" in capsys.readouterr().err


def test_a_redirect_is_not_followed_with_the_token(job: Path, server: GitHubFake) -> None:
    server.failures = [None, Failure(301, {"Location": f"{server.url}/elsewhere"})]
    assert publish(job) == 1
    assert [request.split("?")[0] for request in server.requests] == [
        "POST /graphql",
        "GET /repos/lender/credit/issues/7/comments",
    ]


def test_a_long_report_is_cut_at_a_line(job: Path, server: GitHubFake) -> None:
    assert publish(job, "A line of the report\n" * 5000) == 0
    (body,) = bodies(server)
    assert len(body) <= LONGEST
    assert body.endswith(f"\nA line of the report{CUT}")


def test_a_report_that_fits_is_whole() -> None:
    text = "x" * (LONGEST - len(MARKER) - 1)
    assert fitted(text) == f"{MARKER}\n{text}"
    assert fitted(text + "\n").endswith(CUT)
