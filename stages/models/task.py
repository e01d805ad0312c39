"""The task of a candidate's `fit`: its parameters, facts about the features, and held rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.features.matrix import Floats, Outcomes

# Boosters that stop early grow at most so many trees, and stop after so many that do not help.
MOST_TREES, PATIENCE = 1500, 40


class Held(NamedTuple):
    """Held-out rows: features x (m, k) and outcomes bad (m,)."""

    x: Floats
    bad: Outcomes


@dataclass(frozen=True)
class Task:
    """The parameters of a candidate, and facts about the k features that it is fitted on.

    Attributes
    ----------
    parameters : the candidate's section of params.yaml, an instance of its `Parameters`.
    categories : indices of those features that are unordered categories.
    directions : (k,) 1 where risk rises with a feature, -1 where it falls, 0 where it is free.
    facts : `fill`, `low`, `high`, `mean` and `sd` of the training rows, each (k,).
    explained_by : from the index of a feature to that of the feature that says why it is missing.
    """

    parameters: Any
    seed: int
    threads: int
    categories: list[int]
    directions: NDArray[np.int64]
    facts: dict[str, Floats]
    explained_by: dict[int, int] = field(default_factory=dict, kw_only=True)

    def constraints(self) -> list[int]:
        """Return the directions of risk as boosters take them, all 0 where `monotone` is off."""
        return [int(d) if self.parameters.monotone else 0 for d in self.directions]
