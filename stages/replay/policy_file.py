"""Read a policy to replay: a YAML file, changes as `refer_band=0.3`, or both, upon the present."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stages import files
from stages.params.errors import explain
from stages.policy.decisions import Policy

SECTION = "policy"


class ReplayError(ValueError):
    """What was asked for cannot be replayed; the message says what is wrong and what is allowed."""


def read(present: Policy, path: Path | None = None, changes: Sequence[str] = ()) -> Policy:
    """Return the present policy with the keys of a file and with changes; raises ReplayError.

    The file holds a section `policy`, as params.yaml does, or the policy's keys alone. A change
    is written as `key=value` or `policy.key=value`, with the value as in YAML.
    """
    stated = read_keys(path) if path else {}
    set_here: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ReplayError(f"-S takes key=value, such as refer_band=0.3; got {change!r}")
        set_here[key.removeprefix(f"{SECTION}.")] = parse(value, f"-S {change}")
    try:
        return Policy.model_validate(present.model_dump() | stated | set_here)
    except ValidationError as error:
        errors = error.errors()
        of_changes = [one for one in errors if one["loc"] and one["loc"][0] in set_here]
        place = path if path and not of_changes else Path("-S")
        raise ReplayError("\n".join(explain(place, of_changes or errors, Policy))) from error


def read_keys(path: Path) -> dict[str, Any]:
    """Return the policy's keys that a file holds."""
    document = parse(files.read_text(path, ReplayError), str(path))
    section = document.get(SECTION, document) if isinstance(document, dict) else document
    if not isinstance(section, dict):
        raise ReplayError(f"{path}: must be a mapping with a section `policy`, or with its keys")
    return section


def parse(text: str, place: str) -> object:
    """Return what a text of YAML says."""
    try:
        return yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ReplayError(f"{place}: not YAML: {error}") from error
