"""Rows ranked by their PD and gathered into cells, so that a resample is a table of counts.

A cell holds the rows of one PD or, where there are more than `MAX_CELLS` distinct PDs and the
caller allows it, of a few neighbouring ones. A resample of n rows is then the number of goods and
bads in each of k cells: 300,000 rows cost no more than 4,096 do. Shapes: n rows, k cells, w
resamples. Nothing here uses BLAS, whose last bits depend on the number of threads.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]
Columns: TypeAlias = dict[str, Floats]

MAX_CELLS = 4096  # a resample's counts then fit the processor's cache
LOSS_CLIP = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss
ODDS_CLIP = 1e-6  # a PD of exactly 0 or 1 has no log-odds


def check_rows(bad: ArrayLike, pd: ArrayLike) -> tuple[Bools, Floats]:
    """Return `bad` as bool (n,) and `pd` as float64 (n,).

    Raises ValueError with the rule and the first wrong row.
    """
    outcome, scores = np.asarray(bad), np.asarray(pd, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != scores.shape:
        shapes = f"{outcome.shape} and {scores.shape}"
        raise ValueError(f"`bad` and `pd` must be (n,) and equally long; got shapes {shapes}")
    if not len(outcome):
        raise ValueError("`bad` and `pd` must have at least one row; got none")
    require_all((outcome == 0) | (outcome == 1), outcome, "`bad` must be 0 or 1")
    require_all((scores >= 0) & (scores <= 1), scores, "`pd` must be a number from 0 to 1")
    return outcome.astype(np.bool_), scores


def check_approved(approved: ArrayLike, rows: int) -> Bools:
    """Return who is approved (n,) as bool; ValueError for another length or type."""
    values = np.asarray(approved)
    if values.shape != (rows,) or values.dtype != np.bool_:
        came = f"{values.dtype} {values.shape}"
        raise ValueError(f"`approved` must have one boolean per row, ({rows},); got {came}")
    return values


def require_all(valid: Bools, values: NDArray[Any], rule: str) -> None:
    """Raise ValueError with the rule, the first of the values (n,) that is not valid, its row."""
    wrong = np.flatnonzero(~valid)
    if len(wrong):
        place = f"row {wrong[0]} ({len(wrong)} of {len(values)} rows)"
        raise ValueError(f"{rule}; got {values[wrong[0]]} at {place}")


def log_odds(pd: Floats) -> Floats:
    """Return log(pd / (1 - pd)) (n,), with `pd` clipped to ODDS_CLIP .. 1 - ODDS_CLIP."""
    clipped = np.clip(pd, ODDS_CLIP, 1 - ODDS_CLIP)
    return np.log(clipped / (1 - clipped))


def log_losses(bad: Bools, pd: Floats) -> Floats:
    """Return the logarithmic loss of each row (n,), with `pd` clipped by LOSS_CLIP."""
    clipped = np.clip(pd, LOSS_CLIP, 1 - LOSS_CLIP)
    losses: Floats = -np.log(np.where(bad, clipped, 1 - clipped))
    return losses


@dataclass(frozen=True)
class RankedRows:
    """Rows in k cells by rising PD. The values of a cell are means over its rows.

    `squares` and `losses` are means over the goods and over the bads of a cell: (k, 2).
    """

    keys: Positions  # (n,) 4 * cell + 2 * approved + bad of each row
    cut: int  # the first cell whose PDs reach the cut-off
    pd: Floats  # (k,)
    spread: Floats  # (k,) mean of pd * (1 - pd)
    log_odds: Floats  # (k,)
    squares: Floats  # (k, 2) mean of (pd - bad) ** 2
    losses: Floats  # (k, 2) mean logarithmic loss

    @classmethod
    def of(
        cls,
        bad: ArrayLike,
        pd: ArrayLike,
        cut_off: float = 1.0,
        approved: ArrayLike | None = None,
        max_cells: int | None = None,
    ) -> "RankedRows":
        """Rank the rows; `approved` is `pd < cut_off` where it is None. ValueError as check_rows.

        No cell has PDs on both sides of the cut-off.
        """
        outcome, scores = check_rows(bad, pd)
        taken = scores < cut_off if approved is None else check_approved(approved, len(scores))
        distinct, cell = np.unique(scores, return_inverse=True)
        if max_cells is not None and len(distinct) > max_cells:
            # as many cells for the bads as for all rows: precision at the highest PDs needs them
            parts = [np.sort(scores), np.sort(scores[outcome])] if outcome.any() else [scores]
            below = sum(np.searchsorted(part, distinct) / len(part) for part in parts) / len(parts)
            merged = np.floor(below * (max_cells - 1)) + (distinct >= cut_off)
            cell = np.unique(merged, return_inverse=True)[1][cell]
            distinct = np.bincount(cell, scores) / np.bincount(cell)
        rows = np.bincount(cell)
        by_class = np.bincount(2 * cell + outcome, minlength=2 * len(rows))

        def mean(values: Floats) -> Floats:
            return np.bincount(cell, values) / rows

        def mean_of_class(values: Floats) -> Floats:
            sums = np.bincount(2 * cell + outcome, values, minlength=2 * len(rows))
            return (sums / np.maximum(by_class, 1)).reshape(-1, 2)

        return cls(
            keys=4 * cell + 2 * taken + outcome,
            cut=int(np.max(cell[scores < cut_off], initial=-1)) + 1,
            pd=distinct,
            spread=mean(scores * (1 - scores)),
            log_odds=mean(log_odds(scores)),
            squares=mean_of_class((scores - outcome) ** 2),
            losses=mean_of_class(log_losses(outcome, scores)),
        )

    def count(self, keys: Positions, times: Floats | None = None) -> Floats:
        """Count the rows of these keys: (k, 2, 2) by cell, approved or not, and good or bad.

        `times` (n,) says how often each row was drawn; once where it is None.
        """
        counted = np.bincount(keys, times, minlength=4 * len(self.pd))
        return counted.astype(np.float64).reshape(-1, 2, 2)


@dataclass(frozen=True)
class ResampledCounts:
    """Goods and bads of w resamples in every cell (w, k), and how many of each are approved."""

    goods: Floats  # (w, k)
    bads: Floats  # (w, k)
    approved_goods: Floats  # (w,)
    approved_bads: Floats  # (w,)

    @classmethod
    def of(cls, counts: Floats) -> "ResampledCounts":
        """Part counts (w, k, 2, 2) into goods and bads."""
        goods, bads = (counts[..., 0, c] + counts[..., 1, c] for c in (0, 1))
        approved = counts[:, :, 1].sum(1)
        return cls(goods, bads, approved[:, 0], approved[:, 1])

    @property
    def rows(self) -> Floats:
        """Rows of each cell (w, k)."""
        return self.goods + self.bads

    @property
    def all_goods(self) -> Floats:
        """Goods of each resample (w,)."""
        sums: Floats = self.goods.sum(1)
        return sums

    @property
    def all_bads(self) -> Floats:
        """Bads of each resample (w,)."""
        sums: Floats = self.bads.sum(1)
        return sums


def weighted_sums(weights: Floats, values: Floats) -> Floats:
    """Return the sums (w,) of weights (w, k) times values (k,), without BLAS."""
    sums: Floats = np.einsum("wk,k->w", weights, values, optimize=False)
    return sums


def running_sums(values: Floats) -> Floats:
    """Return the sums before each position along the last axis: (w, k) to (w, k + 1)."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, which broadcasts to part; NaN where the whole is not above 0."""
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def draw_rows(rows: int, seed: int, resample: int) -> Positions:
    """Draw n rows with replacement (n,): the same for the same n, seed and resample."""
    return np.random.default_rng([seed, resample]).integers(0, rows, rows)


def draw_times(rows: int, group: Positions | None, seed: int, resample: int) -> Floats:
    """Draw the n rows with replacement, and return how often each was drawn (n,).

    The rows of one `group` (n,), which counts from 0, are drawn together.
    """
    if group is None:
        drawn = draw_rows(rows, seed, resample)
        return np.bincount(drawn, minlength=rows).astype(np.float64)
    return draw_times(int(group.max()) + 1, None, seed, resample)[group]
