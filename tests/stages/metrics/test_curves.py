from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from stages.metrics import curves, metrics
from stages.metrics.calibration_error import ReliabilityBins
from stages.metrics.ranked_rows import Columns, RankedRows

GENERATOR = np.random.default_rng(0)
PD = GENERATOR.random(5000) ** 2
BAD = GENERATOR.random(5000) < PD
TIED = PD.round(2)


def test_the_roc_curve_is_that_of_scikit_learn() -> None:
    false, true, _ = roc_curve(BAD, TIED, drop_intermediate=False)
    curve = curves.roc(BAD, TIED, points=10_000)
    assert curve["false_positive_rate"] == pytest.approx(false)
    assert curve["true_positive_rate"] == pytest.approx(true)


FOUR = np.array([False, True, False, True]), np.array([0.1, 0.2, 0.3, 0.4])


def as_lists(columns: Columns) -> dict[str, list[float]]:
    """The columns as lists."""
    return {name: values.tolist() for name, values in columns.items()}


def test_the_roc_curve_of_four_loans_is_that_by_hand() -> None:
    assert as_lists(curves.roc(*FOUR)) == {
        "threshold": [1.0, 0.4, 0.3, 0.2, 0.1],
        "false_positive_rate": [0, 0, 0.5, 0.5, 1],
        "true_positive_rate": [0, 0.5, 0.5, 1, 1],
    }


def test_the_precision_curve_of_four_loans_begins_at_the_highest_pd() -> None:
    curve = as_lists(curves.precision_recall(*FOUR))
    assert curve.pop("precision") == pytest.approx([1, 2 / 3, 1 / 2])
    assert curve == {"threshold": [0.4, 0.2, 0.1], "recall": [0.5, 1, 1]}


def test_the_ks_curve_of_four_loans_is_that_by_hand() -> None:
    assert as_lists(curves.kolmogorov_smirnov(*FOUR)) == {
        "pd": [0.1, 0.2, 0.3, 0.4, 1.0],
        "good_share": [0, 0.5, 0.5, 1, 1],
        "bad_share": [0, 0, 0.5, 0.5, 1],
    }


def test_the_ks_curve_keeps_the_widest_gap_of_a_model_that_ranks_backwards() -> None:
    curve = curves.kolmogorov_smirnov(BAD, 1 - PD, points=5)
    gap = np.abs(curve["good_share"] - curve["bad_share"]).max()
    assert gap == pytest.approx(metrics.summary(BAD, PD, 0.3)["ks"])


def test_the_histogram_of_four_loans_is_that_by_hand() -> None:
    assert as_lists(curves.histogram(*FOUR, bins=5)) == {
        "low": pytest.approx([0, 0.2, 0.4, 0.6, 0.8]),
        "high": pytest.approx([0.2, 0.4, 0.6, 0.8, 1]),
        "good": [1, 1, 0, 0, 0],
        "bad": [0, 1, 1, 0, 0],
    }


def test_a_curve_of_two_points_is_its_ends() -> None:
    assert curves.roc(BAD, PD, points=2)["true_positive_rate"].tolist() == [0, 1]


def test_a_thinned_curve_is_evenly_spaced() -> None:
    curve = curves.roc(BAD, PD, points=11)
    way = curve["true_positive_rate"] + curve["false_positive_rate"]
    assert way == pytest.approx(np.linspace(0, 2, 11), abs=0.01)


def test_a_thinned_roc_curve_keeps_its_area() -> None:
    curve = curves.roc(BAD, PD)
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert area == pytest.approx(metrics.roc_auc(BAD, PD), abs=1e-3)


def test_the_precision_curve_is_that_of_scikit_learn() -> None:
    precision, recall, thresholds = precision_recall_curve(BAD, TIED)
    curve = curves.precision_recall(BAD, TIED, points=10_000)
    reached = dict(zip(thresholds, zip(recall, precision, strict=False), strict=False))
    expected = np.array([reached[threshold] for threshold in curve["threshold"]])
    assert np.stack([curve["recall"], curve["precision"]], axis=1) == pytest.approx(expected)


def test_the_widest_gap_of_the_ks_curve_is_ks() -> None:
    curve = curves.kolmogorov_smirnov(BAD, PD, points=5)
    gap = np.abs(curve["good_share"] - curve["bad_share"]).max()
    assert gap == pytest.approx(metrics.summary(BAD, PD, 0.3)["ks"])


@pytest.mark.parametrize("curve", [curves.roc, curves.precision_recall, curves.kolmogorov_smirnov])
def test_a_curve_has_a_bounded_number_of_points(curve: Callable[..., Columns]) -> None:
    columns = curve(BAD, PD, points=20)
    assert all(len(values) <= 21 for values in columns.values())


def test_a_curve_has_two_ends() -> None:
    with pytest.raises(ValueError, match="`points` must be an integer >= 2; got 1"):
        curves.roc(BAD, PD, points=1)


def test_reliability_is_of_the_bins_of_the_ece() -> None:
    bins = curves.reliability(BAD, TIED)
    ranked = RankedRows.of(BAD, TIED)
    observed = ReliabilityBins.of(ranked, metrics.count_rows(ranked)).observed_gap
    squares = (bins["mean_pd"] - bins["bad_rate"]) ** 2
    assert (squares * bins["rows"]).sum() / 5000 == pytest.approx(observed**2)


def test_reliability_leaves_out_bins_that_ties_swallow() -> None:
    assert curves.reliability([0, 1, 0], [0.2, 0.2, 0.2])["rows"].tolist() == [3]


def test_the_histogram_counts_every_row_by_class() -> None:
    counts = curves.histogram(BAD, PD)
    assert (counts["good"].sum(), counts["bad"].sum()) == ((~BAD).sum(), BAD.sum())


def test_the_histogram_counts_a_pd_of_one() -> None:
    assert curves.histogram([1], [1.0], bins=4)["bad"].tolist() == [0, 0, 0, 1]
