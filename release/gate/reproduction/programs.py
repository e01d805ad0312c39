"""Run Python apart from the judge, with the code of one folder, and alone where it must be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from release.revisions import CannotJudge

OURS = Path(__file__).parents[3]
# No network and no other process; an empty folder in the place of each that is named before `--`.
EMPTY = 'while [ "$1" != -- ]; do mount -t tmpfs none "$1"; shift; done; shift; exec "$@"'
APART = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
POWERLESS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--clear-groups")


def run(
    words: Sequence[str],
    code: Path,
    *,
    what: str,
    seconds: float,
    folder: Path = Path(),
    before: Sequence[str] = (),
) -> str:
    """Run Python in a folder with the code of another, and return what it printed.

    `before` are the words of a program that starts it. Raises CannotJudge where `what` fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(code.resolve())}
    command = [*before, sys.executable, "-P", *words]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotJudge(f"{what} did not end in {seconds:g} s") from None
    except OSError as error:
        raise CannotJudge(f"{what} cannot be started: {error}") from None
    if done.returncode:
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        raise CannotJudge(f"{what} failed: {last}")
    return done.stdout


def alone(folder: Path) -> list[str]:
    """Return the words that start a program in a folder, without all else of this project.

    It has no network, none of our environment, and empty folders in the place of all that stand in
    the current one. That takes Linux and the rights of root, or sudo, which it does not get.
    """
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    interpreter = Path(sys.prefix).resolve()
    here = [path.resolve() for path in Path().iterdir() if path.is_dir()]
    hidden = [str(path) for path in here if not interpreter.is_relative_to(path)]
    ours = [f"--reuid={os.getuid()}", f"--regid={os.getgid()}"]
    facts = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder)}
    clean = ["env", "--ignore-environment", *(f"{key}={value}" for key, value in facts.items())]
    empty = ["sh", "-ec", EMPTY, "sh", *hidden, "--"]
    return [*root, *APART, *empty, "setpriv", *ours, *POWERLESS, *clean]
