"""What monitoring compares live traffic with is computed from the values as its docstring says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from stages.judging import reference
from stages.models.artifact import Model
from tests.support.books import MEANINGS, Project
from tests.support.trained.judged_rows import book


def test_a_number_is_described_by_what_is_not_missing() -> None:
    values = np.append(np.arange(100.0), np.full(25, np.nan))
    described = reference.describe_number(values)
    assert described["edges"] == pytest.approx(np.quantile(np.arange(100), np.arange(1, 10) / 10))
    assert described["shares"] == pytest.approx([0.1] * 10)
    assert described["missing"] == pytest.approx(0.2)
    assert (described["mean"], described["sd"]) == pytest.approx((49.5, np.arange(100).std()))
    assert described["quantiles"] == pytest.approx(np.linspace(0, 99, 101))


def test_a_bin_holds_its_lower_edge() -> None:
    described = reference.describe_number(np.repeat([0.0, 1.0], [30, 70]))
    assert len(described["shares"]) == len(described["edges"]) + 1
    held = np.searchsorted(described["edges"], [0.0, 1.0], side="right")
    assert np.array(described["shares"])[held] == pytest.approx([0.3, 0.7])


def test_a_category_has_a_share_for_every_level_also_where_nobody_has_it() -> None:
    described = reference.describe_category(np.array([0.0, 0, 2, np.nan]), ["a", "b", "c"])
    assert described["categories"] == ["a", "b", "c"]
    assert described["shares"] == pytest.approx([2 / 3, 0, 1 / 3])
    assert described["missing"] == 0.25


def test_a_category_that_is_always_missing_has_no_shares() -> None:
    described = reference.describe_category(np.full(3, np.nan), ["a", "b"])
    assert (described["shares"], described["missing"]) == ([0, 0], 1)


def test_the_covariance_of_the_recalibration_is_how_its_fits_vary() -> None:
    _, pd = book(4000, seed=1)
    generator = np.random.default_rng(0)
    true = expit(0.8 * logit(pd) - 0.3)
    fits = [reference.describe_calibration(generator.random(4000) < true, pd) for _ in range(300)]
    varying = np.cov([[fit["slope"], fit["intercept"]] for fit in fits], rowvar=False)
    assert np.mean([fit["slope"] for fit in fits]) == pytest.approx(0.8, abs=0.01)
    assert np.mean([fit["intercept"] for fit in fits]) == pytest.approx(-0.3, abs=0.02)
    # of 300 draws a variance has a standard error of 8 %
    assert np.array(fits[0]["covariance"]) == pytest.approx(varying, rel=0.3)


def test_constant_pds_are_taken_as_they_are() -> None:
    described = reference.describe_calibration(np.arange(50) % 2, np.full(50, 0.3))
    assert (described["slope"], described["intercept"]) == (1, 0)
    assert np.array(described["covariance"]).tolist() == [[0, 0], [0, 0]]


def test_the_usual_range_holds_the_middle_half_and_the_median_of_all() -> None:
    values = np.arange(1000.0, 2000.0)
    assert reference.usual_range(values, 1500) == [1240, 1750]
    assert reference.usual_range(values, 2222) == [1240, 2230]
    assert reference.usual_range(-values, -1500) == [-1750, -1240]


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [(0, 0, 0), (0.29, 0.29, 0.29), (1234.5, 1230, 1240), (-0.12345, -0.124, -0.123), (7, 7, 7)],
)
def test_the_ends_of_a_range_have_three_digits(value: float, down: float, up: float) -> None:
    assert reference.round_towards(value, np.floor) == down
    assert reference.round_towards(value, np.ceil) == up


def test_the_approved_are_described_by_themselves(fitted_book: Project, fitted: Model) -> None:
    x = fitted.features(fitted_book.columns("train"))
    policy = fitted_book.config.policy
    about_approved = reference.describe_approved(fitted, policy, x)
    approved = x[fitted.predict_matrix(x) < policy.approve_below]
    assert 0 < about_approved["rows"] == len(approved) < len(x)
    assert list(about_approved["features"]) == list(fitted.features.names)
    for name, own in zip(fitted.features.names, approved.T, strict=True):
        ends = about_approved["features"][name]["range"]
        assert (ends is None) == (name in ("purpose", "insured", "branch"))
        if ends:
            inside = (own >= ends[0]) & (own <= ends[1])
            assert np.mean(inside[~np.isnan(own)]) >= 0.5


def test_a_ratio_to_nothing_is_usual_for_nobody(fitted_book: Project, fitted: Model) -> None:
    incomes = [0, 0, 0, 0, 0, 20_000, 25_000, 40_000]
    rows = {"amount": [10_000] * 8, "purpose": ["car"] * 8, "income": incomes}
    x = fitted.features({name: np.array(column) for name, column in rows.items()})
    ratio = x[:, fitted.features.names.index("loan_to_income")]
    assert ratio.tolist() == [9, 9, 9, 9, 9, 0.5, 0.4, 0.25]
    policy = fitted_book.config.policy.model_copy(update={"cut_off": 0.9999, "refer_band": 0.0})
    about_features = reference.describe_approved(fitted, policy, x)["features"]
    assert about_features["loan_to_income"]["range"] == [0.25, 0.5]
    assert about_features["income"]["range"] == [0, 25_000]


def test_where_nobody_is_approved_nothing_is_usual(fitted_book: Project, fitted: Model) -> None:
    policy = fitted_book.config.policy.model_copy(update={"cut_off": 1e-12})
    about_approved = reference.describe_approved(
        fitted, policy, fitted.features(fitted_book.columns("train"))
    )
    assert about_approved["rows"] == 0
    assert {(f["range"], f["contribution"]) for f in about_approved["features"].values()} == {
        (None, 0.0)
    }


def test_every_feature_is_described_by_what_it_is(fitted_book: Project, fitted: Model) -> None:
    x = fitted.features(fitted_book.columns("train"))
    bad, pd = book(200)
    made = reference.make_reference(fitted.contract, fitted.features, x, bad, pd)
    assert list(made["features"]) == list(fitted.features.names)
    kinds = {name: described["kind"] for name, described in made["features"].items()}
    categories = {name for name, kind in kinds.items() if kind == "category"}
    assert categories == {"purpose", "insured", "branch"}
    assert made["features"]["purpose"]["categories"] == ["car", "home", "other"]
    assert made["features"]["insured"]["categories"] == ["False", "True"]
    assert made["rows"] == len(x)


def test_each_meaning_of_a_missing_value_has_a_share(models: dict[str, Model]) -> None:
    model = replace(models["logistic"], contract_text=MEANINGS)
    place = model.features.names.index("months__missing")
    x = np.zeros((4, len(model.features.names)))
    x[:, place] = 0, 1, 1, 2
    made = reference.make_reference(model.contract, model.features, x, *book(200))
    described = made["features"]["months__missing"]
    assert described["categories"][1:3] == ["no loan so far", "no record"]
    assert described["shares"][:3] == [0.25, 0.5, 0.25]


def test_the_contribution_of_a_feature_is_its_mean_over_the_approved(
    fitted_book: Project, fitted: Model
) -> None:
    x = fitted.features(fitted_book.columns("train"))
    policy = fitted_book.config.policy
    approved = x[fitted.predict_matrix(x) < policy.approve_below]
    assert 1 < len(approved) < 2 * reference.EXPLAINED
    about_features = reference.describe_approved(fitted, policy, x)["features"]
    means = fitted.scorer.contributions(approved).mean(axis=0)
    for name, mean in zip(fitted.features.names, means, strict=False):
        assert about_features[name]["contribution"] == pytest.approx(mean, abs=1e-12)


def test_the_covariance_is_the_inverse_of_the_information_at_the_fit() -> None:
    _, pd = book(500, seed=2)
    bad = np.random.default_rng(5).random(500) < expit(0.6 * logit(pd) + 1.5)
    fit = reference.describe_calibration(bad, pd)
    design = np.column_stack([logit(pd), np.ones(500)])
    expected = expit(design @ [fit["slope"], fit["intercept"]])
    information = design.T @ (design * (expected * (1 - expected))[:, None])
    assert np.array(fit["covariance"]) == pytest.approx(np.linalg.inv(information), rel=1e-6)
    assert abs(fit["intercept"]) > 1


def test_an_end_of_a_range_is_the_number_that_its_digits_write() -> None:
    for thousandths in range(100, 1000):
        assert reference.round_towards(thousandths / 1000, np.floor) == thousandths / 1000
        assert reference.round_towards(thousandths * 1000.0, np.ceil) == thousandths * 1000.0
