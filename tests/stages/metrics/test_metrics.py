import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.stats import ks_2samp
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from sklearn.metrics import log_loss as sklearn_log_loss

from stages.metrics import metrics, weighted_metrics
from stages.metrics.ranked_rows import Bools, Floats, RankedRows

CUT_OFF = 0.3


def book(rows: int, seed: int = 0, slope: float = 1.0, shift: float = 0.0) -> tuple[Bools, Floats]:
    """Outcomes and PDs whose log-odds miss the truth by a slope and a shift."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(-1.5, 1.5, rows)
    bad = generator.random(rows) < 1 / (1 + np.exp(-(shift + slope * odds)))
    return bad, 1 / (1 + np.exp(-odds))


def figure(name: str, bad: ArrayLike, pd: ArrayLike) -> float:
    """One figure of the summary."""
    return metrics.summary(bad, pd, CUT_OFF)[name]


def squared_error(bad: ArrayLike, pd: ArrayLike, bins: int = 10) -> float:
    """Return the mean square gap of bins of equal frequency, less its noise."""
    ranked = RankedRows.of(bad, pd)
    counts = metrics.count_rows(ranked)
    return float(weighted_metrics.squared_calibration_error(ranked, counts, bins)[0])


def squared_gap(bad: ArrayLike, pd: ArrayLike) -> float:
    """Return the square of one bin's gap less the variance of a mean of its rows."""
    error = np.asarray(bad) - np.asarray(pd)
    return float(error.mean() ** 2 - error.var(ddof=1) / len(error))


