"""The values of a field that may be advised: multiples of its step, within its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from stages.contract.fields.field import Field
from stages.contract.fields.parts import Scalar
from stages.features.encoding import decode
from stages.features.matrix import Floats

DIGITS = 3  # of the present value that a step keeps where the contract gives none
ROUNDING = 1e-9  # of a place: a multiple of the step that is so near may lie on either side
MOST_CODES = 1000  # categories of a field that are tried


class AllowedValues:
    """The allowed values of a field on one side of its present value, the nearest first.

    They are multiples of the contract's `step`. A category's are its other codes. `side` is 1 for
    higher values and -1 for lower ones. The denominator of a ratio never reaches 0.
    """

    def __init__(self, field: Field, now: float, side: int, denominator: bool = False) -> None:
        self.field, self.now, self.side = field, now, side
        self.step = step_of(field, now)
        low, high = field.constraints.minimum, field.constraints.maximum
        if low is None or denominator:
            least = 0.0 if now >= 0 else -math.inf
            low = least if low is None else max(low, least)
        high = math.inf if high is None else high
        self._decimals = max(0, -int(Decimal(str(self.step)).as_tuple().exponent))
        if side > 0:
            ends = self._place(now, math.floor) + 1, self._place(high, math.floor)
        else:
            ends = self._place(low, math.ceil), self._place(now, math.ceil) - 1
        self._first, self._last = ends
        if denominator and self._first == 0:
            self._first = 1.0

    @property
    def count(self) -> float:
        """How many values are allowed; infinite where the contract sets no bound."""
        return max(0.0, self._last - self._first + 1)

    def near(self, places: Floats) -> Floats:
        """Return the allowed values next to places (k, p), the nearest of each row first: (k, v).

        Between two places that follow one another no other value is nearer to the present one, or
        farther from it. The nearest value and the farthest are always among them.
        """
        if self.count <= 3 * places.shape[1]:
            return np.repeat(self.within(math.inf, int(self.count))[0][None], len(places), axis=0)
        with np.errstate(invalid="ignore"):
            quotient = places / self.step
        quotient = np.where(np.isfinite(quotient), quotient, self._nearest)
        error = ROUNDING * abs(quotient)
        ends = [end for end in (self._first, self._last) if math.isfinite(end)]
        multiples = (
            np.floor(quotient - error),
            np.rint(quotient),
            np.floor(quotient + error) + 1,
            np.tile(ends, (len(places), 1)),
        )
        steps = np.concatenate(multiples, axis=1).clip(self._first, self._last)
        return self._values(np.sort(self.side * steps, axis=1) * self.side)

    def farthest(self, distance: float) -> float:
        """Return the end of the allowed values, or of the distance where that is nearer."""
        end = self.step * (self._last if self.side > 0 else self._first)
        nearer = min if self.side > 0 else max
        return nearer(end, self.now + self.side * distance)

    def within(self, distance: float, most: int) -> tuple[Floats, bool]:
        """Return the values (n,) up to a distance, and whether all of them: no more than `most`."""
        count = min(self.count, distance / self.step + 1)
        if count <= most:
            places = np.arange(math.ceil(count))
        else:
            far = min(count, 1e12)
            places = np.unique(np.rint(np.geomspace(1, far, most))) - 1
        values = self._values(self._nearest + self.side * places)
        return values[abs(values - self.now) <= distance], count <= most

    @property
    def _nearest(self) -> float:
        return self._first if self.side > 0 else self._last

    def _place(self, value: float, rounded: Callable[[float], int]) -> float:
        if math.isinf(value):
            return value
        # A bound such as 0.3 is a multiple of 0.1, though their quotient in binary is not whole.
        quotient = value / self.step
        nearest = round(quotient)
        if math.isclose(quotient, nearest, rel_tol=1e-12):
            return float(nearest)
        return float(rounded(quotient))

    def _values(self, steps: NDArray[np.floating] | float) -> Floats:
        return np.asarray(np.round(steps * self.step, self._decimals))


def step_of(field: Field, now: float) -> float:
    """Return the contract's step; without one 1 for an integer, else three digits of the value."""
    if field.step is not None:
        return field.step
    if field.type == "integer" or now == 0:
        return 1.0
    return float(f"1e{math.floor(math.log10(abs(now))) - DIGITS + 1}")


def codes_of(field: Field, now: float) -> Floats:
    """Return the other codes of a category; only those in its direction where it is ordered."""
    others = np.array(sorted({code for code in field.codes.values() if code != now}))
    if field.actionable == "increase":
        others = others[others > now]
    if field.actionable == "decrease":
        others = others[others < now]
    return others[np.argsort(abs(others - now), kind="stable")][:MOST_CODES]


def sides_of(field: Field) -> tuple[int, ...]:
    """Return the sides to which an applicant can change a field: 1 is up, -1 is down."""
    return {"increase": (1,), "decrease": (-1,)}.get(str(field.actionable), (-1, 1))


def raw(field: Field, value: float) -> Scalar | None:
    """Return an encoded value as a request would write it: 54409, not 54409.0."""
    decoded = decode(field, value)
    return int(decoded) if type(decoded) is float and decoded.is_integer() else decoded
