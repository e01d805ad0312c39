"""Find where else the data and the code of a change may come from, and what hides a change.

DVC reads pipelines and sources in every folder, and git and DVC obey files that say what they show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from release import revisions
from release.gate.judgement import Judgement, RedFlag
from release.gate.red_flags import declarations

STORAGE = ".dvc/config"
PIPELINE = "dvc.yaml"
LOCKS = "requirements/"
SETTINGS = {
    ".gitattributes": "git and GitHub may show its files otherwise, or fold their changes",
    ".gitmodules": "files may come from another repository",
    ".dvcignore": "DVC may leave files out",
    "CODEOWNERS": "others may approve a change, or nobody need",
}
# In a lock: what names a place beside the package index, or other options than hashes.
PLACE = re.compile(r"://|^[^#]*\s@\s|^\s*-(?!-hash=)|^\s*[./]")
# Of a .dvc file: which content its data have. All else says where they come from, or what runs.
CONTENT = ("path", "md5", "size", "nfiles", "hash", "desc", "meta", "cache", "persist", "push")


def find_red_flags(judgement: Judgement) -> Iterator[RedFlag]:
    """Yield what lets data or code come from another place than the base, or hides them."""
    if (base := judgement.base) is None:
        return
    for name in revisions.list_new_modules(base):
        words = f"{name} is new beside the packages: Python may import it in the place of another"
        yield RedFlag(f"module.{name}", words)
    # Of the commit: the judge's job works with the settings of the base.
    if revisions.content(base, STORAGE) != revisions.content("HEAD", STORAGE):
        words = f"{STORAGE}: data may come from another place than at the base"
        yield RedFlag("storage", words)
    for path in revisions.list_changed(base, "."):
        name = PurePath(path).name
        if name in SETTINGS:
            yield RedFlag(f"settings.{path}", f"{path} changed: {SETTINGS[name]}")
        elif path.endswith(".dvc") and _origin(base, path):
            words = f"{path}: its data come from another place, or a command makes them"
            yield RedFlag(f"source.{path}", words)
        elif path.startswith(LOCKS) and path.endswith(".txt") and _places(base, path):
            words = f"{path}: packages may come from another place than the package index"
            yield RedFlag(f"source.{path}", words)
        elif name == PIPELINE and path != PIPELINE:
            words = f"{path}: DVC runs its stages beside those of {PIPELINE}"
            yield RedFlag(f"source.{path}", words)


def tables_of_another_book(judgement: Judgement, dataset: str) -> Iterator[RedFlag]:
    """Yield a book whose tables the base does not have: nothing there vouches for them."""
    if judgement.base is None:
        return
    path = f"data/{dataset}/raw"
    known = revisions.content(judgement.base, f"{path}.dvc") is not None
    if not known or revisions.list_changed(judgement.base, path, f"{path}.dvc"):
        words = f"{path}: the tables of the new dataset are not those of the base"
        yield RedFlag(f"tables.{dataset}", words)


def _origin(base: str, path: str) -> dict[str, Any]:
    """Return what a .dvc file says beside the content of its data, and did not at the base."""

    def beside_content(document: dict[str, Any]) -> dict[str, Any]:
        outs = [
            {key: value for key, value in out.items() if key not in CONTENT}
            for out in document.get("outs") or []
        ]
        rest = {key: value for key, value in document.items() if key not in ("outs", *CONTENT)}
        return rest | {"outs": [out for out in outs if out]}

    before, after = map(beside_content, declarations.both_sides(base, path))
    return {} if after in (before, {"outs": []}) else after


def _places(base: str, path: str) -> list[str]:
    """Return the lines of a lock that name a place, and that the base's does not have."""
    before, after = (revisions.content(side, path) or "" for side in (base, "HEAD"))
    return [line for line in after.splitlines() if PLACE.search(line) and line not in before]
