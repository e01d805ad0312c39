"""The scorecard: bins, their WoE, and points that follow the contract."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import optbinning
import pytest
from sklearn.metrics import roc_auc_score

from stages.models.candidates import scorecard
from stages.models.candidates.scorecard import Parameters
from stages.models.scorers import Additive
from stages.models.task import Task

CONFIG: dict[str, Any] = {
    "c": 1.0,
    "max_bins": 6,
    "min_bin_share": 0.05,
    "monotone": True,
    "balance": "none",
    "calibration": "none",
    "min_iv": 0.0,
    "max_vif": None,
    "max_correlation": None,
}


def config(**changes: Any) -> Parameters:
    return Parameters.model_validate(CONFIG | changes)


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    """A number that risk rises with, its noisy copy, a category and a number with gaps."""
    rng = np.random.default_rng(3)
    x = np.column_stack(
        [rng.normal(size=3000), np.zeros(3000), rng.integers(0, 3, 3000), rng.normal(size=3000)]
    )
    x[:, 1] = x[:, 0] + 0.3 * rng.normal(size=3000)
    odds = x[:, 0] + 0.7 * (x[:, 2] == 1) - 1.5
    bad = (rng.random(3000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    x[rng.random(3000) < 0.1, 3] = np.nan
    return x, bad


def fit(rows: tuple[Any, Any], directions: list[int], **changes: Any) -> Additive:
    task = Task(config(**changes), 7, 1, [2], np.array(directions), {})
    return scorecard.fit(task, *rows)


def test_weight_of_evidence_is_its_formula() -> None:
    x = np.array([0.0] * 10 + [1.0] * 10 + [math.nan] * 10)
    bad = np.array([1] * 2 + [0] * 8 + [1] * 6 + [0] * 4 + [1] * 4 + [0] * 6)
    table = scorecard.weight_of_evidence(x, bad, np.array([0.5]))
    base = math.log(18 / 12)
    assert table.values == pytest.approx([math.log(2.5 / 8.5) + base, math.log(6.5 / 4.5) + base])
    assert table.missing == pytest.approx(math.log(4.5 / 6.5) + base)


def test_a_bin_without_bads_has_a_finite_weight() -> None:
    table = scorecard.weight_of_evidence(
        np.array([0.0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([0.5])
    )
    assert np.isfinite(table.values).all()
    assert table.values[0] < 0 < table.values[1]


def test_a_bin_without_rows_is_neutral() -> None:
    table = scorecard.weight_of_evidence(
        np.array([0.0, 2.0]), np.array([0, 1]), np.array([0.5, 1.5])
    )
    assert (table.values[1], table.missing) == (0, 0)


def test_numbers_are_cut_into_few_bins_of_enough_rows(rows: tuple[Any, Any]) -> None:
    x, bad = rows
    edges = scorecard.edges_of(x[:, 0], bad, 1, config())
    sizes = np.bincount(np.searchsorted(edges, x[:, 0], side="right")) / len(x)
    assert 2 <= len(sizes) <= 6
    assert sizes.min() >= 0.05


def noise(levels: int, n: int = 6000) -> tuple[Any, Any]:
    """A number that risk rises with, a category of noise, and the outcomes."""
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, levels, n)]).astype(float)
    return x, (rng.random(n) < 1 / (1 + np.exp(2 - 0.6 * x[:, 0]))).astype(np.int64)


def fit_category(x: Any, bad: Any, categories: list[int], **changes: Any) -> Additive:
    free = np.zeros(x.shape[1], dtype=np.int64)
    return scorecard.fit(Task(config(**changes), 7, 1, categories, free, {}), x, bad)


@pytest.mark.parametrize("levels", [400, 3000])
def test_levels_of_noise_are_merged_and_learned_by_nothing(levels: int) -> None:
    x, bad = noise(levels)
    margin = fit_category(x[:3000], bad[:3000], [1], min_bin_share=0.03).margin(x)
    train, test = (roc_auc_score(bad[s], margin[s]) for s in (slice(3000), slice(3000, None)))
    assert abs(train - test) < 0.03
    fitted = fit_category(x[:3000], bad[:3000], [1]).tables[1]
    assert len(set(fitted.values[fitted.values != 0])) == 1


def test_many_levels_that_differ_in_risk_are_kept_apart_in_a_few_bins() -> None:
    rng = np.random.default_rng(2)
    risk, level = rng.normal(size=60), rng.integers(0, 60, 12_000)
    bad = (rng.random(12_000) < 1 / (1 + np.exp(2.2 - risk[level]))).astype(np.int64)
    x = level[:, None].astype(float)
    fitted = fit_category(x[:6000], bad[:6000], [0], min_bin_share=0.03)
    best = roc_auc_score(bad[6000:], risk[level[6000:]])
    assert roc_auc_score(bad[6000:], fitted.margin(x[6000:])) > best - 0.03
    sizes = np.unique(fitted.margin(x[:6000]), return_counts=True)[1] / 6000
    assert len(sizes) <= 6
    assert sizes.min() >= 0.03


def test_the_order_of_levels_changes_no_margin() -> None:
    rng = np.random.default_rng(3)
    x, bad = noise(12)
    bad = np.where(x[:, 1] % 3 == 0, rng.integers(0, 2, len(bad)), bad)
    renamed = x.copy()
    renamed[:, 1] = rng.permutation(12)[x[:, 1].astype(int)]
    expected = fit_category(x, bad, [1]).margin(x)
    np.testing.assert_allclose(fit_category(renamed, bad, [1]).margin(renamed), expected, atol=0.02)


def test_a_level_that_training_never_saw_is_neutral_and_a_missing_one_has_its_own_bin() -> None:
    x = np.array([0.0] * 50 + [2.0] * 50 + [math.nan] * 50)
    bad = np.array([1] * 5 + [0] * 45 + [1] * 25 + [0] * 25 + [1] * 15 + [0] * 35)
    table = scorecard.category_table(x, bad, config())
    np.testing.assert_array_equal(table.edges, [0.5, 1.5, 2.5])
    assert table.values[1] == table.values[3] == 0
    base = math.log(105 / 45)
    odds = [5.5 / 45.5, 25.5 / 25.5, 15.5 / 35.5]
    points = [table.values[0], table.values[2], table.missing]
    assert points == pytest.approx([math.log(value) + base for value in odds])


@pytest.mark.parametrize("category", [True, False])
def test_a_perfect_separator_separates(category: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1))
    bad = (x[:, 0] > 1).astype(np.int64)
    if category:
        x = np.where(x > 1, 2.0, np.where(x > 0, 1.0, 0.0))
    margin = fit_category(x, bad, [0] if category else []).margin(x)
    assert roc_auc_score(bad, margin) > 0.99
    assert np.isfinite(margin).all()


def test_a_bin_that_holds_goods_alone_is_not_lost() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1))
    bad = ((x[:, 0] > 0.5) & (rng.random(4000) < 0.4)).astype(np.int64)
    table = fit_category(x, bad, []).tables[0]
    assert np.abs(table.edges - 0.5).min() < 0.1
    low, high = table(np.array([[0.0]])), table(np.array([[2.0]]))
    assert low[0] + 4 < high[0]


def test_a_field_that_a_reason_explains_has_no_bin_of_its_own_for_missing_values() -> None:
    rng = np.random.default_rng(0)
    reason = rng.choice([0.0, 1, 2], 6000, p=[0.7, 0.15, 0.15])
    x = np.column_stack([rng.normal(size=6000), reason])
    x[reason > 0, 0] = np.nan
    rate = np.where(reason == 0, 0.1, np.where(reason == 1, 0.02, 0.4))
    bad = (rng.random(6000) < rate).astype(np.int64)
    task = Task(config(), 7, 1, [1], np.zeros(2, dtype=np.int64), {}, explained_by={0: 1})
    fitted = scorecard.fit(task, x, bad)
    assert fitted.tables[0].missing == 0
    pd = 1 / (1 + np.exp(-fitted.margin(x)))
    for level in (0, 1, 2):
        assert pd[reason == level].mean() == pytest.approx(bad[reason == level].mean(), abs=0.01)


def test_warnings_of_the_binning_are_not_silenced(
    rows: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def complain(self: Any, x: Any, y: Any) -> None:
        warnings.warn("something", stacklevel=1)

    monkeypatch.setattr(optbinning.OptimalBinning, "fit", complain)
    with pytest.raises(UserWarning, match="something"):
        scorecard.edges_of(rows[0][:, 0], rows[1], 1, config())


@pytest.mark.parametrize("direction", [1, -1])
def test_points_of_a_directed_feature_never_turn(direction: int, rows: tuple[Any, Any]) -> None:
    x = rows[0] * [direction, direction, 1, 1]
    fitted = fit((x, rows[1]), [direction, direction, 0, direction])
    for table in fitted.tables:
        if table.column != 2:
            assert (np.diff(table.values) * direction >= 0).all()


def test_a_feature_whose_weight_would_turn_its_direction_is_left_out(
    rows: tuple[Any, Any],
) -> None:
    x, bad = rows
    # Together with the first, its noisy copy speaks against risk.
    x = np.column_stack([x[:, 0], x[:, 1] - 0.95 * x[:, 0] + 0.1 * bad, x[:, 2:]])
    turned = -scorecard.weigh(x[:, :2] * [1, -1], bad, np.array([False, False]), 1.0)[0]
    weights, _ = scorecard.weigh(x[:, :2] * [1, -1], bad, np.array([True, True]), 1.0)
    assert turned[1] > 0
    assert weights[1] == 0 < weights[0]


def test_the_scorecard_ranks_as_its_bins_do(rows: tuple[Any, Any]) -> None:
    x, bad = rows
    margin = fit(rows, [1, 1, 0, 0]).margin(x)
    assert margin[bad == 1].mean() > margin[bad == 0].mean() + 0.5


def test_the_mean_pd_is_the_bad_rate(rows: tuple[Any, Any]) -> None:
    margin = fit(rows, [1, 1, 0, 0]).margin(rows[0])
    assert (1 / (1 + np.exp(-margin))).mean() == pytest.approx(rows[1].mean(), abs=1e-3)


def test_edges_have_the_fewest_digits_that_leave_each_row_in_its_bin() -> None:
    values = np.array([0.1, 0.25, 1_000_000.25, 1_000_001.25, 2e6])
    shorten = scorecard.shorten
    assert shorten(0.175, values) == 0.2
    assert shorten(1_000_000.75, values) == 1_000_001.0
    assert shorten(1_500_000.625, values) == 2e6
    assert shorten(500_000.0, values) == 500_000.0
    rng = np.random.default_rng(3)
    drawn = np.unique(rng.normal(size=1000))
    middles = (drawn[1:] + drawn[:-1]) / 2
    short = np.array([shorten(edge, drawn) for edge in middles])
    assert np.array_equal(np.searchsorted(short, drawn, side="right"), np.arange(1000))
    assert max(len(f"{edge:.17g}".strip("-0.")) for edge in middles) > 12
    assert sum(len(str(edge)) for edge in short) < 9 * len(short)
