"""L2-penalised logistic regression on standardised numbers and one-hot categories."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, hstack

from stages.features.information_value import Codes, category_cells
from stages.features.matrix import Floats, Outcomes
from stages.models.parameters import CandidateParameters, Positive, SearchRange
from stages.models.scorers import Additive, Linear, Table
from stages.models.task import Task


class Parameters(CandidateParameters):
    """L2-penalised logistic regression; `c` is the inverse strength of the penalty."""

    c: Positive
    """Inverse strength of the L2 penalty."""


SEARCH = {"c": SearchRange(1e-3, 1e3, log=True)}


def fit(task: Task, x: Floats, bad: Outcomes) -> Additive:
    """Fit on the features x (n, k) and the outcomes bad (n,).

    A missing number takes the median and, unless another feature says why it is missing, a flag; a
    missing category is a level. The design matrix is sparse: a category takes one cell per row,
    however many levels it has.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (slow to import)

    numbers = np.setdiff1d(np.arange(x.shape[1]), task.categories)
    facts = {name: values[numbers] for name, values in task.facts.items()}
    unit = 1 / facts["sd"]
    linear = Linear(numbers, unit, facts["mean"], facts["low"], facts["high"], facts["fill"])
    missing = np.isnan(x[:, numbers]) & ~np.isin(numbers, [*task.explained_by])
    flagged = np.flatnonzero(missing.any(axis=0))
    levels = {j: category_cells(x[:, j]) for j in task.categories}
    blocks = [
        csr_matrix(linear(x)),
        csr_matrix(missing[:, flagged], dtype=np.float64),
        *(one_hot(level) for level in levels.values()),
    ]
    design = hstack(blocks, format="csr")
    fitted = LogisticRegression(C=task.parameters.c, max_iter=2000).fit(design, bad)
    ends = np.cumsum([block.shape[1] for block in blocks])
    slopes, flags, *weights = np.split(fitted.coef_[0], ends[:-1])
    linear.slope, linear.flag = unit * slopes, np.zeros(len(numbers))
    linear.flag[flagged] = flags
    tables = [level_table(j, x[:, j], terms) for j, terms in zip(levels, weights, strict=True)]
    return Additive(float(fitted.intercept_[0]), linear, tables).fit_expected(x)


def one_hot(level: Codes) -> csr_matrix:
    """Return the levels (n,) as a sparse matrix (n, levels) with a 1 in each row."""
    rows = np.arange(len(level))
    return csr_matrix((np.ones(len(level)), (rows, level)), shape=(len(level), level.max() + 1))


def level_table(column: int, x: Floats, weights: Floats) -> Table:
    """Return the table of a category x (n,); a level that training never saw has the term 0."""
    missing = 0.0
    if np.isnan(x).any():
        weights, missing = weights[:-1], float(weights[-1])
    return Table(column, np.arange(0.5, len(weights)), np.append(weights, 0.0), missing)
