"""Scorers: margins that are the same bits however they are asked for, and their parts."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.models.artifact import Model
from stages.models.scorers import PARALLEL_ROWS, Additive, Linear, Selected, Table
from tests.support.books import Project

NAN = math.nan
STEPS = Table(column=0, edges=np.array([0.0, 10.0]), values=np.array([-1.0, 0.0, 1.0]), missing=5.0)


def column(*values: float) -> Any:
    """One feature (n, 1)."""
    return np.array(values)[:, None]


def line(slope: float, **changes: float) -> Linear:
    """A term of feature 0: centre 10, from 0 to 100, 50 where missing."""
    numbers = {"slope": slope, "centre": 10.0, "low": 0.0, "high": 100.0, "fill": 50.0} | changes
    return Linear(np.array([0]), **{name: np.array([value]) for name, value in numbers.items()})


@pytest.mark.parametrize(
    ("value", "term"), [(-1e300, -1), (-0.1, -1), (0, 0), (9.9, 0), (10, 1), (1e300, 1), (NAN, 5)]
)
def test_a_bin_holds_its_lower_edge_and_missing_has_its_own_value(
    value: float, term: float
) -> None:
    assert STEPS(column(value))[0] == term


@pytest.mark.parametrize(("value", "term"), [(11, 2), (10, 0), (-5, -20), (1e9, 180), (NAN, 80)])
def test_a_line_is_clipped_and_filled(value: float, term: float) -> None:
    assert line(2.0)(column(value))[0, 0] == term


def test_an_additive_margin_is_the_intercept_and_the_terms() -> None:
    x = np.array([[11.0, 3.0], [NAN, NAN]])
    second = Table(1, np.array([2.5]), np.array([0.5, 0.25]), 0.0)
    model = Additive(-1.0, line(2.0), [second])
    np.testing.assert_array_equal(model.margin(x), [-1 + 2 + 0.25, -1 + 80 + 0])


def test_the_expected_terms_of_an_additive_model_are_its_means_in_training() -> None:
    x = column(0.0, 10.0, 20.0)
    model = Additive(-1.0, line(2.0), []).fit_expected(x)
    shares = model.contributions(x)
    np.testing.assert_allclose(shares[:, 0], [-20.0, 0.0, 20.0])
    np.testing.assert_allclose(shares[:, 1], -1.0)


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3) | st.just(NAN), min_size=9, max_size=9), min_size=1),
    st.randoms(use_true_random=False),
)
def test_an_additive_margin_is_the_same_alone_and_in_any_batch(
    rows: list[list[float]], random: Any
) -> None:
    terms = [
        Table(j, np.array([0.0, 1.0]), np.array([0.1, 0.2, 0.3]) * j, 0.7) for j in range(1, 9)
    ]
    model, x = Additive(0.1, line(0.3), terms), np.array(rows)
    together = model.margin(x)
    order = random.sample(range(len(x)), len(x))
    np.testing.assert_array_equal(together, [model.margin(row[None])[0] for row in x])
    np.testing.assert_array_equal(together[order], model.margin(np.asfortranarray(x[order])))


def test_a_selected_scorer_reads_nothing_but_its_columns() -> None:
    scorer = Selected(Additive(-1.0, line(2.0), []).fit_expected(column(0.0)), np.array([1]))
    x = np.array([[NAN, 11.0, NAN]])
    assert scorer.margin(x)[0] == 1
    np.testing.assert_array_equal(scorer.contributions(x), [[0.0, 22.0, 0.0, -21.0]])


def test_a_selected_scorer_names_the_libraries_of_what_it_selects_for() -> None:
    scorer = Selected(Additive(0.0, Linear.empty(), []), np.array([1]))
    assert scorer.libraries == ("numpy", "scipy")


@pytest.fixture(scope="module")
def x(fitted_book: Project, models: dict[str, Model]) -> Any:
    return models["logistic"].features(fitted_book.columns("test"))


def test_margins_are_the_same_bits_alone_in_a_batch_and_in_another_order(
    fitted: Model, x: Any
) -> None:
    margin = fitted.scorer.margin(x)
    order = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_array_equal(fitted.scorer.margin(x[order]), margin[order])
    alone = [fitted.scorer.margin(row[None])[0] for row in x]
    np.testing.assert_array_equal(alone, margin)


def test_margins_are_the_same_bits_in_a_batch_that_is_large_enough_for_threads(
    fitted: Model, x: Any
) -> None:
    many = np.tile(x, (PARALLEL_ROWS // len(x) + 1, 1))
    once = fitted.scorer.margin(x)
    np.testing.assert_array_equal(fitted.scorer.margin(many), np.resize(once, len(many)))
    np.testing.assert_array_equal(fitted.scorer.margin(x), once)


def test_margins_are_the_same_bits_after_pickling(fitted: Model, x: Any) -> None:
    again = pickle.loads(pickle.dumps(fitted.scorer))  # noqa: S301  (our own)
    np.testing.assert_array_equal(again.margin(x), fitted.scorer.margin(x))
    np.testing.assert_array_equal(again.contributions(x), fitted.scorer.contributions(x))


def test_contributions_sum_to_the_margin(fitted: Model, x: Any) -> None:
    shares = fitted.scorer.contributions(x)
    assert shares.shape == (len(x), x.shape[1] + 1)
    np.testing.assert_allclose(shares.sum(axis=1), fitted.scorer.margin(x), atol=1e-5)


def test_contributions_of_a_row_are_the_same_alone_and_in_a_batch(fitted: Model, x: Any) -> None:
    together = fitted.scorer.contributions(x[:20])
    alone = np.vstack([fitted.scorer.contributions(row[None]) for row in x[:20]])
    np.testing.assert_array_equal(alone, together)


def test_infinite_and_missing_features_have_a_finite_margin_that_contributions_explain(
    fitted: Model, x: Any
) -> None:
    strange = np.where(np.arange(x.shape[1]) == fitted.features.names.index("amount"), np.inf, x)
    strange = np.vstack([strange[:3], -strange[:3], np.full((1, x.shape[1]), NAN)])
    margin = fitted.scorer.margin(strange)
    assert np.isfinite(margin).all()
    np.testing.assert_allclose(fitted.scorer.contributions(strange).sum(axis=1), margin, atol=1e-5)
