"""Trees compiled for one row: the library's margin to the last bit, and its Shapley values."""

from __future__ import annotations

import itertools
import math
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from stages.features.matrix import Floats
from stages.models import tree_compiler
from stages.models.artifact import Model
from stages.models.breakpoints import lowest_margin
from stages.models.compiled import shapley
from stages.models.scorers import (
    Additive,
    LightGBM,
    Linear,
    Selected,
    Table,
    WeightedSum,
    XGBoost,
)
from tests.support.books import Project

BOOSTERS = ("xgboost", "random_forest", "lightgbm")


def rows(count: int = 700, missing: float = 0.1) -> tuple[Floats, Any]:
    """Two numbers, a category with 9 codes, a number that is never missing, and an outcome."""
    rng = np.random.default_rng(1)
    x = np.column_stack(
        [
            rng.normal(size=count).round(2),
            rng.lognormal(9, 2, count),
            rng.integers(0, 9, count),
            rng.integers(-3, 4, count),
        ]
    ).astype(np.float64)
    odds = x[:, 0] + (x[:, 2] % 3) - x[:, 3] * (x[:, 2] == 4) - 1
    bad = rng.random(count) < 1 / (1 + np.exp(-odds))
    x[:, :3][rng.random((count, 3)) < missing] = np.nan
    return x, bad


def fit(library: str, depth: int = 5, **settings: Any) -> Any:
    x, bad = rows()
    if library == "lightgbm":
        small = {"min_data_in_leaf": 1, "min_data_per_group": 5, "num_threads": 1, "verbose": -1}
        parameters = (
            {"objective": "binary", "max_depth": depth, "num_leaves": 90} | small | settings
        )
        data = lightgbm.Dataset(x, bad, categorical_feature=[2])
        return LightGBM(lightgbm.train(parameters, data, 12).model_to_string())
    types = ["q", "q", "c", "q"]
    data = xgboost.DMatrix(x, bad, feature_types=types, enable_categorical=True)
    parameters = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1} | settings
    return XGBoost(bytes(xgboost.train(parameters, data, 12).save_raw("ubj")), types)


def compiled(scorer: Any) -> Any:
    compiled_scorer = tree_compiler.compile_if_possible(scorer)
    assert compiled_scorer
    return compiled_scorer


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("depth", [1, 3, 6, 12])
def test_the_margin_is_the_librarys_to_the_last_bit(library: str, depth: int) -> None:
    scorer = fit(library, depth)
    x, _ = rows(missing=0.3)
    trees = compiled(scorer)
    assert [trees.margin(row[None])[0] for row in x] == scorer.margin(x).tolist()
    assert trees.margin(x).tolist() == scorer.margin(x).tolist()


