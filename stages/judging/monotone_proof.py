"""Prove from a model's form that its PD keeps a direction of risk for every possible application.

The margin is a sum of trees or of terms. Where each of them keeps a direction in a feature, so does
the sum, also as the processor rounds it, and so does the PD: calibration keeps the order.
"""

from __future__ import annotations

import math

import numpy as np

from stages.contract.derived import Derived
from stages.contract.fields.field import Field
from stages.features.matrix import DIRECTION, Features
from stages.models.artifact import Model
from stages.models.calibration import Calibrator, Isotonic, Sigmoid
from stages.models.compiled.forest import Forest, Node
from stages.models.compiled.trees import Trees
from stages.models.scorers import Additive, Scorer, Selected, WeightedSum

RISING, FALLING = 1, -1
Ways = set[int]  # in which a margin may move with a feature: RISING, FALLING; both: it stays


def is_proved(model: Model, field: Field) -> bool:
    """Return whether the PD keeps the field's direction of risk, whatever the other fields say.

    False says no more than that the form of the model does not show it.
    """
    if not keeps_order(model.calibrator):
        return False
    ways, sign = ways_of_margin(model.scorer, len(model.features.names)), DIRECTION[field.risk]
    moved = ways_of_features(model.features, field)
    return all(sign * way in ways[f] for f in moved for way in moved[f])


def ways_of_features(features: Features, field: Field) -> dict[int, Ways]:
    """Return how each feature that a field moves may move as the field rises.

    A ratio jumps where its denominator reaches 0, and turns round where the other side is negative.
    Of a formula of another form nothing is known.
    """
    minimum = {other.name: other.constraints.minimum for other in features.inputs}
    moved: dict[int, Ways] = {}
    for f, part in enumerate(features.parts):
        if isinstance(part, Field) and part.name == field.name:
            moved[f] = {RISING}
        elif isinstance(part, Derived) and field.name in features.sources[f]:
            if part.ratio is None:
                moved[f] = {RISING, FALLING}
                continue
            sides = part.ratio.fields
            over, under = (-math.inf if (m := minimum[s]) is None else m for s in sides)
            turns = under < 0 or part.ratio.scale < 0
            if field.name == part.ratio.numerator:
                moved[f] = {RISING, FALLING} if turns else {RISING}
            else:
                moved[f] = {RISING, FALLING} if turns or under == 0 or over < 0 else {FALLING}
    return moved


def keeps_order(calibrator: Calibrator) -> bool:
    """Return whether a higher margin never has a lower PD."""
    if isinstance(calibrator, Sigmoid):
        return calibrator.slope >= 0
    if isinstance(calibrator, Isotonic):
        return bool((np.diff(calibrator.pds) >= 0).all())
    return True


def ways_of_margin(scorer: Scorer, count: int) -> list[Ways]:
    """Return for each of `count` features how the margin may move as the feature rises.

    Where the form of the scorer shows nothing, the set is empty.
    """
    ways: list[Ways] = [{RISING, FALLING} for _ in range(count)]
    if isinstance(scorer, Selected):
        inner = ways_of_margin(scorer.scorer, len(scorer.columns))
        for f, way in zip(scorer.columns.tolist(), inner, strict=True):
            ways[f] = way
    elif isinstance(scorer, Additive):
        for f, slope in zip(scorer.linear.columns.tolist(), scorer.linear.slope, strict=True):
            ways[f] &= ways_of_steps(slope)
        for table in scorer.tables:
            ways[table.column] &= ways_of_steps(np.diff(table.values[: len(table.edges) + 1]))
    elif isinstance(scorer, WeightedSum):
        parts = [ways_of_margin(part, count) for part in scorer.scorers]
        ways = [set.intersection(*feature) for feature in zip(*parts, strict=True)]
    elif isinstance(scorer, Trees):
        narrow_by_trees(ways, scorer.forest)
    else:
        return [set() for _ in range(count)]
    return ways


def ways_of_steps(steps: object) -> Ways:
    """Return the ways in which a term moves that changes by these steps."""
    return {way for way in (RISING, FALLING) if np.all(way * np.asarray(steps) >= 0)}


def narrow_by_trees(ways: list[Ways], forest: Forest) -> None:
    """Take from each feature's ways those that a split on it may break.

    A split keeps a rise where no leaf to its left is above any leaf to its right. Boosters with
    monotone constraints grow only such splits.
    """
    for tree in forest.trees:
        for node, low, high in splits(tree):
            if node.categories is not None:
                ways[node.feature].clear()
                continue
            if low[1] > high[0]:
                ways[node.feature].discard(RISING)
            if low[0] < high[1]:
                ways[node.feature].discard(FALLING)


Range = tuple[float, float]


def splits(tree: list[Node]) -> list[tuple[Node, Range, Range]]:
    """Return each split of a tree with the least and largest leaf to its left and to its right."""
    ranges: dict[int, Range] = {}
    order, waiting = [], [0]
    while waiting:
        place = waiting.pop()
        order.append(place)
        if tree[place].feature >= 0:
            waiting += [tree[place].left, tree[place].right]
    out = []
    for place in reversed(order):  # the children before their parent
        node = tree[place]
        if node.feature < 0:
            ranges[place] = node.value, node.value
            continue
        left, right = ranges[node.left], ranges[node.right]
        ranges[place] = min(left[0], right[0]), max(left[1], right[1])
        out.append((node, left, right))
    return out
