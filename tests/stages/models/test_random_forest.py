"""The parameters of the random forest mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from stages import params
from stages.models.candidates import random_forest
from stages.models.task import Task
from tests.support.books import ROOT


@pytest.mark.parametrize(("min_leaf", "distinct"), [(50.0, True), (150.0, False)])
def test_the_smallest_leaf_of_a_forest_counts_rows(min_leaf: float, distinct: bool) -> None:
    """A tree sees 253 of the 400 rows: leaves of 50 rows can be split off, two of 150 cannot."""
    rng = np.random.default_rng(0)
    x = rng.random((400, 1))
    bad = (rng.random(400) < np.where(x[:, 0] > 0.5, 0.2, 0.02)).astype(np.int64)
    section = params.load(ROOT / "params.yaml").candidate("random_forest")
    changed = section.model_copy(update={"min_leaf": min_leaf, "trees": 5, "monotone": False})
    forest = random_forest.fit(Task(changed, 7, 1, [], np.zeros(1, np.int64), {}), x, bad)
    assert (len(np.unique(forest.margin(x))) > 1) is distinct
