"""Values are cut into cells whose rows are counted together."""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from stages.features.information_value import (
    category_cells,
    hypergeometric,
    number_cells,
    quantile_edges,
    smoothed_counts,
)


def test_a_quantity_is_cut_at_its_quantiles() -> None:
    values = np.random.default_rng(1).normal(size=1001)
    expected = np.quantile(values, [0.25, 0.5, 0.75])
    assert quantile_edges(values, 4).tolist() == expected.tolist()
    cells = number_cells(values, 4)
    assert np.bincount(cells).tolist() == [250, 250, 250, 251]


def test_a_value_that_two_quantiles_share_has_a_bin_for_itself() -> None:
    """A fifth of the values are 50, where the quantiles 0.4 and 0.5 both are."""
    values = np.concatenate([np.arange(38.0), np.full(20, 50.0), 60 + np.arange(42.0)])
    cells = number_cells(values, 10)
    assert np.unique(values[cells == cells[40]]).tolist() == [50]


def test_few_distinct_values_have_a_cell_each_and_missing_ones_the_last() -> None:
    values = np.array([3.0, 1.0, np.nan, 2.0, 1.0])
    assert number_cells(values, 10).tolist() == [2, 0, 3, 1, 0]
    assert category_cells(values).tolist() == [3, 1, 4, 2, 1]
    assert category_cells(np.full(2, np.nan)).tolist() == [0, 0]


def test_as_many_distinct_values_as_bins_have_a_cell_each() -> None:
    assert number_cells(np.repeat(np.arange(10.0), [91, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 10).max() == 9


def test_half_a_row_is_added_to_cells_that_have_rows() -> None:
    goods, bads = smoothed_counts(np.array([0, 0, 2]), np.array([0, 1, 1]))
    assert goods.tolist() == [1.5, 0, 0.5]
    assert bads.tolist() == [1.5, 0, 1.5]


def test_the_bads_of_a_cell_are_dealt_as_scipy_deals_them() -> None:
    number = np.arange(9)
    expected = hypergeom(100, 30, 8).pmf(number)
    assert np.allclose(hypergeometric(number, 100, 30, 8), expected)
