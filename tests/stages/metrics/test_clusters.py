import numpy as np
import pytest
from scipy import stats

from stages.metrics import clusters, intervals, ranked_rows
from tests.support.trained.judged_rows import CUT_OFF, book


def test_copies_with_one_outcome_agree_and_different_loans_that_look_alike_do_not() -> None:
    bad, pd = book(500)
    copy = np.repeat(np.arange(500), 2)
    assert clusters.outcomes_agree(np.repeat(bad, 2), np.repeat(pd, 2), copy)
    drawn = np.random.default_rng(1).random(3000) < 0.2
    alike = np.arange(3000) % 50
    assert not clusters.outcomes_agree(drawn.astype(np.int64), np.full(3000, 0.2), alike)


def test_agreement_is_that_of_all_pairs_beyond_three_standard_errors_and_a_correlation() -> None:
    rng = np.random.default_rng(8)
    decisions = []
    for shared in np.linspace(0, 1, 60):
        members = rng.integers(2, 6)
        cluster = np.repeat(np.arange(rng.integers(8, 200)), members)
        pd = rng.uniform(0.05, 0.5, len(cluster))
        common = rng.random(len(cluster) // members)[cluster]
        luck = np.where(rng.random(len(cluster)) < shared, common, rng.random(len(cluster)))
        bad = (luck < pd).astype(np.int64)
        pairs = (cluster[:, None] == cluster) & ~np.eye(len(cluster), dtype=bool)
        error, variance = bad - pd, pd * (1 - pd)
        chance = np.sqrt(2 * np.sum(np.outer(variance, variance)[pairs]))
        correlated = 0.1 * np.sum(np.sqrt(np.outer(variance, variance))[pairs])
        expected = np.sum(np.outer(error, error)[pairs]) > max(3 * chance, correlated)
        assert clusters.outcomes_agree(bad, pd, cluster) == expected
        decisions.append(expected)
    assert 10 < sum(decisions) < 50


def test_the_standard_error_of_agreement_is_that_of_drawn_outcomes() -> None:
    rng = np.random.default_rng(9)
    pd, cluster = rng.uniform(0.05, 0.5, 60), np.repeat(np.arange(20), 3)
    error = (rng.random((40_000, 60)) < pd) - pd
    sums = error.reshape(-1, 20, 3).sum(axis=2)
    products = (sums**2).sum(axis=1) - (error**2).sum(axis=1)
    variance = pd * (1 - pd)
    pairs = np.sum(np.bincount(cluster, variance) ** 2) - np.sum(variance**2)
    assert products.std() == pytest.approx(np.sqrt(2 * pairs), rel=0.02)


def test_values_without_spread_have_a_design_effect_of_one() -> None:
    assert clusters.design_effect(np.zeros(4), np.array([0, 0, 1, 1])) == 1


def test_rows_that_stand_alone_never_agree() -> None:
    bad, pd = book(300)
    assert not clusters.outcomes_agree(bad, pd, np.arange(300))


def test_four_copies_multiply_the_variance_of_a_sum_by_four() -> None:
    values = np.repeat([1.0, -1.0, 2.0, -2.0], 4)
    assert clusters.design_effect(values, np.repeat(np.arange(4), 4)) == pytest.approx(4)
    assert clusters.design_effect(values, np.arange(16)) == 1


def test_a_cluster_is_drawn_whole() -> None:
    cluster = np.array([5, 9, 5, 7, 9, 5])
    group = np.unique(cluster, return_inverse=True)[1]
    times = ranked_rows.draw_times(6, group, seed=3, resample=1)
    assert times[0] == times[2] == times[5]
    assert times[1] == times[4]
    assert times[0] + times[1] + times[3] == 3


@pytest.mark.parametrize("name", ["roc_auc", "bad_rate", "ks", "calibration_slope"])
def test_writing_every_loan_four_times_narrows_no_interval(name: str) -> None:
    bad, pd = book(400)
    once = intervals.percentile_intervals(intervals.bootstrap(bad, pd, CUT_OFF, resamples=400))
    draws = intervals.bootstrap(
        np.repeat(bad, 4),
        np.repeat(pd, 4),
        CUT_OFF,
        resamples=400,
        cluster=np.repeat(np.arange(400), 4),
    )
    again = intervals.percentile_intervals(draws)
    width = again[name].high - again[name].low
    assert width == pytest.approx(once[name].high - once[name].low, rel=0.15)


def test_writing_every_loan_four_times_raises_no_calibration_error() -> None:
    generator = np.random.default_rng(4)
    pd = generator.uniform(0.02, 0.4, 400)
    bad = generator.random(400) < pd
    draws = intervals.bootstrap(
        np.repeat(bad, 4),
        np.repeat(pd, 4),
        CUT_OFF,
        resamples=20,
        cluster=np.repeat(np.arange(400), 4),
    )
    assert intervals.percentile_intervals(draws)["ece"].low == 0


def test_rows_of_one_label_have_one_code_and_rows_without_a_label_stand_alone() -> None:
    codes = clusters.number_labels(["x", None, "y", "x", None, "z", "y"])
    assert codes is not None
    assert codes[0] == codes[3] != codes[2] == codes[6]
    assert len(set(codes.tolist())) == 5
    assert clusters.number_labels(["x", None, "y", None]) is None
    assert clusters.number_labels([]) is None


def test_four_copies_say_as_much_of_a_rate_as_one() -> None:
    bad = book(300)[0].astype(np.float64)
    copies = np.repeat(np.arange(300), 4)
    assert clusters.share_of_independent_rows(np.repeat(bad, 4), copies) == pytest.approx(0.25)
    assert clusters.share_of_independent_rows(bad, None) == 1


def test_rows_whose_clusters_are_not_known_are_independent() -> None:
    assert clusters.read_codes(None) is None
    assert clusters.read_codes([3.0, np.nan]) is None
    assert clusters.read_codes([None, None]) is None
    read = clusters.read_codes(np.array([3, 2**60 + 1]))
    assert read is not None
    assert read.tolist() == [3, 2**60 + 1]


@pytest.mark.parametrize("count", [5, 30, 200])
def test_normal_sums_of_clusters_have_nearly_the_quantile_of_student(count: int) -> None:
    generator = np.random.default_rng(1)
    drawn = [
        clusters.standard_errors(generator.normal(size=count), np.arange(count)) for _ in range(300)
    ]
    assert np.median(drawn) == pytest.approx(stats.t.ppf(0.975, count - 1), rel=0.05)


def test_few_events_in_many_clusters_count_as_few() -> None:
    events = (np.arange(1000) < 10).astype(np.float64)
    wide = clusters.standard_errors(events - events.mean(), np.arange(1000))
    assert wide == pytest.approx(stats.t.ppf(0.975, 2 * 10 / 0.99), rel=0.02)
    assert clusters.standard_errors(events, None) == pytest.approx(1.959964)


def test_equal_clusters_and_a_single_one_have_finite_intervals() -> None:
    two, one = np.array([0, 0, 1, 1]), np.zeros(4, dtype=np.int64)
    assert clusters.standard_errors(np.zeros(4), two) == pytest.approx(12.7062)
    assert clusters.standard_errors(np.ones(4), one) == pytest.approx(12.7062)
