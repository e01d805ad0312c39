"""The parameters that the stage `search` found for a candidate, in models/search/<name>.json.

They take the place of the same parameters in params.yaml, for the book that was searched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages import files
from stages.models.parameters import CandidateParameters
from stages.params import Params

FOLDER = Path("models") / "search"


def write(config: Params, name: str, found: dict[str, Any]) -> None:
    """Write what was found for a candidate: its parameters, and facts about the search."""
    book = {"dataset": config.dataset, "mode": config.mode}
    files.write_json(FOLDER / f"{name}.json", book | found, indent=1)


def section(config: Params, name: str) -> CandidateParameters:
    """Return the parameters of a candidate: those of params.yaml, less what a search found."""
    stated, file = config.candidate(name), FOLDER / f"{name}.json"
    if not file.exists():
        return stated
    found = json.loads(file.read_text())
    of_this_book = (found["dataset"], found["mode"]) == (config.dataset, config.mode)
    if not (of_this_book and found["parameters"]):
        return stated
    return stated.model_copy(update=found["parameters"])
