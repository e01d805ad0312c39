"""The scorecard: bins, their WoE, and points that follow the contract."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

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
    edges = scorecard.edges_of(x[:, 0], bad, False, 1, config())
    sizes = np.bincount(np.searchsorted(edges, x[:, 0], side="right")) / len(x)
    assert 2 <= len(sizes) <= 6
    assert sizes.min() >= 0.05


def test_a_category_has_a_bin_for_each_code_and_one_for_unseen_codes() -> None:
    edges = scorecard.edges_of(np.array([0.0, 2.0, math.nan]), None, True, 0, config())
    np.testing.assert_array_equal(edges, [0.5, 1.5, 2.5])


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
