"""The model file that ships: the candidate's bits, and one clear error for whatever is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.features.matrix import Floats
from stages.judging import golden, proof
from stages.models import artifact, model_file
from stages.models.artifact import Model
from stages.models.model_file import NotAModelFile
from stages.models.scorers import Additive, Linear, Selected
from tests.support.books import CANDIDATES, Project

Document = dict[str, Any]
NAME = "models/winner.json"


def shipped(model: Model) -> Model:
    """The model, written and read."""
    return model_file.parse(model_file.text(model).encode(), NAME)


def assert_scores_the_same(model: Model, columns: dict[str, Any]) -> None:
    again, x = shipped(model), model.features(columns)
    pd = model.predict(columns)
    np.testing.assert_array_equal(again.predict(columns), pd)
    np.testing.assert_array_equal(proof.one_by_one(again, x), pd)
    theirs, of_file = (m.scorer.contributions(x[:50]) for m in (model, again))
    np.testing.assert_allclose(of_file, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("calibration", ["none", "sigmoid", "isotonic"])
@pytest.mark.parametrize("balance", ["none", "smote"])
@pytest.mark.parametrize("candidate", CANDIDATES)
def test_every_kind_of_candidate_scores_the_same_bits(
    candidate: str, balance: str, calibration: str, fitted_book: Project, tmp_path: Path
) -> None:
    changes = {
        f"train__{candidate}__calibration": calibration,
        f"train__{candidate}__balance": balance,
    }
    project = Project(tmp_path, **changes)
    for name in ("raw", "prepared", "features"):
        (project.data / name).symlink_to(fitted_book.data / name)
    model = artifact.load(project.run(candidate).artifact(candidate))
    assert_scores_the_same(model, project.columns("test"))


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_a_candidate_of_some_features_scores_the_same_bits(
    candidate: str, fitted_book: Project, tmp_path: Path
) -> None:
    project = Project(tmp_path, **{f"train__{candidate}__min_iv": 0.02})
    for name in ("raw", "prepared", "features"):
        (project.data / name).symlink_to(fitted_book.data / name)
    model = artifact.load(project.run(candidate).artifact(candidate))
    assert_scores_the_same(model, project.columns("test"))


def test_a_candidate_without_the_last_feature_keeps_its_choice(models: dict[str, Model]) -> None:
    model = models["scorecard"]
    count = len(model.features.names)
    without = Additive(0.5, Linear.empty(), [], np.zeros(count - 1), ("numpy", "scipy"))
    chosen = replace(model, scorer=Selected(without, np.arange(count - 1)))
    served = model_file.parse(model_file.text(chosen).encode(), "chosen")
    assert served.scorer.contributions(np.zeros((2, count))).shape == (2, count + 1)


def test_what_is_read_says_what_was_written(fitted: Model) -> None:
    again = shipped(fitted)
    for name in ("candidate", "dataset", "mode", "contract_text", "trained_on"):
        assert getattr(again, name) == getattr(fitted, name)
    assert again.versions == {n: fitted.versions[n] for n in ("numpy", "scipy")}


def test_writing_what_was_read_gives_the_same_bytes(fitted: Model) -> None:
    assert model_file.text(shipped(fitted)) == model_file.text(fitted)


def test_values_that_training_never_saw_score_the_same_bits(models: dict[str, Model]) -> None:
    rng = np.random.default_rng(4)
    for model in models.values():
        width = len(model.features.names)
        x: Floats = rng.choice([np.nan, -3e38, -1.0, 0.0, 0.5, 1.0, 7.0, 3e38], (300, width))
        np.testing.assert_array_equal(shipped(model).predict_matrix(x), model.predict_matrix(x))


@pytest.fixture
def winner(fitted_book: Project, models: dict[str, Model]) -> tuple[Model, dict[str, Any], Floats]:
    """A model, the raw columns of the test rows, and what it says of them."""
    columns = fitted_book.columns("test")
    return models["lightgbm"], columns, models["lightgbm"].predict(columns)


def test_the_file_is_written_where_every_row_scores_the_same(winner: Any, tmp_path: Path) -> None:
    model, columns, pd = winner
    records = golden.pick_records(model, columns, pd, 10, lambda _: {})
    proof.write_model_file(model, columns, pd, records, tmp_path / "winner.json")
    assert model_file.read(tmp_path / "winner.json").candidate == "lightgbm"


@pytest.mark.parametrize("altered", ["row", "record"])
def test_the_file_is_not_written_where_a_row_scores_otherwise(
    altered: str, winner: Any, tmp_path: Path
) -> None:
    model, columns, pd = winner
    records = golden.pick_records(model, columns, pd, 10, lambda _: {})
    if altered == "row":
        pd = pd.copy()
        pd[3] = np.nextafter(pd[3], 1)
    else:
        first, rest = records.split("\n", 1)
        record = json.loads(first)
        record["default_probability"] *= 1 + 1e-15
        records = f"{json.dumps(record)}\n{rest}"
    with pytest.raises(proof.ScoresDiffer, match="would score 1 of"):
        proof.write_model_file(model, columns, pd, records, tmp_path / "winner.json")
    assert not (tmp_path / "winner.json").exists()


def test_a_large_test_part_is_scored_one_by_one_in_some_rows_throughout(
    winner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, columns, pd = winner
    records = golden.pick_records(model, columns, pd, 10, lambda _: {})
    seen: list[Floats] = []
    alone = proof.one_by_one
    monkeypatch.setattr(proof, "one_by_one", lambda m, x: seen.append(x) or alone(m, x))
    monkeypatch.setattr(proof, "ALONE", 7)
    proof.write_model_file(model, columns, pd, records, tmp_path / "winner.json")
    x = model.features(columns)
    every = -(-len(x) // 7)
    assert len(seen[0]) == len(range(0, len(x), every)) <= 7
    np.testing.assert_array_equal(seen[0], x[::every])


def change(place: str, value: Any) -> Callable[[Document], None]:
    """What sets a place of the document, as `scorer.trees.0.right.0`, to a value."""

    def apply(document: Document) -> None:
        part: Any = document
        *above, last = (int(key) if key.isdigit() else key for key in place.split("."))
        for key in above:
            part = part[key]
        part[last] = value

    return apply


TREES: dict[str, tuple[Callable[[Document], None], str]] = {
    "a child beyond the tree": (change("scorer.trees.0.right.0", 10**6), "must be the child"),
    "a child that is its parent": (change("scorer.trees.0.right.0", 0), "must be the child"),
    "a child of two nodes": (change("scorer.trees.0.right.0", 2), "must be the child"),
    "a place below 0": (change("scorer.trees.0.right.0", -1), "greater than or equal to 0"),
    "a feature that is not there": (change("scorer.trees.0.feature.0", 99), "tree 0 splits on a"),
    "a feature below -1": (change("scorer.trees.0.feature.0", -2), "greater than or equal to -1"),
    "features that are not there": (change("scorer.features.0", 99), "must be different positions"),
    "a feature twice": (change("scorer.features.0", 1), "must be different positions"),
    "a threshold that is not finite": (change("scorer.trees.0.threshold.0", 1e400), "finite"),
    "a leaf that is not finite": (change("scorer.trees.0.value.1", float("nan")), "finite"),
    "a leaf beyond 32 bits": (change("scorer.trees.0.value.1", 1e39), "less than or equal"),
    "a leaf that is a text": (change("scorer.trees.0.value.1", "1.0"), "valid number"),
    "a cover of 0": (change("scorer.trees.0.cover.0", 0.0), "greater than 0"),
    "a list too short": (change("scorer.trees.0.value", [0.0]), "must have the same length"),
    "an empty tree": (
        change(
            "scorer.trees.0",
            {
                name: {} if name == "categories" else []
                for name in (
                    *("feature", "right", "threshold", "missing_left"),
                    *("cover", "value", "categories"),
                )
            },
        ),
        "at least 1 item",
    ),
    "a category of a leaf": (change("scorer.trees.0.categories.99", [0]), "listed at no node"),
    "another library": (change("scorer.library", "catboost"), "'lightgbm' or 'xgboost'"),
    "another form": (change("scorer.form", "pickle"), "does not match any of the expected tags"),
    "a prior of 0": (change("calibrator", {"form": "forest_share", "prior": 0.0}), "greater than"),
    "a slope that is not finite": (change("calibrator.slope", float("inf")), "finite"),
    "knots that fall": (
        change("calibrator", {"form": "isotonic", "knots": [1.0, 0.0], "pds": [0.1, 0.2]}),
        "knots must rise",
    ),
    "PDs that fall": (
        change("calibrator", {"form": "isotonic", "knots": [0.0, 1.0], "pds": [0.2, 0.1]}),
        "pds must rise",
    ),
    "an unknown key": (change("reduce", "os.system"), "reduce: Extra inputs are not permitted"),
    "another version of the format": (change("format", 2), "format: Input should be 1"),
    "another mode": (change("mode", "magic"), "mode: Input should be"),
    "a contract that is none": (change("contract", "fields: {}"), "contract"),
    "a contract that is no YAML": (change("contract", "{"), "not YAML"),
}
ADDITIVE: dict[str, tuple[Callable[[Document], None], str]] = {
    "a column that is not there": (
        change("scorer.bins.0.column", 99),
        "a term belongs to no feature",
    ),
    "a column below 0": (change("scorer.bins.0.column", -1), "greater than or equal to 0"),
    "a column twice": (change("scorer.bins.0.column", 1), "a feature must have one term"),
    "edges that fall": (
        change("scorer.bins.0", {"column": 0, "edges": [1, 0], "values": [0] * 3, "missing": 0}),
        "edges must rise",
    ),
    "a value too few": (change("scorer.bins.0.values", [0.0]), "one value more than edges"),
    "a value that is not finite": (change("scorer.bins.0.missing", float("nan")), "finite"),
    "expected terms too few": (change("scorer.expected", []), "must have the same length"),
    "numbers too few": (change("scorer.numbers.slope", [1.0]), "must have the same length"),
}


def refused(content: bytes) -> str:
    """What is said of a file; one line that names it."""
    with pytest.raises(NotAModelFile) as error:
        model_file.parse(content, NAME)
    assert isinstance(error.value, TypeError)
    assert str(error.value).startswith(f"{NAME} is not a model file: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def altered(model: Model, change: Callable[[Document], None]) -> bytes:
    """The model's file, its document changed."""
    document = json.loads(model_file.text(model))
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", TREES)
def test_a_malformed_file_of_trees_gives_one_clear_error(
    name: str, models: dict[str, Model]
) -> None:
    change, message = TREES[name]
    assert message in refused(altered(models["lightgbm"], change))


