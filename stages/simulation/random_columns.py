"""Random columns from one seeded stream, the same to the last bit on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RandomColumns:
    """Random columns of `rows` values from one seeded stream."""

    def __init__(self, rows: int, seed: int | Sequence[int]) -> None:
        self.rows = rows
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def uniform(self) -> Floats:
        """Return uniform numbers in [0, 1)."""
        return self.rng.random(self.rows)

    def chance(self, share: float | Floats) -> NDArray[np.bool_]:
        """Return True with the probability `share`, which is one for all rows or one for each."""
        return self.uniform() < share

    def bell(self) -> Floats:
        """Return nearly standard normal numbers: twelve uniform ones less six; no exp, no log."""
        total = np.full(self.rows, -6.0)
        for _ in range(12):
            total += self.uniform()
        return total

    def integers(self, low: int | Ints, high: int | Ints) -> Ints:
        """Return uniform integers from `low` to `high`, both included."""
        return np.asarray(low + np.floor(self.uniform() * (high - low + 1)), dtype=np.int64)

    def pick(self, weights: Sequence[float] | Floats) -> Ints:
        """Return indices drawn in proportion to the weights (choices,)."""
        limits = np.cumsum(weights)
        indices = np.searchsorted(limits[:-1], limits[-1] * self.uniform(), side="right")
        return np.asarray(indices, dtype=np.int64)

    def pick_by_row(self, shares: Floats) -> Ints:
        """Return indices drawn with the shares of each row (rows, choices)."""
        limits = np.cumsum(shares, axis=1)[:, :-1]
        return np.asarray((self.uniform()[:, None] >= limits).sum(axis=1), dtype=np.int64)

    def within(self, edges: Sequence[float], band: Ints) -> Floats:
        """Return uniform numbers between the edges of each row's band."""
        return np.array(edges)[band] + np.diff(edges)[band] * self.uniform()
