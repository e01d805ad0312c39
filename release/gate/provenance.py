"""Check that the commit, the pipeline and the remote hold what was judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from release import dvc_state, revisions
from release.gate import predictions, recalculation
from release.gate.checks import Finding
from release.revisions import CannotJudge

RESULTS = (
    recalculation.PATH,
    recalculation.HEADLINES,
    predictions.PATH,
    "models/winner.json",
)
SHOWN = 5  # examples of a long list


def check_committed() -> Iterator[Finding]:
    """Check that the working tree is HEAD, of files whose content is in the commit."""
    if links := revisions.list_links():
        words = f"links to files, and no files: {first_few(links)}; commit the files themselves"
        yield Finding("commit", "fail", words)
    changed = revisions.list_uncommitted()
    words = f"differs from HEAD, so the commit is not what was run: {first_few(changed)}"
    if changed:
        yield Finding("commit", "fail", f"{words}; run `dvc repro`, `dvc push` and commit")
    else:
        yield Finding("commit", "pass", "the working tree is HEAD")


def first_few(names: list[str]) -> str:
    """Return the first of many names in words."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def check_reproduced(held: dvc_state.Storage) -> Iterator[Finding]:
    """Check that dvc.lock is what code, parameters and data give."""
    dvc_state.read_text(Path("dvc.lock"))
    if absent := [path for path in RESULTS if path not in held.outputs()]:
        raise CannotJudge(f"no stage of dvc.yaml makes {first_few(absent)}")
    differs, missing = held.differences()
    if missing:
        raise CannotJudge(
            f"not here to compare with dvc.lock: {first_few(missing)}; run `dvc pull`"
        )
    if differs:
        words = f"dvc.lock does not match: {first_few(differs)}; run `dvc repro` and commit"
        yield Finding("pipeline", "fail", words)
    else:
        yield Finding("pipeline", "pass", "dvc.lock matches code, parameters and data")


def check_pushed(held: dvc_state.Storage, *, confirmed: bool | None) -> Iterator[Finding]:
    """Check that the remote holds what dvc.lock names; `confirmed` is what a job before saw."""
    if confirmed is not None:
        words = "the job that fetched the data was told by the remote that it "
        words += "holds all that dvc.lock names" if confirmed else "lacks what dvc.lock names"
        yield Finding("remote", "pass" if confirmed else "fail", words)
        return
    if not held.remote:
        yield Finding("remote", "note", "not asked (--no-remote): for local use only")
        return
    absent = held.not_pushed()
    if absent:
        yield Finding("remote", "fail", f"not in the remote: {first_few(absent)}; run `dvc push`")
    else:
        yield Finding("remote", "pass", "the remote holds all that dvc.lock names")
