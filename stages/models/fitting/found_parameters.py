"""The parameters that the stage `search` found for the candidates, in models/search.json.

They take the place of the same parameters in params.yaml, for the book that was searched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages import files
from stages.models.parameters import CandidateParameters
from stages.params import Params

FILE = Path("models") / "search.json"


def write(config: Params, found: dict[str, Any], blend: list[str]) -> None:
    """Write what was found for each candidate, with facts about it, and which are blended."""
    book = {"dataset": config.dataset, "mode": config.mode}
    files.write_json(FILE, book | {"candidates": found, "blend": blend}, indent=1)


def section(config: Params, name: str) -> CandidateParameters:
    """Return the parameters of a candidate: those of params.yaml, less what a search found."""
    stated = config.candidate(name)
    values = read(config).get("candidates", {}).get(name, {}).get("parameters", {})
    return stated.model_copy(update=values) if values else stated


def blend(config: Params) -> list[str]:
    """Return the candidates whose margins are blended; none, or two and more."""
    return list(read(config).get("blend", []))


def read(config: Params) -> dict[str, Any]:
    """Return what was found for the book of the parameters; {} where it was not searched."""
    if not FILE.exists():
        return {}
    found: dict[str, Any] = json.loads(FILE.read_text())
    same = (found["dataset"], found["mode"]) == (config.dataset, config.mode)
    return found if same else {}
