"""How features relate: information value, correlation, VIF, and what selection keeps by them."""

from __future__ import annotations

import json
import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.contract.schema import ContractError
from stages.features.feature_correlation import correlation_ratio, cramers_v, variance_inflation
from stages.features.information_value import (
    category_cells,
    chance_information_value,
    information_value,
    information_value_of,
    number_cells,
    weight_of_evidence,
)
from stages.features.matrix import Features
from stages.features.statistics import Fitted, select
from stages.models.parameters import CandidateParameters
from tests.support.books import contract

FEATURES = Features(contract(), "application")
WIDTH = len(FEATURES.names)
BY: dict[str, Any] = {"bins": 10, "clip": 0.01}
FREE = {"balance": "none", "calibration": "none", "max_vif": None, "max_correlation": None}


def rules(**changes: Any) -> CandidateParameters:
    return CandidateParameters.model_validate(FREE | {"min_iv": 0.0} | changes)


def facts(iv: list[float], correlation: Any = None) -> Fitted:
    """Facts about features a, b, c, ... of these IVs."""
    n = len(iv)
    covariance = np.eye(n) if correlation is None else np.array(correlation)
    zeros = [0.0] * n
    return Fitted(
        names=list("abcdef"[:n]),
        iv=iv,
        iv_bias=zeros,
        vif=variance_inflation(covariance).tolist(),
        correlation=covariance.tolist(),
        association=np.abs(covariance).tolist(),
        **dict.fromkeys(("fill", "low", "high", "mean", "sd"), zeros),
    )


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, WIDTH)) + np.arange(WIDTH)
    x[:, 1] = x[:, 0] + 0.1 * rng.normal(size=4000)
    for j in FEATURES.categories:
        x[:, j] = rng.integers(0, 3, 4000)
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
    fitted = Fitted.fit(FEATURES, *rows, **BY)
    assert int(np.argmax(fitted.iv)) in (0, 1)
    assert fitted.iv[0] > 0.5
    assert max(fitted.iv[2:]) < 0.05


def test_missing_values_are_filled_by_the_median_and_tails_are_clipped(
    rows: tuple[Any, Any],
) -> None:
    x, bad = rows
    fitted = Fitted.fit(FEATURES, x, bad, **BY)
    np.testing.assert_allclose(fitted.fill, np.nanmedian(x, axis=0))
    np.testing.assert_allclose(fitted.low, np.nanquantile(x, 0.01, axis=0))
    np.testing.assert_allclose(fitted.high, np.nanquantile(x, 0.99, axis=0))
    known = np.where(np.isnan(x), fitted.fill, x).clip(fitted.low, fitted.high)
    np.testing.assert_allclose(fitted.mean, known.mean(axis=0))
    np.testing.assert_allclose(fitted.sd, known.std(axis=0))
    quantities = np.setdiff1d(np.arange(WIDTH), FEATURES.categories)
    among = np.ix_(quantities, quantities)
    expected = np.corrcoef(known.T)[among]
    np.testing.assert_allclose(np.array(fitted.correlation)[among], expected, atol=1e-8)
    np.testing.assert_allclose(np.array(fitted.association)[among], np.abs(expected), atol=1e-8)


def test_the_variance_inflation_factor_is_that_of_regressing_on_the_others(
    rows: tuple[Any, Any],
) -> None:
    fitted = Fitted.fit(FEATURES, *rows, **BY)
    first, others = np.array(fitted.correlation)[0, 1:], np.array(fitted.correlation)[1:, 1:]
    explained = first @ np.linalg.solve(others, first)
    assert fitted.vif[0] == pytest.approx(1 / (1 - explained), rel=1e-5)
    assert fitted.vif[0] > 50
    assert fitted.vif[3] < 1.1


def test_a_feature_that_never_varies_divides_nothing_by_zero(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[:, 3] = 5
    fitted = Fitted.fit(FEATURES, x, rows[1], **BY)
    assert (fitted.sd[3], fitted.iv[3]) == (1, 0)
    assert np.isfinite(fitted.correlation).all()


def test_a_feature_without_any_value_in_training_is_named(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[:, 3] = np.nan
    words = f"{FEATURES.names[3]}: every value is missing in the 4,000 training rows"
    with pytest.raises(ContractError, match=words):
        Fitted.fit(FEATURES, x, rows[1], **BY)


def test_facts_come_back_from_json_to_the_last_digit(rows: tuple[Any, Any]) -> None:
    fitted = Fitted.fit(FEATURES, *rows, **BY)
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


# What is exactly collinear


def test_a_feature_that_others_determine_has_an_infinite_variance_inflation_factor() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    x[:, 2] = x[:, 0] - 2 * x[:, 1]
    vif = variance_inflation(np.round(np.corrcoef(x.T), 9))
    np.testing.assert_array_equal(np.isinf(vif), [True, True, True, False])
    assert vif[3] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.999, 0.999999])