@st.composite
def tied_books(draw: st.DrawFn) -> tuple[Bools, Floats]:
    """Small books with both classes and many equal PDs, 0 and 1 among them."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=30))
    rows += [(True, draw(st.integers(0, 8))), (False, draw(st.integers(0, 8)))]
    return np.array([bad for bad, _ in rows]), np.array([eighths / 8 for _, eighths in rows])


@given(tied_books())
def test_roc_auc_is_that_of_scikit_learn_with_ties(given_book: tuple[Bools, Floats]) -> None:
    assert metrics.roc_auc(*given_book) == pytest.approx(roc_auc_score(*given_book), abs=1e-12)


@given(tied_books())
def test_pr_auc_is_the_average_precision_of_scikit_learn(given_book: tuple[Bools, Floats]) -> None:
    expected = average_precision_score(*given_book)
    assert figure("pr_auc", *given_book) == pytest.approx(expected, abs=1e-12)


@given(tied_books())
def test_ks_is_the_two_sided_distance_of_scipy(given_book: tuple[Bools, Floats]) -> None:
    bad, pd = given_book
    expected = ks_2samp(pd[bad], pd[~bad], method="asymp").statistic
    assert figure("ks", bad, pd) == pytest.approx(expected, abs=1e-12)


@given(tied_books())
def test_brier_and_log_loss_are_those_of_scikit_learn(given_book: tuple[Bools, Floats]) -> None:
    assert figure("brier", *given_book) == pytest.approx(brier_score_loss(*given_book), abs=1e-12)
    expected = sklearn_log_loss(*given_book)
    assert figure("log_loss", *given_book) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_order_of_rows_changes_nothing() -> None:
    bad, pd = book(500)
    shuffled = np.random.default_rng(1).permutation(500)
    expected = metrics.summary(bad, pd, CUT_OFF)
    assert metrics.summary(bad[shuffled], pd[shuffled], CUT_OFF) == pytest.approx(expected)


def test_a_rising_transformation_of_pds_leaves_ranking_alone() -> None:
    bad, pd = book(500)
    for name in ("roc_auc", "pr_auc", "gini", "ks"):
        assert figure(name, bad, pd**3) == pytest.approx(figure(name, bad, pd), abs=1e-12)


def test_gini_is_twice_the_auc_less_one() -> None:
    bad, pd = book(500)
    assert figure("gini", bad, pd) == pytest.approx(2 * metrics.roc_auc(bad, pd) - 1)


def test_log_loss_of_a_certain_error_is_clipped() -> None:
    assert figure("log_loss", [1, 0], [0.0, 0.0]) == pytest.approx(18.02, abs=0.01)


def test_the_squared_ece_of_equal_bins_is_that_by_hand() -> None:
    pd = np.array([0.4, 0.1, 0.3, 0.2])
    bad = np.array([1, 0, 0, 0])
    # of 0.1 and 0.2: 0.15 squared less a variance of 0.0025; of 0.3 and 0.4: less one of 0.2025
    assert squared_error(bad, pd, bins=2) == pytest.approx((0.02 - 0.18) / 2)


def test_equal_pds_share_a_bin_of_the_ece() -> None:
    bad = np.arange(100) % 2
    flat, two = np.full(100, 0.5), np.r_[np.full(95, 0.5), np.full(5, 0.9)]
    parts = squared_gap(bad[:95], two[:95]), squared_gap(bad[95:], two[95:])
    assert squared_error(bad, flat) == pytest.approx(squared_gap(bad, flat))
    assert squared_error(bad, two) == pytest.approx(0.95 * parts[0] + 0.05 * parts[1])


def test_the_squared_ece_of_one_bin_is_that_of_the_means() -> None:
    bad, pd = book(500, shift=1)
    assert squared_error(bad, pd, bins=1) == pytest.approx(squared_gap(bad, pd))


def test_a_bin_of_one_row_adds_nothing_to_the_squared_ece() -> None:
    assert squared_error([1], [0.2]) == 0


def test_the_squared_ece_of_true_pds_is_0_on_average() -> None:
    errors = [squared_error(*book(300, seed)) for seed in range(400)]
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_calibration_is_the_maximum_of_the_likelihood() -> None:
    bad, pd = book(2000, slope=0.7, shift=0.5)
    x = np.log(pd / (1 - pd))

    def loss(fit: Floats) -> float:
        eta = fit[0] + fit[1] * x
        return float((np.logaddexp(0, eta) - bad * eta).sum())

    free = minimize(loss, [0.0, 1.0]).x
    fixed = minimize(lambda level: loss(np.array([level[0], 1.0])), [0.0]).x
    slope_and_intercepts = metrics.calibration_slope_intercept(bad, pd)
    assert slope_and_intercepts == pytest.approx((free[1], free[0], fixed[0]), abs=1e-4)


@given(tied_books())
def test_a_recalibrated_pd_needs_no_recalibration(given_book: tuple[Bools, Floats]) -> None:
    bad, pd = given_book[0], 0.05 + 0.9 * given_book[1]
    fit = metrics.calibration_slope_intercept(bad, pd)
    if math.isnan(fit.slope):
        assert pd[bad].min() >= pd[~bad].max() or pd[bad].max() <= pd[~bad].min()
    else:
        eta = fit.intercept + fit.slope * np.log(pd / (1 - pd))
        gaps = bad - 1 / (1 + np.exp(-eta))
        assert [gaps.sum(), (gaps * eta).sum()] == pytest.approx([0, 0], abs=1e-4)


def test_shifted_log_odds_show_as_an_intercept_in_the_large() -> None:
    bad, pd = book(200_000, shift=0.4)
    fit = metrics.calibration_slope_intercept(bad, pd)
    assert fit == pytest.approx((1.0, 0.4, 0.4), abs=0.03)


def test_overconfident_pds_have_a_slope_below_one() -> None:
    bad, pd = book(200_000, slope=0.6)
    assert metrics.calibration_slope_intercept(bad, pd).slope == pytest.approx(0.6, abs=0.01)


def test_separated_classes_have_no_slope() -> None:
    pd = np.r_[np.full(26, 1.01563044e-06), 0.989417528, 0.990774337]
    fit = metrics.calibration_slope_intercept(np.arange(28) >= 26, pd)
    assert math.isnan(fit.slope)
    assert math.isfinite(fit.in_the_large)


def test_far_off_pds_still_recalibrate() -> None:
    fit = metrics.calibration_slope_intercept(np.arange(1000) % 2, np.full(1000, 1e-6))
    assert fit.in_the_large == pytest.approx(-math.log(1e-6), abs=1e-4)
    assert math.isnan(fit.slope)


def test_precision_and_recall_are_those_of_scikit_learn() -> None:
    bad, pd = book(500)
    figures = metrics.summary(bad, pd, CUT_OFF)
    expected = precision_recall_fscore_support(bad, pd >= CUT_OFF, average="binary")[:3]
    assert [figures[name] for name in ("precision", "recall", "f1")] == pytest.approx(expected)


def test_rates_of_nothing_are_nan() -> None:
    figures = metrics.summary([0, 0], [0.1, 0.2], 0.3)
    assert all(math.isnan(figures[name]) for name in ("precision", "recall"))


def test_approval_counts_the_bads_among_the_approved() -> None:
    approved = np.array(["approve", "refer", "approve", "decline"]) == "approve"
    figures = metrics.summary([1, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], 0.3, approved=approved)
    assert (figures["approval_rate"], figures["approved_bad_rate"]) == (0.5, 0.5)


def test_without_approvals_there_is_no_approved_bad_rate() -> None:
    figures = metrics.summary([1, 0], [0.1, 0.2], 0.3, approved=[False, False])
    assert figures["approval_rate"] == 0
    assert math.isnan(figures["approved_bad_rate"])


def test_approved_must_be_true_or_false() -> None:
    with pytest.raises(ValueError, match=r"one boolean per row, \(2,\); got int64 \(2,\)"):
        metrics.summary([0, 1], [0.1, 0.2], 0.3, approved=[0, 1])


def test_means_are_those_of_the_rows() -> None:
    bad, pd = book(500)
    figures = metrics.summary(bad, pd, CUT_OFF)
    assert [figures[name] for name in ("mean_pd", "bad_rate")] == pytest.approx(
        [pd.mean(), bad.mean()]
    )


def test_summary_takes_the_approved_from_the_policy() -> None:
    figures = metrics.summary([0, 1, 0], [0.1, 0.2, 0.9], 0.3, approved=[False, True, False])
    assert (figures["approval_rate"], figures["approved_bad_rate"]) == pytest.approx((1 / 3, 1))


def test_a_pd_at_the_cut_off_is_flagged_and_not_approved() -> None:
    figures = metrics.summary([0, 1, 1], [0.1, 0.3, 0.3], 0.3)
    assert [figures[name] for name in ("recall", "precision", "approved_bad_rate")] == [1, 1, 0]


def test_summary_of_one_class_keeps_what_is_defined() -> None:
    figures = metrics.summary([0, 0, 0], [0.1, 0.2, 0.9], 0.3)
    undefined = {name for name, value in figures.items() if math.isnan(value)}
    assert undefined == {
        *("roc_auc", "pr_auc", "gini", "ks", "calibration_slope", "calibration_intercept"),
        "recall",
    }


def test_ranks_of_bad_rows_alone_have_no_figure() -> None:
    figures = metrics.summary([1, 1, 1], [0.1, 0.2, 0.9], 0.3)
    undefined = {name for name, value in figures.items() if math.isnan(value)}
    assert undefined >= {"roc_auc", "pr_auc", "gini", "ks", "calibration_slope"}


def test_bins_of_equal_frequency_count_the_rows_of_the_last_pd_too() -> None:
    pd = np.repeat([0.1, 0.2, 0.3, 0.4], [10, 10, 10, 30])
    counts = metrics.count_rows(RankedRows.of(np.arange(60) % 3 == 0, pd))
    assert weighted_metrics.bin_edges(counts, 2).tolist() == [[0, 3, 4]]
    assert weighted_metrics.bin_edges(counts, 6).tolist() == [[0, 1, 2, 3, 4, 4, 4]]


def test_a_group_does_not_approve_a_pd_at_the_cut_off_either() -> None:
    bad, pd = np.array([0, 1, 0, 1]), np.array([0.1, 0.3, 0.3, 0.3])
    figures = metrics.by_group(np.array(["a", "a", "b", "b"]), bad, pd, 0.3, minimum_rows=1)
    assert [figures[group]["approval_rate"] for group in ("a", "b")] == [0.5, 0.0]


def test_by_group_summarises_each_group_alone() -> None:
    bad, pd = book(500)
    groups = np.where(np.arange(500) < 200, "2020", "2021")
    figures = metrics.by_group(groups, bad, pd, CUT_OFF, minimum_rows=50)
    assert figures["2020"] == {"rows": 200, **metrics.summary(bad[:200], pd[:200], CUT_OFF)}
    assert list(figures) == ["2020", "2021"]


def test_by_group_takes_the_approved_from_the_policy() -> None:
    figures = metrics.by_group(
        ["a", "a"], [0, 1], [0.1, 0.2], 0.3, minimum_rows=2, approved=[True, False]
    )
    assert figures["a"]["approval_rate"] == 0.5


def test_a_group_below_the_minimum_shows_its_rows_alone() -> None:
    figures = metrics.by_group(["a", "b", "b"], [0, 0, 1], [0.1, 0.1, 0.2], 0.3, minimum_rows=2)
    assert figures["a"]["rows"] == 1
    assert all(math.isnan(value) for name, value in figures["a"].items() if name != "rows")


@pytest.mark.parametrize(
    ("bad", "pd", "message"),
    [
        ([], [], "must have at least one row; got none"),
        ([0, 1], [0.1], r"equally long; got shapes \(2,\) and \(1,\)"),
        ([0, 1], [0.1, np.nan], r"`pd` must be a number from 0 to 1; got nan at row 1 \(1 of 2"),
        ([0, 1], [1.5, 0.1], r"got 1.5 at row 0"),
        ([0, 2], [0.1, 0.2], r"`bad` must be 0 or 1; got 2 at row 1"),
        ([0.0, np.nan], [0.1, 0.2], r"`bad` must be 0 or 1; got nan at row 1"),
    ],
)
def test_wrong_input_is_named(bad: list[float], pd: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.roc_auc(bad, pd)
    with pytest.raises(ValueError, match=message):
        metrics.summary(bad, pd, CUT_OFF)


@pytest.mark.parametrize(("bad", "kind"), [([0, 0], r"good \(0\)"), ([1, 1], r"bad \(1\)")])
def test_one_class_is_named(bad: list[int], kind: str) -> None:
    with pytest.raises(ValueError, match=f"both classes; got 2 rows, all {kind}"):
        metrics.roc_auc(bad, [0.1, 0.2])


@pytest.mark.parametrize("cut_off", [30, 1.01, -0.01])
def test_a_cut_off_is_a_pd(cut_off: float) -> None:
    with pytest.raises(ValueError, match=f"`cut_off` must be a PD from 0 to 1; got {cut_off}"):
        metrics.summary([0, 1], [0.1, 0.2], cut_off)


@pytest.mark.parametrize(("cut_off", "approved"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_cut_off_may_approve_nobody_or_everybody(cut_off: float, approved: float) -> None:
    summed = metrics.summary(np.arange(50) % 5 == 0, np.linspace(0.01, 0.9, 50), cut_off)
    assert summed["approval_rate"] == approved
