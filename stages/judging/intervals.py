"""95 % intervals of figures and of their differences: bootstrap of rows, and DeLong for AUC.

Percentile intervals (Efron 1979), two of them first moved back by what resampling adds. `ece` and
`ks` are absolute values or maxima: noise only raises them, and resampling adds noise to noise. For
a calibrated model on 2,000 rows the plain interval of `ece` misses the estimate itself one time in
eight; moved so that its resamples average to the estimate, it holds it always.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stages.judging.metrics import NAMES, checked_approved, checked_cut_off, tallied
from stages.judging.weighted_metrics import (
    Bools,
    Columns,
    Floats,
    Sample,
    checked,
    every,
    weighted_sums,
)

LEVEL = 0.95
RESAMPLES = 1000
DEFINED = 0.95  # share of resamples in which a figure must be defined to have an interval
RAISED = ("ece", "ks")  # by resampling
CHUNK = 131_072  # weights held at a time: fits the processor's cache, bounds memory


class Interval(NamedTuple):
    """An estimate and its 95 % interval; NaN where undefined."""

    estimate: float
    low: float
    high: float


class DeLong(NamedTuple):
    """Challenger's AUC minus champion's, standard error, 95 % interval and two-sided p-value."""

    champion: float
    challenger: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Draws:
    """Figures on the rows as they are, and on every resample of them."""

    estimates: dict[str, float]
    resampled: Columns  # (resamples,) per figure
    bad: Bools  # (n,) outcomes in the rows' order: pairs must have the same
    seed: int


def bootstrap(
    bad: ArrayLike,
    pd: ArrayLike,
    cut_off: float,
    *,
    approved: ArrayLike | None = None,
    means: Mapping[str, ArrayLike] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Draws:
    """Every figure of `metrics.summary` on `resamples` resamples of the n rows with replacement.

    `means` adds further figures by name, each the mean of a finite value (n,) per row, such as the
    profit of each decision. The resamples depend on n, `seed` and `resamples` alone, so two models
    on the same rows are resampled alike. ValueError as `summary`.
    """
    sample = Sample.of(bad, pd)
    rows = len(sample.order)
    taken = None if approved is None else checked_approved(approved, rows)
    values = {name: _checked_values(name, value, rows) for name, value in (means or {}).items()}
    if resamples < 1:
        raise ValueError(f"`resamples` must be an integer >= 1; got {resamples}")
    checked_cut_off(cut_off)

    def figures(weights: Floats) -> Columns:
        added = {name: weighted_sums(weights, value) / rows for name, value in values.items()}
        return {**tallied(sample, weights, cut_off, taken), **added}

    estimates = {name: float(value[0]) for name, value in figures(np.ones((1, rows))).items()}
    chunks = [figures(weights) for weights in _resamplings(rows, resamples, seed)]
    resampled = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in estimates}
    return Draws(estimates, resampled, checked(bad, pd)[0], seed)


def _checked_values(name: str, values: ArrayLike, rows: int) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if name in NAMES:
        raise ValueError(f"`means` must not use a standard name; got {name}")
    if found.shape != (rows,):
        raise ValueError(f"`means[{name}]` must be one number a row, ({rows},); got {found.shape}")
    every(np.isfinite(found), found, f"`means[{name}]` must be finite")
    return found


def _resamplings(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn: (w, rows) float64 at a time, `resamples` in all."""
    generator = np.random.default_rng(seed)
    step = max(1, CHUNK // rows)
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        drawn = generator.integers(0, rows, (count, rows)) + rows * np.arange(count)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=count * rows)
        yield counts.reshape(count, rows).astype(np.float64)


def percentile_intervals(draws: Draws) -> dict[str, Interval]:
    """Interval of every figure; its bounds are NaN where it or many of its resamples are."""
    found = {
        name: _interval(name, estimate, draws.resampled[name])
        for name, estimate in draws.estimates.items()
    }
    for name in RAISED:
        found[name] = found[name]._replace(low=float(np.maximum(0.0, found[name].low)))
    return found


def paired_intervals(champion: Draws, challenger: Draws) -> dict[str, Interval]:
    """Interval of challenger minus champion for every figure that both have.

    ValueError unless both were drawn from the same rows with the same seed and number of resamples.
    """
    _checked_pair(champion, challenger)
    return {
        name: _interval(
            name,
            challenger.estimates[name] - estimate,
            challenger.resampled[name] - champion.resampled[name],
        )
        for name, estimate in champion.estimates.items()
        if name in challenger.estimates
    }


def _checked_pair(champion: Draws, challenger: Draws) -> None:
    if not np.array_equal(champion.bad, challenger.bad):
        rows = f"{len(champion.bad)} and {len(challenger.bad)} rows"
        raise ValueError(f"a pair must have the same rows, in the same order; got {rows}")
    plans = [(draws.seed, len(draws.resampled["bad_rate"])) for draws in (champion, challenger)]
    if plans[0] != plans[1]:
        came = f"{plans[0]} and {plans[1]}"
        raise ValueError(f"a pair must have the same seed and number of resamples; got {came}")


def _interval(name: str, estimate: float, resampled: Floats) -> Interval:
    defined = resampled[np.isfinite(resampled)]
    if not np.isfinite(estimate) or len(defined) < DEFINED * len(resampled):
        return Interval(estimate, float("nan"), float("nan"))
    if name in RAISED:
        defined = defined - defined.mean() + estimate
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(estimate, float(low), float(high))


def delong(bad: ArrayLike, champion_pd: ArrayLike, challenger_pd: ArrayLike) -> DeLong:
    """Test of two AUCs on the same rows (DeLong et al. 1988), in O(n log n) as Sun and Xu (2014).

    All but p_value are in units of AUC. ValueError unless there are two goods and two bads.
    """
    outcome, champion = checked(bad, champion_pd)
    _, challenger = checked(bad, challenger_pd)
    bads, goods = int(outcome.sum()), int((~outcome).sum())
    if min(bads, goods) < 2:
        raise ValueError(f"DeLong needs 2 goods and 2 bads; got {goods} good and {bads} bad")
    old, new = _placements(outcome, champion), _placements(outcome, challenger)
    per_bad, per_good = new[0] - old[0], new[1] - old[1]
    error = sqrt(per_bad.var(ddof=1) / bads + per_good.var(ddof=1) / goods)
    difference = float(per_bad.mean())
    margin = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    return DeLong(
        champion=float(old[0].mean()),
        challenger=float(new[0].mean()),
        difference=difference,
        standard_error=error,
        low=difference - margin,
        high=difference + margin,
        p_value=erfc(abs(difference) / (error * sqrt(2))) if error else float(difference == 0),
    )


def _placements(bad: Bools, pd: Floats) -> tuple[Floats, Floats]:
    """Share of goods below each bad, and of bads below each good, ties counting half."""
    bads, goods = np.sort(pd[bad]), np.sort(pd[~bad])
    return _share_below(pd[bad], goods), _share_below(pd[~bad], bads)


def _share_below(values: Floats, others: Floats) -> Floats:
    below, upto = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return (below + upto) / (2 * len(others))
