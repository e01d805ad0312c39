"""Folds: groups stay whole, time goes on, and copies do not flatter what is judged on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from stages import params
from stages.models import registry
from stages.models.calibration import Sigmoid
from stages.models.fitting.folds import FoldsError, cut, learn_from_later_days
from stages.models.fitting.job import Job
from tests.support.books import ROOT


def days(rows: int) -> Any:
    return np.datetime64("2024-01-01") + np.random.default_rng(1).integers(0, 90, rows)


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_every_fold_is_later_than_what_it_learns_from_and_days_stay_whole(folds: int) -> None:
    dates, bad = days(1000), np.arange(1000) % 2
    seen: list[int] = []
    for inside, outside in cut(bad, np.arange(1000), dates, folds, 7):
        assert dates[inside].max() < dates[outside].min()
        assert set(inside) >= {*seen}
        seen += outside.tolist()
    assert len(set(seen)) == len(seen) == 1000 - (dates < dates[seen].min()).sum()


@pytest.mark.parametrize("shares", [(0.9, 0.04, 0.03, 0.03), (0.1, 0.1, 0.1, 0.7), (0.25,) * 4])
def test_a_few_uneven_days_are_cut_into_folds_in_time_order(shares: tuple[float, ...]) -> None:
    dates = np.datetime64("2024-01-01") + np.repeat(
        [0, 40, 80, 120], [int(s * 1000) for s in shares]
    )
    seen = []
    for inside, outside in cut(np.arange(1000) % 2, np.arange(1000), dates, 3, 7):
        assert dates[inside].max() < dates[outside].min()
        assert len(np.unique(dates[outside])) == 1
        seen.append(dates[outside].min())
    assert seen == np.unique(dates)[1:].tolist()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_too_few_days_for_folds_in_time_order_are_cut_at_random(number: int) -> None:
    dates = np.datetime64("2024-01-01") + np.arange(999) % number
    judged = [outside for _, outside in cut(np.arange(999) % 2, np.arange(999), dates, 3, 7)]
    assert [len(rows) for rows in judged] == [333] * 3
    assert len(np.unique(np.concatenate(judged))) == 999


def test_the_first_fold_in_time_learns_from_half_of_the_rows() -> None:
    dates = days(1000)
    inside, _ = cut(np.arange(1000) % 2, np.arange(1000), dates, 3, 7)[0]
    assert 0.48 < len(inside) / 1000 < 0.52


@pytest.mark.parametrize("months", [1, 6, 12])
def test_a_fold_learns_from_outcomes_alone_that_were_known_on_its_first_day(months: int) -> None:
    rng = np.random.default_rng(5)
    day = np.datetime64("2019-01-01") + rng.integers(0, 3 * 365, 2000)
    known = day + np.timedelta64(30 * months, "D")
    folds = cut(rng.integers(0, 2, 2000), np.arange(2000), day, 3, 7, known)
    assert not learn_from_later_days(folds, day, known)
    for inside, outside in folds:
        first = day[outside].min()
        assert known[inside].max() <= first
        assert len(inside) == (known <= first).sum()
    sizes = [len(outside) for _, outside in folds]
    assert max(sizes) - min(sizes) < 20  # days stay whole


def test_under_an_embargo_the_first_fold_has_half_of_the_outcomes_that_any_can_learn_from() -> None:
    day = np.datetime64("2020-01-01") + np.arange(1000)
    known = day + np.timedelta64(200, "D")  # 799 of them before the last day
    inside, outside = cut(np.arange(1000) % 2, np.arange(1000), day, 3, 7, known)[0]
    assert (len(inside), outside.min()) == (400, 599)


def test_outcomes_that_are_known_at_once_change_no_fold() -> None:
    day, bad = days(1000), np.arange(1000) % 2
    plain = cut(bad, np.arange(1000), day, 3, 7)
    known = cut(bad, np.arange(1000), day, 3, 7, day + np.timedelta64(1, "D"))
    for (inside, outside), (others, same) in zip(plain, known, strict=True):
        assert len(np.setxor1d(inside, others)) + len(np.setxor1d(outside, same)) < 50  # few days


@pytest.mark.parametrize(("lag", "broken"), [(600, False), (800, True), (1200, True)])
def test_an_embargo_that_leaves_too_few_rows_to_learn_from_is_not_kept(
    lag: int, broken: bool
) -> None:
    day, bad = np.datetime64("2020-01-01") + np.arange(1000), np.arange(1000) % 2
    known = day + np.timedelta64(lag, "D")
    folds = cut(bad, np.arange(1000), day, 3, 7, known)
    assert learn_from_later_days(folds, day, known) == broken
    if broken:
        plain = cut(bad, np.arange(1000), day, 3, 7)
        assert all(np.array_equal(a, b) for a, b in zip(folds[0], plain[0], strict=True))


def test_rows_without_dates_are_judged_once_each() -> None:
    bad = (np.arange(100) % 5 == 0).astype(np.int64)
    folds = cut(bad, np.arange(100), None, 4, 7)
    assert sorted(np.concatenate([outside for _, outside in folds])) == list(range(100))
    assert all(bad[outside].mean() == 0.2 for _, outside in folds)


@pytest.mark.parametrize("dated", [True, False])
def test_a_group_never_stands_on_both_sides(dated: bool) -> None:
    rng = np.random.default_rng(2)
    group, bad = rng.integers(0, 400, 1000), rng.integers(0, 2, 1000)
    for inside, outside in cut(bad, group, days(1000) if dated else None, 3, 7):
        assert not set(group[inside]) & set(group[outside])


@pytest.mark.parametrize("dated", [True, False])
def test_folds_without_a_bad_loan_are_refused(dated: bool) -> None:
    bad = (np.arange(100) % 60 == 0).astype(np.int64)
    dates = np.datetime64("2024-01-01") + np.arange(100) if dated else None
    with pytest.raises(FoldsError, match=r"4 folds .*: use fewer"):
        cut(bad, np.arange(100), dates, 4, 7)


def test_folds_that_few_customers_empty_say_so() -> None:
    bad, customer = np.arange(300) % 2, np.arange(300) % 5
    dates = np.datetime64("2024-01-01") + np.arange(300)
    with pytest.raises(FoldsError, match=r"use fewer\. The 300 loans are of 5 customers"):
        cut(bad, customer, dates, 3, 7)


def test_as_many_bad_loans_as_folds_are_enough() -> None:
    bad = (np.arange(90) % 30 == 0).astype(np.int64)
    assert [bad[outside].sum() for _, outside in cut(bad, np.arange(90), None, 3, 7)] == [1, 1, 1]


def test_bad_loans_of_the_last_day_alone_are_refused_with_what_to_do() -> None:
    dates = np.datetime64("2024-01-01") + np.arange(100)
    bad = (np.arange(100) == 99).astype(int)
    with pytest.raises(FoldsError, match="3 folds leave one fold without good or bad loans"):
        cut(bad, np.arange(100), dates, 3, 7)


# A booster that learns copies by heart.
HUNGRY = {
    "trees": 80,
    "learning_rate": 0.2,
    "max_depth": 5,
    "min_child_weight": 1.0,
    "subsample": 0.86,
    "feature_fraction": 0.7,
    "l2": 1.0,
    "monotone": False,
    "calibration": "sigmoid",
}


def applications(rows: int, seed: int) -> tuple[Any, Any]:
    """Features and outcomes with much noise, which a booster learns by heart where it can."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8))
    return x, (rng.random(rows) < expit(x[:, 0] + 0.5 * x[:, 1] - 1.2)).astype(np.int64)


