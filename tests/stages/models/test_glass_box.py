"""The glass box: a sum of curves of one feature and of tables of a few pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stages.judging import evaluation
from stages.models import artifact, tree_compiler
from stages.models.artifact import Model
from stages.models.compiled.trees import Trees
from stages.policy.decisions import Policy
from tests.support.books import Project, book

Pairs = set[tuple[int, ...]]


def fit(folder: Path, **changes: int) -> Model:
    """Return a glass box of a small book."""
    small = {"min_leaf": 20, "trees": 60} | changes
    more = {f"train__glass_box__{key}": value for key, value in small.items()}
    project = Project(folder, **more, candidates=["glass_box"]).write(book(1500, seed=4))
    project.run("preprocess", "featurize", "glass_box")
    return artifact.load(project.artifact("glass_box"))


def groups_of_features(model: Model) -> Pairs:
    """Return the sets of features that stand on one path."""
    trees = tree_compiler.compile_trees(model.scorer)
    assert isinstance(trees, Trees)
    groups: Pairs = set()
    for tree in trees.forest.trees:
        waiting = [(0, frozenset[int]())]
        while waiting:
            place, asked = waiting.pop()
            node = tree[place]
            if node.feature < 0:
                groups.add(tuple(sorted(asked)))
            else:
                waiting += [(side, asked | {node.feature}) for side in (node.left, node.right)]
    return groups


@pytest.mark.parametrize("pairs", [0, 1, 3])
def test_no_more_than_two_features_act_together_and_in_no_more_pairs_than_asked(
    tmp_path: Path, pairs: int
) -> None:
    groups = groups_of_features(fit(tmp_path, pairs=pairs))
    assert max(map(len, groups)) <= 2
    assert len([group for group in groups if len(group) == 2]) <= pairs
    assert evaluation.is_glass(fit(tmp_path, pairs=pairs))


def test_a_linear_model_is_glass_and_deep_trees_are_none(models: dict[str, Model]) -> None:
    clear = {name: evaluation.is_glass(model) for name, model in models.items()}
    assert clear["logistic"]
    assert clear["scorecard"]
    assert not clear["lightgbm"]
    assert not clear["random_forest"]


def judged(pd: NDArray[np.float64], bad: NDArray[np.int64], policy: Policy) -> evaluation.Judged:
    return evaluation.Judged(bad, pd, policy.decide(pd, {}))


def test_the_price_of_glass_is_what_the_winner_gains(fitted_book: Project) -> None:
    policy = fitted_book.config.policy
    rng = np.random.default_rng(11)
    true = rng.beta(1, 6, 4000)
    bad = (rng.random(4000) < true).astype(np.int64)
    blurred = np.clip(true * np.exp(rng.normal(0, 1.5, 4000)), 0.001, 0.9)
    price = evaluation.price_glass(
        "scorecard", *(judged(p, bad, policy) for p in (blurred, true)), policy
    )
    assert 0 < price["roc_auc"]["low"] < price["roc_auc"]["value"] < price["roc_auc"]["high"]
    lost, gained = (policy.profit(bad, judged(pd, bad, policy).approved) for pd in (blurred, true))
    assert price["profit"]["value"] == pytest.approx(gained - lost)
    assert price["profit"]["value"] > 0
    same = evaluation.price_glass("scorecard", *[judged(true, bad, policy)] * 2, policy)
    assert same["roc_auc"]["value"] == same["profit"]["value"] == 0
