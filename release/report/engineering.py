"""What an engineer wants to see of a change: its commit, its run, its code and its features."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from release import dvc_state, revisions
from release.gate.judgement import Judgement
from release.gate.red_flags import declarations
from release.report.markdown import code, details, number, table
from release.revisions import CannotJudge, git

PLOTS, IMPORTANCE = Path("models/plots"), "importance.csv"
FEATURES = 15
FILES = 40


def branch_commit(judgement: Judgement) -> str:
    """Return the commit of the branch: of GitHub's merge with the base, the second parent."""
    parents = (git("rev-parse", f"{judgement.head}^@") or b"").decode().split()
    is_merge = len(parents) == 2 and parents[0] == judgement.base
    return parents[1] if is_merge else judgement.head


def links() -> str:
    """Return links to the run and to what it keeps, where GitHub runs this; else nothing."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    if not run:
        return ""
    address = f"{server}/{repository}/actions/runs/{run}"
    return f"[This run]({address}) · [report, judgement and plots]({address}#artifacts)"


def section(judgement: Judgement) -> str:
    """Return the section on code, fields and the importance of features."""
    parts = [changed_files(judgement), changed_fields(judgement), importance(judgement)]
    parts = [part for part in parts if part]
    return "\n\n".join(["### For the engineer", *parts]) if parts else ""


def changed_files(judgement: Judgement) -> str:
    """Return the files that differ from the base, without those that the pipeline writes."""
    files = revisions.list_changed(judgement.base, ".") if judgement.base else []
    if not files:
        return ""
    more = f"\n- … and {len(files) - FILES} more" if len(files) > FILES else ""
    listed = "\n".join(f"- {code(name)}" for name in files[:FILES])
    return details(f"Files: {len(files)} changed", f"{listed}{more}")


def changed_fields(judgement: Judgement) -> str:
    """Return the fields that came and went in the contract."""
    if not judgement.base or not judgement.params:
        return ""
    path = str(judgement.params.data / "contract.yaml")
    old, new = (
        {*(side.get("fields") or {}), *(side.get("derived") or {})}
        for side in declarations.both_sides(judgement.base, path)
    )
    if not old or old == new:
        return ""
    words = [f"new {code(name)}" for name in sorted(new - old)]
    return "Fields: " + ", ".join([*words, *(f"gone {code(name)}" for name in sorted(old - new))])


def importance(judgement: Judgement) -> str:
    """Return the features that weigh most at the head, with their weight at the base."""
    path = PLOTS / IMPORTANCE
    if not path.is_file():
        return ""
    now, then = read_importance(path.read_text()), former_importance(judgement)
    lines = [
        [code(name), number(then.get(name), 3), number(weight, 3)]
        for name, weight in sorted(now.items(), key=lambda item: -item[1])[:FEATURES]
    ]
    title = f"Importance: the {len(lines)} features that weigh most (mean |SHAP|, log-odds)"
    return details(title, table(["feature", "base", "head"], lines, "lrr"))


def read_importance(text: str) -> dict[str, float]:
    """Return the importance of each feature."""
    return {row["feature"]: float(row["importance"]) for row in csv.DictReader(text.splitlines())}


def former_importance(judgement: Judgement) -> dict[str, float]:
    """Return the importance of each feature at the base; {} where the cache does not have it."""
    lock = revisions.content(judgement.base, "dvc.lock") if judgement.base else None
    try:
        held = dvc_state.locked_outputs(lock).get(str(PLOTS)) if lock else None
        if held is None:
            return {}
        with dvc_state.open_storage(remote=False) as storage:
            return read_importance(storage.read_member(held[0], str(PLOTS), IMPORTANCE).decode())
    except CannotJudge:
        return {}
