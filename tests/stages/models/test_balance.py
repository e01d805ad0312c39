"""Resampling of training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.models.resampling import resample

KINDS = ("undersample", "smote", "smote_tomek")
FILL = np.zeros(3)


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    """Two numbers and a category; 60 bad of 400."""
    rng = np.random.default_rng(0)
    bad = (np.arange(400) < 60).astype(np.int64)
    numbers = rng.normal(size=(400, 2)) + bad[:, None]
    return np.column_stack([numbers, rng.integers(0, 4, 400)]), bad


def resampled(rows: tuple[Any, Any], kind: str, seed: int = 1) -> tuple[Any, Any]:
    x, bad = resample(*rows, kind, [2], FILL, seed)
    return x, bad


def test_none_gives_the_very_rows(rows: tuple[Any, Any]) -> None:
    x, bad = resampled(rows, "none")
    assert x is rows[0]
    assert bad is rows[1]


@pytest.mark.parametrize("kind", KINDS)
def test_goods_and_bads_become_as_many(kind: str, rows: tuple[Any, Any]) -> None:
    assert resampled(rows, kind)[1].mean() == pytest.approx(0.5, abs=0.02)


def test_undersampling_keeps_every_bad_row_and_invents_none(rows: tuple[Any, Any]) -> None:
    x, bad = resampled(rows, "undersample")
    known = {tuple(row) for row in rows[0]}
    assert len(x) == 120
    assert {tuple(row) for row in x} <= known
    assert {tuple(row) for row in x[bad == 1]} == {tuple(row) for row in rows[0][:60]}


@pytest.mark.parametrize("kind", ["smote", "smote_tomek"])
def test_invented_rows_lie_among_bad_rows_and_have_categories_that_exist(
    kind: str, rows: tuple[Any, Any]
) -> None:
    x, bad = resampled(rows, kind)
    known = rows[0][rows[1] == 1]
    assert set(x[:, 2]) <= {0, 1, 2, 3}
    assert (x[bad == 1, :2] >= known[:, :2].min(axis=0)).all()
    assert (x[bad == 1, :2] <= known[:, :2].max(axis=0)).all()


def test_missing_values_are_filled_where_neighbours_are_sought(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[::7, 0] = np.nan
    made, _ = resample(x, rows[1], "smote", [2], np.full(3, 0.25), 1)
    assert not np.isnan(made).any()
    assert (made[: len(x)][::7, 0] == 0.25).all()


def test_without_categories_rows_are_resampled_too(rows: tuple[Any, Any]) -> None:
    made, bad = resample(rows[0][:, :2], rows[1], "smote", [], FILL[:2], 1)
    assert (made.shape[1], bad.mean()) == (2, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_sample_and_another_seed_another(kind: str, rows: tuple[Any, Any]) -> None:
    first, again, other = (resampled(rows, kind, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
