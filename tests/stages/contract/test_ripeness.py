"""Unripe labels: said where the bad rate falls with the age of the book, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from stages.contract.draft import outcome
from stages.simulation import population

ROWS = 8000


def ripening(seed: int, months: float, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Loans of four years, 12 % bad within 12 months, seen until some months after the last."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(0, 1461, rows)).astype(float)
    defaulted = np.where(rng.random(rows) < 0.12, days + rng.integers(1, 366, rows), np.inf)
    return days, (defaulted <= 1461 + 30.4 * months).astype(float)


@pytest.mark.parametrize("seed", range(20))
def test_a_book_seen_until_its_last_loan_is_not_ripe(seed: int) -> None:
    days, bad = ripening(seed, months=0)
    assert outcome.describe_fall(days, bad).startswith("the bad rate falls from 1")


@pytest.mark.parametrize("seed", range(20))
def test_a_book_that_all_had_time_is_ripe(seed: int) -> None:
    assert outcome.describe_fall(*ripening(seed, months=12)) == ""


def test_most_small_books_that_are_not_ripe_are_seen_and_few_that_are() -> None:
    warnings = [
        [bool(outcome.describe_fall(*ripening(seed, months, 1500))) for seed in range(200)]
        for months in (0, 12)
    ]
    assert sum(warnings[0]) >= 120
    assert sum(warnings[1]) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_the_seasons_and_the_drift_of_the_simulated_book_are_no_lack_of_time(seed: int) -> None:
    drawn = population.draw(10_000, seed, 0.45)
    days = drawn["disbursal_date"].astype("datetime64[D]").astype(float)
    assert outcome.describe_fall(days, drawn["default"].astype(float)) == ""


def test_loans_without_a_date_or_an_outcome_do_not_count() -> None:
    days, bad = ripening(1, months=0)
    whole = outcome.describe_fall(days, bad)
    days, bad = np.append(days, [np.nan] * 5000), np.append(bad, [1.0] * 5000)
    assert outcome.describe_fall(days, bad) == whole
    assert outcome.describe_fall(days[:5], bad[:5]) == ""


def test_a_date_of_the_bad_loans_alone_dates_the_default() -> None:
    bad = np.array([1.0, 0.0, 0.0, 0.0] * 50)
    assert outcome.dates_defaults(np.where(bad == 1, 18_000.0, np.nan), bad)
    assert not outcome.dates_defaults(np.full(200, 18_000.0), bad)
    assert not outcome.dates_defaults(np.full(200, np.nan), bad)