@pytest.mark.parametrize("base", [0.013, 0.1, 0.36, 0.5, 0.53, 0.777])
def test_the_margin_of_xgboost_starts_where_its_base_score_does(base: float) -> None:
    scorer, (x, _) = fit("xgboost", base_score=base), rows()
    trees = compiled(scorer)
    assert [trees.margin(row[None])[0] for row in x[:50]] == scorer.margin(x[:50]).tolist()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_value_on_a_threshold_goes_where_the_library_sends_it(library: str) -> None:
    scorer = fit(library)
    trees = compiled(scorer)
    edges = np.unique([t for part in trees._bins if part for t in part])
    for edge in edges[:: max(1, len(edges) // 40)]:
        for value in (edge, np.nextafter(edge, -np.inf), np.nextafter(edge, np.inf)):
            row = np.array([[value, value, 1.0, value]])
            assert trees.margin(row)[0] == scorer.margin(row)[0]


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("row", [[np.nan] * 4, [0.0, 1.0, 30.0, 0.0], [-1e300, 1e300, 0.0, 1e9]])
def test_values_that_training_never_saw_score_the_same(library: str, row: list[float]) -> None:
    scorer = fit(library)
    assert compiled(scorer).margin(np.array([row]))[0] == scorer.margin(np.array([row]))[0]


def test_a_number_that_was_never_missing_in_training_may_be_missing() -> None:
    scorer, (x, _) = fit("lightgbm"), rows()
    x[:, 3] = np.nan
    trees = compiled(scorer)
    assert [trees.margin(row[None])[0] for row in x[:50]] == scorer.margin(x[:50]).tolist()


@pytest.mark.parametrize(("library", "precision"), [("xgboost", 1e-5), ("lightgbm", 1e-12)])
@pytest.mark.parametrize("depth", [2, 10])
def test_the_shapley_values_are_the_librarys(library: str, precision: float, depth: int) -> None:
    scorer, (x, _) = fit(library, depth), rows()
    shares, theirs = compiled(scorer).contributions(x), scorer.contributions(x)
    np.testing.assert_allclose(shares, theirs, rtol=0, atol=precision)


def test_the_shapley_values_of_a_leaf_are_those_of_the_definition() -> None:
    share, value = np.array([[0.3, 0.8, 0.45, 0.6]]), np.array([1.7])
    bits_of_all = np.array([*itertools.product((0, 1), repeat=4)]).T
    table = shapley.shapley(share.T[..., None], value[:, None], bits_of_all[:, None])[:, 0]
    players = range(4)

    def worth(coalition: frozenset[int], bits: tuple[int, ...]) -> float:
        parts = (bits[j] if j in coalition else share[0, j] for j in players)
        return float(value[0] * math.prod(parts))

    for bits in itertools.product((0, 1), repeat=4):
        column = table[:, int("".join(map(str, bits)), 2)]
        for i in players:
            total = 0.0
            for order in itertools.permutations(players):
                before = frozenset(order[: order.index(i)])
                total += worth(before | {i}, bits) - worth(before, bits)
            assert column[i] == pytest.approx(total / math.factorial(4), abs=1e-12)


@pytest.mark.parametrize("gamma", [2.0, 20.0, 1e9])
def test_trees_without_a_split_are_explained_too(gamma: float) -> None:
    scorer, (x, _) = fit("xgboost", min_split_loss=gamma), rows()
    trees = compiled(scorer)
    assert [trees.margin(row[None])[0] for row in x[:9]] == scorer.margin(x[:9]).tolist()
    np.testing.assert_allclose(trees.contributions(x), scorer.contributions(x), atol=1e-5)
    assert (gamma < 1e9) == np.any(trees.contributions(x)[:, :-1] != 0)


@pytest.mark.parametrize("name", BOOSTERS)
def test_a_fitted_candidate_scores_the_same(
    models: dict[str, Model], fitted_book: Project, name: str
) -> None:
    model = models[name]
    x = model.features(fitted_book.columns("test"))[:200]
    trees = compiled(model.scorer)
    assert [trees.margin(row[None])[0] for row in x] == model.scorer.margin(x).tolist()


def test_a_scorer_of_some_features_is_compiled_too() -> None:
    scorer = Selected(fit("lightgbm"), np.array([3, 2, 1, 0]))
    x, _ = rows()
    trees = compiled(scorer)
    assert trees.margin(x[:1])[0] == scorer.margin(x[:1])[0]
    np.testing.assert_allclose(trees.contributions(x[:5]), scorer.contributions(x[:5]), atol=1e-12)


@pytest.mark.parametrize("name", ["logistic", "scorecard"])
def test_a_scorer_without_trees_is_left_as_it_is(models: dict[str, Model], name: str) -> None:
    assert tree_compiler.compile_if_possible(models[name].scorer) is None


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_the_shapley_values_of_a_large_forest_are_computed_for_each_row(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, (x, _) = fit(library, 8), rows()
    by_tables = compiled(scorer)
    monkeypatch.setattr(shapley, "LARGEST", 1000)
    trees = compiled(scorer)
    assert [type(part).__name__ for part in trees._explainers] == ["LeafFormula"]
    np.testing.assert_allclose(trees.contributions(x), by_tables.contributions(x), atol=1e-12)
    assert [trees.margin(row[None])[0] for row in x[:9]] == scorer.margin(x[:9]).tolist()


@pytest.mark.parametrize("depth", [2, 3, 4, 6])
def test_words_of_every_size_score_the_same(depth: int) -> None:
    scorer, (x, _) = fit("xgboost", depth), rows()
    trees = compiled(scorer)
    assert trees.margin(x).tolist() == scorer.margin(x).tolist()
    assert trees.margin(x[:3]).tolist() == scorer.margin(x[:3]).tolist()


def test_zeros_that_mean_missing_are_left_to_the_library() -> None:
    assert tree_compiler.compile_if_possible(fit("lightgbm", zero_as_missing=True)) is None


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("depth", [3, 12])
def test_no_row_between_two_ends_is_below_the_lowest_margin(library: str, depth: int) -> None:
    """Between equal ends there is one row: the bound is its margin, to rounding."""
    trees, rng = compiled(fit(library, depth)), np.random.default_rng(4)
    x, _ = rows(missing=0.0)
    margins, rounding = trees.margin(x), 1e-4
    for row, margin in zip(x[:20], margins, strict=False):
        assert margin - rounding < lowest_margin(trees, row, row) <= margin
    for _ in range(200):
        low, high = np.sort(x[rng.integers(len(x), size=(2, 4)), range(4)], axis=0)
        inside = ((x >= low) & (x <= high)).all(axis=1)
        assert lowest_margin(trees, low, high) <= margins[inside].min(initial=np.inf)
    assert lowest_margin(trees, x.min(axis=0), x.max(axis=0)) < margins.min()


def test_a_blend_and_an_additive_model_are_bounded_too() -> None:
    trees, rng = compiled(fit("lightgbm")), np.random.default_rng(4)
    linear = Linear(np.array([0, 1]), np.array([1.0, -1e-5]), *np.array([[0, 9e3], [-2, 1e3]]),
                    np.array([2, 9e4]), np.zeros(2))  # fmt: skip
    table = Table(0, np.arange(1.5, 9), rng.normal(size=9), 0.3)
    additive = Selected(Additive(0.2, linear, [table]), np.array([2, 1, 0]))
    blend = WeightedSum(["a", "b"], [trees, additive], np.array([0.3, 0.7]))
    x, _ = rows(missing=0.0)
    for scorer in (additive, blend):
        margins = scorer.margin(x)
        for row, margin in zip(x[:20], margins, strict=False):
            assert margin - 1e-4 < lowest_margin(scorer, row, row) <= margin
        for _ in range(200):
            low, high = np.sort(x[rng.integers(len(x), size=(2, 4)), range(4)], axis=0)
            inside = ((x >= low) & (x <= high)).all(axis=1)
            assert lowest_margin(scorer, low, high) <= margins[inside].min(initial=np.inf)
