"""A scorecard: optimal bins, their WoE, and a logistic regression on them."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np
from pydantic import Field as Key

from stages.features.matrix import Floats
from stages.models.parameters import CandidateParameters, Positive, Range
from stages.models.scorers import Additive, Linear, Table
from stages.models.task import Task


class Parameters(CandidateParameters):
    """Logistic regression on WoE; `monotone` keeps the contract's directions of risk."""

    c: Positive
    max_bins: Annotated[int, Key(ge=2)]
    min_bin_share: Annotated[float, Key(gt=0, lt=0.5)]
    monotone: bool


SEARCH = {
    "c": Range(1e-3, 1e3, log=True),
    "max_bins": Range(3, 12),
    "min_bin_share": Range(0.01, 0.1, log=True),
}

TRENDS = {0: "auto", 1: "ascending", -1: "descending"}
# A WoE stays finite in a bin without goods or without bads.
SMOOTHING = 0.5


def edges_of(x: Floats, bad: Any, category: bool, direction: int, parameters: Parameters) -> Floats:
    """Cut one feature (n,) at the optimal monotone splits (Navas-Palencia 2020)."""
    from optbinning import OptimalBinning  # noqa: PLC0415  (slow to import; only fitting needs it)

    if category:
        return np.arange(np.nanmax(x, initial=0) + 1) + 0.5  # the last bin is of unseen codes
    binning = OptimalBinning(
        dtype="numerical",
        max_n_bins=parameters.max_bins,
        min_bin_size=parameters.min_bin_share,
        monotonic_trend=TRENDS[direction],
        solver="cp",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        binning.fit(x, bad)
    return np.asarray(binning.splits, dtype=np.float64)


def weight_of_evidence(x: Floats, bad: Any, edges: Floats) -> Table:
    """The WoE of each bin, ln(share of bads / share of goods): higher is riskier."""
    cell = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="right"))
    size = len(edges) + 2
    bads = np.bincount(cell, weights=bad, minlength=size)
    goods = np.bincount(cell, minlength=size) - bads
    used = bads + goods > 0
    odds = (bads + SMOOTHING) / (goods + SMOOTHING) * np.sum(goods) / np.sum(bads)
    woe = np.where(used, np.log(odds), 0.0)
    return Table(0, edges, woe[:-1], float(woe[-1]))


def fit(task: Task, x: Floats, bad: Any) -> Additive:
    """Fit on x (n, k) and bad (n,)."""
    parameters: Parameters = task.parameters
    kept = np.array(task.constraints())
    tables = []
    for j in range(x.shape[1]):
        edges = edges_of(x[:, j], bad, j in task.categories, int(kept[j]), parameters)
        table = weight_of_evidence(x[:, j], bad, edges)
        table.column = j
        if kept[j]:  # smoothing lifts small bins above larger ones of nearly their bad rate
            table.values = kept[j] * np.maximum.accumulate(kept[j] * table.values)
        tables.append(table)
    weights, intercept = weigh(
        np.column_stack([t(x) for t in tables]), bad, kept != 0, parameters.c
    )
    for table, weight in zip(tables, weights.tolist(), strict=True):
        table.values = table.values * weight
        table.missing = table.missing * weight
    return Additive(intercept, Linear.none(), tables).centred(x)


def weigh(woe: Floats, bad: Any, directed: Any, c: float) -> tuple[Floats, float]:
    """The weights (F,) and intercept of a logistic regression on WoE (n, F).

    A negative weight would turn a direction of risk that is to be kept (`directed`, (F,) bool):
    such a feature is left out and the rest fitted again.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    weights, used = np.zeros(woe.shape[1]), np.ones(woe.shape[1], dtype=bool)
    while True:
        fitted = LogisticRegression(C=c, max_iter=1000).fit(woe[:, used], bad)
        weights[used] = fitted.coef_[0]
        turned = used & directed & (weights < 0)
        if not turned.any():
            return weights, float(fitted.intercept_[0])
        used &= ~turned
        weights[turned] = 0.0
