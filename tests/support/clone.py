"""Make a new repository with the project in it, in which real git and DVC run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import warm_python
from tests.support.books import ROOT

PARTS = (
    "requirements/",
    "stages/",
    "data/",
    "models/",
    ".dvc",
    ".gitignore",
    "params.yaml",
    "dvc.yaml",
)
SMALL = {
    r"trees: \d+": "trees: 20",
    r"resamples: \d+": "resamples: 100",
    "threads: 2": "threads: 1",
}


class Clone:
    """The project's files, without their history or data, committed to a new repository.

    Its stages and DVC are forks of a warm interpreter, unless `warm` is false.
    """

    def __init__(self, folder: Path, *, warm: bool = True, **changes: str) -> None:
        self.folder, home = folder, folder.parent / f"{folder.name}-home"
        for name in files():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
        home.mkdir()
        (home / ".gitconfig").write_text(warm_python.GITCONFIG)
        bins = [Path(sys.executable).parent]
        if warm:
            bins.insert(0, warm_python.bin_folder())
        self.environment = os.environ | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "PATH": os.pathsep.join([*map(str, bins), os.environ["PATH"]]),
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
        }
        (folder / "dvc.lock").unlink(missing_ok=True)
        self.change(SMALL | changes)
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.commit("The project")

    def change(self, patterns: dict[str, str]) -> None:
        """Replace patterns in params.yaml, each of which must be there."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        for old, new in patterns.items():
            text, count = re.subn(old, new, text)
            assert count, f"params.yaml has no {old}"
        path.write_text(text)

    def simulate(self, rows: int) -> None:
        """Put a simulated loan book in place, and let DVC track it."""
        self.run("python", "-m", "stages.simulate", "--rows", str(rows))
        self.dvc("add", "--quiet", "data/loan_book/raw")
        self.commit("A small book")

    def commit(self, subject: str) -> None:
        """Commit all that is not ignored."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", subject)

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command here."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command here and return its output; raises AssertionError where it fails."""
        done = self.call(*command)
        output = done.stdout + done.stderr
        assert (done.returncode == 0) is check, f"{' '.join(command)}\n{output}"
        return output

    def dvc(self, *arguments: str, check: bool = True) -> str:
        """Run DVC and return its output."""
        return self.run("python", "-m", "dvc", *arguments, check=check)

    def facts(self, *arguments: str) -> Any:
        """Run DVC and return its output, which is JSON."""
        done = self.call("python", "-m", "dvc", *arguments, "--json")
        done.check_returncode()
        return json.loads(done.stdout)

    @property
    def metrics(self) -> Any:
        """What stands in models/evaluation.json."""
        return json.loads((self.folder / "models" / "evaluation.json").read_text())


def files() -> list[str]:
    """Return the names of the project's files that the pipeline consists of."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name.startswith(PARTS)]
    return [name for name in names if (ROOT / name).is_file()]


def stages_run(output: str) -> list[str]:
    """Return the stages that DVC says it ran."""
    return re.findall(r"^Running stage '([^']+)'", output, re.MULTILINE)
