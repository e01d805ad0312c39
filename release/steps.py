"""Run a command of release/: print its result or its error, and write outputs for later steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def run_command(name: str, command: Callable[[], str], *errors: type[Exception]) -> int:
    """Print what `command` returns, and return the exit status 0.

    One of `errors` is printed on standard error as `name: message`, and the status is 1.
    """
    try:
        print(command())
    except errors as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def write_outputs(output: Path | None, **facts: str) -> None:
    """Append `KEY=VALUE` lines to `output`, if it is set, as GITHUB_OUTPUT expects them."""
    if output:
        with output.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in facts.items())
