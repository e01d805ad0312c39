"""Boosted trees as their libraries hold them, read into one form: nodes, leaves and bins."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.models.scorers import LightGBM, XGBoost

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
