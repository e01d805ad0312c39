"""Find the project's folder and its environment, so that its commands run from any folder."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

STARTED = Path.cwd()
CHECKOUT = Path(__file__).parents[1]
# Packages that every environment of the project has, the image's included.
NEEDED = ("numpy", "pydantic", "scipy", "sqlalchemy", "starlette", "yaml")


def require_environment() -> None:
    """End a command (`python -m ...`) with one message where the packages are not installed."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent and sys.argv[0] == "-m":  # as it is until the command's own module is found
        sys.exit(
            f"{sys.executable} has no {', no '.join(absent)}: activate the environment "
            f"(. {CHECKOUT / '.venv/bin/activate'}), which make sets up"
        )


def folder() -> Path:
    """Return the nearest folder with a params.yaml, from here upwards, else the checkout's."""
    places = (STARTED, *STARTED.parents, CHECKOUT)
    return next((place for place in places if (place / "params.yaml").is_file()), STARTED)


def enter() -> None:
    """Make the project's folder the current one, as every command does first."""
    os.chdir(folder())


def resolve(path: str) -> Path:
    """Return the path of an option, relative to the folder where the command was started."""
    return Path(path) if folder() == STARTED else STARTED / path
