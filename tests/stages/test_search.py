"""The stage `search`: which books it searches, what it reads, and who uses what it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages import params
from stages.models import artifact, registry
from stages.models.compiled import libraries
from stages.models.compiled.trees import Trees
from stages.models.scorers import Selected
from tests.support.books import ROOT, Project, book


@pytest.fixture
def prepared(tmp_path: Path) -> Project:
    """A small book with its features."""
    project = Project(tmp_path, candidates=["logistic", "xgboost", "lightgbm"])
    return project.write(book(700)).run("preprocess", "featurize")


def found(project: Project) -> dict[str, Any]:
    return dict(json.loads((project.folder / "models" / "search.json").read_text()))


def number_of_trees(project: Project, candidate: str) -> int:
    model = artifact.load(project.artifact(candidate))
    trees = libraries.compile_trees(model.scorer)
    inner = trees.scorer if isinstance(trees, Selected) else trees
    assert isinstance(inner, Trees)
    return len(inner.forest.trees)


def test_the_default_book_was_searched() -> None:
    assert "loan_book" in params.load(ROOT / "params.yaml").search.found


def test_a_book_that_was_searched_is_not_searched_again(prepared: Project) -> None:
    prepared.run("search")
    assert found(prepared) == {
        "dataset": "small",
        "mode": "application",
        "candidates": {},
        "blend": [],
    }


@pytest.mark.parametrize("changes", [{"search__trials": 0, "search__found": {}}])
def test_no_trials_search_nothing(prepared: Project, changes: dict[str, Any]) -> None:
    assert found(prepared.set(**changes).run("search"))["candidates"] == {}


def test_a_new_book_is_searched_on_its_training_rows_alone(prepared: Project) -> None:
    for part in ("validation", "test"):
        (prepared.data / "prepared" / f"{part}.parquet").unlink()
        (prepared.data / "features" / f"{part}.npz").unlink()
    prepared.set(search__found={}, candidates=["logistic", "xgboost", "lightgbm"]).run("search")
    candidates = found(prepared)["candidates"]
    assert set(candidates) == {"xgboost", "lightgbm"}
    for name, result in candidates.items():
        assert set(result["parameters"]) == set(registry.load(name).search)
        assert result["trials"] == 2


def test_a_search_gives_the_same_bytes_again_and_with_more_threads(prepared: Project) -> None:
    changes: dict[str, Any] = {"search__found": {}, "candidates": ["xgboost", "lightgbm"]}
    file = prepared.folder / "models" / "search.json"
    first = prepared.set(**changes).run("search") and file.read_bytes()
    assert (prepared.set(**changes, threads=2).run("search") and file.read_bytes()) == first


def test_more_trials_never_find_worse_parameters(prepared: Project) -> None:
    losses = []
    for trials in (1, 4):
        prepared.set(search__found={}, search__trials=trials, candidates=["lightgbm"])
        losses.append(found(prepared.run("search"))["candidates"]["lightgbm"]["log_loss"])
    assert losses[1] <= losses[0]


def test_training_uses_what_was_found(prepared: Project) -> None:
    prepared.set(search__found={}, candidates=["lightgbm"]).run("search", "lightgbm")
    trees = found(prepared)["candidates"]["lightgbm"]["parameters"]["trees"]
    assert number_of_trees(prepared, "lightgbm") == trees != 20


def test_training_uses_what_params_state_for_a_book_that_was_searched(prepared: Project) -> None:
    prepared.set(search__found={"small": {"xgboost": {"trees": 7}}}).run("search", "xgboost")
    assert number_of_trees(prepared, "xgboost") == 7


def test_what_was_found_for_another_book_is_not_used(prepared: Project) -> None:
    prepared.set(search__found={"small": {"xgboost": {"trees": 7}}}).run("search")
    other = found(prepared) | {"dataset": "another"}
    (prepared.folder / "models" / "search.json").write_text(json.dumps(other))
    assert number_of_trees(prepared.run("xgboost"), "xgboost") == 20


def test_a_new_book_is_blended_of_the_candidates_that_are_listed(prepared: Project) -> None:
    changes: dict[str, Any] = {"search__trials": 0, "search__found": {}}
    prepared.set(**changes, candidates=["logistic", "lightgbm"]).run("search")
    assert found(prepared)["blend"] == ["logistic", "lightgbm"]
    prepared.set(**changes, candidates=["lightgbm"]).run("search")
    assert found(prepared)["blend"] == []


def test_a_book_that_was_searched_is_blended_as_params_state(prepared: Project) -> None:
    stated = {"small": {"blend": ["logistic", "xgboost"], "xgboost": {"trees": 7}}}
    prepared.set(search__found=stated).run("search")
    assert found(prepared)["blend"] == ["logistic", "xgboost"]
    assert found(prepared)["candidates"] == {"xgboost": {"parameters": {"trees": 7}}}


def test_a_parameter_that_a_candidate_cannot_have_is_named(prepared: Project) -> None:
    prepared.set(search__found={"small": {"xgboost": {"tres": 7}}})
    with pytest.raises(params.ParamsError, match=r"search\.found\.small\.xgboost\.tres.*got 7"):
        prepared.run("search")
