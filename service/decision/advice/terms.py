"""What an answer depends on, as a function of the value of one field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats


@dataclass(frozen=True)
class MovingTerm:
    """`p + q v + s / v` of a field's value v, for each of k rows: (k, 1) or a number each."""

    p: Floats | float = 0.0
    q: Floats | float = 0.0
    s: Floats | float = 0.0

    def minus(self, other: MovingTerm, factor: float, offset: float) -> MovingTerm:
        """Return this term less `factor * other + offset`."""
        return MovingTerm(
            self.p - factor * other.p - offset, self.q - factor * other.q, self.s - factor * other.s
        )

    def may_reach_0(self, low: Floats, high: Floats, error: float) -> NDArray[np.bool_]:
        """Tell where this term may be within the error of 0 between two places (k, m)."""
        with np.errstate(all="ignore"):
            turn = np.sqrt(np.asarray(self.s) / self.q)
            places = (low, high, np.clip(turn, low, high), np.clip(-turn, low, high))
            values = [self.p + self.q * v + np.where(self.s == 0, 0.0, self.s / v) for v in places]
        values[2:] = [np.where(np.isnan(value), values[0], value) for value in values[2:]]
        return np.asarray(
            (np.minimum.reduce(values) <= error) & (np.maximum.reduce(values) >= -error)
        )

    def roots(self) -> Floats:
        """Return the two values at which the term is 0: (k, 2), NaN or infinite where it is not."""
        p, q, s = np.broadcast_arrays(*map(np.atleast_2d, (self.p, self.q, self.s)))
        with np.errstate(all="ignore"):
            # Neither division subtracts numbers of nearly the same size.
            half = -(p + np.where(p < 0, -1.0, 1.0) * np.sqrt(p * p - 4 * q * s)) / 2
            return np.concatenate((half / q, s / half), axis=1)
