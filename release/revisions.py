"""Read two git revisions: the base that a change is judged against, and the head."""

from __future__ import annotations

import datetime as dt
import re
import subprocess

# The paths that a judgement reads; uncommitted edits there would be judged without being shown.
JUDGED = ("params.yaml", "dvc.yaml", "dvc.lock", "data", "models", "stages")
WITHOUT_LINKS = (*JUDGED, "release", "requirements", "service", ".dvc", ".github")
COMPILED = (".pyc", ".so", ".pyd", ".pth")
IMPORTED = (".py", *COMPILED)
LINKS = ("120000", "160000")  # git's modes of a symbolic link and of a submodule
PARENTS = ("HEAD^", "HEAD^1", "HEAD~", "HEAD~1")


class CannotJudge(Exception):
    """Evidence is missing or unreadable; the message says which, and what to do."""


def git(*command: str) -> bytes | None:
    """Return what a git command prints, None when it fails."""
    done = subprocess.run(["git", *command], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def commit(revision: str) -> str | None:
    """Return the hash of the commit that a revision names, None when it names none."""
    name = f"{revision}^{{commit}}"
    sha = git("rev-parse", "--verify", "--quiet", "--end-of-options", name)
    return sha.decode().strip() if sha else None


def head() -> str:
    """Return the commit that is judged; raises CannotJudge when there is no commit."""
    sha = commit("HEAD")
    if sha is None:
        raise CannotJudge("HEAD names no commit: run this in a git repository with one")
    return sha


def base(revision: str) -> str | None:
    """Return the commit to judge against, None when there cannot be one yet.

    This is the case for the all-zero SHA, which GitHub sends with the first push, and for the
    parent of the first commit. Raises CannotJudge for a revision that this clone does not have.
    """
    if re.fullmatch("0{40}|0{64}", revision):
        return None
    sha = commit(revision)
    if sha is not None:
        return sha
    shallow = (git("rev-parse", "--is-shallow-repository") or b"").strip() == b"true"
    if revision in PARENTS and not shallow:
        return None
    why = (
        "this clone is shallow: fetch the whole history (fetch-depth: 0)"
        if shallow
        else ("name a commit, a branch or a tag of this repository, or fetch it first")
    )
    raise CannotJudge(f"base {revision!r} is unknown; {why}")


def contains(revision: str, base: str | None) -> bool:
    """Tell whether a commit is a base or follows it; every commit follows no base."""
    return base is None or git("merge-base", "--is-ancestor", base, revision) is not None


def content(revision: str, path: str) -> str | None:
    """Return the text of a file in a commit, None when the commit does not have the file."""
    text = git("show", f"{revision}:{path}")
    return None if text is None else text.decode(errors="replace")


def list_changed(base: str, *paths: str) -> list[str]:
    """Return the files under some paths that differ between a commit and HEAD."""
    names = git("diff", "--name-only", "--no-renames", "-z", base, "HEAD", "--", *paths)
    return [] if names is None else names.decode().split("\0")[:-1]


def list_files(revision: str, *paths: str) -> dict[str, str]:
    """Return the mode of each file of a revision, by its path."""
    listed = (git("ls-tree", "-r", "-z", revision, "--", *paths) or b"").decode().split("\0")
    entries = (line.split(maxsplit=3) for line in listed if line)
    return {path: mode for mode, _, _, path in entries}


def list_new_modules(base: str) -> list[str]:
    """Return what a program started at the top of the head can import, and could not at a base.

    It can shadow an installed package without touching the code of the project; so can a link at
    the top. A compiled module can stand in for the code beside it, wherever it is.
    """

    def importable(revision: str) -> set[str]:
        return {
            path.split("/")[0]
            for path, mode in list_files(revision).items()
            if path.endswith(IMPORTED) or (mode in LINKS and "/" not in path)
        }

    compiled = {name for name in list_changed(base, ".") if name.endswith(COMPILED)}
    return sorted((importable("HEAD") - importable(base)) | compiled)


def list_links() -> list[str]:
    """Return the symbolic links and submodules of HEAD among what is judged and what judges.

    Behind them a later change could replace what is judged, while the file itself stays the same.
    """
    listed = list_files("HEAD", *WITHOUT_LINKS)
    return [path for path, mode in listed.items() if mode in LINKS]


def history(revision: str, path: str, since: dt.date) -> list[str]:
    """Return the commits of a line of first parents that changed a file since a day, newest first.

    The day is compared with the time that the committer's machine, or GitHub, gave each commit.
    """
    command = ("log", "--first-parent", "--format=%H %cs", revision, "--", path)
    lines = (git(*command) or b"").decode().split("\n")
    dated = [line.split() for line in lines if line]
    return [name for name, day in dated if dt.date.fromisoformat(day) >= since]


def list_uncommitted() -> list[str]:
    """Return the files that a judgement reads and that differ from HEAD."""
    changed = git("diff", "--name-only", "HEAD", "--", *JUDGED)
    added = git("ls-files", "--others", "--exclude-standard", "--", *JUDGED)
    if changed is None or added is None:
        raise CannotJudge("git cannot compare the working tree with HEAD")
    return sorted({*changed.decode().splitlines(), *added.decode().splitlines()})
