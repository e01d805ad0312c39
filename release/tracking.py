"""Copy the winner to MLflow, if MLFLOW_TRACKING_URI is set.

    python -m release.tracking [--champion]

Git and DVC remain the source of truth. The command copies parameters, metrics, the artifact and
their versions to a run, and registers a version of the model `credit-pd`; `--champion` moves the
alias of that name to it. A winner that is already registered is not copied again.
MLFLOW_ARTIFACTS sets the place of the artifacts when the server does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from dvc.utils.flatten import flatten

from release.image.bento import NotBuildable, facts
from stages import project

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NAME = "credit-pd"
ALIAS = "champion"
WINNER = Path("models/winner.json")
ARTIFACTS = (WINNER, Path("models/evaluation.json"), Path("params.yaml"), Path("dvc.lock"))
MAX_PARAMETER = 500  # characters of a parameter that every version of MLflow accepts


class NoTracking(Exception):
    """The winner cannot be copied to MLflow; the message says why and what to do."""


def parameters(root: Path) -> dict[str, str]:
    """Return the parameters of params.yaml as texts by name."""
    content = yaml.load((root / "params.yaml").read_text(), yaml.CSafeLoader)
    return {name: str(value)[:MAX_PARAMETER] for name, value in flatten(content).items()}


def metrics(root: Path) -> dict[str, float]:
    """Return the winner's metrics on test and validation by name, without their intervals."""
    evaluation = json.loads((root / "models/evaluation.json").read_text())
    parts = {part: evaluation.get(part, {}) for part in ("test", "validation")}
    leaves = ((name.removesuffix(".value"), value) for name, value in flatten(parts).items())
    return {
        name: float(value)
        for name, value in leaves
        if isinstance(value, int | float) and not name.endswith((".low", ".high"))
    }


def tags(root: Path) -> dict[str, str]:
    """Return the versions of the winner: git commit, hash of dvc.lock, name, hash of the model.

    Raises NoTracking when the winner is not the one that dvc.lock names.
    """
    try:
        made = facts(root, [Path("params.yaml"), Path("dvc.lock")])
    except NotBuildable as error:
        raise NoTracking(str(error)) from error
    model = hashlib.sha256((root / WINNER).read_bytes()).hexdigest()
    return {
        "git_commit": made.git_commit,
        "dvc_lock": made.dvc_lock,
        "winner": made.winner,
        "model": model,
    }


def client() -> MlflowClient:
    """Return a client of MLFLOW_TRACKING_URI; raises NoTracking when MLflow is not installed."""
    try:
        from mlflow import MlflowClient  # noqa: PLC0415
    except ImportError as error:
        raise NoTracking(
            "MLFLOW_TRACKING_URI is set, but MLflow is not installed: pip install mlflow-skinny"
        ) from error
    return MlflowClient()


def track(root: Path, to: MlflowClient, champion: bool, artifacts: str | None = None) -> str:
    """Copy the winner of the checkout `root`, and return its version in MLflow's registry."""
    names = tags(root)
    version = find_version(to, names["model"])
    if version is None:
        run = record(root, to, names, artifacts)
        source = f"{run.info.artifact_uri}/{WINNER.name}"
        made = to.create_model_version(NAME, source, run.info.run_id, tags=names)
        version = str(made.version)
    if champion:
        to.set_registered_model_alias(NAME, ALIAS, version)
    return version


def find_version(to: MlflowClient, model: str) -> str | None:
    """Return the version with this hash of the model, None if there is none.

    Creates the registered model when there is none yet.
    """
    if not to.search_registered_models(f"name = '{NAME}'"):
        to.create_registered_model(NAME)
    versions = to.search_model_versions(f"name = '{NAME}'")
    return next((str(v.version) for v in versions if v.tags.get("model") == model), None)


def record(root: Path, to: MlflowClient, names: dict[str, str], artifacts: str | None) -> Run:
    """Record a finished run with its parameters, metrics, artifacts and tags, and return it."""
    experiment = to.get_experiment_by_name(NAME)
    number = experiment.experiment_id if experiment else to.create_experiment(NAME, artifacts)
    run = to.create_run(number, tags=names, run_name=names["git_commit"][:12])
    for name, text in parameters(root).items():
        to.log_param(run.info.run_id, name, text)
    for name, value in metrics(root).items():
        to.log_metric(run.info.run_id, name, value)
    for path in ARTIFACTS:
        to.log_artifact(run.info.run_id, str(root / path))
    to.set_terminated(run.info.run_id)
    return run


def main() -> None:
    """Copy the winner, or print that MLFLOW_TRACKING_URI is not set."""
    parser = argparse.ArgumentParser(prog="python -m release.tracking", description=__doc__)
    parser.add_argument("--champion", action="store_true", help="this winner is the one released")
    options = parser.parse_args()
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        print("MLFLOW_TRACKING_URI is not set: nothing to do")
        return
    try:
        version = track(Path(), client(), options.champion, os.environ.get("MLFLOW_ARTIFACTS"))
    except NoTracking as error:
        sys.exit(f"tracking: {error}")
    print(f"{NAME} version {version}" + (f", {ALIAS}" if options.champion else ""))


if __name__ == "__main__":
    project.enter()
    main()
