"""Get the raw tables of the dataset that params.yaml names: from the DVC remote, or simulated.

`python -m stages.fetch` leaves what is already there alone. The default loan book is simulated to
the very bytes that its `.dvc` file names, so a clone without any account is as clean as one with;
`loan_history` is always simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stages import errors, files, params, project
from stages.contract import reading as contracts

SIMULATED = {"loan_book": (), "loan_history": ("--history",)}  # the options of `stages.simulate`
# Without this, a machine that has no cloud role waits for one at every call.
NO_CLOUD = {"AWS_EC2_METADATA_DISABLED": "true"}
PATIENCE = 60


def pull(target: Path) -> bool:
    """Pull the raw tables from DVC's cache or the remote, and return whether that succeeded."""
    command = [sys.executable, "-m", "dvc", "pull", "--quiet", str(target)]
    try:
        done = subprocess.run(
            command, env=NO_CLOUD | os.environ, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def keep(tracked: Path) -> None:
    """Put the tables into DVC's cache; end the program where `tracked` names others."""
    named = tracked.read_text()
    run("dvc", "commit", "--quiet", "--force", str(tracked))
    if tracked.read_text() != named:
        files.write_text(tracked, named)
        sys.exit(
            f"{tracked} names other tables than the section `simulate` of params.yaml makes. To "
            f"keep the new ones: dvc add {tracked.with_suffix('')}. To go back: git checkout "
            f"params.yaml, remove {tracked.with_suffix('')}, and run this again"
        )


def run(module: str, *arguments: str) -> None:
    """Run a module of this environment; end the program where it fails."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False)
    if done.returncode:
        sys.exit(f"python -m {module} {' '.join(arguments)} failed; see its message above")


def simulate(raw: Path, options: tuple[str, ...]) -> None:
    """Simulate the tables; where a `.dvc` file names the bytes, hold them against it."""
    tracked = raw.with_suffix(".dvc")
    if not tracked.exists():
        print(f"{raw}: simulating")
        run("stages.simulate", *options, "--force")
        return
    print(f"{raw}: the remote cannot be reached; simulating the same bytes")
    run("stages.simulate", *options, "--force")
    keep(tracked)


def main() -> None:
    """Put `data/<dataset>/raw` in place, or end the program and say what to do."""
    try:
        config = params.load()
        contract = contracts.load(config.dataset)
    except ValueError as error:
        sys.exit(errors.message(error))
    raw = config.data / "raw"
    if raw.exists() and any(raw.iterdir()):
        print(f"{raw}: there already")
    elif raw.with_suffix(".dvc").exists() and pull(raw.with_suffix(".dvc")):
        print(f"{raw}: pulled from the remote")
    elif config.dataset in SIMULATED:
        simulate(raw, SIMULATED[config.dataset])
    else:
        names = ", ".join(table.path for table in contract.tables.values())
        sys.exit(
            f"{raw}: there are no files, and no remote that has them. Copy there the tables of "
            f"{config.data / 'contract.yaml'}: {names}"
        )


if __name__ == "__main__":
    project.enter()
    main()
