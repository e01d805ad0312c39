"""The search for less discriminatory models, on a book with a planted proxy."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.contract import reading as contracts
from stages.fairness import __main__ as command
from stages.fairness import measures, search
from stages.fairness.search import ChangedLog, Result
from stages.fairness.trials import Trial, TrialRows, measure
from stages.judging.rows import Rows
from stages.replay.scored_rows import ScoredRows
from tests.support.books import Project, Tables, book

ROWS = 20_000
TRIALS = 14
PLANTED = 0.5


def with_proxy(seed: int = 1) -> Tables:
    """A book whose `months` are a proxy of `sex`, and explain little of the outcomes."""
    rng = np.random.default_rng(seed)
    tables = book(ROWS, seed)
    loans, people = tables["loans"], tables["people"]
    sex = people.set_index("person").loc[loans["person"], "sex"].to_numpy()
    income = people.set_index("person").loc[loans["person"], "income"].astype(float).to_numpy()
    months = np.where(sex == "F", 40, 20) + rng.integers(-6, 7, ROWS)
    signal = loans["amount"].astype(float).to_numpy() / income
    odds = 9 * signal + PLANTED * (sex == "F") + (loans["purpose"] == "other").to_numpy() - 4.6
    bad = rng.random(ROWS) < 1 / (1 + np.exp(-odds))
    loans["months"] = months.astype(str)
    loans["outcome"] = np.where(bad, "defaulted", "repaid")
    loans["arrears"] = np.where(bad, "1", "0")
    return tables


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(
        tmp_path_factory.mktemp("proxy"),
        candidates=["logistic"],
        policy__cut_off=0.1,
        policy__refer_band=0.0,
        evaluate__min_group=100,
        preprocess__validation_share=0.3,
    ).write(with_proxy())
    return made.run("preprocess", "featurize", "logistic", "evaluate")


def run(project: Project, log: Path, trials: int = TRIALS) -> tuple[TrialRows, list[Result]]:
    with contextlib.chdir(project.folder):
        contract = contracts.read((project.data / "contract.yaml").read_text())
        read = TrialRows.read(project.config, contract)
        space = search.space_of(project.config, read, "logistic")
        return read, search.run(space, trials, log, lambda trial: measure(read, trial))


def test_half_of_a_planted_disparity_goes_within_0_005_of_auc(
    project: Project, tmp_path: Path
) -> None:
    read, results = run(project, tmp_path / "log.jsonl")
    preferred = search.prefer(results, 0.005, 0.01)
    assert "months" in preferred.trial.left_out
    with contextlib.chdir(project.folder):
        present, chosen = (measure(read, r.trial, "test") for r in (results[0], preferred))
    assert present["disparity"] > 0.15
    assert chosen["disparity"] <= present["disparity"] / 2
    assert chosen["roc_auc"] >= present["roc_auc"] - 0.005


def test_the_log_replays_byte_for_byte_and_goes_on_where_it_was_cut(
    project: Project, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    run(project, whole)
    lines = whole.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:5]))
    run(project, cut)
    assert len(lines) == TRIALS
    assert cut.read_bytes() == whole.read_bytes()
    altered = json.loads(lines[3]) | {"number": 9}
    cut.write_text("".join(lines[:3]) + json.dumps(altered, sort_keys=True) + "\n")
    with pytest.raises(ChangedLog, match="line 4 does not follow from the seed"):
        run(project, cut)


def test_the_first_trials_are_the_winner_and_the_winner_without_each_feature(
    project: Project, tmp_path: Path
) -> None:
    read, results = run(project, tmp_path / "log.jsonl")
    names = read.features.names
    assert results[0].trial == Trial("logistic")
    first = results[1 : len(names) + 1]
    assert [r.trial.left_out for r in first] == [(name,) for name in names]
    assert not {"sex"} & set(names)


def test_a_feature_that_is_left_out_has_no_effect(project: Project, tmp_path: Path) -> None:
    read, _ = run(project, tmp_path / "log.jsonl", 1)
    rows, x = read.splits["test"]
    place = read.features.names.index("months")
    changed = x.copy()
    changed[:, place] = 7.0
    trial = Trial("logistic", left_out=("months",))
    with contextlib.chdir(project.folder):
        scored = read.score(trial, "test")
        read.splits["test"] = rows, changed
        again = read.score(trial, "test")
    assert np.array_equal(scored.pd, again.pd)


def result(number: int, disparity: float, auc: float, profit: float = 0.05) -> Result:
    return Result(number, Trial("logistic"), auc, profit, disparity, "")


def test_the_comparison_on_test_rows_counts_loans_of_one_customer_together(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.chdir(project.folder):
        contract = contracts.read((project.data / "contract.yaml").read_text())
        read = TrialRows.read(project.config, contract)
        twins = Trial("logistic"), Trial("logistic", left_out=("months",))
        alone = command.compare_on_test(read, *twins)
        monkeypatch.setattr(Rows, "cluster", lambda rows, _: np.arange(len(rows.bad)) // 50)
        together = command.compare_on_test(read, *twins)
    for name in ("roc_auc", "profit"):
        assert together[name]["value"] == alone[name]["value"]
        assert together[name]["low"] != alone[name]["low"]


def test_the_preferred_model_has_the_least_disparity_within_the_tolerances() -> None:
    results = [
        result(0, 0.3, 0.8),
        result(1, 0.1, 0.79),
        result(2, 0.2, 0.798),
        result(3, 0.2, 0.799),
        result(4, 0.15, 0.799, profit=0.01),
        result(5, 0.25, 0.797),
    ]
    assert search.prefer(results, 0.005, 0.002).number == 3
    assert search.prefer(results, 0.02, 0.002).number == 1
    assert search.prefer(results, 0.0, 0.0).number == 0
    same = [result(0, 0.3, 0.8), result(1, 0.3, 0.81)]
    assert search.prefer(same, 0.005, 0.002).number == 0
    assert [r.number for r in search.frontier(results)] == [0, 1, 3, 4]


def test_small_groups_and_missing_ones_are_not_judged() -> None:
    labels = np.repeat(["A", "B", "rare", "missing"], [500, 500, 20, 300])
    pd = np.where(np.isin(labels, ["rare", "missing"]), 0.9, 0.1)
    pd[:250] = 0.9
    rows = ScoredRows(pd, np.zeros(len(pd)), groups={"sex": labels})
    decision = np.where(pd > 0.5, 2, 0)
    assert measures.find_worst(rows, decision, 100) == (0.5, "sex", "A")
    measured = measures.measure(rows, decision, 100)["sex"]
    assert measured["rare"] == {"rows": 20}
    ratio = measured["A"]["adverse_impact_ratio"]
    assert ratio["low"] < ratio["value"] == 0.5 < ratio["high"]


def test_intersections_are_measured_too() -> None:
    one, other = (np.tile(labels, 400) for labels in (["F", "F", "M", "M"], ["x", "y", "x", "y"]))
    pd = np.where((one == "F") & (other == "y"), 0.9, 0.1)
    rows = ScoredRows(pd, np.zeros(1600), groups={"sex": one, "age": other})
    assert measures.find_worst(rows, np.where(pd > 0.5, 2, 0), 100) == (1.0, "sex x age", "F x y")


def test_the_command_shows_the_frontier_and_the_test_figures(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(project.folder, folder)
    printed: dict[str, Any] = {}
    with contextlib.chdir(folder):
        contract = contracts.read((folder / "data/small/contract.yaml").read_text())
        monkeypatch.setattr(command.contracts, "load", lambda name: contract)
        for options in (["--json"], []):
            monkeypatch.setattr(sys, "argv", ["fairness", "--trials", "9", *options])
            command.main()
            printed[" ".join(options)] = capsys.readouterr().out
    content = json.loads(printed["--json"])
    assert content["trials"] == 9
    assert set(content["test"]["groups"]["preferred"]["sex"]) == {"F", "M"}
    assert "On the test rows the preferred model has a disparity of" in printed[""]
    assert f"{content['passed_over']} other models within the tolerances" in printed[""]


def test_a_book_whose_groups_are_too_small_is_refused(project: Project) -> None:
    with contextlib.chdir(project.folder):
        contract = contracts.read((project.data / "contract.yaml").read_text())
        config = project.config
        few = config.evaluate.model_copy(update={"min_group": 10_000})
        read = TrialRows.read(config.model_copy(update={"evaluate": few}), contract)
        with pytest.raises(SystemExit, match="no two groups of a protected field have 10000 of"):
            command.check_groups(read)
