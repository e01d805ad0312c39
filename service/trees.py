"""Boosted trees for one row at a time: the same margin to the last bit, and exact Shapley values.

A booster's library takes longer to call than its trees take to read, and milliseconds for Shapley
values. Here every leaf knows, of each feature on its path, for which values of that feature it can
be reached, as one bit; the bits of a row are found by one OR over the rows of a table, a row for
each value (bin) of each feature. A leaf all of whose bits are set is the one that the row falls
into. The Shapley values of a leaf depend on its bits alone, so they are computed once for all their
combinations and looked up (the idea of Fast TreeSHAP, Yang 2021).
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.features import Floats
from stages.scorers import LightGBM, Scorer, Selected, XGBoost

LARGEST = 160e6  # bytes of tables; a forest that needs more is left to its library
WIDEST = 16  # features on one path

Bools = NDArray[np.bool_]


class NotCompiled(ValueError):
    """A forest that is left to its library; the message says why."""


@dataclass
class Node:
    """A node of a tree: a leaf's value, or a feature and the bins that go left."""

    cover: float
    value: float = 0.0
    feature: int = -1
    left: int = -1
    right: int = -1
    threshold: float = 0.0
    categories: frozenset[int] | None = None  # codes that are listed
    listed_left: bool = True
    missing_left: bool = False


@dataclass
class Forest:
    """Trees, and how their library reads a value.

    `bisect(thresholds, value)` counts the thresholds that send a value right; `start` and then the
    leaves are summed in the order of the trees and in `dtype`.
    """

    trees: list[list[Node]]
    bisect: Callable[[list[float], float], int]
    dtype: type[np.floating[Any]]
    start: float
    features: int


@dataclass
class Leaf:
    """A leaf and, for each feature on its path, the bins that reach it and their share of rows."""

    tree: int
    value: float
    reach: dict[int, Bools]
    share: dict[int, float]


class Trees:
    """A compiled forest; made by `compiled`."""

    def __init__(self, forest: Forest) -> None:
        self._forest = forest
        self._bins, sizes = bins_of(forest)
        self._first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._sizes = sizes
        leaves = list(leaves_of(forest, self._bins, sizes))
        if any(len(leaf.reach) > WIDEST for leaf in leaves):
            raise NotCompiled("a path has too many features")
        widths = [len(leaf.reach) for leaf in leaves]
        need = sum(2.0**d * d * 8 for d in widths) + sum(sizes) * sum(1 + (d > 8) for d in widths)
        if need > LARGEST:
            raise NotCompiled(f"the tables would have {need / 1e6:.0f} MB")
        few, many = (
            [x for x in leaves if len(x.reach) <= 8],
            [x for x in leaves if len(x.reach) > 8],
        )
        self._parts = [
            Part(own, kind, self._first, sum(sizes), forest.features)
            for own, kind in ((few, np.uint8), (many, np.uint16))
            if own
        ]
        self._base = forest.start + sum(part.expected for part in self._parts)

    def margin(self, x: Floats) -> Floats:
        """Features (1, F) → log-odds (1,), the same bits as the library's."""
        rows = self._rows(x[0])
        values = np.zeros(len(self._forest.trees) + 1, self._forest.dtype)
        values[0] = self._forest.start
        for part in self._parts:
            part.reached(part.bits(rows), values)
        return np.cumsum(values, dtype=self._forest.dtype)[-1:].astype(np.float64)

    def contributions(self, x: Floats) -> Floats:
        """Features (n, F) → (n, F + 1) Shapley values and the expected margin."""
        out = np.empty((len(x), x.shape[1] + 1))
        for place, row in enumerate(x):
            rows = self._rows(row)
            out[place, :-1] = sum(part.shapley(part.bits(rows)) for part in self._parts)
        out[:, -1] = self._base
        return out

    def _rows(self, row: Floats) -> list[int]:
        """The table's rows that belong to the values of one row of features (F,)."""
        with np.errstate(over="ignore"):
            values = row.astype(self._forest.dtype).tolist()
        bisect = self._forest.bisect
        return [
            first + size - 1
            if value != value  # noqa: PLR0124  (NaN)
            else first + (category(value, size) if bins is None else bisect(bins, value))
            for value, bins, first, size in zip(
                values, self._bins, self._first.tolist(), self._sizes, strict=True
            )
        ]


class Part:
    """Leaves whose bits fit into one integer type, sorted by the number of their bits."""

    def __init__(self, leaves: list[Leaf], kind: Any, first: Any, rows: int, features: int) -> None:
        leaves = sorted(leaves, key=lambda leaf: len(leaf.reach))
        by_leaf = np.zeros((len(leaves), rows), kind)
        for own, leaf in zip(by_leaf, leaves, strict=True):
            for bit, (feature, reach) in enumerate(leaf.reach.items()):
                at = first[feature]
                own[at : at + len(reach)] = reach.astype(kind) << bit
        self._table = np.ascontiguousarray(by_leaf.T)
        self._full = np.array([(1 << len(leaf.reach)) - 1 for leaf in leaves], kind)
        self._tree = np.array([leaf.tree + 1 for leaf in leaves])
        self._value = np.array([leaf.value for leaf in leaves])
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
        return np.asarray(np.bitwise_or.reduce(self._table[rows], axis=0))

    def reached(self, bits: NDArray[Any], values: NDArray[Any]) -> None:
        """Write the value of each tree's leaf that is reached to `values` (trees + 1,)."""
        places = np.flatnonzero(bits == self._full)
        values[self._tree[places]] = self._value[places]

    def shapley(self, bits: NDArray[Any]) -> Floats:
        """Bits (L,) → the features' Shapley values (F,), summed over the leaves."""
        found = [table.take(first + bits[at], axis=0).ravel() for at, first, table in self._groups]
        if not found:
            return np.zeros(self._features)
        sums = np.bincount(self._slots, np.concatenate(found), self._features)
        return np.asarray(sums, dtype=np.float64)


