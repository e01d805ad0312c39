"""Splits: by time or stratified, and no application in two of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.features.split import by_time, stratified

days = st.lists(st.integers(0, 60), min_size=1, max_size=80)


def dated(values: list[int]) -> NDArray[np.datetime64]:
    """Days after the start of 2024."""
    return np.datetime64("2024-01-01") + np.array(values)


@given(days, st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.1, 0.2, 0.5]))
def test_every_test_loan_is_newer_than_every_validation_and_training_loan(
    values: list[int], validation: float, test: float
) -> None:
    split = by_time(dated(values), np.arange(len(values)), validation, test)
    order = np.argsort(values, kind="stable")
    assert (np.diff(split[order]) >= 0).all()
    assert set(split) <= {0, 1, 2}


@given(days)
def test_a_day_is_never_divided(values: list[int]) -> None:
    split = by_time(dated(values), np.arange(len(values)), 0.1, 0.2)
    assert (pd.Series(split).groupby(values).nunique() == 1).all()


def test_a_split_by_time_has_the_shares_asked_for() -> None:
    split = by_time(dated(list(range(1000))), np.arange(1000), 0.1, 0.2)
    assert np.bincount(split).tolist() == [700, 100, 200]


@given(days, st.integers(1, 20))
def test_a_later_copy_of_an_application_of_an_earlier_split_is_in_none(
    values: list[int], people: int
) -> None:
    group = np.arange(len(values)) % people
    split = by_time(dated(values), group, 0.2, 0.3)
    kept = pd.DataFrame({"group": group, "split": split})[split >= 0]
    assert (kept.groupby("group")["split"].nunique() <= 1).all()
    alone = by_time(dated(values), np.arange(len(values)), 0.2, 0.3)
    assert set(split[alone == 0]) <= {0}


def test_rows_need_no_order_to_be_split_by_time() -> None:
    values = np.random.default_rng(0).permutation(200)
    split = by_time(dated(values.tolist()), np.arange(200), 0.1, 0.2)
    np.testing.assert_array_equal(split, (values >= 140).astype(int) + (values >= 160))


@pytest.fixture(scope="module")
def bad() -> np.ndarray:
    return (np.random.default_rng(0).random(5000) < 0.09).astype(np.int64)


def test_a_stratified_split_has_the_same_bad_rate_and_the_shares_asked_for(
    bad: np.ndarray,
) -> None:
    split = stratified(bad, np.arange(5000), 0.1, 0.2, seed=1)
    rates = [bad[split == part].mean() for part in (0, 1, 2)]
    assert rates == pytest.approx([bad.mean()] * 3, abs=0.001)
    assert np.bincount(split) / 5000 == pytest.approx([0.7, 0.1, 0.2], abs=0.001)


def test_copies_of_an_application_stay_together_in_a_stratified_split(bad: np.ndarray) -> None:
    group = np.random.default_rng(1).integers(0, 1500, 5000)
    split = stratified(bad, group, 0.1, 0.2, seed=1)
    assert (pd.Series(split).groupby(group).nunique() == 1).all()
    assert set(split) == {0, 1, 2}


def test_a_seed_gives_one_split_and_another_seed_another(bad: np.ndarray) -> None:
    first, again, other = (stratified(bad, np.arange(5000), 0.1, 0.2, s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.2
