"""The intervals of rates are Wilson's, whatever the rows count for."""

import numpy as np
import pytest
from scipy.stats import binomtest

from stages.metrics import clusters
from stages.metrics.ranked_rows import RankedRows
from stages.metrics.rate_intervals import (
    intervals_of_rates,
    profit_interval,
    share_interval,
    wilson,
)
from stages.metrics.ratio_intervals import quotient_of_rates

PD = np.repeat([0.1, 0.9], [991, 9])
BAD = np.repeat([False, True, False, True], [971, 20, 1, 8])
RANKED = RankedRows.of(BAD, PD, cut_off=0.3)


@pytest.mark.parametrize("events", [0, 3, 50])
def test_a_rate_has_the_interval_of_scipy(events: int) -> None:
    expected = binomtest(events, 50).proportion_ci(method="wilson")
    interval = wilson(events / 50, 50)
    assert interval == pytest.approx((events / 50, expected.low, expected.high), abs=1e-12)


def test_every_rate_is_of_the_rows_that_it_is_among() -> None:
    by_rate = intervals_of_rates(RANKED, {})
    assert by_rate["bad_rate"] == pytest.approx(wilson(0.028, 1000))
    assert by_rate["approval_rate"] == pytest.approx(wilson(0.991, 1000))
    assert by_rate["approved_bad_rate"] == pytest.approx(wilson(20 / 991, 991))
    assert by_rate["recall"] == pytest.approx(wilson(8 / 28, 28))
    assert by_rate["precision"] == pytest.approx(wilson(8 / 9, 9))


def test_f1_is_a_function_of_the_share_that_is_flagged_and_bad() -> None:
    interval = intervals_of_rates(RANKED, {})["f1"]
    bounds = [2 * share / (1 + share) for share in wilson(8 / 29, 29)]
    assert interval == pytest.approx(bounds)
    assert interval.estimate == pytest.approx(16 / 37)


def test_a_rate_among_no_rows_is_left_out() -> None:
    by_rate = intervals_of_rates(RankedRows.of([False, False], [0.1, 0.2], cut_off=0.3), {})
    assert set(by_rate) == {"bad_rate", "approval_rate", "approved_bad_rate"}


def test_weights_of_all_rows_alike_change_nothing() -> None:
    weights = np.full(1000, 7.0)
    by_rate = intervals_of_rates(RANKED, {"by_money": (weights * BAD, weights)})
    assert by_rate["by_money"] == pytest.approx(by_rate["bad_rate"])


def test_unequal_weights_are_as_good_as_fewer_rows() -> None:
    weights = np.repeat([1.0, 3.0], 500)
    interval = intervals_of_rates(RANKED, {"by_money": (weights * BAD, weights)})["by_money"]
    assert interval == pytest.approx(wilson(interval.estimate, 2000**2 / 5000))


@pytest.mark.parametrize("unit", [1e-300, 2.0**-700, 1e300])
def test_the_unit_of_money_changes_no_interval(unit: float) -> None:
    """The squares of such amounts vanish, or overflow."""
    weights, cluster = np.repeat([1.0, 3.0], 500), np.arange(1000) // 2
    for codes in (None, cluster):
        expected = share_interval(BAD, weights, codes)
        assert share_interval(BAD, unit * weights, codes) == pytest.approx(expected)
        number = clusters.independent_number(weights, codes)
        assert clusters.independent_number(unit * weights, codes) == pytest.approx(number)
        profit = profit_interval(0.1 * weights * ~BAD - weights * BAD, weights, (0.1, 1), codes)
        tiny = weights * unit
        again = profit_interval(0.1 * tiny * ~BAD - tiny * BAD, tiny, (0.1, 1), codes)
        assert again == pytest.approx(profit)


def test_a_ratio_that_is_no_rate_is_left_out() -> None:
    ones = np.ones(1000)
    assert "profit" not in intervals_of_rates(RANKED, {"profit": (PD, ones)})
    assert "loss" not in intervals_of_rates(RANKED, {"loss": (-ones, -ones)})


def test_rows_of_a_cluster_that_are_bad_together_count_as_one() -> None:
    cluster = np.arange(1000) // 10
    bad = cluster % 4 == 0
    ranked = RankedRows.of(bad, np.full(1000, 0.1), cut_off=0.3)
    by_rate = intervals_of_rates(ranked, {}, cluster)
    alone = wilson(0.25, 100)  # of a known variance: Student's quantile is wider
    assert alone.low - 0.01 < by_rate["bad_rate"].low < alone.low
    assert alone.high < by_rate["bad_rate"].high < alone.high + 0.01
    assert by_rate["approval_rate"].low == pytest.approx(wilson(1.0, 1000).low, abs=1e-4)


def test_the_ratio_of_two_rates_holds_the_truth_where_customers_repeat() -> None:
    """Of each customer's loans all are approved, or none, in half of the cases."""
    generator = np.random.default_rng(7)
    together = alone = 0
    for _ in range(400):
        customer = np.repeat(np.arange(1200), generator.integers(1, 7, 1200))
        group = customer % 3 == 0
        rate = np.where(group, 0.3, 0.5)
        luck, of_loan = generator.random(1200)[customer], generator.random(len(customer))
        luck = np.where(generator.random(1200)[customer] < 0.5, luck, of_loan)
        for cluster in (customer, None):
            interval = quotient_of_rates(luck < rate, group, ~group, cluster)
            held = interval.low <= 0.6 <= interval.high
            together += held and cluster is not None
            alone += held and cluster is None
    # of 400 books, 95 % are 380 with a standard error of 4.4
    assert 367 <= together <= 393
    assert alone < 365


def test_copies_of_rows_do_not_narrow_the_ratio_of_their_rates() -> None:
    event, group = BAD[:400:2] | (np.arange(200) % 5 == 0), np.arange(200) % 2 == 0
    once = quotient_of_rates(event, group, ~group)
    again = quotient_of_rates(*(np.repeat(p, 3) for p in (event, group, ~group, np.arange(200))))
    assert again == pytest.approx(once, rel=1e-9)
