"""Splits: by time or stratified, and no application in two of them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.contract.schema import ContractError
from stages.features.split import by_time, draw_stratified

days = st.lists(st.integers(0, 60), min_size=3, max_size=80).filter(lambda d: len(set(d)) >= 3)


def dated(values: list[int]) -> NDArray[np.datetime64]:
    """Days after the start of 2024."""
    return np.datetime64("2024-01-01") + np.array(values)


@given(days, st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.1, 0.2, 0.5]))
def test_every_test_loan_is_newer_than_every_validation_and_training_loan(
    values: list[int], validation: float, test: float
) -> None:
    split = by_time(dated(values), validation, test)
    order = np.argsort(values, kind="stable")
    assert (np.diff(split[order]) >= 0).all()
    assert set(split) == {0, 1, 2}


@given(days, st.integers(0, 86_399))
def test_a_day_is_never_divided(values: list[int], second: int) -> None:
    stamps = dated(values).astype("datetime64[s]") + np.arange(len(values)) * second % 86_400
    split = by_time(stamps, 0.1, 0.2)
    assert (pd.Series(split).groupby(values).nunique() == 1).all()


def test_a_split_by_time_has_the_shares_asked_for() -> None:
    split = by_time(dated(list(range(1000))), 0.1, 0.2)
    assert np.bincount(split).tolist() == [700, 100, 200]


def test_rows_need_no_order_to_be_split_by_time() -> None:
    values = np.random.default_rng(0).permutation(200)
    split = by_time(dated(values.tolist()), 0.1, 0.2)
    np.testing.assert_array_equal(split, (values >= 140).astype(int) + (values >= 160))


@pytest.mark.parametrize(
    ("lumps", "rows"),
    [
        ([50, 35, 15], [50, 35, 15]),
        ([10, 80, 10], [10, 80, 10]),
        ([1, 1, 98], [1, 1, 98]),
        ([20, 20, 10, 50], [40, 10, 50]),
        ([30, 30, 10, 10, 20], [70, 10, 20]),
    ],
)
def test_a_book_of_a_few_lumps_has_three_parts_of_whole_days(
    lumps: list[int], rows: list[int]
) -> None:
    split = by_time(dated(np.repeat(np.arange(len(lumps)), lumps).tolist()), 0.1, 0.2)
    assert np.bincount(split).tolist() == rows


def test_two_days_are_refused_with_their_shares_and_what_is_possible() -> None:
    with pytest.raises(ContractError) as caught:
        by_time(dated([0] * 60 + [1] * 40), 0.1, 0.2)
    words = (
        "3 distinct days or more.*got 2: 2024-01-01 \\(60%\\), 2024-01-02 \\(40%\\).*random split"
    )
    assert re.search(words, str(caught.value))


def test_no_label_of_a_part_was_observed_after_the_next_part_began() -> None:
    date = dated(list(range(1000)))
    known = date + 90
    split = by_time(date, 0.1, 0.2, known)
    train, validation, test, embargoed = (split == part for part in (0, 1, 2, -1))
    assert known[train].max() <= date[validation].min()
    assert known[validation].max() <= date[test].min()
    assert [part.sum() for part in (train, validation, test)] == [522, 100, 200]
    assert embargoed.sum() == 2 * 89


def test_an_embargo_that_leaves_nothing_to_train_on_says_so() -> None:
    date = dated(list(range(1000)))
    with pytest.raises(ContractError, match=r"no outcome was known before .* shorten `outcome"):
        by_time(date, 0.1, 0.2, date + 400)
    with pytest.raises(ContractError, match=r"distinct days, and training and validation need one"):
        by_time(date, 0.1, 0.2, date + 900)


@pytest.fixture(scope="module")
def bad() -> np.ndarray:
    return (np.random.default_rng(0).random(5000) < 0.09).astype(np.int64)


def test_a_stratified_split_has_the_same_bad_rate_and_the_shares_asked_for(
    bad: np.ndarray,
) -> None:
    split = draw_stratified(bad, np.arange(5000), 0.1, 0.2, seed=1)
    rates = [bad[split == part].mean() for part in (0, 1, 2)]
    assert rates == pytest.approx([bad.mean()] * 3, abs=0.001)
    assert np.bincount(split) / 5000 == pytest.approx([0.7, 0.1, 0.2], abs=0.001)


def test_copies_of_an_application_stay_together_in_a_stratified_split(bad: np.ndarray) -> None:
    group = np.random.default_rng(1).integers(0, 1500, 5000)
    split = draw_stratified(bad, group, 0.1, 0.2, seed=1)
    assert (pd.Series(split).groupby(group).nunique() == 1).all()
    assert set(split) == {0, 1, 2}


def test_a_seed_gives_one_split_and_another_seed_another(bad: np.ndarray) -> None:
    first, again, other = (draw_stratified(bad, np.arange(5000), 0.1, 0.2, s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.2


def test_entities_of_many_loans_keep_the_shares_of_rows_and_the_bad_rate() -> None:
    rng = np.random.default_rng(3)
    entity = np.repeat(np.arange(3000), rng.integers(1, 12, 3000))
    bad = (rng.random(len(entity)) < 0.1).astype(np.int64)
    split = draw_stratified(bad, entity, 0.1, 0.2, seed=1)
    assert (pd.Series(split).groupby(entity).nunique() == 1).all()
    assert np.bincount(split) / len(split) == pytest.approx([0.7, 0.1, 0.2], abs=0.005)
    rates = [bad[split == part].mean() for part in (0, 1, 2)]
    assert rates == pytest.approx([bad.mean()] * 3, abs=0.01)
