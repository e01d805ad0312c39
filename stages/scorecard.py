"""Fit a scorecard: optimal bins, their WoE, and a logistic regression on them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from stages.features import Floats
from stages.scorers import Additive, Linear, Table

TRENDS = {0: "auto", 1: "ascending", -1: "descending"}
# A WoE stays finite in a bin without goods or without bads.
SMOOTHING = 0.5


def edges_of(x: Floats, bad: Any, category: bool, direction: int, config: Any) -> Floats:
    """Cut one feature (n,) at the optimal monotone splits (Navas-Palencia 2020)."""
    from optbinning import OptimalBinning  # noqa: PLC0415  (slow to import; only fitting needs it)

    if category:
        return np.arange(np.nanmax(x, initial=0)) + 0.5
    trend = TRENDS[direction] if config.monotone else "auto"
    binning = OptimalBinning(
        dtype="numerical",
        max_n_bins=config.max_bins,
        min_bin_size=config.min_bin_share,
        monotonic_trend=trend,
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


def fit(x: Floats, bad: Any, categories: list[int], directions: Any, config: Any) -> Additive:
    """Fit on training rows x (n, F), bad (n,); `config` is `stages.params.Scorecard`."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    tables = []
    for j in range(x.shape[1]):
        edges = edges_of(x[:, j], bad, j in categories, int(directions[j]), config)
        table = weight_of_evidence(x[:, j], bad, edges)
        table.column = j
        tables.append(table)
    woe = np.column_stack([table(x) for table in tables])
    fitted = LogisticRegression(C=config.c, max_iter=1000).fit(woe, bad)
    for table, weight in zip(tables, fitted.coef_[0], strict=True):
        table.values = table.values * weight
        table.missing = float(table.missing * weight)
    return Additive(float(fitted.intercept_[0]), Linear.none(), tables).centred(x)
