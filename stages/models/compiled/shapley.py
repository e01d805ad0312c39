"""Compute the exact Shapley values of trees, leaf by leaf.

A bin has a few bits for each leaf, one for each feature on its path. A leaf's Shapley values depend
only on its bits. `Tables` holds them for all combinations of the bits and looks them up (the idea
of Fast TreeSHAP, Yang 2021); `LeafFormula` computes them for each row, where the tables would be
large.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stages.features.matrix import Floats
from stages.models.compiled.forest import Leaf

LARGEST = 160e6  # bytes of the tables
SIZE = 4096  # leaves in a group, whose numbers then stay in the processor's cache
WIDEST = 16  # features on a path, of which the tables hold a bit each


class Explainer(Protocol):
    """The Shapley values of some leaves; `expected` is the sum of their expected values."""

    expected: float

    def contributions(self, rows: list[int]) -> Floats:
        """Return the Shapley values (F,) of a row, by the tables' rows that belong to its bins."""
        ...


def explainers(leaves: list[Leaf], first: list[int], rows: int, features: int) -> list[Explainer]:
    """Return the explainers of a forest's leaves; `rows` counts the bins of all features."""
    widest = max((len(leaf.reach) for leaf in leaves), default=0)
    if widest > WIDEST or size_of(leaves, rows) > LARGEST:
        return [LeafFormula(leaves, first, features)]
    few = [leaf for leaf in leaves if len(leaf.reach) <= 8]
    many = [leaf for leaf in leaves if len(leaf.reach) > 8]
    parts: list[tuple[list[Leaf], DTypeLike]] = [(few, np.uint8), (many, np.uint16)]
    return [Tables(part, integer, first, rows, features) for part, integer in parts if part]


def size_of(leaves: list[Leaf], rows: int) -> float:
    """Return how many bytes the tables of these leaves would have."""
    widths = [len(leaf.reach) for leaf in leaves]
    return sum(2.0**d * d * 8 + rows * (1 + (d > 8)) for d in widths)


class LeafGroup:
    """Leaves with the same number d of features on their paths: shares (d, L), values (L,)."""

    def __init__(self, leaves: list[Leaf]) -> None:
        d = len(leaves[0].reach)
        self.leaves = leaves
        shares = np.array([[*leaf.share.values()] for leaf in leaves])
        self.share = shares.reshape(len(leaves), d).T.copy()
        self.value = np.array([leaf.value for leaf in leaves])
        self.expected = float(self.value @ self.share.prod(axis=0))

    @classmethod
    def by_width(cls, leaves: list[Leaf]) -> list[LeafGroup]:
        """Return all leaves in groups of at most SIZE, those with the fewest features first."""

        def width(leaf: Leaf) -> int:
            return len(leaf.reach)

        groups = (list(group) for _, group in groupby(sorted(leaves, key=width), key=width))
        return [cls(group[at : at + SIZE]) for group in groups for at in range(0, len(group), SIZE)]


