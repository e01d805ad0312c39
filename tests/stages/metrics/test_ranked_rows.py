"""Rows gathered into cells: a cell says the mean of its rows, in the order of their PDs."""

from __future__ import annotations

import numpy as np
import pytest

from stages.metrics.ranked_rows import RankedRows, log_losses, log_odds

CUT_OFF = 0.13


@pytest.fixture(params=[None, 40])
def gathered(request: pytest.FixtureRequest) -> tuple[RankedRows, np.ndarray, np.ndarray]:
    """The cells of 3,000 rows, one for each PD or 40 of neighbours, and the rows."""
    rng = np.random.default_rng(4)
    pd = rng.beta(1, 7, 3000)
    bad = rng.random(3000) < pd
    return RankedRows.of(bad, pd, CUT_OFF, max_cells=request.param), bad, pd


def test_a_cell_says_the_means_of_its_rows(
    gathered: tuple[RankedRows, np.ndarray, np.ndarray],
) -> None:
    ranked, bad, pd = gathered
    cell = ranked.keys // 4
    for number in range(0, len(ranked.pd), max(1, len(ranked.pd) // 20)):
        inside = cell == number
        assert ranked.pd[number] == pytest.approx(pd[inside].mean())
        assert ranked.spread[number] == pytest.approx((pd * (1 - pd))[inside].mean())
        assert ranked.log_odds[number] == pytest.approx(log_odds(pd[inside]).mean())
        for outcome in (0, 1):
            rows = inside & (bad == outcome)
            if rows.any():
                squares = (pd[rows] - outcome) ** 2
                assert ranked.squares[number, outcome] == pytest.approx(squares.mean())
                losses = log_losses(bad[rows], pd[rows])
                assert ranked.losses[number, outcome] == pytest.approx(losses.mean())


def test_cells_follow_the_order_of_the_pds(
    gathered: tuple[RankedRows, np.ndarray, np.ndarray],
) -> None:
    ranked, bad, pd = gathered
    cell = (ranked.keys // 4)[np.argsort(pd)]
    assert (np.diff(cell) >= 0).all()
    assert (np.diff(ranked.pd) > 0).all()
    np.testing.assert_array_equal(ranked.keys % 2, bad)


def test_no_cell_stands_on_both_sides_of_the_cut_off(
    gathered: tuple[RankedRows, np.ndarray, np.ndarray],
) -> None:
    ranked, _, pd = gathered
    cell = ranked.keys // 4
    np.testing.assert_array_equal(cell >= ranked.cut, pd >= CUT_OFF)
    np.testing.assert_array_equal(ranked.keys // 2 % 2 == 1, pd < CUT_OFF)


def test_cells_are_spread_over_the_rows_and_over_the_bads() -> None:
    """Precision at the highest PDs needs cells there, where few rows but many bads are."""
    rng = np.random.default_rng(5)
    pd = np.concatenate([rng.uniform(0, 0.1, 9000), rng.uniform(0.8, 1.0, 300)])
    bad = np.concatenate([np.zeros(9000), np.ones(300)])
    cell = RankedRows.of(bad, pd, 0.05, max_cells=100).keys // 4
    assert len(np.unique(cell)) <= 100
    low, high = len(np.unique(cell[:9000])), len(np.unique(cell[9000:]))
    assert low == pytest.approx(48, abs=3)  # half of the cells for all rows
    assert high == pytest.approx(52, abs=3)  # the other half for the bads
