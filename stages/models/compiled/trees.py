"""Boosted trees for one row or a few: the same margin to the last bit, and exact Shapley values.

A booster's library takes longer to call than its trees take to read, and milliseconds for Shapley
values. Here the values of each feature fall into bins, and tables say for each bin which leaves can
be reached with it.

- For the margin a bin has a word for each tree, with a bit for each leaf. The AND over the features
  leaves one bit in a tree: the leaf that the row falls into (QuickScorer, Lucchese et al. 2015).
- For the Shapley values a bin has a few bits for each leaf, one for each feature on its path. A
  leaf's Shapley values depend on its bits alone, so they are computed once for all combinations of
  them, and looked up (the idea of Fast TreeSHAP, Yang 2021).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.models.compiled.forest import (
    Forest,
    Leaf,
    NotCompiled,
    bins_of,
    category,
    leaves_of,
    lightgbm_forest,
    xgboost_forest,
)
from stages.models.scorers import LightGBM, Scorer, Selected, XGBoost

LARGEST = 160e6  # bytes of the tables for Shapley values; more is left to the library
WORD = 64  # leaves


class Trees:
    """A compiled forest; made by `compiled`."""

    def __init__(self, forest: Forest, library: Scorer) -> None:
        self._forest, self._library = forest, library
        self._bins, self._sizes = bins_of(forest)
        first = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        self._first: list[int] = first.tolist()
        leaves = list(leaves_of(forest, self._bins, self._sizes))
        self._words = Words(leaves, self._first, sum(self._sizes), forest)
        few = [leaf for leaf in leaves if len(leaf.reach) <= 8]
        many = [leaf for leaf in leaves if len(leaf.reach) > 8]
        self._parts = [
            Part(own, kind, self._first, sum(self._sizes), forest.features)
            for own, kind in ((few, np.uint8), (many, np.uint16))
            if own and size_of(leaves, sum(self._sizes)) <= LARGEST
        ]
        self._base = forest.start + sum(part.expected for part in self._parts)

    def margin(self, x: Floats) -> Floats:
        """Features (n, F) → log-odds (n,), the same bits as the library's."""
        return self._words.margin(self._rows(x))

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values and the expected margin."""
        if not self._parts:
            return self._library.contributions(x)
        out = np.empty((len(x), x.shape[1] + 1))
        for place, rows in enumerate(self._rows(x)):
            out[place, :-1] = sum(part.shapley(part.bits(rows)) for part in self._parts)
        out[:, -1] = self._base
        return out

    def _rows(self, x: Floats) -> list[list[int]]:
        """For each row of features (n, F) the tables' rows that belong to its values."""
        with np.errstate(over="ignore"):
            values = x.astype(self._forest.dtype).tolist()
        parts = list(zip(self._bins, self._first, self._sizes, strict=True))
        bisect = self._forest.bisect
        return [
            [
                first + size - 1
                if value != value  # noqa: PLR0124  (NaN)
                else first + (category(value, size) if bins is None else bisect(bins, value))
                for value, (bins, first, size) in zip(row, parts, strict=True)
            ]
            for row in values
        ]


class Words:
    """The table for the margin: a word for each tree, or for every WORD leaves of a large one.

    The word before all others has one leaf, which is always reached: where the sum starts.
    """

    def __init__(self, leaves: list[Leaf], first: list[int], rows: int, forest: Forest) -> None:
        words: list[list[Leaf]] = []
        for _, group in groupby(leaves, key=lambda leaf: leaf.tree):
            own = list(group)
            words += [own[at : at + WORD] for at in range(0, len(own), WORD)]
        kind: Any = np.uint32 if max(map(len, words)) <= WORD // 2 else np.uint64
        table = np.zeros((1 + len(words), rows), kind)
        table[0] = 1
        # The place of a word's one bit counts from 1; without a bit it is 0, and the value 0.
        self._width = 1 + max(map(len, words))
        values = np.zeros((len(table), self._width), forest.dtype)
        values[0, 1] = forest.start
        for place, word in enumerate(words, 1):
            for bit, leaf in enumerate(word):
                reached = np.full(rows, 1 << bit, kind)
                for feature, reach in leaf.reach.items():
                    reached[first[feature] : first[feature] + len(reach)] *= reach
                table[place] |= reached
                values[place, 1 + bit] = leaf.value
        self._table, self._values = np.ascontiguousarray(table.T), values.ravel()
        self._start = np.arange(len(table)) * self._width

    def margin(self, rows: list[list[int]]) -> Floats:
        """The sums of the leaves that are reached (n,), in the order of the trees."""
        words = np.empty((len(rows), len(self._start)), self._table.dtype)
        for own, row in zip(words, rows, strict=True):
            np.bitwise_and.reduce(self._table.take(row, axis=0), axis=0, out=own)
        _, bit = np.frexp(words.astype(np.float64))
        return self._values.take(self._start + bit).cumsum(axis=1)[:, -1].astype(np.float64)


