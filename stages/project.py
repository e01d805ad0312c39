"""Finds the project's folder, so that its commands run from any folder."""

from __future__ import annotations

import os
from pathlib import Path

STARTED = Path.cwd()
CHECKOUT = Path(__file__).parents[1]


def folder() -> Path:
    """Return the nearest folder with a params.yaml, from here upwards, else the checkout's."""
    places = (STARTED, *STARTED.parents, CHECKOUT)
    return next((place for place in places if (place / "params.yaml").is_file()), STARTED)


def enter() -> None:
    """Make the project's folder the current one; a command does so before anything else."""
    os.chdir(folder())


def given(path: str) -> Path:
    """Return a path that a person gave, which is relative to where the command was started."""
    return Path(path) if folder() == STARTED else STARTED / path
