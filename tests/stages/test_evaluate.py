"""The evaluate stage: the winner is chosen on validation, judged on test, and written whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.judging import metrics
from stages.models import artifact
from tests.support.books import CANDIDATES, CONTRACT, Project, book


@pytest.fixture(scope="module")
def judged(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small book, every candidate judged; not to be changed."""
    folder = tmp_path_factory.mktemp("judged")
    shutil.copytree(fitted_book.folder, folder, dirs_exist_ok=True)
    return Project(folder).run("evaluate")


@pytest.fixture
def again(judged: Project, tmp_path: Path) -> Project:
    """A copy of the judged book that a test may change."""
    shutil.copytree(judged.folder, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def figures(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.folder / "models" / "evaluation.json").read_text()))


def predictions(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "models" / "predictions.parquet")


def turn_outcomes(project: Project, split: str) -> None:
    """Call every good loan of a split bad, and the other way round."""
    path = project.data / "prepared" / f"{split}.parquet"
    rows = project.split(split)
    rows.assign(_bad=1 - rows["_bad"]).to_parquet(path, index=False)


def test_the_winner_is_the_best_candidate_on_validation(judged: Project) -> None:
    found = figures(judged)
    assert set(found["validation"]) == set(CANDIDATES)
    by_auc = {name: own["roc_auc"] for name, own in found["validation"].items()}
    assert found["winner"] == max(by_auc, key=lambda name: by_auc[name])


def test_test_outcomes_do_not_change_the_winner(again: Project) -> None:
    before = figures(again)
    turn_outcomes(again, "test")
    after = figures(again.run("evaluate"))
    assert (after["winner"], after["validation"]) == (before["winner"], before["validation"])
    assert after["test"]["roc_auc"]["value"] < 0.5 < before["test"]["roc_auc"]["value"]


def test_validation_outcomes_choose_the_winner(again: Project) -> None:
    before = figures(again)
    turn_outcomes(again, "validation")
    after = figures(again.run("evaluate"))
    worst = min(CANDIDATES, key=lambda name: before["validation"][name]["roc_auc"])
    assert after["winner"] == worst != before["winner"]


def test_the_winner_is_the_chosen_artifact_to_the_byte(judged: Project) -> None:
    winner = judged.folder / "models" / "winner.joblib"
    assert winner.read_bytes() == judged.artifact(figures(judged)["winner"]).read_bytes()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_are_those_of_the_winner_from_raw_columns(split: str, judged: Project) -> None:
    winner = artifact.load(judged.folder / "models" / "winner.joblib")
    rows = predictions(judged).query("split == @split")
    np.testing.assert_array_equal(rows["pd"], winner.predict(judged.columns(split)))
    np.testing.assert_array_equal(rows["bad"], judged.split(split)["_bad"])


def test_the_published_figures_are_those_of_the_predictions(judged: Project) -> None:
    rows, found = predictions(judged).query("split == 'test'"), figures(judged)["test"]
    auc = metrics.roc_auc(rows["bad"].to_numpy(), rows["pd"].to_numpy())
    assert found["roc_auc"]["value"] == pytest.approx(auc, abs=1e-6)
    assert found["roc_auc"]["low"] < auc < found["roc_auc"]["high"]
    assert found["bad_rate"]["value"] == pytest.approx(rows["bad"].mean(), abs=1e-6)


def test_a_pd_means_default_and_not_repayment(judged: Project) -> None:
    found = figures(judged)["test"]
    assert found["roc_auc"]["value"] > 0.7
    assert found["mean_pd"]["value"] == pytest.approx(found["bad_rate"]["value"], abs=0.06)


def test_golden_records_are_scored_to_the_last_bit(judged: Project) -> None:
    winner = artifact.load(judged.folder / "models" / "winner.joblib")
    lines = (judged.folder / "models" / "golden.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == judged.config.evaluate.golden
    for record in records:
        assert winner.predict_one(record["application"]) == record["default_probability"]


def test_golden_records_hold_no_protected_or_later_value(judged: Project) -> None:
    for line in (judged.folder / "models" / "golden.jsonl").read_text().splitlines():
        assert not {"sex", "arrears", "closed", "outcome"} & set(json.loads(line)["application"])


def test_groups_of_protected_attributes_are_judged(judged: Project) -> None:
    groups = figures(judged)["by_group"]["sex"]
    assert set(groups) == {"F", "M"}
    assert sum(own["rows"] for own in groups.values()) == len(judged.split("test"))


def test_judging_again_gives_the_same_bytes(again: Project) -> None:
    before = again.files()
    assert again.set(threads=2).run("evaluate").files() == before


def test_another_policy_changes_decisions_and_no_pd(again: Project) -> None:
    before = predictions(again)
    after = predictions(again.set(policy__loss_given_default=0.9).run("evaluate"))
    np.testing.assert_array_equal(before["pd"], after["pd"])
    assert (before["decision"] == "approve").sum() > (after["decision"] == "approve").sum()


def test_a_missing_candidate_ends_the_stage_and_leaves_the_outputs(again: Project) -> None:
    again.artifact("xgboost").unlink()
    before = again.files()
    with pytest.raises(FileNotFoundError, match=r"xgboost\.joblib"):
        again.run("evaluate")
    assert again.files() == before


def test_a_book_without_dates_is_judged_without_vintages(tmp_path: Path) -> None:
    undated = Project(
        tmp_path, CONTRACT.replace("date: granted\n", ""), candidates=["logistic"]
    ).write(book())
    undated.run("preprocess", "featurize", "logistic", "evaluate")
    assert figures(undated)["by_vintage"] == {}
    assert len(predictions(undated)) == 180
