import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.metrics import intervals, metrics
from stages.metrics.delong import auc_with_interval, compare_aucs
from stages.metrics.ranked_rows import Bools, Floats
from tests.support.trained.judged_rows import CUT_OFF, book


def placements(bad: Bools, pd: Floats) -> Floats:
    """1 where a bad (row) is above a good (column), 1/2 where they tie."""
    pairs = product(pd[bad], pd[~bad])
    wins = [(one > other) + (one == other) / 2 for one, other in pairs]
    return np.array(wins, dtype=float).reshape(int(bad.sum()), -1)


@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 9))
def test_delong_is_the_covariance_of_all_placements(seed: int, goods: int, bads: int) -> None:
    generator = np.random.default_rng(seed)
    bad = generator.permutation(np.arange(goods + bads) < bads)
    old, new = generator.integers(0, 6, (2, goods + bads)) / 5
    gain = placements(bad, new) - placements(bad, old)
    variance = np.var(gain.mean(1), ddof=1) / bads + np.var(gain.mean(0), ddof=1) / goods
    comparison = compare_aucs(bad, old, new)
    assert comparison.difference == pytest.approx(gain.mean(), abs=1e-12)
    assert comparison.standard_error == pytest.approx(math.sqrt(variance), abs=1e-12)


def test_delong_reports_both_aucs() -> None:
    bad, pd = book(300)
    noisy = book(300, noise=1)[1]
    comparison = compare_aucs(bad, noisy, pd)
    expected = (metrics.roc_auc(bad, noisy), metrics.roc_auc(bad, pd))
    assert (comparison.champion, comparison.challenger) == pytest.approx(expected)


def test_delong_and_the_paired_bootstrap_agree() -> None:
    bad, pd = book(2000)
    noisy = book(2000, noise=0.5)[1]
    champion, challenger = (
        intervals.bootstrap(bad, scores, CUT_OFF, resamples=500) for scores in (noisy, pd)
    )
    paired = intervals.paired_intervals(champion, challenger)["roc_auc"]
    comparison = compare_aucs(bad, noisy, pd)
    assert (comparison.low, comparison.high) == pytest.approx((paired.low, paired.high), abs=0.002)


def test_delong_finds_a_difference_of_equal_models_one_time_in_twenty() -> None:
    low = 0
    for seed in range(200):
        bad, pd = book(200, seed)
        noise = np.random.default_rng(seed + 1000).normal(size=(2, 200))
        old, new = (1 / (1 + np.exp(-(np.log(pd / (1 - pd)) + one))) for one in noise)
        low += compare_aucs(bad, old, new).p_value < 0.05
    assert 2 <= low <= 20


def test_delong_of_the_same_ranking_has_no_evidence() -> None:
    bad, pd = book(100)
    comparison = compare_aucs(bad, pd, pd**2)
    assert (comparison.difference, comparison.standard_error, comparison.p_value) == (0, 0, 1)


def test_the_p_value_is_that_of_a_normal_difference() -> None:
    bad, pd = book(300)
    comparison = compare_aucs(bad, np.random.default_rng(6).normal(pd, 0.2).clip(0, 1), pd)
    errors = abs(comparison.difference) / comparison.standard_error
    assert 0.5 < errors < 6
    assert comparison.p_value == pytest.approx(2 * NormalDist().cdf(-errors))
    reach = NormalDist().inv_cdf(0.975) * comparison.standard_error
    assert [comparison.low, comparison.high] == pytest.approx(
        [comparison.difference - reach, comparison.difference + reach]
    )


def test_delong_of_certain_opposites_is_certain() -> None:
    comparison = compare_aucs([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1], [0.1, 0.2, 0.8, 0.9])
    assert (comparison.difference, comparison.p_value) == (1, 0)


def test_delong_needs_two_of_each_class() -> None:
    with pytest.raises(ValueError, match="2 goods and 2 bads; got 2 good and 1 bad"):
        compare_aucs([0, 0, 1], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])


def draw_customers(seed: int, customers: int) -> tuple[Bools, Floats, Floats, NDArray[np.int64]]:
    """Return outcomes, two PDs and the customer of loans whose customers share half of the luck.

    The better PD knows of the customer what the other one misses.
    """
    generator = np.random.default_rng(seed)
    loans = generator.integers(1, 8, customers)
    customer = np.repeat(np.arange(customers), loans)
    known, hidden, noise = generator.normal(size=(3, customers))
    luck = 1.5 * hidden[customer] + generator.logistic(size=len(customer))
    bad = known[customer] - 2 > luck
    new = 1 / (1 + np.exp(2 - known))[customer]
    old = 1 / (1 + np.exp(2 - known - 0.5 * noise))[customer]
    return bad, old, new, customer


@pytest.mark.parametrize("of_one_model", [True, False])
def test_the_interval_of_an_auc_holds_the_truth_where_customers_repeat(of_one_model: bool) -> None:
    bad, old, new, _ = draw_customers(0, 100_000)
    truth = metrics.roc_auc(bad, new)
    if not of_one_model:
        truth -= metrics.roc_auc(bad, old)
    together, alone = 0, 0
    for seed in range(1, 301):
        bad, old, new, customer = draw_customers(seed, 250)
        for cluster in (customer, None):
            pair = compare_aucs(bad, old, new, cluster)
            stated = auc_with_interval(bad, new, cluster) if of_one_model else pair
            held = stated.low <= truth <= stated.high
            together += held and cluster is not None
            alone += held and cluster is None
    # of 300 books, 95 % are 285 with a standard error of 3.8
    assert 273 <= together <= 297
    assert alone < 265
