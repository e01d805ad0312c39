"""A scorecard: a logistic regression on the WoE of optimal bins."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Key

from stages.features.information_value import SMOOTHING, Codes, number_cells
from stages.features.matrix import Floats, Outcomes
from stages.models.parameters import CandidateParameters, Positive, SearchRange
from stages.models.scorers import Additive, Linear, Table
from stages.models.task import Task


class Parameters(CandidateParameters):
    """Logistic regression on WoE; `monotone` keeps the contract's directions of risk."""

    c: Positive
    """Inverse strength of the L2 penalty."""
    max_bins: Annotated[int, Key(ge=2)]
    """Highest number of bins of a feature."""
    min_bin_share: Annotated[float, Key(gt=0, lt=0.5)]
    """Lowest share of the rows in a bin."""
    monotone: bool
    """Whether the WoE of bins follows the directions of risk in the contract."""


SEARCH = {
    "c": SearchRange(1e-3, 1e3, log=True),
    "max_bins": SearchRange(3, 12),
    "min_bin_share": SearchRange(0.01, 0.1, log=True),
}

TRENDS = {0: "auto", 1: "ascending", -1: "descending"}
# As many cells as optbinning cuts a number into before it merges them.
PREBINS = 20
# Which tell every two numbers apart.
DIGITS = 17
# The least share of the differences between rare levels that must be real to keep them apart.
RELIABLE = 0.5


def with_both_outcomes(x: Floats, bad: Outcomes, cell: Codes) -> tuple[Floats, NDArray[np.int64]]:
    """Return x (m,) and bad (m,) with one good and one bad row added to each cell if one is pure.

    The binning drops bins that hold goods or bads alone, however large they are: without the added
    rows, the better a feature separates the outcomes, the less would be left of it.
    """
    _, first, place = np.unique(cell, return_index=True, return_inverse=True)
    bads = np.bincount(place, weights=bad)
    if not np.any((bads == 0) | (bads == np.bincount(place))):
        return x, bad
    outcomes = np.repeat([0, 1], len(first))
    return np.concatenate((x, x[first], x[first])), np.concatenate((bad, outcomes))


def edges_of(x: Floats, bad: Outcomes, direction: int, parameters: Parameters) -> Floats:
    """Return the optimal monotone splits (Navas-Palencia 2020) of a number x (n,), ascending.

    Each is written with as few digits as leave every row in its bin: people read them on the card.
    """
    from optbinning import OptimalBinning  # noqa: PLC0415  (slow to import; only fitting needs it)

    present = ~np.isnan(x)
    x, bad = x[present], bad[present]
    binning = OptimalBinning(
        dtype="numerical",
        max_n_bins=parameters.max_bins,
        min_bin_size=parameters.min_bin_share,
        monotonic_trend=TRENDS[direction],
        solver="cp",
    )
    binning.fit(*with_both_outcomes(x, bad, number_cells(x, PREBINS)))
    present_values = np.unique(x)
    return np.array([shorten(edge, present_values) for edge in binning.splits], dtype=np.float64)


def shorten(edge: float, values: Floats) -> float:
    """Return the number of the fewest digits that has the same of the values (m,) below it.

    `values` are distinct and ascending, and lie on both sides of the edge.
    """
    place = int(np.searchsorted(values, edge))
    low, high = values[place - 1], values[place]
    shorter = (float(f"{edge:.{digits}g}") for digits in range(1, DIGITS))
    return next((number for number in shorter if low < number <= high), float(edge))


