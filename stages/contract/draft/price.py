"""Finds what gives the price of a loan away, which is known only after the decision."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stages.contract.draft.book import DraftField
from stages.contract.draft.columns import column_names

Floats = NDArray[np.float64]
FEWEST = 30  # fewest loans from which a rate can be recovered
PRICED = 0.95  # of them that must repay more than their amount
LOWEST_RATE = 0.005  # a year: below it, rounding alone tells a rate


def doubt_price(parts: list[DraftField]) -> None:
    """Doubt an instalment that tells the price with the amount and the term of the loan."""
    loans, terms = (numbers_named(parts, p) for p in (column_names.LOAN, column_names.TERM))
    for part in numbers_named(parts, column_names.INSTALMENT):
        for amount, term in product(loans, terms):
            if part is amount or part is term or "known_at" in part.guess.doubts:
                continue
            rate = find_rate(part.values, amount.values, term.values)
            if rate is not None:
                of = f"{amount.name} and {term.name}"
                part.why = f"with {of} it tells the rate, here {rate:.1%} a year"
                part.suspected = "pricing"
                part.guess.doubts["known_at"] = (
                    f"gives the price away: {part.why}; add the line `known_at: pricing` unless "
                    "the rate is known before the decision"
                )


def numbers_named(parts: list[DraftField], pattern: re.Pattern[str]) -> list[DraftField]:
    """Return the numbers of an application whose names match."""
    numbers = [p for p in parts if p.is_quantity and p.known_at == "application"]
    return [p for p in numbers if column_names.tells(pattern, p.name)]


def find_rate(instalment: Floats, amount: Floats, term: Floats) -> float | None:
    """Return the usual yearly rate that follows from instalments (n,), amount and term in months.

    It is None where they tell none: an instalment that repays the amount without interest, or a
    column that is no instalment of these loans.
    """
    known = (amount > 0) & (term > 0) & (instalment > 0)
    if known.sum() < FEWEST:
        return None
    instalment, amount, term = instalment[known], amount[known], term[known]
    repaid = instalment * term / amount
    if np.mean((repaid > 1.0) & (repaid < 1 + 0.06 * term)) < PRICED:  # up to 10 % a month
        return None
    rate = monthly_rate(instalment, amount, term)
    usual = float(np.median(rate)) * 12
    return usual if usual > LOWEST_RATE else None


def monthly_rate(instalment: Floats, amount: Floats, term: Floats) -> Floats:
    """Return the monthly rate (n,) at which equal instalments repay an amount, by bisection."""
    low, high = np.zeros(len(amount)), np.ones(len(amount))
    for _ in range(50):
        rate = (low + high) / 2
        needed = amount * rate / -np.expm1(-term * np.log1p(rate))
        low, high = (
            np.where(needed < instalment, rate, low),
            np.where(needed < instalment, high, rate),
        )
    return (low + high) / 2
