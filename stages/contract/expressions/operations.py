"""What an expression does with columns of numbers, element by element.

A missing number is NaN. A truth is 1 or 0, and NaN where it cannot be told. `+ - * /`, roots and
comparisons are exact to the last bit by IEEE 754; logarithms and powers are taken by the C library
one by one, because NumPy's vectors round them in other ways for other lengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = Floats | float
"""A column (n,), or one number for all rows."""
NAN = math.nan


def as_days(dates: NDArray[np.datetime64]) -> Floats:
    """Return dates (n,) as the days since 1970, NaN where one is missing."""
    days = dates.astype("datetime64[D]")
    return np.where(np.isnat(days), NAN, days.astype(np.float64))


def divide(over: Numbers, under: Numbers) -> Numbers:
    """Return the quotient, NaN where the divisor is 0."""
    under = np.asarray(under, dtype=np.float64)
    return np.where(under == 0, NAN, np.divide(over, np.where(under == 0, 1.0, under)))


def power(base: Numbers, exponent: Numbers) -> Numbers:
    """Return the base raised to the exponent, NaN where it is no real number."""
    return _one_by_one(_power, base, exponent)


def log(x: Numbers) -> Numbers:
    """Return the natural logarithm, NaN for 0 and below."""
    return _one_by_one(_log, x)


def sqrt(x: Numbers) -> Numbers:
    """Return the square root, NaN below 0."""
    return np.sqrt(x)


def least(*values: Numbers) -> Numbers:
    """Return the least of several values, NaN where one is missing."""
    return reduce(np.minimum, values)


def greatest(*values: Numbers) -> Numbers:
    """Return the largest of several values, NaN where one is missing."""
    return reduce(np.maximum, values)


def where(truth: Numbers, then: Numbers, otherwise: Numbers) -> Numbers:
    """Return one value where a truth holds and the other where it does not, else NaN."""
    return np.where(np.equal(truth, 1), then, np.where(np.equal(truth, 0), otherwise, NAN))


def missing(x: Numbers) -> Numbers:
    """Return 1 where a value is missing, else 0."""
    return np.isnan(x).astype(np.float64)


def negate(truth: Numbers) -> Numbers:
    """Return 0 for 1 and 1 for 0; what cannot be told stays so."""
    return 1.0 - np.asarray(truth)


def both(left: Numbers, right: Numbers) -> Numbers:
    """Return whether two truths hold: 0 where one does not, whatever the other is."""
    return np.where(np.equal(left, 0) | np.equal(right, 0), 0.0, np.multiply(left, right))


def either(left: Numbers, right: Numbers) -> Numbers:
    """Return whether one of two truths holds: 1 where one does, whatever the other is."""
    return np.where(np.equal(left, 1) | np.equal(right, 1), 1.0, np.add(left, right))


def compare(holds: Callable[[Numbers, Numbers], Numbers], left: Numbers, right: Numbers) -> Numbers:
    """Return whether a comparison holds; NaN where a side is missing."""
    unknown = np.isnan(left) | np.isnan(right)
    return np.where(unknown, NAN, holds(left, right))


def is_in(x: Numbers, values: list[float]) -> Numbers:
    """Return whether a value is one of those listed; NaN where it is missing."""
    return np.where(np.isnan(x), NAN, np.isin(x, values))


def days_between(start: Numbers, end: Numbers) -> Numbers:
    """Return the days from one date to another, both counted from 1970."""
    return np.floor(end) - np.floor(start)


def months_between(start: Numbers, end: Numbers) -> Numbers:
    """Return the whole months from one date to another: from 31 January to 28 February none."""
    months = _month(end) - _month(start)
    first, last = _day_of_month(start), _day_of_month(end)
    short = np.where(months > 0, last < first, (months < 0) & (last > first))
    return months - np.sign(months) * short


def years_between(start: Numbers, end: Numbers) -> Numbers:
    """Return the whole years from one date to another, as birthdays count them."""
    return np.trunc(months_between(start, end) / 12)


def _month(day: Numbers) -> Numbers:
    """Return the months since January 1970, NaN for a missing date."""
    return _of_day(day, lambda d: d.astype("datetime64[M]").astype(np.float64))


def _day_of_month(day: Numbers) -> Numbers:
    """Return the day of the month from 1, NaN for a missing date."""
    first = "datetime64[M]"
    return _of_day(day, lambda d: (d - d.astype(first).astype(d.dtype)).astype(np.float64) + 1.0)


def _of_day(day: Numbers, count: Callable[[NDArray[np.datetime64]], Floats]) -> Numbers:
    day = np.asarray(day, dtype=np.float64)
    present = ~np.isnan(day)
    whole = np.where(present, np.floor(day), 0.0).astype(np.int64).astype("datetime64[D]")
    return np.where(present, count(whole), NAN)


def _one_by_one(function: Callable[..., float], *values: Numbers) -> Numbers:
    columns = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in values))
    numbers = map(function, *(column.ravel().tolist() for column in columns))
    return np.fromiter(numbers, np.float64, columns[0].size).reshape(columns[0].shape)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else NAN


def _power(base: float, exponent: float) -> float:
    if math.isnan(base) or math.isnan(exponent):
        return NAN  # pow(1, NaN) and pow(NaN, 0) would be 1
    try:
        return math.pow(base, exponent)
    except ValueError:
        return NAN
    except OverflowError:
        return math.inf if base > 0 or exponent % 2 == 0 else -math.inf
