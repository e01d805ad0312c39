"""Reproduction: the same bytes anywhere, only what changed, and nothing lost by a failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.errors import WAY_BACK
from tests.support.books import CANDIDATES
from tests.support.clone import Clone, stages_run

ROWS = 1500


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A small book, the pipeline run on it, all committed."""
    clone = Clone(tmp_path_factory.mktemp("repro") / "one")
    clone.simulate(ROWS)
    clone.dvc("repro", "--force")
    clone.commit("The first run")
    return clone


@pytest.fixture(scope="session")
def elsewhere(first_run: Clone) -> Clone:
    """The same, run in another folder with two threads, by new interpreters."""
    place, changes = first_run.folder.parent / "another" / "place", {"threads: 1": "threads: 2"}
    clone = Clone(place, warm=False, **changes)
    clone.environment["OMP_NUM_THREADS"] = "2"
    clone.simulate(ROWS)
    clone.dvc("repro", "--force")
    return clone


def stale(clone: Clone) -> list[str]:
    """The stages that DVC would run."""
    return sorted(clone.facts("status"))


def of_each(stage: str) -> list[str]:
    """Return the names of a stage that runs for each candidate."""
    return sorted(f"{stage}@{name}" for name in CANDIDATES)


def go_back(clone: Clone) -> None:
    """Undo a failed experiment as params.yaml says."""
    [way_back] = re.findall(r"To go back: (.*)", (clone.folder / "params.yaml").read_text())
    for command in way_back.split(" && "):
        clone.run(*command.split())


def outputs(clone: Clone) -> dict[str, bytes]:
    """Every file that the stages wrote."""
    folders = [clone.folder / "models", clone.folder / "data"]
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "raw" not in str(path.relative_to(folder))
    }


@contextmanager
def changed(clone: Clone, **changes: Any) -> Iterator[None]:
    """Other parameters, by section, for a while."""
    path = clone.folder / "params.yaml"
    before = path.read_text()
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(before), changes)))
    yield
    path.write_text(before)


def merged(old: Any, new: Any) -> Any:
    """`old` with the leaves of `new`."""
    if not isinstance(new, dict):
        return new
    return old | {key: merged(old[key], value) for key, value in new.items()}


def test_another_folder_with_another_number_of_threads_gives_the_same_lock(
    first_run: Clone, elsewhere: Clone
) -> None:
    one, other = ((clone.folder / "dvc.lock").read_bytes() for clone in (first_run, elsewhere))
    assert one == other


def test_every_stage_is_in_the_lock(first_run: Clone) -> None:
    lock = yaml.safe_load((first_run.folder / "dvc.lock").read_text())
    stages = [
        "check",
        "preprocess",
        "featurize",
        "evaluate",
        "dossier",
        *(f"{stage}@{name}" for stage in ("search", "train") for name in CANDIDATES),
    ]
    assert sorted(lock["stages"]) == sorted(stages)


def test_metrics_are_in_git_and_models_are_not(first_run: Clone) -> None:
    tracked = first_run.run("git", "ls-files").split()
    assert {"models/metrics.json", "data/loan_book/quality.json", "dvc.lock"} <= {*tracked}
    assert not [name for name in tracked if name.endswith((".joblib", ".parquet", ".npz"))]


