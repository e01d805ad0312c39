"""Score and explain rows with boosted trees, without calling their library.

The margins have the same bits as the library's, and the Shapley values are exact. The values of
each feature fall into bins, and the tables of `margins` and `shapley` say for each bin which leaves
it can reach. For one row or a few this is quicker than a call of the library, whose Shapley values
take milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.models.compiled.forest import Forest, bins_of, category, leaves_of
from stages.models.compiled.lines import LeafStretches, half_way_below
from stages.models.compiled.margins import Words
from stages.models.compiled.shapley import Explainer, explainers

FEW_ROWS = 16  # up to this many rows, Python's bisect is the fastest
BLOCK = 2**17  # bytes of rows' words, which then stay in the processor's cache


class Trees:
    """The scorer of a forest; the first call that explains or follows lines makes their tables."""

    libraries = ("numpy", "scipy")

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self._bins, self._sizes = bins_of(forest)
        self._edges = [np.array(bins or [], dtype=np.float64) for bins in self._bins]
        first = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        self._first: list[int] = first.astype(np.int64).tolist()
        leaves = list(leaves_of(forest, self._bins, self._sizes))
        self._words = Words(leaves, self._first, sum(self._sizes), forest)

    def margin(self, x: Floats) -> Floats:
        """Return the log-odds (n,) of the features x (n, F), bit for bit those of the library."""
        if len(x) <= FEW_ROWS:
            return self._words.margin_of_few(self._rows(x))
        places, step = self._places(x), max(1, BLOCK // self._words.row_bytes)
        blocks = [self._words.margin(places[at : at + step]) for at in range(0, len(x), step)]
        return np.concatenate(blocks)

    def contributions(self, x: Floats) -> Floats:
        """Return the Shapley values (n, F + 1) of x (n, F), the expected margin last."""
        out = np.zeros((len(x), x.shape[1] + 1))
        for place, rows in enumerate(self._rows(x)):
            for part in self._explainers:
                out[place, :-1] += part.contributions(rows)
        out[:, -1] = self.forest.start + sum(part.expected for part in self._explainers)
        return out

    def thresholds(self, x: Floats, moving: list[int]) -> dict[int, Floats]:
        """Return for each moving feature where the margins of the rows x (k, F) can change.

        In 32 bits a number falls into the next bin from half way to the threshold on.
        """
        edges = self._lines.edges(self._places(x), moving)
        return {
            feature: half_way_below(self._edges[feature][bins - 1], self.forest.library.dtype)
            for feature, bins in edges.items()
            if len(self._edges[feature])
        }

    def margins_along(self, x: Floats, moving: Mapping[int, Floats]) -> tuple[Floats, float]:
        """Return log-odds (k, m) of x (k, F), some features of which move, and their error.

        The values (k, m) of a moving feature only rise or only fall, and none is missing. The
        error is a bound of the rounding of the sums.
        """
        dtype = self.forest.library.dtype
        bins = {
            feature: np.searchsorted(
                self._edges[feature], values.astype(dtype), self.forest.library.side
            )
            for feature, values in moving.items()
        }
        sums = self._lines.sums(self._places(x), bins)
        return sums, self._rounding * (1 + float(abs(sums).max()))

    def lowest_margin(self, low: Floats, high: Floats) -> float:
        """Return log-odds that no row with features from low to high (F,) falls below."""
        lowest = self._lines.lowest(*self._places(np.stack((low, high))))
        return lowest - self._rounding * (1 + self._lines.largest)

    @cached_property
    def _explainers(self) -> list[Explainer]:
        leaves = list(leaves_of(self.forest, self._bins, self._sizes))
        return explainers(leaves, self._first, sum(self._sizes), self.forest.features)

    @property
    def _rounding(self) -> float:
        """The rounding of a sum over all trees, relative to its size."""
        return (len(self.forest.trees) + 1) * float(np.finfo(self.forest.library.dtype).eps)

    @cached_property
    def _lines(self) -> LeafStretches:
        return LeafStretches(*self._words.by_leaf(), self._first, self._sizes)

    def _rows(self, x: Floats) -> list[list[int]]:
        """Return for each row of x (n, F) the F rows of the tables that its values fall into."""
        with np.errstate(over="ignore"):
            values = x.astype(self.forest.library.dtype).tolist()
        parts = list(zip(self._bins, self._first, self._sizes, strict=True))
        bisect = self.forest.library.bisect
        return [
            [
                first + size - 1
                if value != value  # noqa: PLR0124  (NaN)
                else first + (category(value, size) if bins is None else bisect(bins, value))
                for value, (bins, first, size) in zip(row, parts, strict=True)
            ]
            for row in values
        ]

    def _places(self, x: Floats) -> NDArray[np.intp]:
        """Return the same as `_rows`, as an array (n, F)."""
        if len(x) <= FEW_ROWS:
            return np.array(self._rows(x), dtype=np.intp).reshape(x.shape)
        with np.errstate(over="ignore"):
            values = x.astype(self.forest.library.dtype).astype(np.float64)
        out: NDArray[np.intp] = np.empty(x.shape, dtype=np.intp)
        parts = zip(self._bins, self._edges, self._first, self._sizes, strict=True)
        for j, (bins, edges, first, size) in enumerate(parts):
            column = values[:, j]
            if bins is None:
                bin_ = np.where((column >= 0) & (column < size - 2), column, size - 2)
            else:
                bin_ = np.searchsorted(edges, column, side=self.forest.library.side)
            out[:, j] = first + np.where(np.isnan(column), size - 1, bin_)
        return out
