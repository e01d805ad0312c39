"""Get the raw tables of the dataset in params.yaml: from the DVC remote, else by simulation.

`python -m stages.fetch` leaves what is already there alone. The default loan book is simulated to
the very bytes that its `.dvc` file names, so a clone without any account is as clean as one with.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stages import files, params

SIMULATED = "loan_book"
# Without this, a machine that has no cloud role waits for one at every call.
NO_CLOUD = {"AWS_EC2_METADATA_DISABLED": "true"}
PATIENCE = 60


def pull(target: Path) -> bool:
    """Whether DVC could bring the raw tables from the remote (or its cache)."""
    command = [sys.executable, "-m", "dvc", "pull", "--quiet", str(target)]
    try:
        done = subprocess.run(
            command, env=NO_CLOUD | os.environ, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def keep(tracked: Path) -> None:
    """Put the tables into DVC's cache; ends the program where they are not those of `tracked`."""
    named = tracked.read_text()
    run("dvc", "commit", "--quiet", "--force", str(tracked))
    if tracked.read_text() != named:
        files.write_text(tracked, named)
        sys.exit(f"{tracked} names other tables than params.yaml: simulate makes; see both")


def run(module: str, *arguments: str) -> None:
    """Run a module of this environment; CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def main() -> None:
    """Put `data/<dataset>/raw` in place."""
    config = params.load()
    raw = config.data / "raw"
    if raw.exists() and any(raw.iterdir()):
        print(f"{raw}: there already")
    elif raw.with_suffix(".dvc").exists() and pull(raw.with_suffix(".dvc")):
        print(f"{raw}: pulled from the remote")
    elif config.dataset == SIMULATED:
        print(f"{raw}: the remote cannot be reached; simulating the same bytes")
        run("stages.simulate", "--force")
        keep(raw.with_suffix(".dvc"))
    else:
        sys.exit(
            f"{raw}: no files, and no remote that has them. Put the tables there that "
            f"{config.data / 'contract.yaml'} names."
        )


if __name__ == "__main__":
    main()