class Part:
    """Leaves whose bits fit into one integer type, sorted by the number of their bits."""

    def __init__(
        self, leaves: list[Leaf], kind: Any, first: list[int], rows: int, features: int
    ) -> None:
        leaves = sorted(leaves, key=lambda leaf: len(leaf.reach))
        by_leaf = np.zeros((len(leaves), rows), kind)
        for own, leaf in zip(by_leaf, leaves, strict=True):
            for bit, (feature, reach) in enumerate(leaf.reach.items()):
                at = first[feature]
                own[at : at + len(reach)] = reach.astype(kind) << bit
        self._table = np.ascontiguousarray(by_leaf.T)
        self._groups: list[tuple[slice, NDArray[np.int64], Floats]] = []
        slots, start, self.expected = [], 0, 0.0
        for width, group in groupby(leaves, key=lambda leaf: len(leaf.reach)):
            own = list(group)
            share = np.array([list(leaf.share.values()) for leaf in own]).reshape(len(own), width)
            value = np.array([leaf.value for leaf in own])
            self.expected += float(value @ share.prod(axis=1))
            if width:
                table = shapley(share, value).reshape(-1, width)
                places = slice(start, start + len(own))
                self._groups.append((places, np.arange(len(own)) << width, table))
                slots += [feature for leaf in own for feature in leaf.reach]
            start += len(own)
        self._slots, self._features = np.array(slots, dtype=np.intp), features

    def bits(self, rows: list[int]) -> NDArray[Any]:
        """The bits of every leaf (L,)."""
        return np.asarray(np.bitwise_or.reduce(self._table.take(rows, axis=0), axis=0))

    def shapley(self, bits: NDArray[Any]) -> Floats:
        """Bits (L,) → the features' Shapley values (F,), summed over the leaves."""
        found = np.empty(len(self._slots))
        end = 0
        for at, first, table in self._groups:
            start, end = end, end + len(first) * table.shape[1]
            # Without `clip`, take checks all places and then copies once more.
            table.take(first + bits[at], 0, found[start:end].reshape(len(first), -1), "clip")
        sums = np.bincount(self._slots, found, self._features)
        return np.asarray(sums, dtype=np.float64)


def size_of(leaves: list[Leaf], rows: int) -> float:
    """The bytes that the tables for Shapley values of these leaves would have."""
    widths = [len(leaf.reach) for leaf in leaves]
    return sum(2.0**d * d * 8 + rows * (1 + (d > 8)) for d in widths)


def compiled(scorer: Scorer) -> Trees | Selected | None:
    """The trees of a scorer; None for one that has none, or that only its library can read."""
    try:
        if isinstance(scorer, Selected):
            inner: Any = compiled(scorer.scorer)
            return inner and Selected(inner, scorer.columns)
        if isinstance(scorer, XGBoost):
            return Trees(xgboost_forest(scorer), scorer)
        if isinstance(scorer, LightGBM):
            return Trees(lightgbm_forest(scorer), scorer)
    except NotCompiled:
        return None
    return None


def shapley(share: Floats, value: Floats) -> Floats:
    """Shapley values of n leaves with d features, for all 2^d combinations of their bits.

    A leaf of value v is worth `v * prod(o_j for j in S) * prod(r_j for j not in S)` to a coalition
    S, where o_j is the bit of feature j and r_j the share of training rows that it lets through.
    For such a product the Shapley value of i is the integral over t from 0 to 1 of
    `v * (o_i - r_i) * prod(r_j + t * (o_j - r_j) for j != i)` (Owen 1972), a polynomial, which
    Gauss and Legendre's rule integrates exactly. `share` (n, d), `value` (n,) → (n, 2^d, d).
    """
    d = share.shape[1]
    bits = (np.arange(1 << d)[:, None] >> np.arange(d)) & 1
    gain = bits[None] - share[:, None]
    nodes, weights = np.polynomial.legendre.leggauss((d + 1) // 2)
    total = np.zeros(gain.shape)
    for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = share[:, None] + t * gain
        total += weight * factors.prod(axis=2, keepdims=True) / factors
    return np.asarray(value[:, None, None] * gain * total)
