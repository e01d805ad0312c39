"""Resampling of training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.models.fitting import resampling
from stages.models.fitting.resampling import CannotResample, resample

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


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_stay_missing(kind: str, rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[::7, 0] = np.nan
    x[::5, 2] = np.nan
    new_rows, bad = resample(x, rows[1], kind, [2], np.full(3, 0.25), 1)
    known = {row.tobytes() for row in x}
    real = np.array([row.tobytes() in known for row in new_rows])
    assert not (new_rows[:, 0] == 0.25).any()
    assert np.isnan(new_rows[bad == 1, 0]).mean() == pytest.approx(1 / 7, abs=0.05)
    assert set(np.unique(new_rows[:, 2][~np.isnan(new_rows[:, 2])])) <= {0, 1, 2, 3}
    if kind == "smote":
        assert real.sum() == len(x)
        np.testing.assert_array_equal(new_rows[: len(x)], x)
        assert np.isnan(new_rows[~real, 2]).any()


def test_a_new_row_between_a_present_and_a_missing_value_has_the_present_one() -> None:
    x = np.array([[1.0, 10], [2, np.nan], [50, 7], [60, 7], [70, 7], [80, 7]])
    new_rows, _ = resample(x, np.array([1, 1, 0, 0, 0, 0]), "smote", [], np.full(2, 33.0), 1)
    new = new_rows[len(x) :]
    assert len(new) == 2
    assert ((new[:, 0] > 1) & (new[:, 0] < 2)).all()
    assert all(value == 10 or np.isnan(value) for value in new[:, 1])


@pytest.mark.parametrize("kind", ["smote", "smote_tomek"])
def test_missing_at_random_says_nothing_after_resampling(kind: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4000, 3))
    bad = (rng.random(4000) < 1 / (1 + np.exp(3.2 - x[:, 1]))).astype(np.int64)
    x[rng.random(4000) < 0.2, 0] = np.nan
    new_rows, outcome = resample(x, bad, kind, [], np.zeros(3), 1)
    missing = np.isnan(new_rows[:, 0])
    assert outcome[missing].mean() == pytest.approx(outcome[~missing].mean(), abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_book_of_categories_alone_is_resampled(kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (300, 3)).astype(float)
    x[::9, 1] = np.nan
    bad = (np.arange(300) % 10 == 0).astype(np.int64)
    new_rows, outcome = resample(x, bad, kind, [0, 1, 2], np.zeros(3), 1)
    assert outcome.mean() == pytest.approx(0.5, abs=0.1)
    assert set(np.unique(new_rows[~np.isnan(new_rows)])) <= {0, 1, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("categories", [[], [2], [0, 1, 2]])
@pytest.mark.parametrize("bads", [2, 7])
def test_a_few_bads_are_enough(
    bads: int, categories: list[int], kind: str, rows: tuple[Any, Any]
) -> None:
    x = rows[0].round() if len(categories) == 3 else rows[0]
    bad = (np.arange(400) < bads).astype(np.int64)
    new_rows, outcome = resample(x, bad, kind, categories, FILL, 1)
    assert outcome.mean() == pytest.approx(0.5, abs=0.1)
    assert new_rows.shape == (len(outcome), 3)


@pytest.mark.parametrize("kind", ["smote", "smote_tomek"])
def test_one_bad_has_no_neighbour_and_the_message_says_so(kind: str, rows: tuple[Any, Any]) -> None:
    bad = (np.arange(400) < 1).astype(np.int64)
    words = rf"balance: {kind} needs at least 2 bad loans to lie between; got 1 among 400"
    with pytest.raises(ValueError, match=words):
        resample(rows[0], bad, kind, [2], FILL, 1)
    with pytest.raises(ValueError, match="at least 2 good loans"):
        resample(rows[0], 1 - bad, kind, [2], FILL, 1)


def test_rows_that_are_balanced_stay_as_they_are(rows: tuple[Any, Any]) -> None:
    bad = np.arange(400) % 2
    new_rows, outcome = resample(rows[0], bad, "smote", [2], FILL, 1)
    np.testing.assert_array_equal(new_rows, rows[0])
    np.testing.assert_array_equal(outcome, bad)


def test_without_categories_rows_are_resampled_too(rows: tuple[Any, Any]) -> None:
    new_rows, bad = resample(rows[0][:, :2], rows[1], "smote", [], FILL[:2], 1)
    assert (new_rows.shape[1], bad.mean()) == (2, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_sample_and_another_seed_another(kind: str, rows: tuple[Any, Any]) -> None:
    first, again, other = (resampled(rows, kind, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_categories_alone_are_resampled_while_memory_allows_to_compare_every_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every two of 8,000 rows take 1.2 GB."""
    monkeypatch.setattr(resampling, "MOST_COMPARED", 80)
    x = np.random.default_rng(8).integers(0, 5, (400, 3)).astype(np.float64)
    bad = (np.arange(400) < 80).astype(np.int64)
    assert resample(x, bad, "smote", [0, 1, 2], FILL, 0)[1].sum() == 320
    bad[80] = 1
    with pytest.raises(CannotResample, match=r"memory allows 80 of them; got 81: use balance: und"):
        resample(x, bad, "smote", [0, 1, 2], FILL, 0)