@pytest.mark.parametrize("name", ADDITIVE)
def test_a_malformed_file_of_a_scorecard_gives_one_clear_error(
    name: str, models: dict[str, Model]
) -> None:
    change, message = ADDITIVE[name]
    assert message in refused(altered(models["scorecard"], change))


def test_a_category_that_its_feature_does_not_have_is_refused(models: dict[str, Model]) -> None:
    model = models["lightgbm"]
    place = model.features.names.index("purpose")
    one = {
        "feature": [place, -1, -1],
        "right": [2, 0, 0],
        "threshold": [0.0] * 3,
        "missing_left": [False] * 3,
        "cover": [2.0, 1.0, 1.0],
        "value": [0.0, 1.0, -1.0],
        "categories": {"0": [0]},
    }
    model_file.parse(altered(model, change("scorer.trees", [one])), NAME)
    beyond = one | {"categories": {"0": [10**12]}}
    assert "a category that its feature does not have" in refused(
        altered(model, change("scorer.trees", [beyond]))
    )
    nothing = one | {"categories": {"0": []}}
    assert "a node lists no category" in refused(altered(model, change("scorer.trees", [nothing])))
    both = [one, one | {"categories": {}}]
    assert "both as a number and as a category" in refused(
        altered(model, change("scorer.trees", both))
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\x00" * 99, b"<html>", b"\xff\xfe", b"{}", b"[" * 100_000, b"1"],
)
def test_a_file_that_holds_something_else_gives_one_clear_error(content: bytes) -> None:
    refused(content)


def test_a_file_cut_anywhere_gives_one_clear_error(fitted: Model) -> None:
    content = model_file.text(fitted).encode()
    for place in np.random.default_rng(2).integers(0, len(content) - 2, 40):
        refused(content[: int(place)])


def test_a_pickle_is_not_read(models: dict[str, Model], fitted_book: Project) -> None:
    refused(fitted_book.artifact("lightgbm").read_bytes())


def test_a_scorer_of_another_kind_is_named_when_it_is_to_be_written(
    models: dict[str, Model],
) -> None:
    class Mine:
        libraries = ("numpy", "scipy")

    model = Model(
        "mine",
        "small",
        "application",
        models["lightgbm"].contract_text,
        Mine(),
        models["lightgbm"].calibrator,
        {},
    )  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the scorer of mine is a Mine, which no model file holds"):
        model_file.text(model)
