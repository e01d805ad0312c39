"""A winner that was fitted again passes the gate; another model beside honest figures does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from release.gate.reproduction import rescoring
from stages.models import model_file
from tests.support.trained.champions import (
    code,
    decisive,
    failed_checks,
    quick,
    shipped,
    words,
)
from tests.support.trained.trained_lender import TrainedLender

__all__ = ["quick"]  # a fixture
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in dvc
AGAIN = {"train__logistic__c": 0.9, "refit__rows": "all"}


@pytest.fixture(scope="module")
def refitted_once(tmp_path_factory: pytest.TempPathFactory) -> TrainedLender:
    """A change that ships the winner fitted again."""
    lender = TrainedLender.with_champion(tmp_path_factory.mktemp("refitted"))
    lender.train(**AGAIN).commit_and_push("Ship the winner fitted again")
    return lender


@pytest.fixture
def refitted(refitted_once: TrainedLender, tmp_path: Path) -> TrainedLender:
    return refitted_once.copy_to(tmp_path)


def change_winner(lender: TrainedLender, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the document of the model that ships, with golden records of its own."""
    path, golden = (lender.folder / name for name in (rescoring.WINNER, rescoring.GOLDEN))
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    model = model_file.read(path)
    records = [json.loads(line) for line in golden.read_text().splitlines()]
    for record in records:
        record["default_probability"] = model.predict_one(record["application"])
    golden.write_text("".join(json.dumps(record) + "\n" for record in records))


def turned_round(document: dict[str, Any]) -> None:
    """Give the best applicants the highest PDs."""
    document["calibrator"]["slope"] *= -1


def raised(document: dict[str, Any]) -> None:
    """Give everybody a higher PD."""
    document["calibrator"]["intercept"] += 1.0


def test_a_winner_that_was_fitted_again_passes_and_is_noted(refitted: TrainedLender) -> None:
    found = refitted.judge()
    assert failed_checks(found) == []
    assert "models/judged.json gives every PD of the predictions again" in words(found, "pass")
    assert "models/winner.json was fitted again (refit.rows: all" in words(found, "note")
    assert "on test rows too; the figures are those of models/judged.json" in words(found, "note")
    assert "cannot judge" not in {finding.status for finding in found.findings}
    assert code(found) == 0, decisive(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [(turned_round, "the rank correlation of their PDs is -"), (raised, "their mean PDs are")],
)
def test_another_model_beside_honest_figures_is_stopped(
    change: Callable[[dict[str, Any]], None], said: str, refitted: TrainedLender
) -> None:
    change_winner(refitted, change)
    found = shipped(refitted).judge()
    assert "rescoring" in failed_checks(found)
    assert said in words(found, "fail")


def test_without_the_judged_model_what_ships_must_give_the_predictions(
    refitted: TrainedLender,
) -> None:
    (refitted.folder / rescoring.JUDGED).write_bytes(
        (refitted.folder / rescoring.WINNER).read_bytes()
    )
    found = shipped(refitted).judge()
    assert "PDs of test rows differ" in words(found, "fail")


def test_without_a_refit_any_other_model_is_stopped(refitted: TrainedLender) -> None:
    config = refitted.folder / "params.yaml"
    config.write_text(config.read_text().replace("rows: all", "rows: none"))
    found = shipped(refitted).judge()
    assert "its PDs differ, and params.yaml has refit.rows: none" in words(found, "fail")
