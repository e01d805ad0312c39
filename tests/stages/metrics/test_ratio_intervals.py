"""Differences of figures leave room for decisions that no row shows, and profits for losses."""

import numpy as np
import pytest

from benches import few_differences
from benches.judging import coverage
from stages.metrics import intervals, ratio_intervals
from stages.metrics.ranked_rows import RankedRows
from stages.metrics.rate_intervals import profit_interval, wilson
from stages.metrics.ratio_intervals import RatioOfSums
from tests.support.trained.judged_rows import book


def bonett_price(only_new: int, only_old: int, rows: int) -> tuple[float, float]:
    """The interval of Bonett and Price (2012), whose estimate counts two rows more."""
    new, old = (only_new + 1) / (rows + 2), (only_old + 1) / (rows + 2)
    margin = 1.959964 * np.sqrt((new + old - (new - old) ** 2) / (rows + 2))
    return new - old - margin, new - old + margin


@pytest.mark.parametrize(("only_new", "only_old"), [(0, 0), (3, 0), (5, 2), (40, 10)])
def test_the_difference_of_paired_rates_is_that_of_bonett_and_price(
    only_new: int, only_old: int
) -> None:
    rows = 1000
    new, old = np.zeros(rows), np.zeros(rows)
    new[:only_new], old[only_new : only_new + only_old] = 1, 1
    new[500:600] = old[500:600] = 1
    interval = ratio_intervals.difference_of_means(new, old)
    assert interval.estimate == pytest.approx((only_new - only_old) / rows)
    low, high = bonett_price(only_new, only_old, rows)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=2e-4)


def test_a_difference_of_sums_that_agree_leaves_room_for_a_row_of_each() -> None:
    approved = np.repeat([1.0, 0.0], [300, 100])
    interval = ratio_intervals.difference_of_totals(approved, approved)
    assert interval == pytest.approx((0, -1.96 * np.sqrt(2), 1.96 * np.sqrt(2)), rel=5e-3)
    money = ratio_intervals.difference_of_totals(7 * approved, 7 * approved)
    assert money.high == pytest.approx(7 * interval.high)
    nothing = np.zeros(400)
    assert ratio_intervals.difference_of_totals(nothing, nothing) == (0, 0, 0)


def test_copies_of_rows_narrow_no_difference() -> None:
    new, old = (np.arange(200) < n for n in (60, 57))
    alone = ratio_intervals.difference_of_means(new.astype(float), old.astype(float))
    cluster = np.repeat(np.arange(200), 4)
    copies = ratio_intervals.difference_of_means(
        *(np.repeat(side, 4).astype(float) for side in (new, old)), cluster
    )
    assert copies.high - copies.low >= alone.high - alone.low


@pytest.mark.parametrize("kind", ["calibrated", coverage.CUSTOMERS])
@pytest.mark.parametrize("loans", [1, 4])
def test_models_that_differ_about_few_loans_have_intervals_that_hold_the_truth(
    kind: str, loans: float
) -> None:
    """Resamples of what was seen alone: 14 to 64 %, and 5 to 21 % where customers repeat."""
    for way, shares in few_differences.hold(400, loans, 100, kind).items():
        assert min(shares.values()) >= 0.89, (way, shares)


