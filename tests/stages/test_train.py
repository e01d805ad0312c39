"""The train stage: one artifact a candidate, the same bytes anywhere."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages import train
from stages.contract import reading as contracts
from stages.features.matrix import Features
from stages.models import artifact, registry
from stages.models.fitting.folds import learn_from_later_days
from stages.models.fitting.training_rows import TrainingRows, judged_last
from stages.params import ParamsError
from tests.support import dask_cluster
from tests.support.books import CANDIDATES, ROOT, Project


@pytest.fixture
def ready(fitted_book: Project, tmp_path: Path) -> Project:
    """A copy of the small book with every candidate fitted."""
    shutil.copytree(fitted_book.folder, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def changed(project: Project, candidate: str, **changes: Any) -> bool:
    """Whether training a candidate anew with other parameters changes its bytes."""
    before = project.artifact(candidate).read_bytes()
    return project.set(**changes).run(candidate).artifact(candidate).read_bytes() != before


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_training_again_with_more_threads_gives_the_same_bytes(
    candidate: str, ready: Project
) -> None:
    assert not changed(ready, candidate, threads=2)


@pytest.mark.parametrize("name", ["scorecard", "lightgbm"])
def test_folds_that_are_fitted_on_a_cluster_give_the_same_bytes(
    name: str, ready: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outputs(ready.run(name), name)
    with dask_cluster.running(tmp_path, workers=2) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
        assert outputs(ready.set(compute="dask").run(name), name) == before


def outputs(project: Project, name: str) -> list[bytes]:
    """The bytes of a candidate and of its judged folds."""
    folder = project.folder / "models" / "candidates"
    return [path.read_bytes() for path in sorted(folder.glob(f"{name}.*"))]


def test_another_process_in_another_folder_gives_the_same_bytes(
    ready: Project, fitted_book: Project
) -> None:
    ready.artifact("lightgbm").unlink()
    subprocess.run(
        [sys.executable, "-m", "stages.train", "lightgbm"],
        cwd=ready.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "77"},
        check=True,
        timeout=120,
    )
    assert ready.artifact("lightgbm").read_bytes() == fitted_book.artifact("lightgbm").read_bytes()
    assert artifact.load(ready.artifact("lightgbm")).candidate == "lightgbm"


def test_a_stage_without_the_files_of_the_stage_before_says_how_to_make_them(
    ready: Project,
) -> None:
    (ready.data / "features" / "fitted.json").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", "lightgbm"],
        cwd=ready.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    [problem] = done.stderr.splitlines()
    assert problem.startswith("error: data/small/features/fitted.json is missing: run `dvc repro`")


def test_a_candidate_is_touched_by_its_own_parameters_alone(ready: Project) -> None:
    assert not changed(ready, "lightgbm", train__xgboost__trees=9, train__logistic__c=0.1)
    assert changed(ready, "lightgbm", train__lightgbm__trees=9)


def test_training_one_candidate_leaves_the_others(ready: Project) -> None:
    before = ready.files()
    ready.set(train__lightgbm__trees=9).run("lightgbm")
    its_files = [f"models/candidates/lightgbm.{ending}" for ending in ("folds.parquet", "joblib")]
    assert [name for name, data in ready.files().items() if before[name] != data] == its_files


def test_what_is_held_out_changes_no_artifact(ready: Project) -> None:
    for split in ("validation", "test"):
        for folder, ending in (("features", "npz"), ("prepared", "parquet")):
            part = ready.data / folder
            shutil.copyfile(part / f"train.{ending}", part / f"{split}.{ending}")
    assert not changed(ready, "lightgbm")


def out_of_fold(project: Project, candidate: str) -> pd.DataFrame:
    return pd.read_parquet(project.artifact(candidate).with_suffix(".folds.parquet"))


def test_all_candidates_are_judged_on_the_same_rows_of_the_same_folds(
    fitted_book: Project,
) -> None:
    first, *others = (out_of_fold(fitted_book, name) for name in CANDIDATES)
    for other in others:
        same = ["_row", "split", "fold", "bad"]
        pd.testing.assert_frame_equal(first[same], other[same])


def test_the_last_fold_is_the_validation_part_as_the_final_model_judges_it(
    fitted_book: Project,
) -> None:
    judged = out_of_fold(fitted_book, "lightgbm").query("split == 'validation'")
    rows = fitted_book.split("validation")
    assert judged["_row"].tolist() == rows["_row"].tolist()
    assert judged["fold"].unique().tolist() == [fitted_book.config.train.folds]
    fitted = artifact.load(fitted_book.artifact("lightgbm"))
    np.testing.assert_array_equal(judged["pd"], fitted.predict(fitted_book.columns("validation")))


def rows_of(groups: Any) -> TrainingRows:
    count = len(groups)
    return TrainingRows(np.arange(count), np.zeros((count, 1)), np.arange(count) % 2, groups, None)


@pytest.mark.parametrize(
    ("held", "judged"),
    [
        ([5, 6, 7, 8], [True] * 4),
        ([1, 6, 7, 3], [False, True, True, False]),
        ([1, 2, 3, 8], [False] * 4),
    ],
)
def test_validation_rows_of_customers_who_were_learned_from_choose_nothing(
    held: list[int], judged: list[bool]
) -> None:
    train_rows = rows_of(np.array([1, 2, 3, 3]))
    assert judged_last(train_rows, rows_of(np.array(held))).tolist() == judged


def test_a_fold_is_later_than_what_its_model_learnt_from(fitted_book: Project) -> None:
    judged = out_of_fold(fitted_book, "logistic")
    date = pd.concat([fitted_book.split(s) for s in ("train", "validation")]).set_index("_row")
    days = date["_date"].loc[judged["_row"]].to_numpy()
    ends = [days[judged["fold"] == k] for k in range(fitted_book.config.train.folds + 1)]
    assert all(a.max() < b.min() for a, b in pairwise(ends))


@pytest.mark.parametrize(("months", "kept"), [(2, True), (24, False)])
def test_a_fold_learns_from_no_outcome_of_a_later_day_or_says_that_it_does(
    months: int, kept: bool, ready: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ready.data / "contract.yaml"
    window = f"outcome: {{months: {months}, observed_until: 2024-01-01, event: closed}}\n"
    path.write_text(window + path.read_text())
    with contextlib.chdir(ready.folder):
        contract = contracts.load("small")
        features = Features(contract, ready.config.mode)
        rows = TrainingRows.read("train", contract, features, ready.config)
    assert rows.day is not None
    assert rows.outcome_known is not None
    folds = rows.cut(3, 7)
    assert learn_from_later_days(folds, rows.day, rows.outcome_known) != kept
    train.warn_of_later_days(rows, folds)
    assert ("`outcome.months`" in capsys.readouterr().err) != kept


def test_training_says_what_it_does_in_one_line(
    ready: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    ready.run("logistic")
    printed = capfd.readouterr()
    assert re.fullmatch(
        r"train logistic: [\d,]+ rows, \d+ of 7 features, 3 folds in time order\n", printed.out
    )


def test_an_unknown_candidate_ends_the_stage_and_leaves_the_outputs(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready.files()
    monkeypatch.chdir(ready.folder)
    with pytest.raises(ParamsError, match="there is no candidate 'cat' in stages/models"):
        train.main("cat")
    assert ready.files() == before


def test_too_strict_a_selection_ends_the_stage_and_leaves_the_outputs(ready: Project) -> None:
    before = ready.files()
    with pytest.raises(ValueError, match=r"min_iv 99\.0 leaves no feature"):
        ready.set(train__logistic__min_iv=99).run("logistic")
    assert ready.files() == before


def said_by_train(project: Project, candidate: str) -> str:
    """Return what the command says on stderr as it fails with exit code 1."""
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", candidate],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    return done.stderr


def test_too_strict_a_selection_is_told_in_one_message(ready: Project) -> None:
    output = said_by_train(ready.set(train__logistic__min_iv=99), "logistic")
    assert re.fullmatch(
        r"error: params\.yaml: train\.logistic: min_iv 99\.0 leaves no feature; the highest IV is "
        r"\d\.\d{3} \(\w+\)\n.*git checkout params\.yaml.*\n",
        output,
    )


def test_too_few_bads_to_resample_are_told_in_one_message(ready: Project) -> None:
    path = ready.data / "features" / "train.npz"
    with np.load(path) as rows:
        x, bad = rows["x"], np.zeros_like(rows["bad"])
    # One bad loan before the first fold, and one in each of the three.
    bad[(np.array([0.2, 0.6, 0.75, 0.9]) * len(bad)).astype(int)] = 1
    np.savez(path, x=x, bad=bad)
    output = said_by_train(ready.set(train__logistic__balance="smote"), "logistic")
    assert "Traceback" not in output
    assert "error: params.yaml: train.logistic: balance: smote needs at least 2 bad loans" in output


@pytest.mark.parametrize("balance", ["undersample", "smote", "smote_tomek"])
def test_a_balanced_and_calibrated_candidate_still_tells_honest_pds(
    balance: str, ready: Project
) -> None:
    ready.set(train__logistic__balance=balance, train__logistic__calibration="sigmoid")
    fitted = artifact.load(ready.run("logistic").artifact("logistic"))
    pd, bad = fitted.predict(ready.columns("train")), ready.split("train")["_bad"]
    assert pd.mean() == pytest.approx(bad.mean(), abs=0.03)  # the later half calibrates


def test_a_resampled_candidate_without_calibration_is_said_to_overstate_pd(
    ready: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.set(train__logistic__balance="smote", train__logistic__calibration="none")
    fitted = artifact.load(ready.run("logistic").artifact("logistic"))
    assert (fitted.trained_on["balance"], fitted.trained_on["overstates_pd"]) == ("smote", True)
    words = "train.logistic: balance: smote without calibration overstates PD"
    assert words in capsys.readouterr().err
    assert fitted.predict(ready.columns("train")).mean() > fitted.trained_on["bad_rate"] + 0.1


@pytest.mark.parametrize(("balance", "calibration"), [("none", "none"), ("smote", "sigmoid")])
def test_an_honest_candidate_is_not_warned_about(
    balance: str, calibration: str, ready: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.set(train__logistic__balance=balance, train__logistic__calibration=calibration)
    fitted = artifact.load(ready.run("logistic").artifact("logistic"))
    assert not fitted.trained_on["overstates_pd"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [[], ["lightgbm", "xgboost"], ["lightgmb"]])
def test_the_command_takes_one_candidate(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "stages.train", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    listed = ", ".join(registry.names())
    assert done.returncode == 1
    assert done.stderr == (
        f"usage: python -m stages.train CANDIDATE, one of {listed}; got {arguments}\n"
    )
