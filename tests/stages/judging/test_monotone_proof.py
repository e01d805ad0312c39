"""What the form of a model proves: no more than its leaves say, and no less."""

from __future__ import annotations

import numpy as np
import pytest

from stages.judging.monotone_proof import (
    FALLING,
    RISING,
    Ways,
    keeps_order,
    narrow_by_trees,
    ways_of_features,
    ways_of_margin,
)
from stages.models.calibration import ForestShare, Isotonic, Sigmoid
from stages.models.compiled.forest import LIGHTGBM, Forest, Node
from stages.models.compiled.trees import Trees
from stages.models.scorers import Additive, Linear, WeightedSum
from tests.stages.judging.test_monotone import CONTRACT, model_of, split_at

BOTH = {RISING, FALLING}


def ways_of(*nodes: Node) -> list[Ways]:
    """The ways of two features that a tree leaves."""
    ways = [set(BOTH), set(BOTH)]
    narrow_by_trees(ways, Forest([[*nodes]], LIGHTGBM, 0.0, 2))
    return ways


def leaf(value: float) -> Node:
    return Node(1.0, value=value)


@pytest.mark.parametrize("feature", [0, 1])
@pytest.mark.parametrize(
    ("left", "right", "kept"),
    [(0.0, 1.0, {RISING}), (1.0, 0.0, {FALLING}), (0.5, 0.5, BOTH), (-1.0, -0.5, {RISING})],
)
def test_a_split_keeps_the_way_from_its_left_leaf_to_its_right_one(
    feature: int, left: float, right: float, kept: Ways
) -> None:
    ways = ways_of(Node(2.0, feature=feature, left=1, right=2), leaf(left), leaf(right))
    assert ways[feature] == kept
    assert ways[1 - feature] == BOTH


def test_a_split_among_categories_proves_neither_way() -> None:
    root = Node(2.0, feature=0, left=1, right=2, categories=frozenset([1]))
    assert ways_of(root, leaf(0.0), leaf(1.0)) == [set(), BOTH]


@pytest.mark.parametrize("split_right", [False, True])
def test_a_leaf_between_two_leaves_of_the_other_side_proves_neither_way(
    split_right: bool,
) -> None:
    root = Node(4.0, feature=0, left=1 if split_right else 2, right=2 if split_right else 1)
    below = Node(2.0, feature=1, left=3, right=4)
    assert ways_of(root, leaf(1.0), below, leaf(0.0), leaf(2.0)) == [set(), {RISING}]


def test_leaves_far_below_a_split_count() -> None:
    root = Node(4.0, feature=0, left=1, right=2)
    below = Node(2.0, feature=1, left=3, right=4)
    assert ways_of(root, leaf(0.0), below, leaf(0.0), leaf(2.0)) == [{RISING}, {RISING}]
    assert ways_of(root, leaf(1.0), below, leaf(0.0), leaf(0.5)) == [{FALLING}, {RISING}]


def test_every_tree_counts_for_the_direction() -> None:
    up = [Node(2.0, feature=0, left=1, right=2), leaf(0.0), leaf(1.0)]
    down = [Node(2.0, feature=0, left=1, right=2), leaf(1.0), leaf(0.0)]
    scorer = Trees(Forest([up, down], LIGHTGBM, 0.0, 2))
    assert ways_of_margin(scorer, 2) == [set(), BOTH]


def test_a_blend_keeps_what_every_member_keeps() -> None:
    rising = Linear(np.array([0]), *(np.array([v]) for v in (1.0, 0.0, -9.0, 9.0, 0.0)))
    falling = Linear(np.array([0]), *(np.array([v]) for v in (-1.0, 0.0, -9.0, 9.0, 0.0)))
    parts = [Additive(0.0, rising, []), Additive(0.0, falling, [])]
    assert ways_of_margin(WeightedSum(["a", "b"], parts, np.ones(2)), 2) == [set(), BOTH]
    assert ways_of_margin(WeightedSum(["a"], parts[:1], np.ones(1)), 2) == [{RISING}, BOTH]


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_a_calibration_that_never_falls_keeps_the_order(slope: float) -> None:
    assert keeps_order(Sigmoid(slope))
    assert keeps_order(Isotonic(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.1, 0.2])))
    assert keeps_order(ForestShare(0.1))


@pytest.mark.parametrize(
    ("least_months", "least_late", "of_late", "of_months"),
    [
        (1, 0, {RISING}, {FALLING}),
        (1, 5, {RISING}, {FALLING}),
        (0, 0, {RISING}, BOTH),  # at 0 months the share jumps to what it is when empty
        (-1, 0, BOTH, BOTH),  # months below 0 turn the share round
        (1, -1, {RISING}, BOTH),
    ],
)
def test_a_ratio_moves_as_its_sides_allow(
    least_months: int, least_late: int, of_late: Ways, of_months: Ways
) -> None:
    contract = CONTRACT.replace(
        "months: {type: integer, constraints: {minimum: 0,",
        f"months: {{type: integer, constraints: {{minimum: {least_months},",
    ).replace(
        "late: {type: integer, risk: increasing, constraints: {minimum: 0,",
        f"late: {{type: integer, risk: increasing, constraints: {{minimum: {least_late},",
    )
    features = model_of(split_at(0, 0.0, 0.0, 0.0), contract).features
    inputs = {field.name: field for field in features.inputs}
    share = features.names.index("late_share")
    assert ways_of_features(features, inputs["late"])[share] == of_late
    assert ways_of_features(features, inputs["months"])[share] == of_months
