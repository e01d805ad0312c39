"""The tests of rating grades: against SciPy's distributions, and by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stages.dossier import grade_tests

CASES = [
    (0, 50, 0.01),
    (1, 50, 0.01),
    (7, 400, 0.0123),
    (31, 400, 0.06),
    (400, 400, 0.9),
    (1200, 9984, 0.11),
    (60_000, 1_000_000, 0.0597),
]


@pytest.mark.parametrize(("bads", "rows", "pd"), CASES)
def test_the_binomial_test_is_that_of_scipy(bads: int, rows: int, pd: float) -> None:
    theirs = stats.binomtest(bads, rows, pd, alternative="greater").pvalue
    assert grade_tests.binomial(bads, rows, pd) == pytest.approx(theirs, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("bads", "rows", "pd"), CASES)
def test_jeffreys_test_is_the_posterior_of_scipy(bads: int, rows: int, pd: float) -> None:
    posterior = stats.beta(bads + 0.5, rows - bads + 0.5)
    ours = grade_tests.jeffreys(bads, rows, pd)
    assert ours == pytest.approx(posterior.cdf(pd), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("bads", "rows", "pd"), CASES)
def test_the_interval_of_jeffreys_is_that_of_scipy(bads: int, rows: int, pd: float) -> None:
    posterior = stats.beta(bads + 0.5, rows - bads + 0.5)
    low = 0 if bads == 0 else posterior.ppf(0.025)
    high = 1 if bads == rows else posterior.ppf(0.975)
    assert grade_tests.jeffreys_interval(bads, rows) == pytest.approx((low, high), abs=1e-12)


def test_the_test_of_hosmer_and_lemeshow_is_a_chi_square_of_scipy() -> None:
    bads, rows = np.array([3, 11, 40, 90]), np.array([900, 800, 700, 300])
    pd = np.array([0.005, 0.02, 0.05, 0.31])
    ours = grade_tests.hosmer_lemeshow(bads, rows, pd)
    # Pearson's sum over good and bad loans of every grade is the same statistic.
    seen = np.concatenate([bads, rows - bads])
    expected = np.concatenate([rows * pd, rows * (1 - pd)])
    statistic = float(((seen - expected) ** 2 / expected).sum())
    assert ours.statistic == pytest.approx(statistic, rel=1e-12)
    assert ours.degrees == 4
    assert ours.p_value == pytest.approx(stats.chi2.sf(statistic, 4), rel=1e-12, abs=1e-12)


def test_a_grade_without_an_even_chance_of_a_bad_loan_has_no_test() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        grade_tests.hosmer_lemeshow([0], [10], [0.0])


@pytest.mark.parametrize(("bads", "rows", "pd"), CASES)
def test_the_light_follows_the_binomial_distribution_of_scipy(
    bads: int, rows: int, pd: float
) -> None:
    up_to = stats.binom.cdf(bads, rows, pd)
    light = "green" if up_to < 0.95 else "yellow" if up_to < 0.9999 else "red"
    assert grade_tests.traffic_light(bads, rows, pd) == light


def test_the_zones_of_250_days_are_those_of_the_basel_committee() -> None:
    lights = [grade_tests.traffic_light(bads, 250, 0.01) for bads in range(13)]
    assert lights == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 3


def test_a_right_pd_is_rejected_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(11)
    bads = rng.binomial(1000, 0.05, 4000)
    for test in (grade_tests.binomial, grade_tests.jeffreys):
        rejected = np.mean([test(int(k), 1000, 0.05) < 0.05 for k in bads])
        assert rejected < 0.065


def test_a_wrong_pd_is_rejected() -> None:
    assert grade_tests.binomial(90, 1000, 0.05) < 1e-6
    assert grade_tests.jeffreys(90, 1000, 0.05) < 1e-6
    assert grade_tests.hosmer_lemeshow([90], [1000], [0.05]).p_value < 1e-6
