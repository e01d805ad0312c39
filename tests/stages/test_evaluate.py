"""The evaluate stage: the winner is chosen on validation, judged on test, and written whole."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages import evaluate, params
from stages.judging import evaluation, monotone
from stages.judging.evaluation import Judged
from stages.metrics import metrics
from stages.models import artifact, model_file
from stages.models.fitting.job import Job
from tests.support.books import CANDIDATES, CONTRACT, ROOT, Project, book


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


def turn_folds(project: Project) -> None:
    """Turn the outcomes that the winner is chosen by."""
    for name in CANDIDATES:
        path = project.artifact(name).with_name(f"{name}.folds.parquet")
        rows = pd.read_parquet(path)
        rows.assign(bad=1 - rows["bad"]).to_parquet(path, index=False)


def test_the_winner_is_the_best_candidate_in_cross_validation(judged: Project) -> None:
    report = figures(judged)
    assert set(report["validation"]) == set(report["choice"]) == set(CANDIDATES)
    by_auc = {name: choice["value"] for name, choice in report["choice"].items()}
    assert report["winner"] == max(by_auc, key=lambda name: by_auc[name])


def test_the_choice_is_the_mean_over_folds_of_what_the_candidate_says_out_of_fold(
    judged: Project,
) -> None:
    rows = pd.read_parquet(judged.artifact("logistic").with_name("logistic.folds.parquet"))
    by_fold = [metrics.roc_auc(fold["bad"], fold["pd"]) for _, fold in rows.groupby("fold")]
    choice = figures(judged)["choice"]["logistic"]
    assert choice["value"] == pytest.approx(np.mean(by_fold), abs=1e-6)
    error = np.std(by_fold, ddof=1) / np.sqrt(len(by_fold))
    assert choice["standard_error"] == pytest.approx(error, abs=1e-6)


def test_the_stage_says_in_one_line_what_it_judged_and_which_candidate_won(
    again: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    again.run("evaluate")
    [line] = capsys.readouterr().out.splitlines()
    report = figures(again)
    assert line.startswith("evaluate: ")
    assert f"{len(again.split('test')):,} test rows" in line
    for name, choice in report["choice"].items():
        assert f"{name} {choice['value']:.4f}" in line
    assert line.endswith(f"the winner is {report['winner']}")


def test_the_simplest_within_a_standard_error_wins_where_it_is_preferred() -> None:
    choice = {
        "logistic": {"value": 0.70, "standard_error": 0.01},
        "scorecard": {"value": 0.75, "standard_error": 0.03},
        "lightgbm": {"value": 0.76, "standard_error": 0.02},
    }
    assert evaluation.choose(choice, "roc_auc") == "lightgbm"
    assert evaluation.choose(choice, "roc_auc", "simplest") == "scorecard"
    assert evaluation.choose(choice, "brier") == "logistic"
    assert evaluation.choose(choice, "brier", "simplest") == "logistic"


def test_figures_by_money_weigh_each_loan_by_its_amount() -> None:
    rows = Judged(
        np.array([0, 1, 0, 0]), np.full(4, 0.1), np.array([0, 0, 0, 2]), np.array([1.0, 3, 4, 8])
    )
    policy = params.load(ROOT / "params.yaml").policy
    summary = evaluation.summary(rows, policy)
    assert summary["approval_rate_by_money"] == 8 / 16
    assert summary["approved_bad_rate_by_money"] == 3 / 8
    profit = (5 * policy.margin - 3 * policy.loss_given_default) / 16
    assert summary["profit_by_money"] == pytest.approx(profit)
    told = evaluation.figures_with_intervals(
        rows, policy, params.load(ROOT / "params.yaml").evaluate
    )
    assert told["profit_by_money"]["value"] == pytest.approx(profit)


def test_customers_that_were_not_trained_on_are_judged_apart() -> None:
    rng = np.random.default_rng(0)
    pd_ = rng.random(400)
    bad = (rng.random(400) < pd_).astype(np.int64)
    rows = Judged(bad, pd_, (pd_ > 0.5).astype(np.int64))
    policy = params.load(ROOT / "params.yaml").policy
    is_new = np.arange(400) < 150
    of_new_customers = evaluation.figures_of_new_customers(rows, is_new, policy, 100)
    assert of_new_customers["roc_auc"] == metrics.roc_auc(bad[:150], pd_[:150])
    assert evaluation.figures_of_new_customers(rows, is_new, policy, 151) == {"rows": 150}
    assert evaluation.figures_of_new_customers(rows, None, policy, 1) == {}


def test_test_outcomes_do_not_change_the_winner(again: Project) -> None:
    before = figures(again)
    turn_outcomes(again, "test")
    after = figures(again.run("evaluate"))
    assert (after["winner"], after["validation"]) == (before["winner"], before["validation"])
    assert after["test"]["roc_auc"]["value"] < 0.5 < before["test"]["roc_auc"]["value"]


def test_outcomes_out_of_fold_choose_the_winner(again: Project) -> None:
    before = figures(again)
    turn_folds(again)
    after = figures(again.run("evaluate"))
    worst = min(CANDIDATES, key=lambda name: before["choice"][name]["value"])
    assert after["winner"] == worst != before["winner"]


def test_the_winner_is_the_chosen_artifact_to_the_byte(judged: Project) -> None:
    winner = judged.folder / "models" / "winner.joblib"
    assert winner.read_bytes() == judged.artifact(figures(judged)["winner"]).read_bytes()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_are_those_of_the_winner_from_raw_columns(split: str, judged: Project) -> None:
    winner = artifact.load(judged.folder / "models" / "winner.joblib")
    rows = predictions(judged).query("split == @split")
    shipped = model_file.read(judged.folder / "models" / "winner.json")
    np.testing.assert_array_equal(rows["pd"], shipped.predict(judged.columns(split)))
    np.testing.assert_array_equal(rows["pd"], winner.predict(judged.columns(split)))
    np.testing.assert_array_equal(rows["bad"], judged.split(split)["_bad"])


def test_the_published_figures_are_those_of_the_predictions(judged: Project) -> None:
    rows, report = predictions(judged).query("split == 'test'"), figures(judged)["test"]
    auc = metrics.roc_auc(rows["bad"].to_numpy(), rows["pd"].to_numpy())
    assert report["roc_auc"]["value"] == pytest.approx(auc, abs=1e-6)
    assert report["roc_auc"]["low"] < auc < report["roc_auc"]["high"]
    assert report["bad_rate"]["value"] == pytest.approx(rows["bad"].mean(), abs=1e-6)


def test_a_pd_means_default_and_not_repayment(judged: Project) -> None:
    report = figures(judged)["test"]
    assert report["roc_auc"]["value"] > 0.7
    assert report["mean_pd"]["value"] == pytest.approx(report["bad_rate"]["value"], abs=0.06)


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
    assert len(predictions(undated).query("split != 'train'")) == 180


def test_the_reference_of_the_score_is_of_the_validation_rows(judged: Project) -> None:
    score = json.loads((judged.folder / "models" / "reference.json").read_text())["score"]
    said = predictions(judged).query("split == 'validation'")["pd"]
    assert (score["rows"], score["mean_pd"]) == (len(said), pytest.approx(said.mean()))
    assert score["mean"] == pytest.approx(np.log(said / (1 - said)).mean())


def test_the_reference_of_the_features_is_of_the_training_rows(judged: Project) -> None:
    reference = json.loads((judged.folder / "models" / "reference.json").read_text())
    winner = artifact.load(judged.folder / "models" / "winner.joblib")
    x = winner.features(judged.columns("train"))
    assert reference["rows"] == len(x)
    for name, column in zip(winner.features.names, x.T, strict=True):
        described = reference["features"][name]
        assert described["missing"] == pytest.approx(np.isnan(column).mean())
        if described["kind"] == "number":
            assert described["mean"] == pytest.approx(np.nanmean(column))


def test_the_approved_of_the_reference_are_training_rows(judged: Project) -> None:
    reference = json.loads((judged.folder / "models" / "reference.json").read_text())
    winner = artifact.load(judged.folder / "models" / "winner.joblib")
    pd = winner.predict(judged.columns("train"))
    # no rule decides in this book
    most = judged.config.policy.approve_below
    assert reference["approved"]["rows"] == (pd < most).sum()


def test_the_model_without_directions_learns_from_the_training_rows(judged: Project) -> None:
    model = artifact.load(judged.artifact("xgboost"))
    with contextlib.chdir(judged.folder):
        before = monotone.fit_without_directions(model, judged.config)
        section = judged.config.candidate("xgboost").model_copy(update={"monotone": False})
        job = Job.of("xgboost", section, model.features, judged.config)
    x, bad = model.features(judged.columns("train")), judged.split("train")["_bad"].to_numpy()
    assert before is not None
    np.testing.assert_array_equal(before.margin(x), job.fit(x, bad).margin(x))


def test_the_price_of_directions_is_measured_on_the_validation_rows(judged: Project) -> None:
    model = artifact.load(judged.artifact("xgboost"))
    with contextlib.chdir(judged.folder):
        free = monotone.fit_without_directions(model, judged.config)
        assert free is not None
        price = monotone.price_directions(model, free, judged.config)
    margin = model.scorer.margin(model.features(judged.columns("validation")))
    bad = judged.split("validation")["_bad"].to_numpy()
    kept = metrics.roc_auc(bad, 1 / (1 + np.exp(-margin)))
    assert price["roc_auc"]["kept"] == pytest.approx(kept)
    assert price["price"] == pytest.approx(price["roc_auc"]["free"] - kept)
    assert price["features"]


def test_the_report_says_what_the_constraints_of_the_winner_prevent(judged: Project) -> None:
    report = figures(judged)["monotone"]
    assert report["rows"] == len(judged.split("test"))
    amount = report["fields"].pop("amount")
    assert report["fields"] == {}
    if "price" in report:
        assert (amount["proved"], amount["violations"]) == (True, 0)
        assert amount["violations_when_free"] >= 0


def test_the_plots_show_the_winner_on_the_test_rows(judged: Project) -> None:
    folder = judged.folder / "models" / "plots"
    rows, report = predictions(judged).query("split == 'test'"), figures(judged)
    roc = pd.read_csv(folder / "roc.csv")
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(report["test"]["roc_auc"]["value"], abs=0.01)
    ks = pd.read_csv(folder / "ks.csv")
    gap = (ks["good_share"] - ks["bad_share"]).abs().max()
    assert gap == pytest.approx(report["test"]["ks"]["value"], abs=1e-4)
    confusion = pd.read_csv(folder / "confusion.csv")
    cut_off = judged.config.policy.pd_cut_off
    assert (confusion["predicted"] == "bad").to_list() == (rows["pd"] >= cut_off).to_list()
    assert (confusion["actual"] == "bad").to_list() == (rows["bad"] == 1).to_list()
    assert pd.read_csv(folder / "scores.csv")[["good", "bad"]].to_numpy().sum() == len(rows)
    assert pd.read_csv(folder / "calibration.csv")["rows"].sum() == len(rows)
    assert pd.read_csv(folder / "candidates.csv")["candidate"].to_list() == list(CANDIDATES)
    importance = pd.read_csv(folder / "importance.csv")["importance"]
    assert importance.is_monotonic_decreasing
    assert set(pd.read_csv(folder / "vintages.csv")["vintage"]) == set(report["by_vintage"])


@pytest.mark.parametrize(("bads", "words"), [(1, ""), (4, "100 bad loans in the test part say")])
def test_few_independent_bad_loans_are_warned_of(
    capsys: pytest.CaptureFixture[str], bads: int, words: str
) -> None:
    """Of each customer, half of the loans are bad."""
    bad, customer = np.arange(200) % 2, np.arange(200) // (2 * bads)
    evaluate.warn_of_few_loans(Judged(bad, np.full(200, 0.5), 0 * bad, cluster=customer))
    said = capsys.readouterr().err
    assert words in said
    assert bool(said) == bool(words)
