"""Compute the margins of trees by the bits of the leaves that a row can reach.

A bin has a word for each tree, with a bit for each leaf. The AND over the features leaves one bit
in a tree: the leaf that the row falls into (QuickScorer, Lucchese et al. 2015).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats
from stages.models.compiled.forest import Forest, Leaf

WORD = 64  # leaves
# The smallest word that holds so many leaves, the float whose exponent tells the place of its one
# bit, that float's bits as whole numbers, how far the exponent is shifted in them, and its bias.
WORDS: dict[int, tuple[Any, Any, Any, int, int]] = {
    8: (np.uint8, np.float32, np.int32, 23, 126),
    16: (np.uint16, np.float32, np.int32, 23, 126),
    32: (np.uint32, np.float32, np.int32, 23, 126),
    64: (np.uint64, np.float64, np.int64, 52, 1022),
}


class Words:
    """The table for the margin: one word for each tree, or for each WORD leaves of a large tree.

    The word before all others has one leaf, which every row reaches: the start of the sum.
    """

    def __init__(self, leaves: list[Leaf], first: list[int], rows: int, forest: Forest) -> None:
        words: list[list[Leaf]] = []
        trees = [0]
        for _, group in groupby(leaves, key=lambda leaf: leaf.tree):
            tree = list(group)
            trees.append(1 + len(words))
            words += [tree[at : at + WORD] for at in range(0, len(tree), WORD)]
        most = max(map(len, words), default=1)
        integer, *self._float, bias = WORDS[next(size for size in WORDS if size >= most)]
        table = np.zeros((1 + len(words), rows), integer)
        table[0] = 1
        # The place of the bit in a word counts from 1; a word without a bit has place 0, value 0.
        values = np.zeros((len(table), 1 + most), forest.library.dtype)
        values[0, 1] = forest.start
        for place, word in enumerate(words, 1):
            for bit, leaf in enumerate(word):
                reached = np.full(rows, 1 << bit, integer)
                for feature, reach in leaf.reach.items():
                    reached[first[feature] : first[feature] + len(reach)] *= reach
                table[place] |= reached
                values[place, 1 + bit] = leaf.value
        self._table, self._values = np.ascontiguousarray(table.T), values.ravel()
        self._trees = np.array(trees, dtype=np.intp)
        self._start = np.arange(len(table)) * (1 + most) - bias
        self._least = bias if most == WORD else None  # the exponent of a word without a bit
        self.row_bytes = self._table.itemsize * len(table)
        used = {feature for leaf in leaves for feature in leaf.reach}
        self._used = sorted(used) or [0]

    def by_leaf(self) -> tuple[NDArray[Any], Floats, NDArray[np.intp]]:
        """Return the table (bins, words), the values of each word's leaves (words, leaves), and
        the first word of each tree.
        """
        values = self._values.reshape(len(self._start), -1)[:, 1:].astype(np.float64)
        return self._table, values, self._trees

    def margin_of_few(self, places: list[list[int]]) -> Floats:
        """Return what `margin` does; for a row or a few, given as lists, it is quicker."""
        words = np.empty((len(places), len(self._start)), self._table.dtype)
        for word, place in zip(words, places, strict=True):
            np.bitwise_and.reduce(self._table.take(place, axis=0), axis=0, out=word)
        return self._sum(words)

    def margin(self, places: NDArray[np.intp]) -> Floats:
        """Return the sums (n,) of the leaves that rows reach, in the order of the trees.

        `places` (n, F) are the rows of the table that belong to the values of each row.
        """
        first, *others = self._used
        words = self._table.take(places[:, first], axis=0)
        more = np.empty_like(words)
        for feature in others:
            # Without `clip`, take checks all places and then copies once more.
            self._table.take(places[:, feature], axis=0, out=more, mode="clip")
            words &= more
        return self._sum(words)

    def _sum(self, words: NDArray[Any]) -> Floats:
        """Return the sums (n,) of the leaves whose bits are left in the words (n, W)."""
        to_float, to_whole, shift = self._float
        exponent = words.astype(to_float).view(to_whole) >> shift
        if self._least is not None:
            np.maximum(exponent, self._least, out=exponent)
        values = self._values.take(self._start + exponent)
        return np.asarray(values.cumsum(axis=1)[:, -1], dtype=np.float64)
