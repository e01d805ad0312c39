"""Score a forest along lines: many values of a few features while the others stay as they are.

Only the leaves that the fixed features leave open are read. Along a line a leaf is reached on one
stretch: its value is added where the stretch begins and taken away behind its end, and a running
sum gives the margin of every place. So a line of a thousand places costs little more than one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats

Numbers = NDArray[np.int64]


class LeafStretches:
    """The leaves of a forest as stretches of bins.

    `table` (bins of all features, words) has a bit for each leaf that a bin leaves open, and
    `values` (words, width) the leaves' values; `trees` are the first words of each tree. `first`
    and `sizes` say where in the table the bins of each feature stand, the last of which is that of
    missing values.
    """

    def __init__(
        self,
        table: NDArray[Any],
        values: Floats,
        trees: NDArray[np.intp],
        first: Sequence[int],
        sizes: Sequence[int],
    ) -> None:
        self._table, self._first, self._sizes = table, first, sizes
        self._trees = trees
        bits = table.dtype.itemsize * 8
        padded = np.zeros((len(values), bits))
        padded[:, : values.shape[1]] = values
        self._values = padded.ravel()
        self._stretches: dict[int, tuple[Numbers, Numbers]] = {}

    def sums(self, rows: NDArray[np.intp], moving: Mapping[int, Numbers]) -> Floats:
        """Return the sums of the leaves that are reached along k lines of m places: (k, m).

        `rows` (k, F) are the table's rows of the fixed features; `moving` has the bins (k, m) of
        every other feature, which only rise or only fall along a line and are never missing.
        """
        leaves, is_open = self._open_leaves(rows, [*moving])
        k, m = next(iter(moving.values())).shape
        bounds = {f: [bound[leaves] for bound in self._stretch(f)] for f in moving}
        whole = is_open.all(axis=0)
        for f, (low, high) in bounds.items():
            whole &= (low == 0) & (high == self._sizes[f] - 1)
        line, leaf = np.nonzero(is_open & ~whole)
        start, end = np.zeros(len(leaf), dtype=np.int64), np.full(len(leaf), m)
        for f, bins in moving.items():
            low, high = (bound[leaf] for bound in bounds[f])
            before = places_below(bins, self._sizes[f])
            first, last = before[line, low], before[line, high]
            if (bins[:, 0] > bins[:, -1]).any():  # they fall
                first, last = m - last, m - first
            start, end = np.maximum(start, first), np.minimum(end, last)
        reached = start < end
        at, value = line[reached] * (m + 1), self._values[leaves[leaf[reached]]]
        size = k * (m + 1)
        change = np.bincount(at + start[reached], value, size)
        change -= np.bincount(at + end[reached], value, size)
        sums = change.reshape(k, m + 1).cumsum(axis=1)[:, :m]
        return np.asarray(sums + self._values[leaves[whole]].sum())

    @cached_property
    def largest(self) -> float:
        """The sum of the largest leaf of each tree, without its sign."""
        values = abs(self._values).reshape(self._table.shape[1], -1).max(axis=1)
        return float(np.maximum.reduceat(values, self._trees).sum())

    def lowest(self, low: NDArray[np.intp], high: NDArray[np.intp]) -> float:
        """Return the sum of the lowest leaf of each tree that any bins from low to high (F,) open.

        `low` and `high` are rows of the table.
        """
        wide = low < high
        words = np.bitwise_and.reduce(self._table[low[~wide]], axis=0)
        for start, end in zip(low[wide], high[wide], strict=True):
            words &= np.bitwise_or.reduce(self._table[start : end + 1], axis=0)
        is_open = np.unpackbits(words.view(np.uint8), bitorder="little").astype(np.bool_)
        values = np.where(is_open, self._values, np.inf).reshape(len(words), -1).min(axis=1)
        return float(np.minimum.reduceat(values, self._trees).sum())

    def edges(self, rows: NDArray[np.intp], moving: list[int]) -> dict[int, Numbers]:
        """Return for each moving feature the bins (b,) at which any leaf begins or ends.

        `rows` (k, F) are the table's rows of the fixed features in k lines.
        """
        leaves, _ = self._open_leaves(rows, moving)
        edges = {}
        for f in moving:
            bounds = np.unique(np.concatenate([bound[leaves] for bound in self._stretch(f)]))
            edges[f] = bounds[(bounds > 0) & (bounds < self._sizes[f] - 1)]
        return edges

    def _open_leaves(
        self, rows: NDArray[np.intp], moving: list[int]
    ) -> tuple[Numbers, NDArray[np.bool_]]:
        """Return the leaves (l,) that the fixed features leave open in any line, and in which."""
        fixed = np.delete(np.arange(rows.shape[1]), moving)
        same = (rows[:, fixed] == rows[0, fixed]).all(axis=0)
        words = np.bitwise_and.reduce(self._table[rows[0, fixed[same]]], axis=0)[None]
        for feature in fixed[~same]:
            words = words & self._table[rows[:, feature]]
        union = np.bitwise_or.reduce(words, axis=0)
        leaves = np.flatnonzero(np.unpackbits(union.view(np.uint8), bitorder="little"))
        word, bit = np.divmod(leaves, self._table.dtype.itemsize * 8)
        is_open = words[:, word] >> bit.astype(words.dtype) & 1
        return leaves, np.broadcast_to(is_open.astype(np.bool_), (len(rows), len(leaves)))

    def _stretch(self, feature: int) -> tuple[Numbers, Numbers]:
        """Return for each leaf the first bin of a feature that reaches it, and the one behind."""
        if feature not in self._stretches:
            at = self._first[feature]
            bins = np.ascontiguousarray(self._table[at : at + self._sizes[feature] - 1])
            reach = np.unpackbits(bins.view(np.uint8), axis=1, bitorder="little")
            any_bin = reach.any(axis=0)
            low = np.where(any_bin, reach.argmax(axis=0), 0)
            high = np.where(any_bin, len(reach) - reach[::-1].argmax(axis=0), 0)
            self._stretches[feature] = low, high
        return self._stretches[feature]


def places_below(bins: Numbers, size: int) -> Numbers:
    """Return how many of the m places of each line lie in bins below 0, 1, ...: (k, size + 2)."""
    k = len(bins)
    flat = np.arange(k)[:, None] * (size + 2) + bins + 1
    counts = np.bincount(flat.ravel(), minlength=k * (size + 2)).reshape(k, size + 2)
    return np.asarray(counts.cumsum(axis=1))


def half_way_below(thresholds: Floats, dtype: type[np.floating[Any]]) -> Floats:
    """Return thresholds (t,) of numbers that are rounded to a type, for numbers of 64 bits."""
    if dtype is np.float64:
        return thresholds
    below = np.nextafter(thresholds.astype(dtype), dtype(-np.inf))
    return np.asarray((thresholds + below.astype(np.float64)) / 2)
