"""L2-penalised logistic regression on standardised numbers and one-hot categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.features.matrix import Floats
from stages.models.parameters import CandidateParameters, Positive, Range
from stages.models.scorers import Additive, Linear, Table
from stages.models.task import Task


class Parameters(CandidateParameters):
    """L2-penalised logistic regression; `c` is the inverse strength of the penalty."""

    c: Positive


SEARCH = {"c": Range(1e-3, 1e3, log=True)}


def fit(task: Task, x: Floats, bad: Any) -> Additive:
    """Fit on x (n, k) and bad (n,); a missing number takes the median."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (not for the others)

    numbers = np.setdiff1d(np.arange(x.shape[1]), task.categories)
    facts = {name: values[numbers] for name, values in task.facts.items()}
    unit = 1 / facts["sd"]
    linear = Linear(numbers, unit, facts["mean"], facts["low"], facts["high"], facts["fill"])
    hot = {j: np.arange(np.nanmax(x[:, j], initial=0) + 1) for j in task.categories}
    blocks = [linear(x), *(x[:, [j]] == codes for j, codes in hot.items())]
    fitted = LogisticRegression(C=task.parameters.c, max_iter=2000).fit(np.hstack(blocks), bad)
    ends = np.cumsum([len(numbers), *map(len, hot.values())])
    parts = np.split(fitted.coef_[0], ends[:-1])
    linear.slope = unit * parts[0]
    tables = [
        Table(j, codes + 0.5, np.append(weights, 0.0), 0.0)  # the last bin is of unseen codes
        for (j, codes), weights in zip(hot.items(), parts[1:], strict=True)
    ]
    return Additive(float(fitted.intercept_[0]), linear, tables).centred(x)
