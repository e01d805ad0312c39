"""Run commands of the container engine, docker or podman."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

VARIABLE = "CREDIT_PD_ENGINE"
ENGINES = ("docker", "podman")
# BentoML warns about its own options.
SETTINGS = {"DOCKER_BUILDKIT": "1", "BENTOML_DO_NOT_TRACK": "true", "PYTHONWARNINGS": "ignore"}


class ContainerError(Exception):
    """A command failed; the message holds its output."""


class ContainerEngine:
    """An engine's command with its global options."""

    def __init__(self, command: str | None = None) -> None:
        """Use `command`, else the command in CREDIT_PD_ENGINE, else docker."""
        self.words = shlex.split(command or os.environ.get(VARIABLE, "docker"))

    @property
    def backend(self) -> str:
        """The name of the engine's program, which BentoML expects."""
        return Path(self.words[0]).name

    def run(self, *words: str, check: bool = True) -> str:
        """Return a command's standard output.

        Raises ContainerError when it fails and `check` is true.
        """
        return command([*self.words, *words], check=check)

    def inspect(self, name: str) -> dict[str, Any]:
        """Return the engine's description of an image or a container."""
        descriptions: list[dict[str, Any]] = json.loads(self.run("inspect", name))
        return descriptions[0]


def command(
    words: list[str], cwd: Path | None = None, path: Path | None = None, *, check: bool = True
) -> str:
    """Return a command's standard output; raises ContainerError when it fails and `check` is true.

    Programs in the folder `path` precede those of the same name in PATH.
    """
    environment = {**SETTINGS, **os.environ}
    if path:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    try:
        done = subprocess.run(
            words, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ContainerError(f"{words[0]} cannot be run: {error}") from None
    if check and done.returncode:
        output = (done.stderr.strip() or done.stdout.strip())[-3000:]
        raise ContainerError(
            f"`{' '.join(words[:3])} ...` ended with status {done.returncode}:\n{output}"
        )
    return done.stdout.strip()
