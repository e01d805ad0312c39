"""Read the trees of a booster of LightGBM or XGBoost into the form of `forest`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from stages.models.compiled.forest import LIGHTGBM, XGBOOST, Forest, Node
from stages.models.compiled.trees import Trees
from stages.models.scorers import LightGBM, Scorer, Selected, WeightedSum, XGBoost

TREES = '"trees":['  # in what XGBoost writes; quotes in a text have backslashes


class NotCompiled(ValueError):
    """Only their library can score with these trees; the message says why."""


def compile_if_possible(scorer: Scorer) -> Trees | Selected | WeightedSum | None:
    """Return a scorer of the compiled trees; None where there are none that can be compiled."""
    try:
        return compile_trees(scorer)
    except NotCompiled:
        return None


def compile_trees(scorer: Scorer) -> Trees | Selected | WeightedSum | None:
    """Return a scorer of the compiled trees of another; None where it has no trees.

    Raises NotCompiled where only their library can score with the trees.
    """
    if isinstance(scorer, WeightedSum):
        parts = [compile_trees(part) or part for part in scorer.scorers]
        return WeightedSum(scorer.names, parts, scorer.weights)
    if isinstance(scorer, Selected):
        inner = compile_trees(scorer.scorer)
        return inner and Selected(inner, scorer.columns)
    if isinstance(scorer, Trees):
        return scorer
    forest = forest_of(scorer)
    return None if forest is None else Trees(forest)


def forest_of(scorer: Scorer) -> Forest | None:
    """Return the trees of a scorer that is neither a blend nor reads a part of the features.

    It is None where there are none. Raises NotCompiled as `compile_trees` does.
    """
    if isinstance(scorer, Trees):
        return scorer.forest
    if isinstance(scorer, XGBoost):
        return xgboost_forest(scorer)
    return lightgbm_forest(scorer) if isinstance(scorer, LightGBM) else None


def trees_of(scorer: Scorer) -> Iterator[list[Node]] | None:
    """Return the trees of `forest_of` one by one: deep ones take long to convert."""
    if isinstance(scorer, XGBoost):
        return map(xgboost_nodes, read_trees(xgboost_text(scorer)))
    forest = forest_of(scorer)
    return None if forest is None else iter(forest.trees)


def xgboost_forest(scorer: XGBoost) -> Forest:
    """Return the trees of an XGBoost booster, in which `x < threshold` goes left in 32 bits."""
    import xgboost  # noqa: PLC0415  (a process that never meets a booster need not have it)

    learner = json.loads(xgboost_text(scorer))["learner"]
    raw = learner["learner_model_param"]
    share = float(str(raw["base_score"]).strip("[]"))
    # The margin of a booster without trees has the bits of the logarithm in the library.
    one = np.zeros((1, 1))
    settings = {"objective": "binary:logistic", "base_score": share, "nthread": 1}
    empty = xgboost.train(settings, xgboost.DMatrix(one, [0]), 0)
    start = float(empty.inplace_predict(one, predict_type="margin")[0])
    trees = learner["gradient_booster"]["model"]["trees"]
    return Forest([*map(xgboost_nodes, trees)], XGBOOST, start, int(raw["num_feature"]))


def xgboost_text(scorer: XGBoost) -> str:
    """Return the JSON that XGBoost writes of a booster."""
    import xgboost  # noqa: PLC0415

    return xgboost.Booster(model_file=bytearray(scorer.raw)).save_raw("json").decode()


def read_trees(text: str) -> Iterator[dict[str, Any]]:
    """Yield the trees in XGBoost's JSON one by one."""
    place, read = text.index(TREES) + len(TREES), json.JSONDecoder().raw_decode
    while text[place - 1] != "]":
        tree, end = read(text, place)
        yield tree
        place = end + 1


def xgboost_nodes(tree: dict[str, Any]) -> list[Node]:
    """Return the nodes of a tree in XGBoost's JSON."""
    return [xgboost_node(tree, i) for i in range(len(tree["left_children"]))]


def xgboost_node(tree: dict[str, Any], place: int) -> Node:
    """Return one node of a tree in XGBoost's JSON; the categories that it lists go right."""
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
        missing_left=bool(tree["default_left"][place]),
    )


def lightgbm_forest(scorer: LightGBM) -> Forest:
    """Return the trees of a LightGBM booster, in which `x <= threshold` goes left in 64 bits."""
    import lightgbm  # noqa: PLC0415

    model = lightgbm.Booster(model_str=scorer.text).dump_model()
    trees = [lightgbm_tree(tree["tree_structure"]) for tree in model["tree_info"]]
    return Forest(trees, LIGHTGBM, 0.0, int(model["max_feature_idx"]) + 1)


def lightgbm_tree(root: dict[str, Any]) -> list[Node]:
    """Return the nodes of a tree from LightGBM's dump, the root first.

    The categories that a node lists go left. Raises NotCompiled where zeros are missing values.
    """
    nodes: list[Node] = []

    def add(raw: dict[str, Any]) -> int:
        place = len(nodes)
        if "leaf_value" in raw:
            nodes.append(Node(float(raw.get("leaf_count", 1)), value=float(raw["leaf_value"])))
            return place
        node = Node(float(raw["internal_count"]), feature=int(raw["split_feature"]))
        nodes.append(node)
        if raw["missing_type"] == "Zero":
            raise NotCompiled("a split takes zeros for missing values")
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
