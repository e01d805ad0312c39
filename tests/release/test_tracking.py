from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from release import tracking
from release.image.bento import MODELS
from release.tracking import NoTracking

METRICS = {"winner": "scorecard", "test": {"roc_auc": {"value": 0.9, "low": 0.8, "high": 0.95}}}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with a winner that its dvc.lock names."""
    root = tmp_path / "checkout"
    (root / "models").mkdir(parents=True)
    (root / "params.yaml").write_text("seed: 7\ntrain: {lightgbm: {trees: 50}}\n")
    return crowned(root, b"winner")


def crowned(root: Path, winner: bytes) -> Path:
    """The checkout with another winner, committed."""
    for path in MODELS:
        (root / path).write_bytes(winner)
    (root / "models/evaluation.json").write_text(json.dumps(METRICS))
    outs = [{"path": str(path), "md5": md5(root / path)} for path in MODELS]
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"evaluate": {"outs": outs}}}))
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Crown"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    return root


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def mlflow(tmp_path: Path) -> Any:
    """A client of an MLflow on SQLite; skips without MLflow unless all real parts are required."""
    if os.environ.get("REQUIRE_REAL_PARTS") != "1":
        pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow-skinny")
    from mlflow import MlflowClient  # noqa: PLC0415

    address = f"sqlite:///{tmp_path}/mlflow.sqlite"
    return MlflowClient(address, address)


def test_parameters_are_named_by_their_path(checkout: Path) -> None:
    assert tracking.parameters(checkout) == {"seed": "7", "train.lightgbm.trees": "50"}


def test_metrics_come_without_their_intervals(checkout: Path) -> None:
    assert tracking.metrics(checkout) == {"test.roc_auc": 0.9}


def test_a_winner_that_dvc_lock_does_not_name_is_not_tracked(checkout: Path) -> None:
    (checkout / tracking.WINNER).write_bytes(b"stray")
    with pytest.raises(NoTracking, match=r"not the file that dvc\.lock names"):
        tracking.tags(checkout)


def test_without_a_tracking_uri_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "argv", ["tracking"])
    tracking.main()
    assert "nothing to do" in capsys.readouterr().out


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(NoTracking, match="pip install mlflow-skinny"):
        tracking.client()


def champion(mlflow: Any) -> int:
    return int(mlflow.get_model_version_by_alias(tracking.NAME, tracking.ALIAS).version)


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")
def test_a_run_has_the_params_metrics_artifact_and_tags_of_its_version(
    checkout: Path, mlflow: Any, tmp_path: Path
) -> None:
    version = tracking.track(checkout, mlflow, False, (tmp_path / "artifacts").as_uri())
    registered = mlflow.get_model_version(tracking.NAME, version)
    run = mlflow.get_run(registered.run_id)
    assert run.data.params["train.lightgbm.trees"] == "50"
    assert run.data.metrics["test.roc_auc"] == 0.9
    assert registered.tags["git_commit"] == run.data.tags["git_commit"]
    assert next((tmp_path / "artifacts").rglob("winner.json")).read_bytes() == b"winner"


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")
def test_a_winner_is_registered_once_and_the_alias_moves_only_when_asked(
    checkout: Path, mlflow: Any, tmp_path: Path
) -> None:
    artifacts = (tmp_path / "artifacts").as_uri()
    assert [tracking.track(checkout, mlflow, True, artifacts) for _ in range(2)] == ["1", "1"]
    assert tracking.track(crowned(checkout, b"heir"), mlflow, False, artifacts) == "2"
    assert champion(mlflow) == 1
    tracking.track(checkout, mlflow, True, artifacts)
    assert champion(mlflow) == 2