def compiled(scorer: Scorer) -> Trees | Selected | None:
    """The trees of a scorer; None for one that has none, or whose tables would be too large."""
    try:
        if isinstance(scorer, Selected):
            inner: Any = compiled(scorer.scorer)
            return inner and Selected(inner, scorer.columns)
        if isinstance(scorer, XGBoost):
            return Trees(xgboost_forest(scorer))
        if isinstance(scorer, LightGBM):
            return Trees(lightgbm_forest(scorer))
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


def category(code: float, size: int) -> int:
    """The bin of a category's code; `size` bins in all."""
    return int(code) if 0 <= code < size - 2 else size - 2


def bins_of(forest: Forest) -> tuple[list[list[float] | None], list[int]]:
    """For each feature its thresholds (None for categories) and its number of bins.

    The last bin is that of missing values; before it stands that of categories never listed.
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
    """Every leaf of every tree."""
    for number, tree in enumerate(forest.trees):
        paths: list[tuple[int, dict[int, Bools], dict[int, float]]] = [(0, {}, {})]
        while paths:
            place, reach, share = paths.pop()
            node = tree[place]
            if node.feature < 0:
                yield Leaf(number, node.value, reach, share)
                continue
            left = goes_left(node, bins[node.feature], sizes[node.feature])
            for child, side in ((node.left, left), (node.right, ~left)):
                own, f = tree[child].cover / node.cover, node.feature
                both = side & reach[f] if f in reach else side
                paths.append((child, reach | {f: both}, share | {f: share.get(f, 1.0) * own}))


def goes_left(node: Node, bins: list[float] | None, size: int) -> Bools:
    """Which bins of its feature a node sends left (bins,)."""
    left = np.zeros(size, dtype=np.bool_)
    if node.categories is not None:
        left[:] = not node.listed_left
        left[list(node.categories)] = node.listed_left
    elif bins is not None:
        left[: bisect_left(bins, node.threshold) + 1] = True
    left[-1] = node.missing_left
    return left


def xgboost_forest(scorer: XGBoost) -> Forest:
    """The trees of an XGBoost booster: `x < threshold` goes left, in 32 bits."""
    import xgboost  # noqa: PLC0415  (a process that never meets a booster need not have it)

    booster = xgboost.Booster(model_file=bytearray(scorer.raw))
    learner = json.loads(booster.save_raw("json"))["learner"]
    model = learner["gradient_booster"]["model"]
    raw = learner["learner_model_param"]
    share = float(str(raw["base_score"]).strip("[]"))
    trees = [
        [xgboost_node(tree, i) for i in range(len(tree["left_children"]))]
        for tree in model["trees"]
    ]
    # The library's own logarithm, to the last bit: the margin of a booster without trees.
    one = np.zeros((1, 1))
    settings = {"objective": "binary:logistic", "base_score": share, "nthread": 1}
    empty = xgboost.train(settings, xgboost.DMatrix(one, [0]), 0)
    start = float(empty.inplace_predict(one, predict_type="margin")[0])
    return Forest(trees, bisect_right, np.float32, start, int(raw["num_feature"]))


def xgboost_node(tree: Any, place: int) -> Node:
    """One node of a tree in XGBoost's JSON; listed categories go right."""
    cover, condition = float(tree["sum_hessian"][place]), tree["split_conditions"][place]
    left = int(tree["left_children"][place])
    if left < 0:
        return Node(cover, value=float(condition))
    categories = None
    if tree["split_type"][place]:
        segment = tree["categories_nodes"].index(place)
        start, size = tree["categories_segments"][segment], tree["categories_sizes"][segment]
        categories = frozenset(tree["categories"][start : start + size])
    return Node(
        cover,
        feature=int(tree["split_indices"][place]),
        left=left,
        right=int(tree["right_children"][place]),
        threshold=float(np.float32(condition)),
        categories=categories,
        listed_left=False,
        missing_left=bool(tree["default_left"][place]),
    )


def lightgbm_forest(scorer: LightGBM) -> Forest:
    """The trees of a LightGBM booster: `x <= threshold` goes left, in 64 bits."""
    import lightgbm  # noqa: PLC0415

    model = lightgbm.Booster(model_str=scorer.text).dump_model()
    trees = [lightgbm_tree(tree["tree_structure"]) for tree in model["tree_info"]]
    return Forest(trees, bisect_left, np.float64, 0.0, int(model["max_feature_idx"]) + 1)


def lightgbm_tree(root: Any) -> list[Node]:
    """The nodes of a tree as LightGBM dumps it, the root first; listed categories go left."""
    nodes: list[Node] = []

    def add(raw: Any) -> int:
        place = len(nodes)
        if "leaf_value" in raw:
            nodes.append(Node(float(raw.get("leaf_count", 1)), value=float(raw["leaf_value"])))
            return place
        node = Node(float(raw["internal_count"]), feature=int(raw["split_feature"]))
        nodes.append(node)
        if raw["missing_type"] == "Zero":
            raise NotCompiled("zeros that are missing values")
        if raw["decision_type"] == "==":
            node.categories = frozenset(map(int, str(raw["threshold"]).split("||")))
        else:
            node.threshold = float(raw["threshold"])
            unseen = raw["missing_type"] == "None"
            node.missing_left = node.threshold >= 0.0 if unseen else bool(raw["default_left"])
        node.left, node.right = add(raw["left_child"]), add(raw["right_child"])
        return place

    add(root)
    return nodes
