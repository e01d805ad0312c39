"""Pull requests that attack the gate, as events: git, DVC, gate and report are the real ones.

The champion and the honest change are trained by the real stages; the second training in the job
`reproduce` is not run again here, and takes what was pushed for its result.
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from tests.e2e.node import runner
from tests.e2e.processes import ROOT
from tests.e2e.test_workflow_runs import ANSWERS, GitHub
from tests.support.trained.champions import CONFIG, REASON
from tests.support.trained.trained_lender import TrainedLender

__all__ = ["runner"]  # a fixture
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # in dvc
]
REAL = (
    *("dvc fetch", "dvc checkout", "rsync"),
    *("release.gate.reproduction", "release.gate", "release.report"),
)
FORCED = """
import os, sys
print("pass")
os._exit(0)
"""


class Bomb:
    """An object that leaves a marker where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.marker), "w")


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> TrainedLender:
    """A repository with this project's code and a champion, in the cache of its own remote."""
    folder = tmp_path_factory.mktemp("lender")
    trained = TrainedLender.with_champion(folder)
    for package in ("release", "service", "stages"):
        unwanted = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / package, trained.folder / package, ignore=unwanted)
    trained.text(".dvc/config", CONFIG.replace("../../remote", str(folder / "remote")))
    return trained.commit_and_push("Bring the code")


@pytest.fixture
def lender(champion: TrainedLender, tmp_path: Path) -> TrainedLender:
    """A copy of the repository to change."""
    shutil.copytree(champion.folder, tmp_path / "lender" / "work")
    trained = TrainedLender(tmp_path / "lender")
    trained.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return trained


@pytest.fixture
def github(runner: Path, lender: TrainedLender, tmp_path: Path) -> GitHub:
    """A repository at GitHub whose workflow judges by the real gate."""
    return GitHub(runner, lender.folder, tmp_path / "run", dict(ANSWERS), real=REAL)


def comment(github: GitHub) -> str:
    """What the pull request says after the run."""
    [written] = github.written["comments"]
    return str(written["body"])


def test_an_honest_change_passes(lender: TrainedLender, github: GitHub) -> None:
    lender.train(train__logistic__c=0.9).commit_and_push("Shrink more")
    results = github.pull_request()
    assert comment(github).startswith("## ✅ Pass"), comment(github)
    assert results == dict.fromkeys(("data", "reproduce", "judge", "comment"), "success")


def test_a_poisoned_artifact_fails_and_is_executed_nowhere(
    lender: TrainedLender, github: GitHub, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    (lender.folder / "models/winner.json").write_bytes(pickle.dumps(Bomb(marker)))
    lender.lock().commit_and_push("Ship another winner")
    assert github.pull_request()["judge"] == "failure"
    assert comment(github).startswith("## ⚠️ Cannot judge: rescoring: "), comment(github)
    assert not marker.exists()


def test_code_that_forces_the_verdict_is_not_what_judges(
    lender: TrainedLender, github: GitHub
) -> None:
    """A worse model under code that would say "pass" of everything, acknowledged by its author."""
    lender.train(train__logistic__min_iv=0.4)
    for name in ("stages/params/__init__.py", "release/gate/__main__.py", "stages/__init__.py"):
        lender.text(name, FORCED)
    lender.acknowledge("code", "figures", who="Mallory", why=REASON)
    lender.commit_and_push("Say pass")
    assert github.pull_request()["judge"] == "failure"
    assert comment(github).startswith("## ⚠️ Cannot judge: blind training: "), comment(github)
    assert "- ❌ champion: Discrimination (AUC)" in comment(github)
    assert "files of code that makes or judges models changed" in comment(github)
