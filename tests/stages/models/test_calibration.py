"""Calibration: from margins to honest PDs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from stages.models.calibration import NEARLY_CERTAIN, SMALLEST, ForestShare, Isotonic, Sigmoid


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    """Margins that are twice too wide and one too high, and their outcomes."""
    rng = np.random.default_rng(1)
    margin = rng.normal(-1, 2, 20_000)
    return margin, (rng.random(20_000) < expit(margin / 2 - 1)).astype(np.int64)


def test_the_default_sigmoid_takes_margins_as_log_odds() -> None:
    np.testing.assert_array_equal(Sigmoid()(np.array([0.0, -2.0])), expit(np.array([0.0, -2.0])))


def test_a_sigmoid_finds_the_slope_and_intercept_of_overconfident_margins(
    rows: tuple[Any, Any],
) -> None:
    fitted = Sigmoid.fit(*rows)
    assert (fitted.slope, fitted.intercept) == pytest.approx((0.5, -1.0), abs=0.05)


def test_a_sigmoid_of_few_loans_maximises_the_likelihood_of_platts_targets() -> None:
    rng = np.random.default_rng(6)
    margin, bad = rng.normal(-1, 2, 30), (np.arange(30) % 10 < 7).astype(np.int64)
    target = np.where(bad == 1, 22 / 23, 1 / 11)  # 21 bad and 9 good loans

    def loss(both: Any) -> float:
        odds = both[0] * margin + both[1]
        return float(np.sum(np.logaddexp(0, odds) - target * odds))

    best = minimize(loss, [0.0, 0.0], tol=1e-10).x
    fitted = Sigmoid.fit(margin, bad)
    assert (fitted.slope, fitted.intercept) == pytest.approx(tuple(best), abs=1e-4)


def test_a_fitted_sigmoid_expects_the_defaults_that_there_were(rows: tuple[Any, Any]) -> None:
    margin, bad = rows
    assert Sigmoid.fit(*rows)(margin).mean() == pytest.approx(bad.mean(), abs=1e-3)


@pytest.mark.parametrize("kind", [Sigmoid, Isotonic])
def test_pds_rise_with_the_margin(kind: Any, rows: tuple[Any, Any]) -> None:
    pd = kind.fit(*rows)(np.linspace(-20, 20, 500))
    assert (np.diff(pd) >= 0).all()
    assert pd[0] < pd[-1]


def test_an_isotonic_step_is_the_bad_rate_of_its_rows() -> None:
    fitted = Isotonic.fit(np.array([0.0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0]))
    np.testing.assert_allclose(fitted(np.array([0.0, 1.0, 0.5])), [0.25, 0.5, 0.375])


def test_no_isotonic_pd_is_certain() -> None:
    fitted = Isotonic.fit(np.arange(4.0), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(fitted(np.array([-9.0, 9.0])), [SMALLEST, 1 - SMALLEST])


def test_an_isotonic_pd_is_the_same_alone_and_in_a_batch(rows: tuple[Any, Any]) -> None:
    fitted, margin = Isotonic.fit(*rows), rows[0][:200]
    alone = [fitted(margin[i : i + 1])[0] for i in range(200)]
    np.testing.assert_array_equal(fitted(margin), alone)


@given(st.floats(0.01, 0.99), st.floats(0.001, 0.999))
def test_a_forest_share_undoes_the_newton_step(prior: float, share: float) -> None:
    margin = logit(prior) + (share - prior) / (prior * (1 - prior))
    assert ForestShare(prior)(np.array([margin]))[0] == pytest.approx(share, rel=1e-6)


def test_no_forest_share_is_certain() -> None:
    assert set(ForestShare(0.2)(np.array([-50.0, 50.0]))) == {SMALLEST, 1 - SMALLEST}


def separated(bads: int = 40, goods: int = 360) -> tuple[Any, Any]:
    """Margins that separate the outcomes, and the outcomes."""
    bad = (np.arange(bads + goods) < bads).astype(np.int64)
    return np.linspace(5, -5, bads + goods) + 20 * bad, bad


@pytest.mark.parametrize("kind", [Sigmoid, Isotonic])
def test_margins_that_separate_the_outcomes_give_pds_inside_0_and_1(kind: Any) -> None:
    margin, bad = separated()
    fitted = kind.fit(margin, bad)
    pd = fitted(np.concatenate([margin, [-1e6, 1e6, -1e300, 1e300]]))
    assert ((pd > 0) & (pd < 1)).all()
    assert np.isfinite(logit(pd)).all()
    assert pd[: len(bad)].mean() == pytest.approx(bad.mean(), abs=0.01)


def test_the_pds_of_separated_outcomes_are_as_far_from_certain_as_the_rows_allow() -> None:
    margin, bad = separated()
    pd = Sigmoid.fit(margin, bad)(margin)
    assert pd[bad == 1].mean() == pytest.approx(41 / 42, abs=0.005)
    assert pd[bad == 0].mean() == pytest.approx(1 / 362, abs=0.002)


@pytest.mark.parametrize("calibrator", [Sigmoid(), Sigmoid(3.0, -1.0)])
def test_no_sigmoid_pd_is_certain(calibrator: Sigmoid) -> None:
    pd = calibrator(np.array([-1e9, -50.0, 50.0, 1e9]))
    np.testing.assert_array_equal(pd, np.repeat([NEARLY_CERTAIN, 1 - NEARLY_CERTAIN], 2))


@given(st.floats(-15, 15), st.floats(0.1, 1.3), st.floats(-1, 1))
def test_an_ordinary_pd_is_the_logistic_function_to_the_last_bit(
    margin: float, slope: float, intercept: float
) -> None:
    pd = Sigmoid(slope, intercept)(np.array([margin]))
    assert pd[0] == np.clip(expit(slope * margin + intercept), NEARLY_CERTAIN, 1 - NEARLY_CERTAIN)


def test_the_imagined_loans_do_not_move_the_pds_of_an_ordinary_book(rows: tuple[Any, Any]) -> None:
    margin, bad = rows
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(margin[:, None], bad)
    expected = expit(plain.coef_[0, 0] * margin + plain.intercept_[0])
    np.testing.assert_allclose(Sigmoid.fit(*rows)(margin), expected, atol=1e-3)


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4)])
def test_the_unit_of_the_margin_changes_no_pd(
    scale: float, shift: float, rows: tuple[Any, Any]
) -> None:
    margin, bad = rows
    moved = margin * scale + shift
    expected = Sigmoid.fit(margin, bad)(margin)
    np.testing.assert_allclose(Sigmoid.fit(moved, bad)(moved), expected, atol=1e-5)


def test_a_constant_margin_has_the_bad_rate_as_its_pd() -> None:
    bad = (np.arange(200) < 30).astype(np.int64)
    assert Sigmoid.fit(np.full(200, 3.0), bad)(np.array([3.0]))[0] == pytest.approx(0.15, abs=0.005)
