import numpy as np
import pytest

from stages.metrics import clusters, intervals
from tests.support.judged_rows import CUT_OFF, book


def test_copies_with_one_outcome_agree_and_different_loans_that_look_alike_do_not() -> None:
    bad, pd = book(500)
    copy = np.repeat(np.arange(500), 2)
    assert clusters.outcomes_agree(np.repeat(bad, 2), np.repeat(pd, 2), copy)
    drawn = np.random.default_rng(1).random(3000) < 0.2
    alike = np.arange(3000) % 50
    assert not clusters.outcomes_agree(drawn.astype(np.int64), np.full(3000, 0.2), alike)


def test_rows_that_stand_alone_never_agree() -> None:
    bad, pd = book(300)
    assert not clusters.outcomes_agree(bad, pd, np.arange(300))


def test_four_copies_multiply_the_variance_of_a_sum_by_four() -> None:
    values = np.repeat([1.0, -1.0, 2.0, -2.0], 4)
    assert clusters.design_effect(values, np.repeat(np.arange(4), 4)) == pytest.approx(4)
    assert clusters.design_effect(values, np.arange(16)) == 1


def test_a_cluster_is_drawn_whole() -> None:
    cluster = np.array([5, 9, 5, 7, 9, 5])
    rows = clusters.Clusters(cluster).draw(seed=3, resample=1)
    times = np.bincount(rows, minlength=6)
    assert times[0] == times[2] == times[5]
    assert times[1] == times[4]


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
