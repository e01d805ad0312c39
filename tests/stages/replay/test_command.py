"""`python -m stages.policy` on a small book: the decisions of the pipeline, to the last bit."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages.policy import __main__ as command
from stages.replay.policy_file import ReplayError
from tests.support.books import Project

RULE = {"rule": "amount >= 15000", "decision": "refer", "reason": "It is much"}


@pytest.fixture(scope="module")
def evaluated(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small book with a winner, whose policy has a hard rule."""
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(fitted_book.folder, folder, dirs_exist_ok=True)
    project = Project(folder, policy__rules=[RULE])
    project.run("evaluate")
    return folder


def replay(
    folder: Path, capsys: pytest.CaptureFixture[str], *options: str, **environment: Any
) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(sys, "argv", ["policy", "--json", *options])
        command.main()
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


@pytest.mark.parametrize("split", ["test", "validation"])
def test_the_present_policy_reproduces_every_decision_of_the_pipeline(
    evaluated: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    content = replay(evaluated, capsys, "--split", split)
    recorded = pd.read_parquet(evaluated / "models/predictions.parquet")
    decided = recorded[recorded["split"] == split]["decision"].value_counts()
    assert content["unlike_predictions"] == content["changed"] == 0
    assert {k: sum(v.values()) for k, v in content["moves"].items()} == {
        name: int(decided.get(name, 0)) for name in content["moves"]
    }


def test_the_figures_of_the_present_policy_are_those_of_the_evaluation(
    evaluated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = replay(evaluated, capsys)["figures"]
    evaluation = json.loads((evaluated / "models/evaluation.json").read_text())["test"]
    for name in ("approval_rate", "approved_bad_rate", "profit"):
        assert figures[name]["present"]["value"] == evaluation[name]["value"]


def test_another_model_decides_about_the_same_rows(
    evaluated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    winner = json.loads((evaluated / "models/evaluation.json").read_text())["winner"]
    other = "logistic" if winner != "logistic" else "scorecard"
    assert replay(evaluated, capsys, "--model", winner)["changed"] == 0
    assert replay(evaluated, capsys, "--model", other)["changed"] > 0


def test_an_unknown_model_is_named(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ReplayError, match="--model must be one of logistic, scorecard"):
        replay(evaluated, capsys, "--model", "oracle")


def test_chosen_cut_offs_are_judged_on_rows_that_had_no_part_in_the_choice(
    evaluated: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot = tmp_path / "frontier.svg"
    limits = ("--max-bad-rate", "0.1", "--max-referrals", "0.2", "--plot", str(plot))
    content = replay(evaluated, capsys, "frontier", *limits)
    recorded = pd.read_parquet(evaluated / "models/predictions.parquet")
    before = recorded["split"].isin(["train", "validation"])
    assert content["chosen_on"]["rows"] == before.sum()
    assert content["chosen_on"]["bad_rate"] <= 0.1
    assert content["chosen_on"]["referral_rate"] <= 0.2
    assert content["judged"]["split"] == "test"
    assert content["judged"]["policies"]["proposed"]["cut_off"] == content["cut_off"]
    assert plot.read_text().startswith("<svg")
