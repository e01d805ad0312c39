"""What git knows of two revisions: the base that a change is judged against, and the head."""

from __future__ import annotations

import datetime as dt
import re
import subprocess

# What a judgement reads of the head; an edit that is not committed would be judged unseen.
JUDGED = ("params.yaml", "dvc.yaml", "dvc.lock", "data", "models", "stages")
PARENTS = ("HEAD^", "HEAD^1", "HEAD~", "HEAD~1")


class CannotJudge(Exception):
    """Evidence is missing or unreadable; the message says which, and what to do."""


def git(*command: str) -> bytes | None:
    """What a git command prints, or None where it fails."""
    done = subprocess.run(["git", *command], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def commit(revision: str) -> str | None:
    """The commit that a revision names, or None."""
    name = f"{revision}^{{commit}}"
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", name)
    return found.decode().strip() if found else None


def head() -> str:
    """The commit that is judged; raises CannotJudge outside a repository with a commit."""
    found = commit("HEAD")
    if found is None:
        raise CannotJudge("HEAD names no commit: run this in a git repository with one")
    return found


def base(revision: str) -> str | None:
    """The commit to judge against; None where none can exist yet.

    None for the all-zero SHA, which GitHub sends with the first push, and for the parent of a
    commit that has none. Raises CannotJudge for a revision that this clone does not know.
    """
    if re.fullmatch("0{40}|0{64}", revision):
        return None
    found = commit(revision)
    if found is not None:
        return found
    shallow = (git("rev-parse", "--is-shallow-repository") or b"").strip() == b"true"
    if revision in PARENTS and not shallow:
        return None
    why = (
        "this clone is shallow: fetch the whole history (fetch-depth: 0)"
        if shallow
        else ("name a commit, a branch or a tag of this repository, or fetch it first")
    )
    raise CannotJudge(f"base {revision!r} is unknown; {why}")


def content(revision: str, path: str) -> str | None:
    """A file as it stands in a commit, or None where the commit does not hold it."""
    found = git("show", f"{revision}:{path}")
    return None if found is None else found.decode(errors="replace")


def changed(base: str, *paths: str) -> list[str]:
    """Return the files under some paths that differ between a commit and HEAD."""
    names = git("diff", "--name-only", base, "HEAD", "--", *paths)
    return [] if names is None else names.decode().splitlines()


def history(revision: str, path: str, since: dt.date) -> list[str]:
    """Return the commits of a line of first parents that changed a file since a day, newest first.

    The day is compared with the time that the committer's machine, or GitHub, gave each commit.
    """
    command = ("log", "--first-parent", "--format=%H %cs", revision, "--", path)
    lines = (git(*command) or b"").decode().split("\n")
    found = [line.split() for line in lines if line]
    return [name for name, day in found if dt.date.fromisoformat(day) >= since]


def uncommitted() -> list[str]:
    """Files that a judgement reads and that differ from HEAD."""
    changed = git("diff", "--name-only", "HEAD", "--", *JUDGED)
    added = git("ls-files", "--others", "--exclude-standard", "--", *JUDGED)
    if changed is None or added is None:
        raise CannotJudge("git cannot compare the working tree with HEAD")
    return sorted({*changed.decode().splitlines(), *added.decode().splitlines()})
