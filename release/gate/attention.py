"""Name what a person should look at in a change, whatever its figures say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from release import revisions
from release.dvc_state import Change, changes
from release.gate.checks import Finding
from release.gate.judgement import Judgement

CHECK = "attention"
# Of a field: what decides whether it may be a feature, and whether groups are measured by it.
DECISIVE = ("known_at", "protected", "feature", "type", "table")
# Of the contract: what decides which rows there are, and what is predicted.
MEANING = ("target", "date", "entity", "outcome", "tables")
# Of params.yaml: what decides on which rows, and by what, both sides are judged.
JUDGED_ON = ("dataset", "mode", "preprocess", "evaluate.choose_by")
STORAGE = Path(".dvc/config")


def notices(judgement: Judgement) -> Iterator[Finding]:
    """Name new data, another split, fields of another meaning, and another remote."""
    if judgement.base is None or judgement.params is None:
        return
    for change in changes(*both_sides(judgement.base, "params.yaml")):
        if change.name.startswith(JUDGED_ON):
            yield _notice(f"params.yaml: {_words(change)}")
    folder = judgement.params.data
    before, after = both_sides(judgement.base, str(folder / "contract.yaml"))
    if before:
        yield from map(_notice, contract_changes(before, after))
        if changes(*both_sides(judgement.base, f"{folder / 'raw'}.dvc")):
            yield _notice(f"{folder / 'raw'}: the tables are not those of the base")
    here = STORAGE.read_text() if STORAGE.is_file() else None
    if revisions.content(judgement.base, str(STORAGE)) != here:
        yield _notice(f"{STORAGE}: data may come from another place than at the base")


def contract_changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Say which fields came, went or changed their meaning, and what else defines the rows."""
    old, new = (contract.get("fields") or {} for contract in (before, after))
    for name in sorted(new.keys() - old.keys()):
        yield f"field {name} is new: known at {_known_at(new[name])}"
    for name in sorted(old.keys() - new.keys()):
        yield f"field {name} is gone" + (", a protected one" if old[name].get("protected") else "")
    for name in (name for name in new if name in old):
        for change in changes(*(_part(fields[name], DECISIVE) for fields in (old, new))):
            yield f"field {name}: {_words(change)}"
    for change in changes(*(_part(contract, MEANING) for contract in (before, after))):
        yield f"contract: {_words(change)}"


def same_fields(judgement: Judgement) -> bool:
    """Return whether base and head describe an application by the same fields."""
    if judgement.base is None or judgement.params is None:
        return False
    sides = both_sides(judgement.base, str(judgement.params.data / "contract.yaml"))
    old, new = (
        {name for name, f in (side.get("fields") or {}).items() if _known_at(f) != "outcome"}
        for side in sides
    )
    return old == new


def both_sides(base: str, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a YAML or JSON file at the base and in the working tree; {} where it is no mapping."""
    here = Path(path)
    text = here.read_text(errors="replace") if here.is_file() else ""
    return _mapping(revisions.content(base, path) or ""), _mapping(text)


def _mapping(text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def _part(mapping: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key in keys}


def _known_at(field: dict[str, Any]) -> str:
    return str(field.get("known_at", "application"))


def _notice(words: str) -> Finding:
    return Finding(CHECK, "note", words)


def _words(change: Change) -> str:
    before, after = ("unset" if v is None else v for v in (change.before, change.after))
    return f"{change.name} {before} → {after}"