def slope_on_new_loans(repeated: float, *, grouped: bool) -> float:
    """The calibration slope on new loans of a booster whose training rows are partly copies."""
    x, bad = applications(2500, 3)
    again = np.arange(round(repeated * len(x)))
    place = np.concatenate([np.arange(len(x)), again])
    section = params.load(ROOT / "params.yaml").candidate("xgboost")
    section = section.model_copy(update=HUNGRY)
    job = Job(
        section,
        7,
        1,
        [],
        np.zeros(8, int),
        {"fill": np.zeros(8)},
        registry.load("xgboost"),
        list(range(8)),
    )
    group = place if grouped else np.arange(len(place))
    folds = cut(bad[place], group, None, 5, 7)
    margin = job.judge_folds(x[place], bad[place], folds)
    calibrator = job.calibrate(x[place], bad[place], margin)
    assert isinstance(calibrator, Sigmoid)
    fresh, outcome = applications(20_000, 4)
    pd = calibrator(job.fit(x[place], bad[place]).margin(fresh))
    odds = np.log(pd / (1 - pd))[:, None]
    return float(LogisticRegression(C=np.inf).fit(odds, outcome).coef_[0, 0])


@pytest.fixture(scope="module")
def slope_without_copies() -> float:
    return slope_on_new_loans(0.0, grouped=True)


@pytest.mark.parametrize("repeated", [0.2, 0.4])
def test_calibration_holds_on_new_loans_however_many_training_rows_are_copies(
    repeated: float, slope_without_copies: float
) -> None:
    slope = slope_on_new_loans(repeated, grouped=True)
    assert slope == pytest.approx(slope_without_copies, abs=0.15)


def test_folds_that_tear_copies_apart_make_pds_too_extreme(slope_without_copies: float) -> None:
    assert slope_on_new_loans(0.4, grouped=False) < slope_without_copies - 0.5
