"""Boosted trees in one form, whichever library grew them: nodes, leaves and bins."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


@dataclass
class Node:
    """A node of a tree: a leaf with a value, or a split with the feature values that go left."""

    cover: float
    value: float = 0.0
    feature: int = -1
    left: int = -1
    right: int = -1
    threshold: float = 0.0
    categories: frozenset[int] | None = None  # the codes that the split lists
    missing_left: bool = False


@dataclass(frozen=True)
class Library:
    """How a library reads a value and sums leaves.

    Values, thresholds and sums have the precision of `dtype`. `bisect(thresholds, value)` counts
    the thresholds that send a value right, as `np.searchsorted` does with `side`. The categories
    that a node lists go left where `listed_left`, else right.
    """

    name: Literal["lightgbm", "xgboost"]
    dtype: type[np.float32] | type[np.float64]
    bisect: Callable[[list[float], float], int]
    side: Literal["left", "right"]
    listed_left: bool


LIGHTGBM = Library("lightgbm", np.float64, bisect_left, "left", listed_left=True)
XGBOOST = Library("xgboost", np.float32, bisect_right, "right", listed_left=False)
LIBRARIES = {library.name: library for library in (LIGHTGBM, XGBOOST)}


@dataclass
class Forest:
    """The trees of a booster; its margin is the sum of `start` and the leaves, in their order."""

    trees: list[list[Node]]
    library: Library
    start: float
    features: int


@dataclass
class Leaf:
    """A leaf, with the bins that reach it and their share of rows for each feature on its path."""

    tree: int
    value: float
    reach: dict[int, Bools]
    share: dict[int, float]


def category(code: float, size: int) -> int:
    """Return the bin of a category's code, for a feature of `size` bins."""
    return int(code) if 0 <= code < size - 2 else size - 2


def bins_of(forest: Forest) -> tuple[list[list[float] | None], list[int]]:
    """Return the thresholds of each feature (None for a category) and its number of bins.

    The last bin is for missing values, and that before it for categories that no node lists.
    """
    thresholds: list[set[float]] = [set() for _ in range(forest.features)]
    codes = [-1] * forest.features
    for node in (node for tree in forest.trees for node in tree if node.feature >= 0):
        if node.categories is None:
            thresholds[node.feature].add(node.threshold)
        else:
            codes[node.feature] = max(codes[node.feature], *node.categories)
    bins = [None if code >= 0 else sorted(t) for t, code in zip(thresholds, codes, strict=True)]
    return bins, [c + 3 if b is None else len(b) + 2 for b, c in zip(bins, codes, strict=True)]


def leaves_of(forest: Forest, bins: list[list[float] | None], sizes: list[int]) -> Iterator[Leaf]:
    """Yield the leaves of all trees, in the order of the trees."""
    for number, tree in enumerate(forest.trees):
        paths: list[tuple[int, dict[int, Bools], dict[int, float]]] = [(0, {}, {})]
        while paths:
            place, reach, share = paths.pop()
            node = tree[place]
            if node.feature < 0:
                yield Leaf(number, node.value, reach, share)
                continue
            f = node.feature
            left = goes_left(node, bins[f], sizes[f], forest.library.listed_left)
            for child, side in ((node.left, left), (node.right, ~left)):
                part = tree[child].cover / node.cover
                both = side & reach[f] if f in reach else side
                paths.append((child, reach | {f: both}, share | {f: share.get(f, 1.0) * part}))


def goes_left(node: Node, bins: list[float] | None, size: int, listed_left: bool) -> Bools:
    """Return whether the node sends each bin (bins,) of its feature left."""
    left = np.zeros(size, dtype=np.bool_)
    if node.categories is not None:
        left[:] = not listed_left
        left[list(node.categories)] = listed_left
    elif bins is not None:
        left[: bisect_left(bins, node.threshold) + 1] = True
    left[-1] = node.missing_left
    return left


def most_features_on_a_path(tree: list[Node]) -> int:
    """Return how many different features the splits on one path of a tree use at most."""
    most = 0
    paths: list[tuple[int, frozenset[int]]] = [(0, frozenset())]
    while paths:
        place, asked = paths.pop()
        node = tree[place]
        most = max(most, len(asked))
        if node.feature >= 0:
            both = asked | {node.feature}
            paths += [(node.left, both), (node.right, both)]
    return most