def test_the_same_model_differs_by_nothing_and_another_cut_off_by_something() -> None:
    bad, pd = book(400)
    one, same = (intervals.bootstrap(bad, pd, 0.3, resamples=10) for _ in range(2))
    between = (pd[pd < 0.3].max() + 0.3) / 2
    other = intervals.bootstrap(bad, pd, between, resamples=10)
    assert intervals.paired_intervals(one, same)["approval_rate"] == (0, 0, 0)
    interval = intervals.paired_intervals(one, other)
    assert interval["approval_rate"].low == pytest.approx(-1.96 * np.sqrt(2) / 400, rel=1e-3)
    assert interval["roc_auc"] == interval["bad_rate"] == (0, 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_profit_is_the_difference_of_what_is_gained_and_lost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outcome = rng.choice(3, 500, p=[0.6, 0.05, 0.35])
    values = np.array([0.08, -0.52, 0.0])[outcome]
    interval = profit_interval(values, np.ones(500), (0.08, 0.52), None)
    gained, lost = (outcome == 0).mean(), (outcome == 1).mean()
    good, bad = wilson(gained, 500), wilson(lost, 500)
    shared = np.corrcoef(outcome == 0, outcome == 1)[0, 1]
    down, up = 0.08 * (gained - good.low), 0.52 * (bad.high - lost)
    margin = np.sqrt(down**2 + up**2 - 2 * shared * down * up)
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - margin)
    down, up = 0.08 * (good.high - gained), 0.52 * (lost - bad.low)
    margin = np.sqrt(down**2 + up**2 - 2 * shared * down * up)
    assert interval.high == pytest.approx(values.mean() + margin)


def test_a_profit_without_a_loss_may_still_have_one() -> None:
    approved = np.repeat([1.0, 0.0], [30, 70])
    interval = profit_interval(0.08 * approved, np.ones(100), (0.08, 0.52), None)
    assert interval.low < 0.024 - 0.52 * 0.03
    assert interval.high < 0.024 + 0.08 * 0.1


@pytest.mark.parametrize(("kind", "rows"), [("calibrated", 80), (coverage.CUSTOMERS, 80)])
def test_the_interval_of_profit_holds_the_truth_where_bads_are_few(kind: str, rows: int) -> None:
    """Percentiles of resamples: 84 to 89 %; 200 books have a standard error of 1.5."""
    true, held = coverage.truth(kind), {"profit": 0, "profit_by_money": 0}
    cluster = np.arange(rows) // coverage.LOANS if kind == coverage.CUSTOMERS else None
    for seed in range(200):
        bad, pd, money = coverage.simulate(kind, rows, seed)
        draws = coverage.bootstrap(bad, pd, money, 2, seed, cluster)
        interval = intervals.percentile_intervals(draws)
        for name in held:
            held[name] += interval[name].low <= true[name] <= interval[name].high
    assert min(held.values()) >= 181


def test_the_ratio_of_nothing_moves_by_no_row() -> None:
    ones, nothing = np.ones(9), np.zeros(9)
    assert RatioOfSums(-nothing, ones).one_row(None) == pytest.approx(1 / 9)
    assert RatioOfSums(-0.5 * ones, ones).one_row(None) == pytest.approx(0.5 / 9)


@pytest.mark.parametrize("empty", ["new", "old"])
def test_the_difference_of_a_ratio_of_nothing_is_undefined(empty: str) -> None:
    ones = np.full(9, 0.05)  # of money: less than 1 in all
    sides = {"new": RatioOfSums(ones, ones), "old": RatioOfSums(0 * ones, ones)}
    interval = ratio_intervals.difference(sides["new"], sides["old"])
    assert interval.low < interval.estimate == 1 < interval.high
    sides[empty] = RatioOfSums(0 * ones, 0 * ones)
    assert np.isnan(ratio_intervals.difference(sides["new"], sides["old"])).all()


def test_a_loan_that_is_flagged_otherwise_moves_f1_by_its_slope() -> None:
    bad, flagged = np.arange(20) < 8, np.arange(20) % 2 == 0
    ranked = RankedRows.of(bad, np.where(flagged, 0.9, 0.1), cut_off=0.5)
    moved = ratio_intervals.moves_of_one_row(ranked, {}, None)
    both, either = (bad & flagged).sum(), (bad | flagged).sum()
    share = both / either
    slope = (2 * (share + 1e-6) / (1 + share + 1e-6) - 2 * share / (1 + share)) / 1e-6
    assert moved["f1"] == pytest.approx(slope / either, rel=1e-4)
    assert moved["recall"] == 1 / bad.sum()
    assert "bad_rate" not in moved
