"""The stage `search`: which books it searches, what it reads, and who uses what it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages import params
from stages.models import artifact, registry, tree_compiler
from stages.models.compiled.trees import Trees
from stages.models.scorers import Selected
from tests.support.books import ROOT, Project, book


@pytest.fixture
def prepared(tmp_path: Path) -> Project:
    """A small book with its features."""
    project = Project(tmp_path, candidates=["logistic", "xgboost", "lightgbm"])
    return project.write(book(700)).run("preprocess", "featurize")


def read_found(project: Project, candidate: str) -> dict[str, Any]:
    path = project.folder / "models" / "search" / f"{candidate}.json"
    return dict(json.loads(path.read_text()))


def number_of_trees(project: Project, candidate: str) -> int:
    model = artifact.load(project.artifact(candidate))
    trees = tree_compiler.compile_trees(model.scorer)
    inner = trees.scorer if isinstance(trees, Selected) else trees
    assert isinstance(inner, Trees)
    return len(inner.forest.trees)


def test_the_default_book_was_searched() -> None:
    assert "loan_book" in params.load(ROOT / "params.yaml").search.found


def test_a_book_that_was_searched_is_not_searched_again(prepared: Project) -> None:
    prepared.run("search")
    book = {"dataset": "small", "mode": "application"}
    assert read_found(prepared, "xgboost") == {**book, "parameters": {}}


def test_no_trials_search_nothing(prepared: Project) -> None:
    prepared.set(search__trials=0, search__found={}).run("search")
    assert read_found(prepared, "xgboost")["parameters"] == {}


def test_a_new_book_is_searched_on_its_training_rows_alone(prepared: Project) -> None:
    for part in ("validation", "test"):
        (prepared.data / "prepared" / f"{part}.parquet").unlink()
        (prepared.data / "features" / f"{part}.npz").unlink()
    prepared.set(search__found={}, candidates=["logistic", "xgboost", "lightgbm"]).run("search")
    assert read_found(prepared, "logistic")["parameters"] == {}
    for name in ("xgboost", "lightgbm"):
        result = read_found(prepared, name)
        assert set(result["parameters"]) == set(registry.load(name).search)
        assert result["trials"] == 2


def test_a_search_gives_the_same_bytes_again_and_with_more_threads(prepared: Project) -> None:
    changes: dict[str, Any] = {"search__found": {}, "candidates": ["xgboost", "lightgbm"]}
    outputs = []
    for threads in (1, 2):
        prepared.set(**changes, threads=threads).run("search")
        files = sorted((prepared.folder / "models" / "search").iterdir())
        outputs.append([file.read_bytes() for file in files])
    assert len(outputs[0]) == 2
    assert outputs[0] == outputs[1]


def test_more_trials_never_find_worse_parameters(prepared: Project) -> None:
    losses = []
    for trials in (1, 4):
        prepared.set(search__found={}, search__trials=trials, candidates=["lightgbm"])
        losses.append(read_found(prepared.run("search"), "lightgbm")["log_loss"])
    assert losses[1] <= losses[0]


def test_training_uses_what_was_found(prepared: Project) -> None:
    prepared.set(search__found={}, candidates=["lightgbm"]).run("search", "lightgbm")
    trees = read_found(prepared, "lightgbm")["parameters"]["trees"]
    assert number_of_trees(prepared, "lightgbm") == trees != 20


def test_training_uses_what_params_state_for_a_book_that_was_searched(prepared: Project) -> None:
    prepared.set(search__found={"small": {"xgboost": {"trees": 7}}}).run("search", "xgboost")
    assert number_of_trees(prepared, "xgboost") == 7


def test_what_was_found_for_another_book_is_not_used(prepared: Project) -> None:
    prepared.set(search__found={"small": {"xgboost": {"trees": 7}}}).run("search")
    other = read_found(prepared, "xgboost") | {"dataset": "another"}
    (prepared.folder / "models" / "search" / "xgboost.json").write_text(json.dumps(other))
    assert number_of_trees(prepared.run("xgboost"), "xgboost") == 20


def test_a_new_book_is_blended_of_the_candidates_that_are_listed(prepared: Project) -> None:
    prepared.set(search__found={}, candidates=["logistic", "lightgbm"])
    assert prepared.config.blend == ["logistic", "lightgbm"]
    assert prepared.set(search__found={}, candidates=["lightgbm"]).config.blend == []


def test_a_book_that_was_searched_is_blended_as_params_state(prepared: Project) -> None:
    assert prepared.config.blend == []
    stated = {"small": {"blend": ["logistic", "xgboost"], "xgboost": {"trees": 7}}}
    prepared.set(search__found=stated).run("search")
    assert prepared.config.blend == ["logistic", "xgboost"]
    assert read_found(prepared, "xgboost")["parameters"] == {"trees": 7}
    assert read_found(prepared, "lightgbm")["parameters"] == {}


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        ({"xgboost": {"tres": 7}}, r"search\.found\.small\.xgboost\.tres.*got 7"),
        ({"xgbost": {"trees": 7}}, "xgbost.*did you mean xgboost"),
    ],
)
def test_what_a_candidate_cannot_have_is_named(
    prepared: Project, stated: dict[str, Any], named: str
) -> None:
    with pytest.raises(params.ParamsError, match=named):
        prepared.set(search__found={"small": stated}).run("search")