def groups_of(x: Floats, bad: Outcomes, parameters: Parameters) -> Codes:
    """Return the bin of each code of a category x (n,), -1 for a code that no row has.

    A bin merges levels of like risk. The levels rarer than `min_bin_share` count as one level,
    unless most of their differences are real.
    """
    from optbinning import OptimalBinning  # noqa: PLC0415  (slow to import; only fitting needs it)

    present = ~np.isnan(x)
    level, bad = x[present].astype(np.intp), bad[present]
    rows = np.bincount(level)
    seen = rows > 0
    rare = seen & (rows < parameters.min_bin_share * len(x))
    merged = np.arange(len(rows))
    if rare.any() and reliability(level, bad, rare) < RELIABLE:
        merged[rare] = np.flatnonzero(rare)[0]
    level = merged[level]
    binning = OptimalBinning(
        dtype="categorical",
        max_n_bins=parameters.max_bins,
        min_bin_size=parameters.min_bin_share,
        monotonic_trend="ascending",
        solver="cp",
    )
    binning.fit(*with_both_outcomes(level.astype(np.float64), bad, level))
    group = np.zeros(len(rows), dtype=np.intp)
    for number, codes in enumerate(binning.splits):
        group[np.asarray(codes, dtype=np.intp)] = number
    return np.where(seen, group[merged], -1)


def reliability(level: Codes, bad: Outcomes, among: NDArray[np.bool_]) -> float:
    """Return the share of the variance of some levels' bad rates that chance does not explain.

    Chance alone gives a chi-square of homogeneity as large as its degrees of freedom.
    """
    rows = np.bincount(level)[among]
    bads = np.bincount(level, weights=bad)[among]
    rate = float(bads.sum() / rows.sum())
    if len(rows) < 2 or rate in (0.0, 1.0):
        return 0.0
    squares = float(np.sum((bads - rows * rate) ** 2 / rows)) / (rate * (1 - rate))
    return 1 - (len(rows) - 1) / squares if squares > 0 else 0.0


def weight_of_evidence(x: Floats, bad: Outcomes, edges: Floats) -> Table:
    """Return the WoE of each bin, ln(share of bads / share of goods); a higher one is riskier."""
    cell = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="right"))
    size = len(edges) + 2
    bads = np.bincount(cell, weights=bad, minlength=size)
    goods = np.bincount(cell, minlength=size) - bads
    used = bads + goods > 0
    odds = (bads + SMOOTHING) / (goods + SMOOTHING) * np.sum(goods) / np.sum(bads)
    woe = np.where(used, np.log(odds), 0.0)
    return Table(0, edges, woe[:-1], float(woe[-1]))


def category_table(x: Floats, bad: Outcomes, parameters: Parameters) -> Table:
    """Return the WoE of a category's merged levels, 0 for a level that training never saw."""
    group = groups_of(x, bad, parameters)
    codes = np.where(np.isnan(x), -1, x).astype(np.intp)
    grouped = np.where(codes < 0, np.nan, group[codes])
    woe = weight_of_evidence(grouped, bad, np.arange(0.5, group.max()))
    values = np.where(group < 0, 0.0, woe.values[group])
    return Table(0, np.arange(0.5, len(group)), np.append(values, 0.0), woe.missing)


def fit(task: Task, x: Floats, bad: Outcomes) -> Additive:
    """Fit on the features x (n, k) and the outcomes bad (n,)."""
    parameters: Parameters = task.parameters
    kept = np.array(task.constraints())
    tables = []
    for j in range(x.shape[1]):
        if j in task.categories:
            table = category_table(x[:, j], bad, parameters)
        else:
            edges = edges_of(x[:, j], bad, int(kept[j]), parameters)
            table = weight_of_evidence(x[:, j], bad, edges)
        table.column = j
        if kept[j]:  # smoothing may lift a small bin above a larger one of nearly its bad rate
            table.values = kept[j] * np.maximum.accumulate(kept[j] * table.values)
        if j in task.explained_by:  # another feature has a bin for each reason to be missing
            table.missing = 0.0
        tables.append(table)
    weights, intercept = weigh(
        np.column_stack([t(x) for t in tables]), bad, kept != 0, parameters.c
    )
    for table, weight in zip(tables, weights.tolist(), strict=True):
        table.values = table.values * weight
        table.missing = table.missing * weight
    return Additive(intercept, Linear.empty(), tables).fit_expected(x)


def weigh(
    woe: Floats, bad: Outcomes, directed: NDArray[np.bool_], c: float
) -> tuple[Floats, float]:
    """Return the weights (F,) and the intercept of a logistic regression on WoE (n, F).

    A negative weight would reverse the direction of risk of a feature that must keep it, where
    `directed` (F,) is true: such a feature is left out, and the others are fitted again.
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
