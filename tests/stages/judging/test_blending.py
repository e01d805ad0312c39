"""A blend of candidates: its weights, its margins, and the file that ships."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stages.contract import reading as contracts
from stages.judging import blending, monotone_proof
from stages.models import artifact, breakpoints, model_file, tree_compiler
from stages.models.artifact import Model
from stages.models.scorers import WeightedSum
from tests.support.books import Project, book

MEMBERS = ["logistic", "scorecard", "xgboost", "lightgbm"]
Floats = NDArray[np.float64]


def held_rows(models: dict[str, Model], x: Floats, bad: NDArray[np.int64]) -> pd.DataFrame:
    """Return rows in three folds and a validation part, with the margins of some models."""
    fold = np.arange(len(x)) % 4
    split = np.where(fold == 3, "validation", "train")
    margins = {f"margin_{name}": models[name].scorer.margin(x) for name in MEMBERS}
    return pd.DataFrame(
        {"row": np.arange(len(x)), "split": split, "fold": fold, "bad": bad} | margins
    )


@pytest.fixture(scope="module")
def rows(fitted_book: Project) -> tuple[Floats, NDArray[np.int64]]:
    with np.load(fitted_book.data / "features" / "train.npz") as file:
        return file["x"], file["bad"]


@pytest.fixture(scope="module")
def blend(models: dict[str, Model], rows: tuple[Floats, NDArray[np.int64]]) -> Model:
    return blending.blend_models(models, held_rows(models, *rows), MEMBERS)[0]


def three_odds(seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return outcomes, and log-odds: two that know half of the risk each, and one of noise."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(5000, 2))
    bad = (rng.random(5000) < expit(signal.sum(axis=1) - 1)).astype(np.int64)
    return np.column_stack((signal, rng.normal(size=5000))), bad


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_never_negative_and_noise_has_next_to_none(seed: int) -> None:
    margins, bad = three_odds(seed)
    weights = blending.Weights.fit(margins, bad).margins
    assert (weights >= 0).all()
    assert weights[2] < 0.05
    assert weights[0] == pytest.approx(weights[1], rel=0.2)


def test_a_model_that_ranks_the_wrong_way_round_has_no_weight() -> None:
    margins, bad = three_odds(3)
    margins[:, 1] *= -1
    assert blending.Weights.fit(margins, bad).margins[1] == 0


def test_a_blend_has_a_lower_log_loss_than_each_of_its_models() -> None:
    (margins, bad), (fresh, outcome) = three_odds(4), three_odds(5)
    pd_ = blending.Weights.fit(margins, bad)(fresh)
    loss = -np.mean(np.log(np.where(outcome == 1, pd_, 1 - pd_)))
    for column in range(2):
        alone = blending.Weights.fit(margins[:, [column]], bad)(fresh[:, [column]])
        assert loss < -np.mean(np.log(np.where(outcome == 1, alone, 1 - alone)))


def test_the_pds_of_a_fold_do_not_depend_on_its_outcomes(
    models: dict[str, Model], rows: tuple[Floats, NDArray[np.int64]]
) -> None:
    held = held_rows(models, *rows)
    first = blending.blend_models(models, held, MEMBERS)[1]
    here = (held["fold"] == 1).to_numpy()
    turned = held.assign(bad=np.where(here, 1 - held["bad"], held["bad"]))
    again = blending.blend_models(models, turned, MEMBERS)[1]
    np.testing.assert_array_equal(first[here], again[here])
    assert (first[~here] != again[~here]).any()


def test_the_margin_is_the_weighted_sum_and_so_are_the_reasons(
    blend: Model, rows: tuple[Floats, NDArray[np.int64]]
) -> None:
    x = rows[0][:60]
    scorer = blend.scorer
    assert isinstance(scorer, WeightedSum)
    parts = zip(scorer.weights, scorer.scorers, strict=True)
    np.testing.assert_allclose(scorer.margin(x), sum(w * s.margin(x) for w, s in parts))
    np.testing.assert_allclose(scorer.contributions(x).sum(axis=1), scorer.margin(x), atol=1e-5)


def test_the_file_that_ships_scores_every_row_with_the_same_bits(
    blend: Model, rows: tuple[Floats, NDArray[np.int64]]
) -> None:
    x = rows[0]
    shipped = model_file.parse(model_file.text(blend).encode(), "winner.json")
    margins = blend.predict_matrix(x)
    np.testing.assert_array_equal(shipped.predict_matrix(x), margins)
    alone = [shipped.predict_matrix(row[None])[0] for row in x[:50]]
    np.testing.assert_array_equal(alone, margins[:50])


@pytest.mark.parametrize("damage", [("weight", -1.0), ("weight", 0.0), ("candidate", None)])
def test_a_damaged_member_is_refused(blend: Model, damage: tuple[str, float | None]) -> None:
    document = json.loads(model_file.text(blend))
    document["scorer"]["members"][0][damage[0]] = damage[1]
    with pytest.raises(model_file.NotAModelFile, match=r"scorer\.sum\.members\.0"):
        model_file.parse(json.dumps(document).encode(), "winner.json")


def test_a_direction_that_every_model_keeps_is_proved_of_the_blend(blend: Model) -> None:
    from dataclasses import replace  # noqa: PLC0415

    compiled = replace(blend, scorer=tree_compiler.compile_trees(blend.scorer) or blend.scorer)
    amount = next(field for field in blend.features.inputs if field.name == "amount")
    scorer = compiled.scorer
    assert isinstance(scorer, WeightedSum)
    each = [monotone_proof.is_proved(replace(compiled, scorer=s), amount) for s in scorer.scorers]
    assert monotone_proof.is_proved(compiled, amount) == all(each)


def test_advice_knows_all_thresholds_of_a_blend(
    blend: Model, rows: tuple[Floats, NDArray[np.int64]]
) -> None:
    scorer = tree_compiler.compile_trees(blend.scorer)
    assert isinstance(scorer, WeightedSum)
    x = rows[0][:3]
    every = breakpoints.thresholds_of(scorer, x, [0])
    assert every is not None
    for part in scorer.scorers:
        inside = breakpoints.thresholds_of(part, x, [0])
        assert inside is not None
        assert set(inside.get(0, [])) <= set(every[0])


def test_evaluation_judges_a_blend_beside_its_models_and_ships_it_where_it_wins(
    tmp_path: Path,
) -> None:
    stated = {"small": {"blend": ["logistic", "xgboost", "lightgbm"]}}
    names = ["logistic", "xgboost", "lightgbm"]
    project = Project(
        tmp_path, candidates=names, search__found=stated, evaluate__choose_by="log_loss"
    )
    project.write(book(1500, seed=2)).run("preprocess", "featurize", "search", *names, "evaluate")
    report = json.loads((tmp_path / "models" / "evaluation.json").read_text())
    choice = {name: figure["value"] for name, figure in report["choice"].items()}
    assert set(choice) == {*names, "blend"}
    assert report["winner"] == min(choice, key=lambda name: choice[name])
    winner = artifact.load(tmp_path / "models" / "winner.joblib")
    shipped = model_file.read(tmp_path / "models" / "winner.json")
    assert winner.candidate == shipped.candidate == report["winner"]
    assert contracts.read(shipped.contract_text).fields
    table = pd.read_parquet(tmp_path / "models" / "predictions.parquet")
    assert {f"pd_{name}" for name in choice} <= set(table)
    assert not [column for column in table if column.startswith("margin_")]
