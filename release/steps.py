"""How a command of release/ ends: a status, a message where it failed, facts for what follows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def ended(what: str, act: Callable[[], str], *failures: type[Exception]) -> int:
    """Print what `act` returns: status 0. One of `failures` is told as `what: words`: status 1."""
    try:
        print(act())
    except failures as failure:
        print(f"{what}: {failure}", file=sys.stderr)
        return 1
    return 0


def hand_on(output: Path | None, **facts: str) -> None:
    """Append `KEY=VALUE` lines to a file, as GITHUB_OUTPUT wants them; to none where None."""
    if output:
        with output.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in facts.items())
