"""Tuning: on the training part alone, resumable, and gentle with params.yaml."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stages import params
from stages.features.statistics import Fitted
from stages.models import registry
from stages.tune import __main__ as tune
from stages.tune.search import ParameterSearch
from tests.support.books import CONTRACT, ROOT, Project, book

TEXT = (ROOT / "params.yaml").read_text()


def small(text: str = TEXT) -> str:
    """The repository's params.yaml, comments and all, for a small book and small trees."""
    for old, new in (
        ("loan_book", "small"),
        ("trees: 400", "trees: 100"),
        ("threads: 2", "threads: 1"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The training part of a small book, and nothing else, in the current folder."""
    project = Project(tmp_path).write(book(800)).run("preprocess", "featurize")
    for part in (
        "prepared/validation.parquet",
        "prepared/test.parquet",
        "features/validation.npz",
        "features/test.npz",
    ):
        (project.data / part).unlink()
    (tmp_path / "params.yaml").write_text(small())
    monkeypatch.chdir(tmp_path)
    return project


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """The command, in this process."""
    monkeypatch.setattr(sys, "argv", ["tune", *arguments])
    tune.main()


def search(name: str = "logistic", metric: str = "roc_auc", folds: int = 3) -> ParameterSearch:
    return ParameterSearch.of(name, metric, folds, params.load())


def trials(name: str = "logistic", metric: str = "roc_auc") -> list[tuple[Any, Any]]:
    """Values and score of every trial kept."""
    study = tune.open_study(search(name, metric, 4))
    return [(tune.round_values(t.params), t.values) for t in study.trials if t.values]


def changed_lines(before: str, after: str) -> dict[str, str]:
    """The lines that differ: old → new."""
    pairs = zip(before.split("\n"), after.split("\n"), strict=True)
    return {old: new for old, new in pairs if old != new}


def test_only_the_scalars_that_were_found_change_in_params(
    tuned: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poor = small().replace("learning_rate: 0.05", "learning_rate: 0.9")
    Path("params.yaml").write_text(poor)
    present = params.load()
    run(monkeypatch, "lightgbm", "--trials", "4")
    written = params.load().train.lightgbm
    changes = {
        key: value
        for key, value in written.model_dump().items()
        if value != getattr(present.train.lightgbm, key)
    }
    assert changes
    assert set(changes) <= set(registry.load("lightgbm").search)
    lines = changed_lines(poor, Path("params.yaml").read_text())
    assert sorted(lines.values()) == sorted(f"    {key}: {value}" for key, value in changes.items())
    assert params.load().model_copy(update={"train": present.train}) == present
    assert "before     after" in capsys.readouterr().out


def test_parameters_that_nothing_beats_stay_as_they_are(
    tuned: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "lightgbm", "--trials", "1")
    assert Path("params.yaml").read_text() == small()
    assert "params.yaml stays" in capsys.readouterr().out


def test_the_present_parameters_are_the_first_trial(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "logistic", "--trials", "2")
    assert trials()[0][0] == {"c": 1.0}


def test_the_first_trial_is_said_at_once(
    tuned: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "logistic", "--trials", "2")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "tune logistic: roc_auc over 4 folds of 560 rows; the first trial is what params.yaml holds"
    )
    assert re.fullmatch(r"trial 1: roc_auc 0\.\d{5} with \{'c': 1\.0\}", lines[1])


def test_a_search_in_two_goes_tries_what_one_go_tries(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "logistic", "--trials", "13")
    at_once, text = trials(), Path("params.yaml").read_text()
    shutil.rmtree(".tune")
    Path("params.yaml").write_text(small())
    run(monkeypatch, "logistic", "--trials", "5")
    tune.open_study(search(folds=4)).ask()  # as if it had been killed in its sixth
    run(monkeypatch, "logistic", "--trials", "13")
    assert trials() == at_once
    assert Path("params.yaml").read_text() == text


def test_trials_that_are_done_are_not_done_again(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "logistic", "--trials", "3")
    monkeypatch.setattr(ParameterSearch, "score", lambda *_: pytest.fail("scored again"))
    run(monkeypatch, "logistic", "--trials", "3")


def test_trials_on_other_rows_are_not_taken_over(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "logistic", "--trials", "2")
    tuned.write(book(800, seed=2)).run("preprocess", "featurize")
    assert trials() == []


def test_a_contract_without_a_date_is_tuned_on_stratified_folds(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tuned.data / "contract.yaml").write_text(CONTRACT.replace("date: granted\n", ""))
    tuned.run("preprocess", "featurize")
    run(monkeypatch, "logistic", "--trials", "1")
    assert sum(len(outside) for _, outside in search().folds) == len(tuned.split("train"))


def test_a_field_that_is_empty_in_the_first_fold_is_searched_all_the_same(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = book(800)
    tables["people"].loc[:400, "income"] = ""
    tuned.write(tables).run("preprocess", "featurize")
    searched = search("scorecard")
    assert np.isnan(
        searched.rows.x[searched.folds[0][0], searched.features.names.index("income")]
    ).all()
    for name in ("scorecard", "logistic", "lightgbm"):
        assert 0 < search(name).score(search(name).present) < 1


def test_what_is_fitted_is_fitted_on_the_rows_inside_the_fold(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched, real = search("scorecard"), Fitted.fit
    seen: list[Any] = []

    def spied(features: Any, x: Any, bad: Any, **options: Any) -> Fitted:
        seen.append(x)
        return real(features, x, bad, **options)

    monkeypatch.setattr(Fitted, "fit", spied)
    searched.score(searched.present)
    for (inside, _), x in zip(searched.folds, seen, strict=True):
        np.testing.assert_array_equal(x, searched.rows.x[inside])


@pytest.mark.parametrize(("metric", "direction"), [("brier", "MINIMIZE"), ("pr_auc", "MAXIMIZE")])
def test_a_metric_is_sought_in_its_own_direction(
    tuned: Project, metric: str, direction: str
) -> None:
    assert tune.open_study(search(metric=metric)).direction.name == direction


def test_brier_is_of_calibrated_pds(tuned: Project) -> None:
    config = params.load()
    forest = config.train.random_forest.model_copy(update={"calibration": "sigmoid", "trees": 10})
    train = config.train.model_copy(update={"random_forest": forest})
    searched = ParameterSearch.of(
        "random_forest", "brier", 2, config.model_copy(update={"train": train})
    )
    bad_rate = searched.rows.bad.mean()
    assert searched.score({"trees": 10}) < bad_rate * (1 - bad_rate)


@pytest.mark.parametrize("name", registry.names())
def test_what_is_searched_is_a_parameter_and_all_of_its_range_is_allowed(name: str) -> None:
    config = params.load(ROOT / "params.yaml").candidate(name)
    for end in ("low", "high"):
        values = {key: getattr(draw, end) for key, draw in registry.load(name).search.items()}
        type(config).model_validate(config.model_dump() | values)


@given(
    name=st.sampled_from(registry.names()),
    seed=st.integers(0, 1000),
)
def test_any_value_that_is_found_is_read_back_as_it_was_written(name: str, seed: int) -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    space = registry.load(name).search.items()
    values = tune.round_values({key: tune.suggest(trial, key, draw) for key, draw in space})
    text = tune.write_values(TEXT, ("train", name), values)
    expected = yaml.safe_load(TEXT)
    expected["train"][name] |= values
    assert yaml.safe_load(text) == expected
    assert len(changed_lines(TEXT, text)) <= len(values)


def test_comments_keep_their_column() -> None:
    text = tune.write_values(TEXT, ("train", "logistic"), {"c": 0.00123})
    [(old, new)] = changed_lines(TEXT, text).items()
    assert (old.index("#"), old[old.index("#") :]) == (new.index("#"), new[new.index("#") :])


def test_features_that_are_not_there_are_asked_for(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tuned.data / "features")
    with pytest.raises(SystemExit, match=r"train\.npz not found: run `dvc repro featurize`"):
        run(monkeypatch, "logistic")


def test_features_of_another_mode_are_refused(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("params.yaml").write_text(small().replace("mode: application", "mode: pricing"))
    with pytest.raises(SystemExit, match=r"features of small are out of date"):
        run(monkeypatch, "logistic")


def test_too_strict_a_selection_ends_the_search_with_one_message(
    tuned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = tune.write_values(small(), ("train", "logistic"), {"min_iv": 99.0})
    Path("params.yaml").write_text(strict)
    with pytest.raises(SystemExit, match=r"train\.logistic: min_iv 99\.0 leaves no feature"):
        run(monkeypatch, "logistic", "--trials", "1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("forest",), "invalid choice: 'forest'"),
        (("logistic", "--trials", "0"), "--trials must be at least 1; got 0"),
        (("logistic", "--folds", "1"), "--folds must be at least 2; got 1"),
        (("logistic", "--metric", "luck"), "invalid choice: 'luck'"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_what_can(
    arguments: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, *arguments)
    assert says in capsys.readouterr().err
