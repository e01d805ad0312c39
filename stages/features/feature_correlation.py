"""How features are associated: correlations, variance inflation, and ties of categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from stages.compute.engine import MapFunction
from stages.compute.scratch import CHUNK
from stages.features.information_value import Codes, Outcomes, category_cells
from stages.features.matrix import Floats

DIGITS = 9
# An eigenvalue that the rounding of a correlation alone may have left is zero.
ROUNDING = 10.0**-DIGITS


class Columns(Protocol):
    """A matrix (n, F) and its outcomes (n,), of which one column after the other is read."""

    @property
    def bad(self) -> Outcomes:
        """The outcomes (n,)."""
        ...

    def feature(self, j: int) -> Floats:
        """Return a feature (n,)."""
        ...

    def keep_scaled(self, j: int, values: Floats) -> None:
        """Keep a feature (n,) with mean 0 and standard deviation 1."""
        ...

    def read_scaled(self, j: int, chunk: int | None = None) -> Floats:
        """Return a feature that was kept, or CHUNK of its rows."""
        ...


@dataclass
class InMemory:
    """A matrix x (n, F) and its outcomes bad (n,) in memory."""

    x: Floats
    bad: Outcomes
    _scaled: dict[int, Floats] = field(default_factory=dict)

    def feature(self, j: int) -> Floats:
        """Return a feature (n,)."""
        column: Floats = self.x[:, j]
        return column

    def keep_scaled(self, j: int, values: Floats) -> None:
        """Keep a feature (n,) with mean 0 and standard deviation 1."""
        self._scaled[j] = values

    def read_scaled(self, j: int, chunk: int | None = None) -> Floats:
        """Return a feature that was kept, or CHUNK of its rows."""
        values = self._scaled[j]
        return values if chunk is None else values[chunk * CHUNK : (chunk + 1) * CHUNK]


def correlate(table: Columns, width: int, run: MapFunction) -> Floats:
    """Return the correlations (F, F) of the features that were kept."""
    rows = len(table.bad)
    products = run(partial(multiply, table, width), range(-(-rows // CHUNK)))
    correlation = np.round(sum(products) / rows, DIGITS)
    np.fill_diagonal(correlation, 1)
    return correlation


def multiply(table: Columns, width: int, chunk: int) -> Floats:
    """Return the sums of products (F, F) of the features in a chunk of the rows."""
    values = np.stack([table.read_scaled(j, chunk) for j in range(width)])
    with threadpool_limits(1):
        products: Floats = values @ values.T
    return products


def variance_inflation(correlation: Floats) -> Floats:
    """Return the VIF of each feature, from their correlation matrix (F, F).

    It is the diagonal of the inverse, and infinite for a feature that is a linear combination of
    others. A feature that never varies correlates with none: its VIF is 1.
    """
    size = len(correlation)
    with threadpool_limits(1):
        values, vectors = np.linalg.eigh(correlation)
    share = vectors**2
    none = values <= size * ROUNDING
    finite = share[:, ~none] @ (1 / values[~none])
    determined = share[:, none].sum(axis=1) > ROUNDING
    return np.where(determined, np.inf, finite)


def associate(
    table: Columns, categories: list[int], correlation: Floats, run: MapFunction
) -> Floats:
    """Return the strength (F, F) of the association between each pair of features, from 0 to 1."""
    strength = np.abs(correlation)
    rows = run(partial(associate_category, table, categories, len(strength)), categories)
    for j, row in zip(categories, rows, strict=True):
        for k, value in row.items():
            strength[j, k] = strength[k, j] = value
    return strength


def associate_category(
    table: Columns, categories: list[int], width: int, j: int
) -> dict[int, float]:
    """Return the strength with which a category goes with each number, and each later category."""
    level = category_cells(table.feature(j))
    strength = {j: 1.0}
    for k in range(width):
        if k not in categories:
            strength[k] = correlation_ratio(table.read_scaled(k), level)
        elif k > j:
            strength[k] = cramers_v(level, category_cells(table.feature(k)))
    return strength


def correlation_ratio(values: Floats, level: Codes) -> float:
    """Return how far a category (n,) determines a number (n,): the root of epsilon squared.

    Epsilon squared is the share of variance between levels, less what levels of random members
    would show (Kelley 1935).
    """
    rows = np.bincount(level)
    used = rows > 0
    degrees = len(values) - int(used.sum())
    spread = float(np.sum((values - values.mean()) ** 2))
    if degrees <= 0 or spread == 0:
        return 0.0
    means = np.bincount(level, weights=values)[used] / rows[used]
    within = max(0.0, spread - float(rows[used] @ (means - values.mean()) ** 2))
    return math.sqrt(max(0.0, 1 - within / spread * (len(values) - 1) / degrees))


def cramers_v(first: Codes, second: Codes) -> float:
    """Return Cramér's V of two categories (n,) each, corrected for its bias (Bergsma 2013).

    Two categories that have nothing to do with each other show a chi-square of their degrees of
    freedom on average, so that is subtracted; and as many levels as fewer rows could fill are left.
    """
    n, width = len(first), int(second.max()) + 1
    rows, columns = np.bincount(first), np.bincount(second)
    pair, times = np.unique(first * width + second, return_counts=True)
    expected = rows[pair // width] * columns[pair % width]
    chi_square_per_row = float(np.sum(times**2 / expected)) - 1
    steps = int((rows > 0).sum()) - 1, int((columns > 0).sum()) - 1
    above_chance = chi_square_per_row - steps[0] * steps[1] / (n - 1)
    largest = min(step - step**2 / (n - 1) for step in steps)
    return math.sqrt(min(1.0, max(0.0, above_chance / largest))) if largest > 0 else 0.0