class Tables:
    """Leaves whose bits fit into one integer type, sorted by the number of their bits."""

    def __init__(
        self, leaves: list[Leaf], integer: DTypeLike, first: list[int], rows: int, features: int
    ) -> None:
        groups = LeafGroup.by_width(leaves)
        by_leaf = np.zeros((len(leaves), rows), integer)
        for row, leaf in zip(by_leaf, (leaf for g in groups for leaf in g.leaves), strict=True):
            for bit, (feature, reach) in enumerate(leaf.reach.items()):
                at = first[feature]
                row[at : at + len(reach)] = reach.astype(integer) << bit
        self._table = np.ascontiguousarray(by_leaf.T)
        self._groups: list[tuple[slice, NDArray[np.int64], Floats]] = []
        slots, start, self.expected = [], 0, 0.0
        for group in groups:
            width, count = group.share.shape
            self.expected += group.expected
            if width:
                bits = (np.arange(1 << width) >> np.arange(width)[:, None]) & 1
                values = shapley(group.share[..., None], group.value[:, None], bits[:, None])
                places = slice(start, start + count)
                table = np.ascontiguousarray(values.reshape(width, -1).T)
                self._groups.append((places, np.arange(count) << width, table))
                slots += [feature for leaf in group.leaves for feature in leaf.reach]
            start += count
        self._slots, self._features = np.array(slots, dtype=np.intp), features

    def contributions(self, rows: list[int]) -> Floats:
        """Return the Shapley values (F,) of a row, by the tables' rows that belong to its bins."""
        bits = np.bitwise_or.reduce(self._table.take(rows, axis=0), axis=0)
        values = np.empty(len(self._slots))
        end = 0
        for at, first, table in self._groups:
            start, end = end, end + len(first) * table.shape[1]
            # Without `clip`, take checks all places and then copies once more.
            part = values[start:end].reshape(len(first), -1)
            np.take(table, first + bits[at], axis=0, out=part, mode="clip")
        return np.asarray(np.bincount(self._slots, values, self._features), dtype=np.float64)


class LeafFormula:
    """Leaves with paths of any length: `_reach` says which bins lead to which leaf."""

    def __init__(self, leaves: list[Leaf], first: list[int], features: int) -> None:
        self._groups = LeafGroup.by_width(leaves)
        self.expected = sum(group.expected for group in self._groups)
        stored: dict[bytes, int] = {}  # the start of each reach; equal ones are stored once
        slots, start, size = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], 0
        for group in self._groups:
            starts = np.zeros((len(group.leaves), len(group.share)), np.intp)
            for row, leaf in zip(starts, group.leaves, strict=True):
                for bit, bins in enumerate(leaf.reach.values()):
                    reach = bins.tobytes()
                    if reach not in stored:
                        stored[reach] = size
                        size += len(reach)
                    row[bit] = stored[reach]
            features_of = np.array([[*leaf.reach] for leaf in group.leaves], np.intp)
            slots.append(features_of.T.ravel())
            start.append(starts.T.ravel())
        self._reach = np.frombuffer(b"".join(stored), np.uint8)
        self._slots, self._start = np.concatenate(slots), np.concatenate(start)
        self._first, self._features = np.array(first), features

    def contributions(self, rows: list[int]) -> Floats:
        """Return the Shapley values (F,) of a row, by the tables' rows that belong to its bins."""
        bins = np.array(rows) - self._first
        bits = self._reach.take(self._start + bins.take(self._slots))
        values, end = np.empty(len(bits)), 0
        for group in self._groups:
            start, end = end, end + group.share.size
            part_bits = bits[start:end].reshape(group.share.shape)
            values[start:end] = shapley(group.share, group.value, part_bits).ravel()
        return np.asarray(np.bincount(self._slots, values, self._features), dtype=np.float64)


def shapley(share: Floats, value: Floats, bits: NDArray[Any]) -> Floats:
    """Return the Shapley values of n leaves with d features, for given bits of them.

    A leaf of value v is worth `v * prod(o_j for j in S) * prod(r_j for j not in S)` to a coalition
    S, where o_j is the bit of feature j and r_j the share of training rows that it lets through.
    For such a product the Shapley value of i is the integral over t from 0 to 1 of
    `v * (o_i - r_i) * prod(r_j + t * (o_j - r_j) for j != i)` (Owen 1972), a polynomial, which
    Gauss and Legendre's rule integrates exactly. `share` and `bits` are (d, ...) and broadcast to
    the shape of the result, `value` to that of one feature.
    """
    d = len(share)
    gain = bits - share
    nodes, weights = np.polynomial.legendre.leggauss((d + 1) // 2)
    total = np.zeros(gain.shape)
    for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = share + t * gain
        total += weight * factors.prod(axis=0) / factors
    return np.asarray(value * gain * total)
