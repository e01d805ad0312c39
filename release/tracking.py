"""Show the winner in MLflow as well, where MLFLOW_TRACKING_URI is set.

    python -m release.tracking [--champion]

Git and DVC remain the source of truth: this copies params, metrics, the artifact and what names
them into a run, and registers the model `credit-pd`; `--champion` moves its alias there. The same
winner again adds nothing. MLFLOW_ARTIFACTS says where artifacts go when no server says it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from dvc.utils.flatten import flatten

from release.image.bento import NotBuildable, facts
from stages import project

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "credit-pd"
ALIAS = "champion"
WINNER = Path("models/winner.json")
ARTIFACTS = (WINNER, Path("models/evaluation.json"), Path("params.yaml"), Path("dvc.lock"))
LONGEST = 500  # characters of a parameter that every MLflow takes


class NoTracking(Exception):
    """The winner cannot be shown in MLflow; the message says why and what to do."""


def parameters(root: Path) -> dict[str, str]:
    """Return the parameters of params.yaml as texts by name."""
    told = yaml.safe_load((root / "params.yaml").read_text())
    return {name: str(value)[:LONGEST] for name, value in flatten(told).items()}


def figures(root: Path) -> dict[str, float]:
    """The winner's metrics on test and validation, without their intervals."""
    told = json.loads((root / "models/evaluation.json").read_text())
    parts = {part: told.get(part, {}) for part in ("test", "validation")}
    leaves = ((name.removesuffix(".value"), value) for name, value in flatten(parts).items())
    return {
        name: float(value)
        for name, value in leaves
        if isinstance(value, int | float) and not name.endswith((".low", ".high"))
    }


def tags(root: Path) -> dict[str, str]:
    """What names the winner: commit, dvc.lock, the model's bytes; NoTracking for a stray one."""
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
    """Return a client of MLFLOW_TRACKING_URI; raise NoTracking without the package."""
    try:
        from mlflow import MlflowClient  # noqa: PLC0415
    except ImportError as error:
        raise NoTracking(
            "MLFLOW_TRACKING_URI is set, but MLflow is not installed: pip install mlflow-skinny"
        ) from error
    return MlflowClient()


def track(root: Path, to: MlflowClient, champion: bool, artifacts: str | None = None) -> str:
    """Show the winner of the checkout `root`; returns its version in MLflow's registry."""
    names = tags(root)
    version = registered(to, names["model"])
    if version is None:
        run = record(root, to, names, artifacts)
        source = f"{run.info.artifact_uri}/{WINNER.name}"
        made = to.create_model_version(NAME, source, run.info.run_id, tags=names)
        version = str(made.version)
    if champion:
        to.set_registered_model_alias(NAME, ALIAS, version)
    return version


def registered(to: MlflowClient, model: str) -> str | None:
    """The version that has these bytes; makes the registered model where there is none."""
    if not to.search_registered_models(f"name = '{NAME}'"):
        to.create_registered_model(NAME)
    found = to.search_model_versions(f"name = '{NAME}'")
    return next((str(v.version) for v in found if v.tags.get("model") == model), None)


def record(root: Path, to: MlflowClient, names: dict[str, str], artifacts: str | None) -> Any:
    """Record a finished run with its parameters, metrics, artifacts and tags."""
    experiment = to.get_experiment_by_name(NAME)
    number = experiment.experiment_id if experiment else to.create_experiment(NAME, artifacts)
    run = to.create_run(number, tags=names, run_name=names["git_commit"][:12])
    for name, text in parameters(root).items():
        to.log_param(run.info.run_id, name, text)
    for name, value in figures(root).items():
        to.log_metric(run.info.run_id, name, value)
    for path in ARTIFACTS:
        to.log_artifact(run.info.run_id, str(root / path))
    to.set_terminated(run.info.run_id)
    return run


def main() -> None:
    """Show the winner, or say that nobody asked for it."""
    parser = argparse.ArgumentParser(prog="python -m release.tracking", description=__doc__)
    parser.add_argument("--champion", action="store_true", help="this winner is the one released")
    wish = parser.parse_args()
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        print("MLFLOW_TRACKING_URI is not set: nothing to do")
        return
    try:
        version = track(Path(), client(), wish.champion, os.environ.get("MLFLOW_ARTIFACTS"))
    except NoTracking as error:
        sys.exit(f"tracking: {error}")
    print(f"{NAME} version {version}" + (f", {ALIAS}" if wish.champion else ""))


if __name__ == "__main__":
    project.enter()
    main()
