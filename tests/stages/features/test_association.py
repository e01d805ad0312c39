"""How features relate: information value, correlation, VIF, and what selection keeps by them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.contract.schema import ContractError
from stages.features.matrix import Features
from stages.features.statistics import Fitted, information_value, select
from stages.params import Candidate, Featurize
from tests.support.books import contract

FEATURES = Features(contract(), "application")
WIDTH = len(FEATURES.names)
CONFIG = Featurize(bins=10, clip=0.01)
FREE = {"balance": "none", "calibration": "none", "max_vif": None, "max_correlation": None}


def rules(**changes: Any) -> Candidate:
    return Candidate.model_validate(FREE | {"min_iv": 0.0} | changes)


def facts(iv: list[float], correlation: Any = None) -> Fitted:
    """What is known of features a, b, c, ... of these IVs."""
    n = len(iv)
    own = np.eye(n) if correlation is None else np.array(correlation)
    names, zeros = list("abcdef"[:n]), [0.0] * n
    return Fitted(names, iv, np.diag(np.linalg.pinv(own)).tolist(), own.tolist(), *[zeros] * 5)


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, WIDTH)) + np.arange(WIDTH)
    x[:, 1] = x[:, 0] + 0.1 * rng.normal(size=4000)
    x[rng.random(4000) < 0.2, 2] = np.nan
    return x, (rng.random(4000) < 1 / (1 + np.exp(2 - x[:, 0]))).astype(np.int64)


def test_information_value_is_its_formula() -> None:
    x, bad = np.repeat([0.0, 1.0], 50), np.array([1] * 10 + [0] * 40 + [1] * 30 + [0] * 20)
    shares = [(40.5 / 61, 10.5 / 41), (20.5 / 61, 30.5 / 41)]
    expected = sum((good - bad) * math.log(good / bad) for good, bad in shares)
    assert information_value(x, bad, 10) == pytest.approx(expected)


def test_missing_values_are_a_bin_of_their_own() -> None:
    bad = np.array([1] * 10 + [0] * 40 + [1] * 30 + [0] * 20)
    coded, missing = np.repeat([0.0, 1.0], 50), np.repeat([0.0, math.nan], 50)
    assert information_value(missing, bad, 10) == pytest.approx(information_value(coded, bad, 10))


def test_a_value_that_most_rows_have_is_a_bin_of_its_own() -> None:
    bad = np.arange(1000) >= 950
    recovered = np.where(bad, np.arange(1000.0), 0.0)
    assert information_value(recovered, bad, 10) == pytest.approx(information_value(bad, bad, 10))


@given(st.integers(0, 1000))
def test_information_value_does_not_change_with_the_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, bad = rng.normal(size=300), rng.integers(0, 2, 300)
    assert information_value(8 * x, bad, 5) == information_value(x, bad, 5) >= 0


def test_a_feature_of_one_value_tells_nothing() -> None:
    assert information_value(np.ones(50), np.arange(50) % 2, 10) == 0


def test_the_feature_that_risk_follows_has_the_highest_information_value(
    rows: tuple[Any, Any],
) -> None:
    fitted = Fitted.fit(FEATURES, *rows, CONFIG)
    assert int(np.argmax(fitted.iv)) in (0, 1)
    assert fitted.iv[0] > 0.5
    assert max(fitted.iv[2:]) < 0.05


def test_missing_values_are_filled_by_the_median_and_tails_are_clipped(
    rows: tuple[Any, Any],
) -> None:
    x, bad = rows
    fitted = Fitted.fit(FEATURES, x, bad, CONFIG)
    np.testing.assert_allclose(fitted.fill, np.nanmedian(x, axis=0))
    np.testing.assert_allclose(fitted.low, np.nanquantile(x, 0.01, axis=0))
    np.testing.assert_allclose(fitted.high, np.nanquantile(x, 0.99, axis=0))
    known = np.where(np.isnan(x), fitted.fill, x).clip(fitted.low, fitted.high)
    np.testing.assert_allclose(fitted.mean, known.mean(axis=0))
    np.testing.assert_allclose(fitted.sd, known.std(axis=0))
    np.testing.assert_allclose(fitted.correlation, np.corrcoef(known.T), atol=1e-8)


def test_the_variance_inflation_factor_is_that_of_regressing_on_the_others(
    rows: tuple[Any, Any],
) -> None:
    fitted = Fitted.fit(FEATURES, *rows, CONFIG)
    own, others = np.array(fitted.correlation)[0, 1:], np.array(fitted.correlation)[1:, 1:]
    explained = own @ np.linalg.solve(others, own)
    assert fitted.vif[0] == pytest.approx(1 / (1 - explained), rel=1e-5)
    assert fitted.vif[0] > 50
    assert fitted.vif[3] < 1.1


def test_a_feature_that_never_varies_divides_nothing_by_zero(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[:, 3] = 5
    fitted = Fitted.fit(FEATURES, x, rows[1], CONFIG)
    assert (fitted.sd[3], fitted.iv[3]) == (1, 0)
    assert np.isfinite(fitted.correlation).all()


def test_a_feature_without_any_value_in_training_is_named(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[:, 3] = np.nan
    words = f"{FEATURES.names[3]}: every value is missing in the 4,000 training rows"
    with pytest.raises(ContractError, match=words):
        Fitted.fit(FEATURES, x, rows[1], CONFIG)


def test_facts_come_back_from_json_to_the_last_digit(rows: tuple[Any, Any]) -> None:
    fitted = Fitted.fit(FEATURES, *rows, CONFIG)
    assert Fitted.from_json(fitted.to_json()) == fitted


def test_without_rules_every_feature_is_kept() -> None:
    assert select(facts([0.1, 0.0, 0.3]), rules()) == [0, 1, 2]


def test_a_feature_below_the_information_value_is_left_out() -> None:
    assert select(facts([0.1, 0.01, 0.02]), rules(min_iv=0.02)) == [0, 2]


def test_of_two_features_too_alike_the_stronger_stays() -> None:
    alike = [[1, -0.9, 0], [-0.9, 1, 0], [0, 0, 1]]
    assert select(facts([0.1, 0.3, 0.2], alike), rules(max_correlation=0.8)) == [1, 2]
    assert select(facts([0.1, 0.3, 0.2], alike), rules(max_correlation=0.9)) == [0, 1, 2]


def test_features_are_left_out_one_by_one_until_none_is_inflated() -> None:
    alike = [[1, 0.95, 0.9, 0], [0.95, 1, 0.95, 0], [0.9, 0.95, 1, 0], [0, 0, 0, 1]]
    kept = select(facts([0.1] * 4, alike), rules(max_vif=5.5))
    assert kept == [0, 2, 3]
    left = np.array(alike)[np.ix_(kept, kept)]
    assert np.diag(np.linalg.inv(left)).max() <= 5.5


def test_rules_that_leave_nothing_name_the_best_feature() -> None:
    with pytest.raises(ValueError, match=r"min_iv 0\.5 leaves no feature; .* IV is 0\.300 \(b\)"):
        select(facts([0.1, 0.3]), rules(min_iv=0.5))
