"""Guesses what numbers are: quantities and their bounds, codes, and codes for "not known"."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.draft.columns import column_names
from stages.contract.draft.columns.column import MAX_CATEGORIES, Column, Floats, Guess

HIGH = [float("9" * k) - d for k in range(2, 13) for d in range(4)]
ROUND = (1, 1.2, 1.5, 2, 3, 5, 8, 10)
NEGATIVE = [-1.0, *(-float(d * k) for d in "6789" for k in range(1, 13))]


def guess(column: Column) -> Guess | None:
    """Read numbers, or codes of categories that are written as whole numbers."""
    words = column.words.where(column.is_known)
    values = pd.to_numeric(words, errors="coerce").to_numpy(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    other = column.words[column.is_known & np.isnan(values)]
    if not column.holds_mostly(~np.isnan(values[column.is_known])):
        return None
    few = len(column.known_words) <= MAX_CATEGORIES
    if (few and other.str.contains(r"\d").any()) or words.str.fullmatch(r"0\d+").any():
        return None  # `0, 1, 2, 3+` are categories, `007` is a code
    codes = find_missing_codes(values, column.counts)
    guess = Guess("number", np.where(np.isin(values, codes), np.nan, values))
    absent = np.isin(values, codes)
    if len(other) <= 10:
        absent |= column.is_known & np.isnan(values)
    if absent.any():
        guess.missing = column.words[absent].tolist()
        rows = int(column.counts[absent].sum())
        guess.doubts["missingValues"] = (
            f"{rows:,} {'row holds' if rows == 1 else 'rows hold'} what looks like `not known`"
        )
    elif len(other):
        rows = int(column.counts[other.index].sum())
        guess.doubts["constraints"] = f"{rows:,} rows hold no number and count as invalid"
    return _describe(column, guess)


def _describe(column: Column, guess: Guess) -> Guess:
    """Say whether numbers are identifiers, codes or quantities, and bound them."""
    known = ~np.isnan(guess.values)
    values, counts = guess.values[known], column.counts[known]
    if not len(values):
        guess.unused = "every value is missing"
        return guess
    whole = bool(np.all(values % 1 == 0))
    low, high = float(values.min()), float(values.max())
    alone = bool(counts.max() == 1) and len(values) >= 20
    named = column_names.tells(column_names.IDENTITY, column.name)
    if whole and alone and (named or high - low + 1 == len(values)):
        guess.left_out = "an identifier: a different number in each row"
    elif whole and named and len(values) > MAX_CATEGORIES:
        guess.left_out = "an identifier, by its name"
    elif (
        whole
        and column_names.tells(column_names.CODE, column.name)
        and not column_names.tells(column_names.QUANTITY, column.name)
    ):
        return _describe_codes(column, guess)
    middle = np.argsort(values)
    place = np.searchsorted(counts[middle].cumsum(), [0.5 * counts.sum(), 0.999 * counts.sum()])
    median, most = values[middle][place]
    fraction = column.words[known].str.contains(".", regex=False).any()
    wide = high >= 10_000 and len(values) > 100
    if (
        whole
        and not fraction
        and not wide
        and not column_names.tells(column_names.FRACTION, column.name)
    ):
        guess.type = "integer"
    guess.minimum, guess.maximum = round_bounds(
        low, high, column_names.tells(column_names.PERCENT, column.name)
    )
    guess.example = without_fraction(median)
    guess.observed = f"observed {low:,.10g} to {high:,.10g}"
    if high > 2 * most > 0 and np.log(high / most) > 0.66 * np.log(most / max(median, 1)):
        guess.doubts["constraints"] = f"99.9 % of the rows are up to {most:,.10g}: errors above?"
    return guess


def _describe_codes(column: Column, guess: Guess) -> Guess:
    """Describe whole numbers that are codes of categories."""
    guess.type = "integer"
    codes = np.unique(guess.values[~np.isnan(guess.values)])
    if len(codes) > MAX_CATEGORIES:
        guess.unused = f"{len(codes):,} different codes"
        return guess
    guess.enum = [int(c) for c in codes]
    guess.doubts["constraints"] = (
        "taken for codes without an order; if it is a quantity, give bounds"
    )
    guess.example = int(guess.values[column.place_of_most_frequent(~np.isnan(guess.values))])
    guess.values = np.where(np.isnan(guess.values), np.nan, np.searchsorted(codes, guess.values))
    return guess


def find_missing_codes(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return those of the values (k,), with the rows of each (k,), that seem to mean "not known".

    Negative ones such as -7, -8, -9 or -99 where everything else is 0 or above, and repeated ones
    such as 96, 98, 99, 998 or 999 at least twice as high as everything else.
    """
    known = ~np.isnan(values)
    order = np.argsort(values[known])
    values, counts = values[known][order], counts[known][order]
    below = values[values < 0]
    rest, rows = values[values >= 0], counts[values >= 0]
    if not np.isin(below, NEGATIVE).all() or len(rest) < 2 or (rest.max() <= 1 and below.size == 1):
        below = below[:0]
    top = rest > rest.max(initial=0) / 2
    apart = np.isin(rest[top], HIGH).all() and np.count_nonzero(~top) > 1
    return np.append(below, rest[top] if apart and rows[top].min() > 2 else [])


def round_bounds(low: float, high: float, percent: bool) -> tuple[float, float]:
    """Return round numbers around the observed ones; 0 to 100 for what looks like a percentage."""
    if percent and low >= 0 and 20 < high <= 100:
        return 0.0, 100.0
    if low > high / 3 > 0:
        step = 10.0 ** np.floor(np.log10(max(high - low, high / 100)))
        room = (high - low) / 4
        ends = np.floor((low - room) / step) * step, np.ceil((high + room) / step) * step
        return round(float(ends[0]), 12), round(float(ends[1]), 12)
    return (-next_round_number(-1.2 * low) if low < 0 else 0.0), (
        next_round_number(1.2 * high) if high > 0 else 0.0
    )


def next_round_number(x: float) -> float:
    """Return the first of 1, 1.2, 1.5, 2, 3, 5, 8, 10, 12, ... that is not below x > 0."""
    power = int(np.floor(np.log10(x)))
    return next(float(f"{m}e{power}") for m in ROUND if m * 10.0**power >= x * (1 - 1e-12))


def without_fraction(value: float) -> int | float:
    """Return a number, as an integer where it is a whole one."""
    return int(value) if float(value).is_integer() else float(value)