def test_nothing_is_left_to_run(first_run: Clone) -> None:
    assert stale(first_run) == []


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_a_parameter_of_one_candidate_concerns_its_training_and_its_search_alone(
    first_run: Clone, candidate: str
) -> None:
    key = {"logistic": "c", "scorecard": "c"}.get(candidate, "trees")
    with changed(first_run, train={candidate: {key: 9}}):
        assert stale(first_run) == [f"search@{candidate}", f"train@{candidate}"]


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ({"threads": 2}, []),
        ({"simulate": {"rows": 7}}, []),
        ({"policy": {"margin": 0.1}}, ["dossier", "evaluate"]),
        ({"evaluate": {"resamples": 150}}, ["evaluate"]),
        ({"evaluate": {"origins": 3}}, ["evaluate", *of_each("train")]),
        ({"refit": {"rows": "all"}}, ["evaluate"]),
        ({"featurize": {"bins": 5}}, ["evaluate", "featurize", *of_each("search")]),
        ({"preprocess": {"max_invalid": 0.2}}, ["preprocess"]),
        ({"train": {"folds": 4}}, ["evaluate", *of_each("search"), *of_each("train")]),
    ],
)
def test_a_parameter_concerns_the_stages_that_read_it(
    first_run: Clone, change: dict[str, Any], concerned: list[str]
) -> None:
    with changed(first_run, **change):
        assert stale(first_run) == concerned


def test_a_corrupt_raw_file_ends_the_run_by_name_and_leaves_every_output(first_run: Clone) -> None:
    path, before = first_run.folder / "data" / "loan_book" / "raw" / "loans.csv", outputs(first_run)
    text = path.read_text()
    path.unlink()  # DVC's cache may share its bytes
    path.write_text(text.replace("loan_amount", "amount_of_loan", 1))
    output = first_run.dvc("repro", check=False)
    assert "loan_amount" in output
    assert "loans.csv" in output
    assert "failed to reproduce 'preprocess'" in output
    assert outputs(first_run) == before
    first_run.run("git", "checkout", "--quiet", "--", "data")
    first_run.dvc("checkout", "--force", "--quiet")
    assert stale(first_run) == []


def test_a_parameter_that_cannot_be_ends_the_run_by_name_and_leaves_every_output(
    first_run: Clone,
) -> None:
    before = outputs(first_run)
    with changed(first_run, train={"lightgbm": {"learning_rate": -1}}):
        output = first_run.dvc("repro", check=False)
    assert "params.yaml: train.lightgbm.learning_rate" in output
    assert "got -1" in output
    assert outputs(first_run) == before


def test_an_experiment_that_fails_in_training_leaves_every_output(first_run: Clone) -> None:
    before = outputs(first_run)
    output = first_run.dvc("exp", "run", "-S", "train.scorecard.min_iv=99", check=False)
    go_back(first_run)
    assert "min_iv 99.0 leaves no feature" in output
    assert "failed to reproduce 'train@scorecard'" in output
    assert outputs(first_run) == before
    assert stale(first_run) == []


def test_a_dataset_that_is_not_there_is_named_and_params_yaml_says_how_to_go_back(
    first_run: Clone,
) -> None:
    before = outputs(first_run)
    output = first_run.dvc("exp", "run", "-S", "dataset=nope", check=False)
    assert "params.yaml: dataset must be one of ['loan_applications', 'loan_book', " in output
    assert "got 'nope'" in output
    assert WAY_BACK in output
    assert stages_run(output) == ["check"]
    assert "No such file" not in output
    go_back(first_run)
    assert outputs(first_run) == before
    assert stale(first_run) == []


def test_a_candidate_that_is_not_there_is_named_before_any_other_stage_runs(
    first_run: Clone,
) -> None:
    before = outputs(first_run)
    output = first_run.dvc("exp", "run", "-S", "candidates=[logistic,lightbgm]", check=False)
    assert "params.yaml: candidates.1: there is no candidate 'lightbgm'" in output
    assert "did you mean lightgbm?" in output
    assert stages_run(output) == ["check"]
    go_back(first_run)
    assert outputs(first_run) == before
    assert stale(first_run) == []


def test_the_simulated_book_has_the_very_bytes_that_its_dvc_file_names(
    tmp_path: Path,
) -> None:
    clone = Clone(tmp_path / "clone")
    named = (clone.folder / "data" / "loan_book" / "raw.dvc").read_text()
    clone.run("python", "-m", "stages.simulate")
    clone.dvc("add", "--quiet", "data/loan_book/raw")
    assert (clone.folder / "data" / "loan_book" / "raw.dvc").read_text() == named
