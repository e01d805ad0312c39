"""Who wins, the groups of a protected attribute, and what is published of figures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import yaml

from stages.contract.fields.field import Field
from stages.judging import evaluation
from stages.judging.evaluation import Judged
from stages.metrics import metrics
from stages.policy.decisions import Policy
from tests.support.books import ROOT


def number(name: str = "age") -> Field:
    """A numeric field."""
    return Field.model_validate({"name": name, "type": "number"})


def test_the_bands_of_a_number_lie_between_its_rounded_quartiles() -> None:
    ages = np.array([20.0, 30, 40, 50, 60, np.nan, 29.6, 39.9])
    # the quartiles of the seven ages: 29.8, 39.9 and 45, each rounded
    assert evaluation.name_groups(number(), ages).tolist() == [
        "below 30",
        "30 to 40",
        "40 to 45",
        "45 and above",
        "45 and above",
        "missing",
        "below 30",
        "30 to 40",
    ]


def test_equal_quartiles_make_fewer_bands() -> None:
    children = np.array([0.0, 0, 0, 0, 0, 2, 3, 4])
    names = evaluation.name_groups(number("children"), children)
    assert names.tolist() == ["0 to 2"] * 5 + ["2 and above"] * 3


def test_the_groups_of_a_category_are_its_values() -> None:
    sex = Field.model_validate({"name": "sex", "type": "string"})
    assert evaluation.name_groups(sex, ["f", None, "m"]).tolist() == ["f", "missing", "m"]


def test_a_vintage_is_a_quarter() -> None:
    days = np.array(["1969-12-31", "2024-03-31", "2024-04-01", "2024-12-31"], "datetime64[D]")
    names = evaluation.name_vintages(days).tolist()
    assert names == ["1969-Q4", "2024-Q1", "2024-Q2", "2024-Q4"]


def test_a_figure_in_cross_validation_is_the_mean_of_its_folds() -> None:
    rng = np.random.default_rng(3)
    pd, fold = rng.random(90), np.repeat([0, 1, 2], 30)
    bad = (rng.random(90) < pd).astype(np.int64)
    values = [metrics.roc_auc(bad[fold == k], pd[fold == k]) for k in range(3)]
    estimate = evaluation.cross_validate(bad, pd, fold, "roc_auc")
    assert estimate["value"] == pytest.approx(np.mean(values))
    assert estimate["standard_error"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(3))


def test_a_single_fold_has_no_standard_error_and_the_best_wins() -> None:
    bad, pd = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    estimate = evaluation.cross_validate(bad, pd, np.zeros(4, dtype=np.int64), "roc_auc")
    assert math.isnan(estimate["standard_error"])
    figures = {"simple": {"value": 0.7, "standard_error": 0.1}, "complex": estimate}
    assert evaluation.choose(figures, "roc_auc", "simplest") == "complex"


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "ks"])
def test_a_fold_of_good_loans_alone_does_not_count(metric: str) -> None:
    rng = np.random.default_rng(5)
    pd, fold = rng.random(90), np.repeat([0, 1, 2], 30)
    bad = (rng.random(90) < pd).astype(np.int64)
    bad[fold == 1] = 0
    found = evaluation.cross_validate(bad, pd, fold, metric)
    others = evaluation.cross_validate(bad[fold != 1], pd[fold != 1], fold[fold != 1], metric)
    assert found == others
    alone = evaluation.cross_validate(bad[fold == 1], pd[fold == 1], fold[fold == 1], metric)
    assert math.isnan(alone["value"])


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "ks", "brier", "log_loss"])
def test_a_figure_by_itself_is_that_of_the_summary(metric: str) -> None:
    rng = np.random.default_rng(6)
    pd = rng.random(300).round(2)
    bad = rng.random(300) < pd
    assert metrics.figure(metric, bad, pd) == metrics.summary(bad, pd, 1.0)[metric]


def test_the_simplest_is_the_first_at_one_standard_error_or_less_from_the_best() -> None:
    figures = {
        "first": {"value": 0.7, "standard_error": 0.5},
        "second": {"value": 0.75, "standard_error": 0.5},
        "best": {"value": 0.8, "standard_error": 0.0625},
    }
    assert evaluation.choose(figures, "roc_auc", "simplest") == "second"
    figures["best"]["standard_error"] = 0.8 - 0.75
    assert evaluation.choose(figures, "roc_auc", "simplest") == "second"
    assert evaluation.choose(figures, "roc_auc", "best") == "best"


def test_the_first_named_wins_a_tie() -> None:
    figures = {name: {"value": 0.2, "standard_error": 0.0} for name in ("b", "a")}
    assert evaluation.choose(figures, "brier") == "b"


def test_published_figures_have_six_digits_and_none_where_undefined() -> None:
    figures = {"auc": 0.12345678, "inner": {"rows": 3, "ks": float("nan")}, "name": "x"}
    assert evaluation.round_figures(figures) == {
        "auc": 0.123457,
        "inner": {"rows": 3, "ks": None},
        "name": "x",
    }


@pytest.mark.parametrize("better", ["roc_auc", "brier"])
def test_a_candidate_that_is_better_by_0_008_wins_on_most_small_books(better: str) -> None:
    """Both are judged in five folds of 300 rows; the other's log-odds carry noise."""
    wins = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        odds = rng.normal(-1.5, 1.2, 1500)
        bad = (rng.random(1500) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        fold = np.arange(1500) % 5
        noisy = odds + rng.normal(0, 0.3, 1500)
        figures = {
            name: evaluation.cross_validate(bad, 1 / (1 + np.exp(-margin)), fold, better)
            for name, margin in (("worse", noisy), ("better", odds))
        }
        wins += evaluation.choose(figures, better) == "better"
    assert wins >= 34


POLICY = Policy.model_validate(yaml.safe_load((ROOT / "params.yaml").read_text())["policy"])
ROWS = Judged(
    bad=np.array([0, 1, 0, 1]),
    pd=np.array([0.1, 0.2, 0.3, 0.4]),
    decision=np.array([0, 0, 0, 2]),
    exposure=np.array([10.0, 30, 60, 100]),
    cluster=np.array([7, 7, 8, 9]),
)


def test_some_of_the_rows_keep_their_money_and_clusters() -> None:
    part = ROWS.taking(np.array([False, True, True, False]))
    assert part.exposure is not None
    assert part.cluster is not None
    assert (part.exposure.tolist(), part.cluster.tolist()) == ([30, 60], [7, 8])
    assert part.pd.tolist() == [0.2, 0.3]
    bare = replace(ROWS, exposure=None, cluster=None).taking(np.array([True] * 4))
    assert (bare.exposure, bare.cluster) == (None, None)


def test_figures_by_money_are_sums_of_money_over_sums_of_money() -> None:
    figures = evaluation.summary(ROWS, POLICY)
    assert figures["approval_rate_by_money"] == pytest.approx(100 / 200)
    assert figures["approved_bad_rate_by_money"] == pytest.approx(30 / 100)
    gain = 70 * POLICY.margin - 30 * POLICY.loss_given_default
    assert figures["profit_by_money"] == pytest.approx(gain / 200)


def test_the_profit_of_a_loan_is_earned_on_good_and_lost_on_bad_approved_ones() -> None:
    figures = evaluation.summary(ROWS, POLICY)
    assert figures["profit"] == pytest.approx((2 * POLICY.margin - POLICY.loss_given_default) / 4)


def test_without_money_nothing_is_stated_by_money() -> None:
    assert evaluation.by_money(replace(ROWS, exposure=None), POLICY) == {}


def test_a_rate_by_money_of_nobody_is_undefined() -> None:
    nobody = replace(ROWS, decision=np.full(4, 2))
    assert math.isnan(evaluation.summary(nobody, POLICY)["approved_bad_rate_by_money"])


def test_new_customers_have_figures_where_there_are_enough() -> None:
    is_new = np.array([True, True, False, True])
    figures = evaluation.figures_of_new_customers(ROWS, is_new, POLICY, 3)
    assert figures["rows"] == 3
    assert figures["bad_rate"] == pytest.approx(2 / 3)
    assert evaluation.figures_of_new_customers(ROWS, is_new, POLICY, 4) == {"rows": 3}
    assert evaluation.figures_of_new_customers(ROWS, None, POLICY, 1) == {}


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "ks"])
def test_the_highest_wins_by_figures_of_rank(metric: str) -> None:
    figures = {n: {"value": v, "standard_error": 0.0} for n, v in (("low", 0.1), ("high", 0.2))}
    assert evaluation.choose(figures, metric) == "high"


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_the_lowest_wins_by_figures_of_loss(metric: str) -> None:
    figures = {n: {"value": v, "standard_error": 0.0} for n, v in (("high", 0.2), ("low", 0.1))}
    assert evaluation.choose(figures, metric) == "low"
