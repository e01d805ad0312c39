from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from release.registry import periods
from release.registry.__main__ import main

FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
NOON = "2025-03-{day:02d}T12:00:00+02:00"
Run = Callable[..., str]


def git(*words: str, at: str = NOON.format(day=1)) -> str:
    env = {**os.environ, "GIT_COMMITTER_DATE": at}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "ada", f"GIT_{role}_EMAIL": "ada@example.com"}
    done = subprocess.run(["git", *words], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one commit, whose origin takes pushes."""
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"))
    git("clone", "--quiet", str(tmp_path / "origin"), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "ada")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ada@example.com")
    commit()
    return tmp_path / "clone"


@pytest.fixture
def run(repository: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line that must succeed; returns what it prints."""

    def command(*words: str) -> str:
        status = main([*words])
        shown = capsys.readouterr()
        assert (status, shown.err) == (0, "")
        return shown.out

    return command


@pytest.fixture
def refusal(repository: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line that must be refused; returns the message."""

    def command(*words: str) -> str:
        assert main([*words]) == 1
        return capsys.readouterr().err

    return command


def commit() -> str:
    git("commit", "--quiet", "--allow-empty", "--message", "change")
    return git("rev-parse", "HEAD")


def live() -> str:
    period = periods.live()
    return period.version if period else ""


def history() -> list[str]:
    return [each.version for each in periods.periods()]


def dated(*days: int) -> None:
    """A version a day, tagged at noon as GTO does."""
    for number, day in enumerate(days, start=1):
        at = NOON.format(day=day)
        commit()
        for tag in (f"credit-pd@v0.{number}.0", f"credit-pd#prod#{number}"):
            git("tag", "--annotate", tag, "--message", f"Image: {FIRST}", at=at)


def test_a_promoted_version_is_live(run: Run) -> None:
    assert "v0.1.0" in run("promote", "v0.1.0", "--image", FIRST)
    assert f"v0.1.0  {git('rev-parse', 'HEAD')[:12]}  {FIRST}" in run("live")


def test_a_version_may_be_named_without_its_v(run: Run) -> None:
    assert "v0.1.0" in run("promote", "0.1.0")


def test_next_is_the_version_after_the_latest(run: Run) -> None:
    run("promote", "v0.1.0")
    commit()
    assert "v0.1.1" in run("promote", "next")


def test_next_of_a_commit_that_has_a_version_is_that_version(run: Run) -> None:
    run("promote", "next", "--image", FIRST)
    run("promote", "next", "--image", FIRST)
    assert history() == ["v0.0.1"]


def test_another_image_of_the_live_version_is_a_change(run: Run) -> None:
    run("promote", "v0.1.0", "--image", FIRST)
    run("promote", "v0.1.0", "--image", SECOND)
    assert [each.image for each in periods.periods()] == [FIRST, SECOND]


def test_a_rollback_makes_the_version_before_live_again(run: Run) -> None:
    run("promote", "v0.1.0", "--image", FIRST)
    commit()
    run("promote", "v0.2.0", "--image", SECOND)
    assert FIRST in run("rollback")
    assert history() == ["v0.1.0", "v0.2.0", "v0.1.0"]


def test_two_rollbacks_restore_the_first_version(run: Run) -> None:
    for version in ("v0.1.0", "v0.2.0", "v0.3.0"):
        run("promote", version)
        commit()
    run("rollback")
    assert live() == "v0.2.0"
    run("rollback")
    assert live() == "v0.3.0"


def test_a_rollback_follows_the_image_that_the_hosts_went_back_to(run: Run) -> None:
    for version, image in (("v0.1.0", FIRST), ("v0.2.0", SECOND), ("v0.3.0", SECOND)):
        run("promote", version, "--image", image)
        commit()
    run("rollback", "--image", FIRST)
    assert live() == "v0.1.0"


def test_a_rollback_to_the_image_that_is_live_changes_nothing(run: Run) -> None:
    run("promote", "v0.1.0", "--image", FIRST)
    run("rollback", "--image", FIRST)
    assert history() == ["v0.1.0"]


@pytest.mark.parametrize(
    ("date", "versions"),
    [
        ("2025-03-01", []),
        ("2025-03-02", ["v0.1.0"]),
        ("2025-03-04", ["v0.1.0"]),
        ("2025-03-05", ["v0.1.0", "v0.2.0"]),
        ("2025-03-05T09:59:59", ["v0.1.0"]),
        ("2025-03-05T10:00:00", ["v0.2.0"]),
        ("2025-03-05T12:00:00+02:00", ["v0.2.0"]),
        ("2030-01-01", ["v0.2.0"]),
    ],
)
def test_the_live_version_of_a_date_is_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, date: str, versions: list[str]
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    dated(2, 5)
    assert re.findall(r"v\d\S+", run("live", "--on", date)) == versions


def test_changes_within_one_second_keep_their_order(run: Run) -> None:
    dated(2, 2, 2)
    assert history() == ["v0.1.0", "v0.2.0", "v0.3.0"]


def test_a_version_that_was_taken_out_of_production_is_not_live(run: Run) -> None:
    dated(2)
    git("tag", "--annotate", "credit-pd#prod!#2", "--message", "-", at=NOON.format(day=3))
    assert periods.periods()[0].until is not None
    assert run("live") == "no version is in prod\n"


def test_the_facts_are_written_for_later_steps(run: Run, tmp_path: Path) -> None:
    run("promote", "v0.1.0", "--image", FIRST, "--output", str(tmp_path / "facts"))
    head = git("rev-parse", "HEAD")
    assert (tmp_path / "facts").read_text() == f"version=v0.1.0\ncommit={head}\nimage={FIRST}\n"


def test_before_the_first_release_the_commit_is_all_zeros(run: Run, tmp_path: Path) -> None:
    run("live", "--output", str(tmp_path / "facts"))
    assert f"commit={'0' * 40}\n" in (tmp_path / "facts").read_text()


def test_pushed_tags_are_in_the_origin(run: Run) -> None:
    run("promote", "v0.1.0", "--push")
    assert len(git("ls-remote", "--tags", "--refs", "origin").splitlines()) == 2


def test_tags_that_cannot_be_pushed_are_removed(run: Run, refusal: Run) -> None:
    git("remote", "set-url", "origin", "nowhere")
    assert "git push" in refusal("promote", "v0.1.0", "--push")
    assert git("tag") == ""


def test_a_shallow_clone_is_refused(run: Run, refusal: Run, tmp_path: Path) -> None:
    commit()
    git("push", "--quiet", "origin", "main")
    (Path.cwd() / ".git/shallow").write_text(git("rev-parse", "HEAD") + "\n")
    assert "this clone is shallow" in refusal("live")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rollback",), "no version is in prod"),
        (("promote", "1.0"), "1.0"),
        (("promote", "v0.1.0", "--image", "credit-pd:latest"), "an image is sha256:"),
        (("promote", "v0.1.0", "--commit", "nowhere"), "nowhere"),
        (("live", "--on", "yesterday"), "a date must look like 2025-03-31"),
    ],
)
def test_an_impossible_change_is_refused(
    refusal: Run, words: tuple[str, ...], message: str
) -> None:
    assert message in refusal(*words)


def test_the_only_version_cannot_be_rolled_back(run: Run, refusal: Run) -> None:
    run("promote", "v0.1.0")
    assert "no version other than v0.1.0 was ever in prod" in refusal("rollback")


def test_a_version_keeps_its_commit(run: Run, refusal: Run) -> None:
    run("promote", "v0.1.0")
    first, second = git("rev-parse", "HEAD"), commit()
    words = f"v0.1.0 is commit {first}, not {second}"
    assert words in refusal("promote", "v0.1.0", "--commit", second)
