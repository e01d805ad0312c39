"""The interval of KS allows for the excess of a maximum over the gap at the true threshold."""

import numpy as np
import pytest

from benches.judging import coverage
from stages.metrics import clusters, intervals, metrics
from stages.metrics.ks_interval import EXCESS, ks_interval
from stages.metrics.ranked_rows import RankedRows
from stages.metrics.rate_intervals import wilson

BAD = np.repeat([False, True, False, True], [80, 5, 20, 15])
RANKED = RankedRows.of(BAD, np.repeat([0.1, 0.4], [85, 35]))
COUNTS = metrics.count_rows(RANKED)
GAP = 0.8 - 0.25


def margins(z: float, effect: float = 1.0) -> tuple[float, float]:
    """The margins of a difference of two shares (Newcombe 1998), from Wilson's intervals."""
    goods, bads = wilson(0.8, 100 / effect, z), wilson(0.25, 20 / effect, z)
    down = np.hypot(0.8 - goods.low, bads.high - 0.25)
    return 1.1 * down, 1.1 * np.hypot(goods.high - 0.8, 0.25 - bads.low)


def student(moves: np.ndarray, cluster: np.ndarray) -> float:
    """Return how many times wider Student's interval is than the normal one."""
    return clusters.standard_errors(moves, cluster) / 1.959964


def test_the_interval_is_that_of_a_difference_of_shares_less_its_excess() -> None:
    interval = ks_interval(RANKED, COUNTS, np.array([GAP + 0.01, GAP + 0.03]), None)
    centre, (down, up) = GAP - 0.02 * 1.7024, margins(1.959964)
    assert interval == pytest.approx((GAP, centre - down, centre + up), rel=1e-4)


def test_resamples_show_the_part_of_the_excess_that_doubled_noise_adds() -> None:
    rng = np.random.default_rng(0)
    grid = np.linspace(-3, 3, 601)

    def highest(noise: float) -> float:
        steps = rng.normal(size=(4000, 600)) * np.sqrt(noise * 0.01)
        path = np.cumsum(np.c_[np.zeros(4000), steps], axis=1)
        path -= path[:, 300:301]
        return float((path - grid**2).max(axis=1).mean())

    once, twice = highest(1.0), highest(2.0)
    assert once / (twice - once) == pytest.approx(EXCESS, rel=0.1)


def test_a_ranking_upside_down_has_the_same_interval() -> None:
    ranked = RankedRows.of(~BAD, np.repeat([0.1, 0.4], [85, 35]))
    found = ks_interval(ranked, metrics.count_rows(ranked), np.array([GAP]), None)
    assert found == ks_interval(RANKED, COUNTS, np.array([GAP]), None)


def test_the_bounds_are_shares() -> None:
    low = ks_interval(RANKED, COUNTS, np.array([GAP + 0.4]), None)
    high = ks_interval(RANKED, COUNTS, np.array([GAP - 0.4]), None)
    assert (low.low, high.high) == (0, 1)


def test_rows_of_a_cluster_widen_the_interval() -> None:
    cluster, below = np.repeat(np.arange(24), 5), np.repeat([1, 0], [85, 35])
    fives = ks_interval(RANKED, COUNTS, np.array([GAP]), cluster)
    wider = student(np.where(BAD, (0.25 - below) / 20, (below - 0.8) / 100), cluster)
    assert 1.01 < wider < 1.4
    down, up = margins(1.959964 * wider, effect=5)
    assert (fives.low, fives.high) == pytest.approx((max(0, GAP - down), GAP + up))


def test_a_cluster_counts_by_what_its_rows_add_to_the_gap() -> None:
    cluster = np.arange(120) // 7
    below = np.repeat([1, 0], [85, 35])
    added = np.where(BAD, -(below - 0.25) / 20, (below - 0.8) / 100)
    effect = np.sum(np.bincount(cluster, added) ** 2) / np.sum(added**2)
    interval = ks_interval(RANKED, COUNTS, np.array([GAP]), cluster)
    assert effect > 1.1
    down, up = margins(1.959964 * student(added, cluster), effect)
    assert (interval.low, interval.high) == pytest.approx((max(0, GAP - down), GAP + up))


def test_clusters_count_at_the_widest_gap_of_many_thresholds() -> None:
    rng = np.random.default_rng(4)
    pd = rng.integers(1, 10, 90) / 10
    bad, cluster = rng.random(90) < pd, np.arange(90) // 4
    below = pd[:, None] <= np.unique(pd)
    shares = np.stack([below[~bad].mean(axis=0), below[bad].mean(axis=0)])
    widest = int(np.argmax(np.abs(shares[0] - shares[1])))
    good, lost = shares[:, widest]
    added = np.where(bad, -(below[:, widest] - lost) / bad.sum(), (below[:, widest] - good))
    added = np.where(bad, added, added / (~bad).sum())
    effect = max(1, np.sum(np.bincount(cluster, added) ** 2) / np.sum(added**2))
    ranked = RankedRows.of(bad, pd)
    gap = abs(good - lost)
    interval = ks_interval(ranked, metrics.count_rows(ranked), np.array([gap]), cluster)
    assert interval.estimate == pytest.approx(gap)
    assert effect > 1.05
    z = 1.959964 * student(added, cluster)
    goods, bads = (
        wilson(share, rows / effect, z)
        for share, rows in ((good, float((~bad).sum())), (lost, float(bad.sum())))
    )
    assert good > lost
    down = np.hypot(good - goods.low, bads.high - lost)
    assert gap - interval.low == pytest.approx(1.1 * down)


# Of 200 books, 95 % hold with a standard error of 1.5 points; the true KS of the book is 0.50.
def test_the_interval_of_ks_holds_the_truth() -> None:
    true = coverage.truth("calibrated")["ks"]
    below = above = 0
    for seed in range(200):
        bad, pd, _ = coverage.simulate("calibrated", 500, seed)
        draws = intervals.bootstrap(bad, pd, 0.1, resamples=60, seed=seed)
        interval = intervals.percentile_intervals(draws)["ks"]
        below, above = below + (interval.high < true), above + (true < interval.low)
    assert below + above <= 18
    assert below <= 11
    assert above <= 13


@pytest.mark.parametrize(("kind", "rows"), [("customers", 80), ("calibrated", 80)])
def test_the_interval_of_ks_holds_the_truth_where_bads_are_few(kind: str, rows: int) -> None:
    """With a normal margin 79 and 82 % of books; 200 of them have a standard error of 2."""
    true, held, stated = coverage.truth(kind)["ks"], 0, 0
    cluster = np.arange(rows) // coverage.LOANS if kind == coverage.CUSTOMERS else None
    for seed in range(200):
        bad, pd, _ = coverage.simulate(kind, rows, seed)
        draws = intervals.bootstrap(bad, pd, 0.1, cluster=cluster, resamples=40, seed=seed)
        interval = intervals.percentile_intervals(draws)["ks"]
        stated += bool(np.isfinite(interval.low))
        held += interval.low <= true <= interval.high
    assert held >= 0.88 * stated
    assert stated > 150