def test_the_variance_inflation_factor_of_two_features_is_its_formula(correlation: float) -> None:
    vif = variance_inflation(np.array([[1, correlation], [correlation, 1]]))
    np.testing.assert_allclose(vif, 1 / (1 - correlation**2), rtol=1e-6)


@pytest.mark.parametrize("copies", [2, 3])
def test_of_identical_columns_one_is_kept(copies: int, rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    quantities = [0, 1, 3][:copies]
    x[:, quantities] = x[:, [0]]
    fitted = Fitted.fit(FEATURES, x, rows[1], **BY)
    assert [fitted.vif[j] for j in quantities] == [math.inf] * copies
    kept = select(fitted, rules(max_vif=5.0))
    assert [j for j in kept if j in quantities] == [0]


def test_of_features_that_inflate_one_another_equally_the_weaker_goes() -> None:
    alike = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert select(facts([0.1, 0.3, 0.2], alike), rules(max_vif=5.0)) == [1, 2]
    assert select(facts([0.3, 0.1, 0.2], alike), rules(max_vif=5.0)) == [0, 2]


def test_an_infinite_factor_is_null_in_valid_json_and_comes_back(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[:, 1] = x[:, 0]
    fitted = Fitted.fit(FEATURES, x, rows[1], **BY)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    document = json.loads(fitted.to_json(), parse_constant=refuse)
    assert document["vif"][0] is None
    assert Fitted.from_json(fitted.to_json()) == fitted


def test_a_feature_that_never_varies_inflates_nothing(rows: tuple[Any, Any]) -> None:
    x = rows[0].copy()
    x[:, [3, 4]] = 5
    fitted = Fitted.fit(FEATURES, x, rows[1], **BY)
    assert (fitted.vif[3], fitted.vif[4]) == (1, 1)
    assert fitted.association[3][4] == 0


# Categories are sets of levels


def levels(count: int, spread: float, n: int = 20_000, seed: int = 0) -> tuple[Any, Any, float]:
    """A category (n,) of many levels, the outcome, and the IV of the levels' true bad rates."""
    rng = np.random.default_rng(seed)
    rate = 1 / (1 + np.exp(2.2 - spread * rng.normal(size=count)))
    bads, goods = rate / rate.sum(), (1 - rate) / (1 - rate).sum()
    level = rng.integers(0, count, n)
    true = float(np.sum((bads - goods) * np.log(bads / goods)))
    return level.astype(float), (rng.random(n) < rate[level]).astype(np.int64), true


def corrected(x: Any, bad: Any) -> float:
    """The information value of a category less what chance shows."""
    return information_value(x, bad, 10, category=True) - chance_information_value(
        category_cells(x), bad
    )


@pytest.mark.parametrize("count", [12, 30, 50])
def test_a_category_of_many_levels_reads_its_true_information_value(count: int) -> None:
    pairs = [levels(count, 1.1, seed=seed) for seed in range(10)]
    read = np.mean([corrected(x, bad) for x, bad, _ in pairs])
    assert read == pytest.approx(np.mean([true for *_, true in pairs]), rel=0.05)


@pytest.mark.parametrize(("count", "n"), [(2, 500), (30, 2000), (400, 2000), (400, 20_000)])
def test_levels_of_noise_have_no_information_value_on_average(count: int, n: int) -> None:
    drawn = [levels(count, 0.0, n, seed) for seed in range(40)]
    plain = [information_value(x, bad, 10, category=True) for x, bad, _ in drawn]
    read = [corrected(x, bad) for x, bad, _ in drawn]
    error = np.std(read) / math.sqrt(len(read))
    assert abs(np.mean(read)) < 3 * error
    assert np.mean(plain) > 3 * error


def test_the_chance_information_value_of_large_bins_is_that_of_the_chi_square() -> None:
    cell, bad = np.arange(100_000) % 5, np.arange(100_000) % 10 == 0
    expected = 4 * (1 / 10_000 + 1 / 90_000)
    assert chance_information_value(cell, bad) == pytest.approx(expected, rel=0.01)


def test_the_chance_information_value_is_the_mean_over_all_ways_to_deal_the_outcomes() -> None:
    cell, bad = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([1, 1, 1, 0, 0, 0, 0])
    dealt = [information_value_of(cell, np.array(p)) for p in set(permutations(bad.tolist()))]
    assert len(dealt) == math.comb(7, 3)
    assert chance_information_value(cell, bad) == pytest.approx(np.mean(dealt))


def test_noise_of_quantities_is_corrected_too() -> None:
    rng = np.random.default_rng(0)
    read = []
    for _ in range(60):
        x, bad = rng.normal(size=400), (rng.random(400) < 0.2).astype(np.int64)
        chance = chance_information_value(number_cells(x, 10), bad)
        read.append(information_value(x, bad, 10) - chance)
    assert abs(np.mean(read)) < 3 * np.std(read) / math.sqrt(len(read))


def test_a_published_information_value_is_corrected_and_says_by_how_much(
    rows: tuple[Any, Any],
) -> None:
    x, bad = rows
    fitted = Fitted.fit(FEATURES, x, bad, **BY)
    for j in (0, 2):
        plain = information_value(x[:, j], bad, BY["bins"], category=j in FEATURES.categories)
        assert fitted.iv[j] == pytest.approx(max(0, plain - fitted.iv_bias[j]), abs=1e-8)
    assert min(fitted.iv) >= 0 < min(fitted.iv_bias)


def with_category(rows: tuple[Any, Any], level: Any) -> Any:
    """The training matrix with other levels of the first category."""
    x = rows[0].copy()
    x[:, FEATURES.categories[0]] = level
    return x


def test_a_signal_of_sixty_levels_is_kept(rows: tuple[Any, Any]) -> None:
    level, bad, _ = levels(60, 1.0, 4000)
    fitted = Fitted.fit(FEATURES, with_category(rows, level), bad, **BY)
    assert FEATURES.categories[0] in select(fitted, rules(min_iv=0.05))


def test_the_order_of_the_levels_changes_no_figure(rows: tuple[Any, Any]) -> None:
    rng = np.random.default_rng(1)
    level = (np.digitize(rows[0][:, 0], [-1, 0, 1]) + 4 * rng.integers(0, 3, 4000)).astype(float)
    level[:50] = np.nan
    renamed = np.append(rng.permutation(12), 0)[np.where(np.isnan(level), 12, level).astype(int)]
    first, second = (
        Fitted.fit(FEATURES, with_category(rows, codes), rows[1], **BY)
        for codes in (level, np.where(np.isnan(level), np.nan, renamed))
    )
    for name in ("iv", "iv_bias", "vif", "correlation", "association"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-7)
    chosen = {"max_correlation": 0.4, "max_vif": 2.0}
    assert select(first, rules(**chosen)) == select(second, rules(**chosen))


def test_a_category_cut_from_a_number_is_too_alike_to_it_in_any_order(
    rows: tuple[Any, Any],
) -> None:
    place = np.digitize(rows[0][:, 0], np.linspace(-2, 2, 11))
    level = np.random.default_rng(5).permutation(12)[place].astype(float)
    fitted = Fitted.fit(FEATURES, with_category(rows, level), rows[1], **BY)
    assert fitted.association[0][2] > 0.95
    kept = select(fitted, rules(max_correlation=0.9))
    assert len({0, 1, 2} & set(kept)) == 1


def test_the_correlation_ratio_is_its_formula() -> None:
    values, level = np.array([1.0, 2, 3, 5, 6, 7]), np.repeat([0, 1], 3)
    between, total = 6 * 4.0, 6 * 4.0 + 4.0
    expected = math.sqrt(1 - (1 - between / total) * 5 / 4)
    assert correlation_ratio(values, level) == pytest.approx(expected)
    assert correlation_ratio(np.repeat([1.0, 2], 3), level) == 1
    assert correlation_ratio(np.ones(6), level) == 0


def test_cramers_v_is_one_for_a_renamed_category_and_its_formula_otherwise() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 7, 3000)
    assert cramers_v(first, rng.permutation(7)[first]) == pytest.approx(1)
    assert cramers_v(first, np.zeros(3000, dtype=int)) == 0
    a, b = np.repeat([0, 0, 1, 1], [30, 20, 10, 40]), np.repeat([0, 1, 0, 1], [30, 20, 10, 40])
    phi = (30 * 40 - 20 * 10) ** 2 / (50 * 50 * 40 * 60)
    side = 2 - 1 / 99
    assert cramers_v(a, b) == pytest.approx(math.sqrt((phi - 1 / 99) / (side - 1)))


def test_many_levels_of_noise_are_associated_with_nothing() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 300, (2, 3000))
    assert cramers_v(first, second) < 0.1
    assert correlation_ratio(rng.normal(size=3000), first) < 0.15


def test_the_weight_of_evidence_of_a_level_is_its_formula() -> None:
    cell, bad = np.repeat([0, 2], [10, 10]), np.array([1] * 2 + [0] * 8 + [1] * 6 + [0] * 4)
    base = math.log(13 / 9)
    woe = weight_of_evidence(cell, bad)
    assert woe == pytest.approx([math.log(2.5 / 8.5) + base, 0, math.log(6.5 / 4.5) + base])
